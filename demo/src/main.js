// The demo: one text of one document, edited by everybody who has its address.
//
// Reading order: document-name.js (which document), people.js (who is here), connection.js (are we
// connected).  The text is the document's root "content".
import { defaultKeymap, indentWithTab } from '@codemirror/commands'
import { markdown } from '@codemirror/lang-markdown'
import { HighlightStyle, syntaxHighlighting } from '@codemirror/language'
import { EditorState } from '@codemirror/state'
import { EditorView, drawSelection, keymap, placeholder } from '@codemirror/view'
import { tags } from '@lezer/highlight'
import { yCollab, yUndoManagerKeymap } from 'y-codemirror.next'
import { IndexeddbPersistence } from 'y-indexeddb'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'

import { showConnection } from './connection.js'
import { documentName, offerOtherDocuments } from './document-name.js'
import { showPeople } from './people.js'

const name = documentName()
offerOtherDocuments(name)
document.title = `${name} · pg_ydoc`
document.getElementById('sql-name').textContent = name.replaceAll("'", "''")

const doc = new Y.Doc()
// what is typed while nothing can be reached stays in this browser until it can
const offline = new IndexeddbPersistence(`pg_ydoc/${name}`, doc)
const server = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}`
const provider = new WebsocketProvider(server, encodeURIComponent(name), doc)

// renamed: the document goes on under its new name, with what we could not send yet
provider.on('closed', async ({ code, reason }) => {
  if (code !== 4410 || reason === '') return
  const { db } = await new IndexeddbPersistence(`pg_ydoc/${reason}`, doc).whenSynced
  // leaving the page may abort what is being written: this begins when that has ended
  await new Promise(resolve => { db.transaction(['updates']).oncomplete = resolve })
  location.hash = encodeURIComponent(reason)
})

showConnection(provider, offline)
showPeople(provider.awareness)

const marks = HighlightStyle.define([
  { tag: tags.heading, fontWeight: 'bold', fontSize: '1.15em' },
  { tag: tags.strong, fontWeight: 'bold' },
  { tag: tags.emphasis, fontStyle: 'italic' },
  { tag: tags.strikethrough, textDecoration: 'line-through' },
  { tag: [tags.link, tags.url], color: 'var(--accent)' },
  { tag: [tags.processingInstruction, tags.meta], color: 'var(--quiet)' }
])

const text = doc.getText('content')
const view = new EditorView({
  parent: document.getElementById('editor'),
  state: EditorState.create({
    doc: text.toString(),
    extensions: [
      keymap.of([...yUndoManagerKeymap, indentWithTab, ...defaultKeymap]),
      drawSelection(),
      markdown(),
      syntaxHighlighting(marks),
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ 'aria-label': `Text of ${name}` }),
      placeholder('Type here…'),
      yCollab(text, provider.awareness)
    ]
  })
})
view.focus()
