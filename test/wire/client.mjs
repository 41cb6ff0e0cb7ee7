// A WebSocket client that does whatever it is told: bytes out, bytes in, no library between.
//
//     const client = await Client.open({ port, document: 'case-1.2.3' })
//     client.write(frame({ payload: queryAwareness }))
//     await client.until(() => client.frames.length > 0)
import { createHash, randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 }

const bytes = data => Buffer.from(data) // an array, or text as UTF-8

// ---- frames (RFC 6455 5.2) ----

// length: what the header claims; lengthBytes: in how many bytes (1, 2, 8); mask: four bytes, or null for none.
export function frame ({
  fin = true, rsv = 0, opcode = OPCODE.binary, payload = [], length, lengthBytes, mask = randomBytes(4)
} = {}) {
  const body = bytes(payload)
  const size = BigInt(length ?? body.length)
  const width = lengthBytes ?? (size < 126n ? 1 : size < 65536n ? 2 : 8)
  const head = Buffer.alloc(width === 1 ? 2 : 2 + width)
  head[0] = (fin ? 0x80 : 0) | rsv << 4 | opcode
  head[1] = (mask ? 0x80 : 0) | (width === 1 ? Number(size) : width === 2 ? 126 : 127)
  if (width === 2) head.writeUInt16BE(Number(size), 2)
  if (width === 8) head.writeBigUInt64BE(size, 2)
  if (!mask) return Buffer.concat([head, body])
  const masked = Buffer.from(body)
  for (let i = 0; i < masked.length; i++) masked[i] ^= mask[i % 4]
  return Buffer.concat([head, Buffer.from(mask), masked])
}

export const ping = (payload = '', more) => frame({ opcode: OPCODE.ping, payload, ...more })
export const pong = (payload = '', more) => frame({ opcode: OPCODE.pong, payload, ...more })
export const text = (payload, more) => frame({ opcode: OPCODE.text, payload, ...more })

export function close (code, reason = '', more) {
  const payload = code === undefined ? bytes(reason) : Buffer.concat([Buffer.from([code >> 8, code & 255]), bytes(reason)])
  return frame({ opcode: OPCODE.close, payload, ...more })
}

// One message, in frames of that many bytes each.
export function fragments (payload, size, opcode = OPCODE.binary) {
  const frames = []
  for (let at = 0; at < payload.length || at === 0; at += size) {
    frames.push(frame({
      opcode: at === 0 ? opcode : OPCODE.continuation, payload: payload.subarray(at, at + size), fin: at + size >= payload.length
    }))
  }
  return frames
}

// ---- messages of the y-websocket protocol, which make the relay say something ----

function varint (value) {
  const out = []
  for (; value > 127; value = Math.floor(value / 128)) out.push(value % 128 + 128)
  return [...out, value]
}

const varbytes = data => Buffer.concat([Buffer.from(varint(data.length)), bytes(data)])

export const queryAwareness = Buffer.from([3])
export const syncStep1 = Buffer.from([0, 0, 1, 0]) // answered by a step 2: this shows that all before was read

// An awareness message of exactly that many bytes: its state comes back to the sender.
export function awareness (size, client = 1) {
  for (let letters = size; letters >= 0; letters--) {
    const message = awarenessOf('x'.repeat(letters), client)
    if (message.length <= size) return message.length === size ? message : Buffer.concat([message, Buffer.alloc(size - message.length)])
  }
}

export const awarenessOf = (state, client = 1) => Buffer.concat([
  Buffer.from([1]), varbytes(Buffer.concat([Buffer.from([1, ...varint(client), 1]), varbytes(JSON.stringify(state))]))
])

// An update message of about that many bytes: one text of so many letters, as Yjs writes it.
export const updateOf = (letters, client = 1) => Buffer.concat([
  Buffer.from([0, 2]),
  varbytes(Buffer.concat([Buffer.from([1, 1, ...varint(client), 0, 4, 1, 1, 0x74]), varbytes(Buffer.alloc(letters, 'y')), Buffer.from([0])]))
])

function reader (message) {
  let at = 0
  const read = {
    varint () {
      let value = 0
      for (let factor = 1; ; factor *= 128) {
        const byte = message[at++]
        value += (byte & 127) * factor
        if (byte < 128) return value
      }
    },
    bytes () {
      const size = read.varint()
      at += size
      return message.subarray(at - size, at)
    }
  }
  return read
}

// The states in an awareness message, by client.
export function statesOf (message) {
  const outer = reader(message)
  if (outer.varint() !== 1) return []
  const inner = reader(outer.bytes())
  return Array.from({ length: inner.varint() }, () => {
    const client = inner.varint()
    inner.varint() // clock
    return [client, JSON.parse(inner.bytes().toString())]
  })
}

export const isStep2 = message => message[0] === 0 && message[1] === 1
export const isDocument = message => message[0] === 0 && (message[1] === 1 || message[1] === 2)

// ---- the handshake ----

export const sampleKey = 'dGhlIHNhbXBsZSBub25jZQ==' // RFC 6455 1.3
export const acceptOf = key => createHash('sha1').update(key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')

// changes: header lines by name, in the place of the usual ones; null leaves one out, an array repeats it.
export function request (document, { changes = {}, method = 'GET', version = 'HTTP/1.1', target = `/${document}`, end = '\r\n' } = {}) {
  const lines = {
    Host: 'localhost', Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Key': sampleKey, 'Sec-WebSocket-Version': '13', ...changes
  }
  return [`${method} ${target} ${version}`, ...Object.entries(lines).flatMap(([name, value]) =>
    value === null ? [] : [value].flat().map(one => `${name}: ${one}`)), '', ''].join(end)
}

export class Client {
  frames = [] // { fin, rsv, opcode, payload }
  messages = [] // payloads of data frames
  pongs = []
  status = undefined // of the answer
  headers = undefined
  closed = undefined // { code, reason } of the Close we got
  hasEnded = false // the server has closed the TCP connection
  #rest = Buffer.alloc(0)
  #saysGoodbye = true
  #isWriting = false // slowly
  #goodbye = undefined // payload of a Close to be sent

  static async connect (port) {
    const client = new Client()
    client.socket = connect({ port, host: '127.0.0.1', noDelay: true })
    client.socket.on('data', data => client.#take(data))
    client.socket.on('error', error => { client.error = error })
    client.socket.on('close', () => { client.hasEnded = true })
    client.socket.on('end', () => { client.hasEnded = true })
    await new Promise((resolve, reject) => client.socket.once('connect', resolve).once('error', reject))
    return client
  }

  static async open ({ port, document }) {
    const client = await Client.connect(port)
    client.write(request(document))
    await client.until(() => client.status !== undefined)
    if (client.status !== 101) throw new Error(`answered ${client.status}`)
    return client
  }

  write (data) {
    if (!this.socket.destroyed) this.socket.write(data)
  }

  // In packets of that many bytes; a Close that comes meanwhile is answered after them, for a frame is not put into another.
  async writeSlowly (data, size, pause) {
    this.#isWriting = true
    for (let at = 0; at < data.length && !this.socket.destroyed; at += size) {
      this.socket.write(data.subarray(at, at + size))
      if (pause) await sleep(pause)
      else await new Promise(resolve => setImmediate(resolve))
    }
    this.#isWriting = false
    this.#sayGoodbye()
  }

  // Answers no Close from now on.
  beSilent () {
    this.#saysGoodbye = false
  }

  async until (condition, ms = 15000) {
    for (const end = Date.now() + ms; !condition();) {
      if (Date.now() > end) throw new Error(`waited ${ms} ms for ${condition}: ${JSON.stringify(this.state())}`)
      await sleep(2)
    }
  }

  state () {
    const { status, closed, hasEnded, error } = this
    return { status, closed, hasEnded, error: error?.code, frames: this.frames.length, pongs: this.pongs.length }
  }

  destroy () {
    this.socket.destroy()
  }

  #take (data) {
    this.#rest = Buffer.concat([this.#rest, data])
    if (this.status === undefined && !this.#takeHead()) return
    if (this.status === 101) while (this.#takeFrame());
  }

  #takeHead () {
    const end = this.#rest.indexOf('\r\n\r\n')
    if (end < 0) return false
    const [line, ...lines] = this.#rest.subarray(0, end).toString('latin1').split('\r\n')
    this.headers = Object.fromEntries(lines.map(each => [each.split(':')[0].toLowerCase(), each.slice(each.indexOf(':') + 1).trim()]))
    this.#rest = this.#rest.subarray(end + 4)
    this.status = Number(line.split(' ')[1])
    return true
  }

  #takeFrame () {
    const data = this.#rest
    if (data.length < 2) return false
    const short = data[1] & 127
    const head = short === 126 ? 4 : short === 127 ? 10 : 2
    if (data.length < head) return false
    const length = short === 126 ? data.readUInt16BE(2) : short === 127 ? Number(data.readBigUInt64BE(2)) : short
    if (data.length < head + length) return false
    const got = { fin: data[0] >> 7, rsv: data[0] >> 4 & 7, opcode: data[0] & 15, payload: data.subarray(head, head + length) }
    this.#rest = data.subarray(head + length)
    this.#judge(got, data[1] >> 7, short, length)
    this.frames.push(got)
    if (got.opcode === OPCODE.binary) this.messages.push(got.payload)
    if (got.opcode === OPCODE.pong) this.pongs.push(got.payload)
    if (got.opcode === OPCODE.ping) this.write(pong(got.payload))
    if (got.opcode === OPCODE.close) this.#takeClose(got.payload)
    return true
  }

  // What a server must never send (5.1, 5.2, 5.5).
  #judge (got, isMasked, short, length) {
    const isControl = got.opcode >= 8
    if (isMasked || got.rsv !== 0 || ![1, 2, 8, 9, 10].includes(got.opcode) || !got.fin || (isControl && length > 125) ||
      (short === 126 && length < 126) || (short === 127 && length < 65536) || this.closed) {
      this.violation = `the server sent a frame that must not be: ${JSON.stringify({ ...got, payload: length, isMasked, short })}`
    }
  }

  #takeClose (payload) {
    this.closed = payload.length >= 2
      ? { code: payload.readUInt16BE(0), reason: payload.subarray(2).toString() }
      : { code: 1005, reason: '' } // none was there
    if (this.#saysGoodbye) this.#goodbye = payload.subarray(0, 2)
    if (!this.#isWriting) this.#sayGoodbye()
  }

  #sayGoodbye () {
    if (this.#goodbye) this.write(frame({ opcode: OPCODE.close, payload: this.#goodbye }))
    this.#goodbye = undefined
  }
}
