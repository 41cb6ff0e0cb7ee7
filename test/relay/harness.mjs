// What the tests with real servers share: a private PostgreSQL, relays, clients, waiting.
//
//     const database = await startDatabase()
//     const relay = await startRelay(database)
//     const ann = open(relay, 'notes/7')
//     ann.text.insert(0, 'hello')
//     await until(() => ben.text.toString() === 'hello')
import * as hocuspocus2 from 'hocuspocus-provider-2'
import * as hocuspocus3 from 'hocuspocus-provider-3'
import * as hocuspocus4 from 'hocuspocus-provider-4'
import * as encoding from 'lib0/encoding'
import { WebSocket } from 'ws'
import { WebsocketProvider } from 'y-websocket'
import { WebsocketProvider as WebsocketProvider2 } from 'y-websocket-2'
import * as Y from 'yjs'

import { until } from './servers.mjs'

export * from './servers.mjs'
export * as Y from 'yjs' // documents of two copies do not understand each other

const opened = new Set()

// A person's document with an unmodified provider.  headers: what a browser (cookies, origin) or a program adds.
export function open (relay, name, {
  version = 3, doc = new Y.Doc(), connect = true, params = {}, headers, Socket = socketOfProvider(headers)
} = {}) {
  const Provider = version === 2 ? WebsocketProvider2 : WebsocketProvider
  const provider = new Provider(relay.url, name, doc, {
    WebSocketPolyfill: Socket, disableBc: true, connect, params, maxBackoffTime: 500
  })
  const client = {
    doc,
    provider,
    text: doc.getText('content'),
    synced: () => until(() => provider.synced && provider.wsconnected),
    close () {
      provider.destroy()
      doc.destroy()
      opened.delete(client)
    }
  }
  opened.add(client)
  return client
}

const hocuspocus = { 2: hocuspocus2, 3: hocuspocus3, 4: hocuspocus4 }

// A socket of Hocuspocus, on which several documents may be opened.
export function hocuspocusSocket (relay, { version = 4, headers, Socket = socketOfProvider(headers), ...more } = {}) {
  const socket = new hocuspocus[version].HocuspocusProviderWebsocket({
    url: relay.url, WebSocketPolyfill: Socket, delay: 200, minDelay: 50, maxDelay: 500, ...more
  })
  socket.version = version
  socket.closes = []
  socket.on('close', ({ event }) => socket.closes.push({ code: event.code, reason: String(event.reason ?? '') }))
  opened.add({ close: () => socket.destroy() })
  return socket
}

// The same person with a provider of Hocuspocus.  What it is told is kept in `told`.
export function openHocuspocus (relay, name, {
  version = 4, doc = new Y.Doc(), token, headers, socket = hocuspocusSocket(relay, { version, headers }), ...more
} = {}) {
  const told = { denied: [], granted: 0, statuses: [], stateless: [], closes: [] }
  const provider = new hocuspocus[socket.version].HocuspocusProvider({
    websocketProvider: socket,
    name,
    document: doc,
    token,
    broadcast: false,
    onAuthenticationFailed: ({ reason }) => told.denied.push(reason),
    onAuthenticated: () => told.granted++,
    onStateless: ({ payload }) => told.stateless.push(payload),
    onClose: ({ event }) => told.closes.push({ code: event.code, reason: String(event.reason ?? '') }),
    onMessage: ({ message }) => {
      const decoder = message.decoder
      const start = decoder.pos
      message.readVarString()
      if (message.readVarUint() === 8) told.statuses.push(message.readVarUint())
      decoder.pos = start
    },
    ...more
  })
  if (socket.version > 2) provider.attach()
  const client = {
    doc,
    provider,
    socket,
    told,
    text: doc.getText('content'),
    synced: () => until(() => provider.synced),
    saved: () => until(() => provider.synced && !provider.hasUnsyncedChanges),
    close () {
      provider.destroy()
      doc.destroy()
      opened.delete(client)
    }
  }
  opened.add(client)
  return client
}

// A socket that is closed while it connects has an error, for which a provider no longer listens by then.
function socketOfProvider (headers) {
  return class extends WebSocket {
    constructor (url, protocols = []) {
      super(url, protocols, { headers })
      this.on('error', () => {})
    }
  }
}

export function closeAll () {
  for (const client of opened) client.close()
}

// A bare WebSocket for what no provider would send.
export async function raw (relay, path, headers = {}) {
  const socket = new WebSocket(relay.url + path, { headers })
  socket.binaryType = 'arraybuffer'
  socket.received = []
  socket.on('message', data => socket.received.push(new Uint8Array(data)))
  socket.closed = new Promise(resolve => socket.on('close', (code, reason) => resolve({ code, reason: String(reason) })))
  await new Promise((resolve, reject) => {
    socket.on('open', resolve)
    socket.on('error', reject)
  })
  return socket
}

// A message, or a part of one: numbers, and byte strings with their lengths.
export function message (...parts) {
  const encoder = encoding.createEncoder()
  for (const part of parts) {
    if (typeof part === 'number') encoding.writeVarUint(encoder, part)
    else encoding.writeVarUint8Array(encoder, part)
  }
  return encoding.toUint8Array(encoder)
}
