// Prints, as a bytea literal, a Yjs update that puts a line at the start of the demo's text.
import * as Y from 'yjs'

const doc = new Y.Doc()
doc.getText('content').insert(0, `${process.argv[2] ?? 'Hello.'}\n`)
process.stdout.write(`\\x${Buffer.from(Y.encodeStateAsUpdate(doc)).toString('hex')}`)
