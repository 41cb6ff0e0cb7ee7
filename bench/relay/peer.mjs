// A y-websocket server in memory: y-websocket's protocol on ws and Yjs, one document a path.
// Prints its port; it keeps nothing.
import { createServer } from 'node:http'
import { decoding, encoding } from 'lib0'
import { WebSocketServer } from 'ws'
import { readSyncMessage, writeSyncStep1, writeUpdate } from 'y-protocols/sync'
import * as Y from 'yjs'

const rooms = new Map()

function room (name) {
  if (!rooms.has(name)) {
    const doc = new Y.Doc()
    const members = new Set()
    doc.on('update', update => {
      const encoder = encoding.createEncoder()
      encoding.writeVarUint(encoder, 0)
      writeUpdate(encoder, update)
      const message = encoding.toUint8Array(encoder)
      for (const member of members) member.send(message)
    })
    rooms.set(name, { doc, members })
  }
  return rooms.get(name)
}

const server = createServer()
new WebSocketServer({ server }).on('connection', (socket, request) => {
  const { doc, members } = room(request.url)
  socket.binaryType = 'nodebuffer'
  members.add(socket)
  socket.on('close', () => members.delete(socket))
  socket.on('message', data => {
    const decoder = decoding.createDecoder(new Uint8Array(data))
    if (decoding.readVarUint(decoder) !== 0) return
    const encoder = encoding.createEncoder()
    encoding.writeVarUint(encoder, 0)
    readSyncMessage(decoder, encoder, doc, socket)
    if (encoding.length(encoder) > 1) socket.send(encoding.toUint8Array(encoder))
  })
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, 0)
  writeSyncStep1(encoder, doc)
  socket.send(encoding.toUint8Array(encoder))
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
