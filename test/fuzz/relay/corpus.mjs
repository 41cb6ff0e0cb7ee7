// Turns what unmodified providers sent (transcripts) into inputs of the fuzz targets.
import fs from 'node:fs'
import path from 'node:path'
import zlib from 'node:zlib'
import { createHash } from 'node:crypto'

const [data, out] = process.argv.slice(2)

const write = (target, bytes) => {
  const folder = path.join(out, target)
  const name = createHash('sha1').update(bytes).digest('hex').slice(0, 16)
  fs.mkdirSync(folder, { recursive: true })
  fs.writeFileSync(path.join(folder, name), bytes)
}
const transcripts = fs.readdirSync(path.join(data, 'vectors')).filter(file => file.startsWith('frames-')).flatMap(file =>
  zlib.gunzipSync(fs.readFileSync(path.join(data, 'vectors', file))).toString().split('\n').filter(Boolean).map(line => JSON.parse(line)))

// messages: [nature] { [what] [size] [bytes] }
const SECOND = 0x40
const message = (what, bytes) => {
  const size = bytes.length < 255 ? Buffer.from([bytes.length]) : Buffer.from([255, bytes.length & 255, bytes.length >> 8])
  return Buffer.concat([Buffer.from([what]), size, bytes])
}
for (const { protocol, events } of transcripts) {
  const people = [...new Set(events.map(event => event.who).filter(Boolean))]
  const steps = events.filter(event => event.dir === 'c2s' && event.bytes !== undefined)
    .map(event => message(people.indexOf(event.who) % 2 === 1 ? SECOND : 0, Buffer.from(event.bytes, 'base64')))
  const hocuspocus = protocol === 'hocuspocus' ? 1 : 0
  for (const nature of [0, 2, 4, 6, 8, 16, 30]) {
    write('messages', Buffer.concat([Buffer.from([hocuspocus | nature]), ...steps]))
    // and then nothing more is said; and with time, and with sockets that are full for a while
    write('messages', Buffer.concat([Buffer.from([hocuspocus | nature]), ...steps, Buffer.from([1, 255, 0x20, 3, 1, 255, 0x20, 3])]))
    const others = [Buffer.from([1, 250]), Buffer.from([SECOND | 2, 0])]
    write('messages', Buffer.concat([Buffer.from([hocuspocus | nature]), ...steps.flatMap((step, i) => i % 3 === 0 ? [step, others[i / 3 % 2]] : [step])]))
  }
}
// what no provider sends: numbers that are too long, sizes that are not there, states with somebody else's name
const state = text => Buffer.concat([Buffer.from([1, text.length + 4, 1, 7, 1, text.length]), Buffer.from(text)])
const odd = [Buffer.from([0, 2, 0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 1, 2]), Buffer.from([0, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]), Buffer.from([0, 2, 9, 1]), Buffer.from([3]), Buffer.from([0, 7, 1, 1]),
  state('{"user":{"name":"Eve"}}'), state('{"user":"Eve","user":{"name":"Ann"}}'), state('"Eve"'), state('{"user":{"name":"Ann","name":"Eve"},"cursor":null}'), state('null'), state('{')]
const address = Buffer.from('\x05doc-1')
const opened = message(0, Buffer.concat([address, Buffer.from([2, 0, 1, 0x74])]))
for (const bytes of odd) {
  for (const nature of [0, 4, 6]) {
    write('messages', Buffer.concat([Buffer.from([nature]), message(0, bytes), message(SECOND, Buffer.from([3]))]))
    write('messages', Buffer.concat([Buffer.from([1 | nature]), opened, message(0, Buffer.concat([address, bytes])), message(0, Buffer.concat([address, Buffer.from([3])]))]))
  }
}

// frames: [pieces] [size of the head] [2 places] [bytes]
const frame = (opcode, payload, { final = true, mask = Buffer.from([1, 2, 3, 4]) } = {}) => {
  const size = payload.length
  const length = size < 126 ? [0x80 | size] : size < 65536 ? [0xfe, size >> 8, size & 255] : [0xff, 0, 0, 0, 0, 0, size >> 16, size >> 8 & 255, size & 255]
  return Buffer.concat([Buffer.from([(final ? 0x80 : 0) | opcode, ...length]), mask, Buffer.from(payload.map((byte, i) => byte ^ mask[i % 4]))])
}
const close = (code, reason = '') => frame(8, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]))
const head = Buffer.from('GET /notes HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\n')
const asFrames = (frames, before = Buffer.alloc(0), places = [255, 255]) =>
  write('frames', Buffer.concat([Buffer.from([frames.length, before.length, ...places]), before, ...frames]))
for (const { events } of transcripts) {
  const payloads = events.filter(event => event.dir === 'c2s' && event.bytes !== undefined).map(event => Buffer.from(event.bytes, 'base64'))
  const frames = payloads.map(payload => frame(2, payload))
  const cut = payloads.flatMap(payload => [frame(2, payload.subarray(0, 5), { final: false }), frame(9, payload.subarray(0, 3)), frame(0, payload.subarray(5))])
  asFrames(frames)
  asFrames([...frames, close(1000, 'bye ☕')], head, [30, 52])
  asFrames([...cut, close(1001)])
}
for (const frames of [[frame(9, Buffer.alloc(0)), frame(10, Buffer.from('x')), frame(9, Buffer.alloc(125, 7))], [frame(2, Buffer.alloc(126))], [frame(1, Buffer.alloc(65536)), frame(8, Buffer.alloc(0))],
  [frame(8, Buffer.alloc(1))], [close(1005)], [close(3000, '\xff')], [close(4999, 'é')], [frame(3, Buffer.alloc(0))], [frame(0, Buffer.alloc(0))], [frame(9, Buffer.alloc(126))],
  [Buffer.from([0x82, 0xfe, 0, 5])], [Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 5])], [Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0x7f, 0, 0, 0, 1, 2, 3, 4])], [Buffer.from([0x82, 5])], [Buffer.from([0xc2, 0x80])]]) {
  asFrames([frame(2, Buffer.from('before')), ...frames, frame(2, Buffer.from('after'))])
}

// requests: [what] [size of what the proxy says] [bytes of that] [a head]
const lines = ['Host: notes.example', 'Connection: keep-alive, Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Origin: https://notes.example',
  'Cookie: a=b; __Host-ydoc=x.y.z', 'Sec-WebSocket-Extensions: permessage-deflate', 'Authorization: Bearer a.b.c', 'Content-Length: 5', 'Accept: */*', 'sec-fetch-site: same-origin', 'Sec-WebSocket-Protocol: a, b', 'X-Empty:', 'Upgrade: h2c']
const forwarded = ['X-Forwarded-For: 198.51.100.7', 'x-forwarded-for:evil, 10.0.0.1', 'X-Forwarded-For: [2001:db8::1]:443,::ffff:192.0.2.9', 'Forwarded: for=198.51.100.7;proto=https, for="[2001:db8::1]:4711"',
  'Forwarded: for="_a\\"b,c";host="x;for=6.6.6.6", for=unknown', 'FORWARDED: by=10.0.0.1; For="198.51.100.7"']
const targets = ['GET /notes HTTP/1.1', 'GET /a%2Fb?token=x.y&after=7+8&name=%C3%A9 HTTP/1.1', 'POST /api/documents/notes%2F7/update?actor=ann HTTP/1.1', 'OPTIONS * HTTP/1.1', 'get / HTTP/1.0', 'BREW /pot HTTP/1.1', 'GET /a#b HTTP/1.1', 'GET  / HTTP/1.1']
for (const target of targets) {
  for (const fields of [lines.slice(0, 6), lines.slice(0, 3), lines, lines.slice(6), [...forwarded, ...lines.slice(0, 3)], ...forwarded.map(field => [field])]) {
    for (let what = 0; what < 8; what++) {
      write('requests', Buffer.concat([Buffer.from([what, 9]), Buffer.from('a";for=6.'), Buffer.from([target, ...fields, '', ''].join('\r\n'))]))
    }
  }
}
