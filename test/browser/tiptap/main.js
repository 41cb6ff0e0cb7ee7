// A Tiptap editor as its documentation sets it up, on the document that the address names after #.
import { Editor } from '@tiptap/core'
import Collaboration from '@tiptap/extension-collaboration'
import CollaborationCaret from '@tiptap/extension-collaboration-caret'
import StarterKit from '@tiptap/starter-kit'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'

const name = location.hash.slice(1)
const doc = new Y.Doc()
const provider = new WebsocketProvider(`ws://${location.host}`, encodeURIComponent(decodeURIComponent(name)), doc)
const editor = new Editor({
  element: document.getElementById('editor'),
  extensions: [
    StarterKit.configure({ undoRedo: false, trailingNode: false }),
    Collaboration.configure({ document: doc }),
    CollaborationCaret.configure({
      provider,
      user: { name: localStorage.getItem('pg_ydoc name'), color: '#1f5fa8' }
    })
  ]
})

provider.on('sync', () => { document.body.dataset.connection = 'live' })
// for the test to look at
window.live = {
  editor,
  xml: () => doc.getXmlFragment('default').toString()
}
