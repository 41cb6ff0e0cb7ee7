// 9 and 10, 12 and 13: large messages, limits, compression.
import { awareness, awarenessOf, fragments, frame, OPCODE, ping, request, updateOf } from '../client.mjs'

const numbered = (family, section, demand, list) => list.map(([name, send, expect, more], i) => ({
  id: `${family}.${i + 1}`, name, section, demand, send, expect, ...more
}))
const K = 1024
const most = 16 * K * K // the relay's --max-message
const stateOf = message => message.toString().match(/"(x*)"/)[1]
const continuation = (payload, more) => frame({ opcode: OPCODE.continuation, payload, ...more })

const limits = [
  ...numbered('9.1', '5.2', 'large messages arrive whole', [64, 256, 1024, 4096].map(size =>
    [`an update of ${size} kB in one frame`, [frame({ payload: updateOf(size * K) })], { stored: size * K }])),
  ...numbered('9.2', '5.4', 'large messages in fragments arrive whole', [64, 256, 1024, 65536].map(size =>
    [`an update of 1 MB in fragments of ${size} bytes`, fragments(updateOf(K * K), size), { stored: K * K }])),
  ...numbered('9.3', '5.2', 'however TCP cuts them', [64, 128, 512, 1024, 1448].map(size =>
    [`an update of 128 kB in packets of ${size} bytes`, [frame({ payload: updateOf(128 * K) })], { stored: 128 * K }, { cut: size }])),
  ...numbered('9.4', '10.4', 'a message beyond the limit is refused, as soon as its header says so', [
    ['16 MB and a byte', [frame({ length: most + 1 })], { close: 4413 }],
    ['2 GB', [frame({ length: 2 ** 31 })], { close: 4413 }],
    ['4 GB', [frame({ length: 2 ** 32 })], { close: 4413 }],
    ['2^62', [frame({ length: 2n ** 62n })], { close: 4413 }],
    ['2^63 - 1', [frame({ length: 2n ** 63n - 1n })], { close: 4413 }],
    ['as a text', [frame({ opcode: OPCODE.text, length: 2 ** 32 })], { close: [4413, 1003] }],
    ['as a second fragment', [frame({ payload: [99], fin: false }), continuation('', { length: most + 1 })], { close: 4413 }],
    ['a byte at a time', [frame({ length: most + 1 })], { close: 4413 }, { cut: 1 }],
    ['fragments that are too much together', [frame({ payload: [99], fin: false }), ...Array.from({ length: 17 }, () => continuation(Buffer.alloc(K * K), { fin: false, mask: [0, 0, 0, 0] }))], { close: 4413 }]
  ]),
  ...numbered('9.7', '5.4', 'many small frames', [
    ['1000 empty fragments', [frame({ fin: false }), ...Array.from({ length: 1000 }, () => continuation('', { fin: false })), continuation(awarenessOf('end'))], { echo: ['end'] }],
    ['1000 messages in one packet', [...Array.from({ length: 1000 }, () => frame({ payload: [99] })), frame({ payload: awarenessOf('end') })], { echo: ['end'] }],
    ['1000 pings between them', [...Array.from({ length: 1000 }, () => [frame({ payload: [99] }), ping('x')]).flat(), frame({ payload: awarenessOf('end') })], { echo: ['end'] }]
  ]),
  ...numbered('10.1', '5.4', 'frames of any size make the same message', [[20000, 1300], [1000, 1], [20000, 125], [20000, 126]].map(([total, size]) =>
    [`${total} bytes in fragments of ${size}`, fragments(awareness(total), size), { echo: [stateOf(awareness(total))] }]))
]

// Each offer is declined by silence: the answer has no Sec-WebSocket-Extensions (RFC 6455 9.1, RFC 7692 5).
const offers = [
  'permessage-deflate', 'permessage-deflate; client_max_window_bits', 'permessage-deflate; client_no_context_takeover',
  'permessage-deflate; server_no_context_takeover', ...[8, 9, 10, 15].map(bits => `permessage-deflate; server_max_window_bits=${bits}`),
  'permessage-deflate; client_max_window_bits=9; client_no_context_takeover', 'permessage-deflate; server_max_window_bits=7', 'permessage-deflate; bogus',
  'permessage-deflate; server_no_context_takeover; server_no_context_takeover', 'permessage-deflate, permessage-deflate; client_max_window_bits',
  'x-webkit-deflate-frame', 'deflate-frame', 'permessage-bzip2', 'permessage-snappy', 'bbf-usp-protocol', 'mux; quota=5', ';;;'
]
const deflated = Buffer.from('ca48cdc9c90700', 'hex') // "Hello" (RFC 7692 7.2.3.1)
const declined = { status: 101, headers: { 'sec-websocket-extensions': undefined } }
const offering = offer => document => request(document, { changes: { 'Sec-WebSocket-Extensions': offer } })

const compression = [
  ...offers.map((offer, i) => ({
    id: `12.1.${i + 1}`, name: offer, section: '9.1', demand: 'an extension that the server does not want is not in its answer; messages are as without', request: offering(offer), send: [frame({ payload: awareness(1000) })], expect: { ...declined, echo: [stateOf(awareness(1000))] }
  })),
  ...offers.slice(0, 4).map((offer, i) => ({
    id: `12.2.${i + 1}`, name: `a compressed frame all the same, after ${offer}`, section: '5.2', demand: 'RSV1 without an extension that was agreed on closes the connection', request: offering(offer), send: [frame({ rsv: 4, payload: deflated })], expect: { ...declined, close: 1002 }
  })),
  ...[['text', OPCODE.text], ['ping', OPCODE.ping], ['Close', OPCODE.close]].map(([name, opcode], i) => ({
    id: `13.1.${i + 1}`, name: `a compressed ${name}`, section: '5.2', demand: 'RSV1 without an extension that was agreed on closes the connection', request: offering(offers[1]), send: [frame({ rsv: 4, opcode, payload: deflated })], expect: { ...declined, close: 1002 }
  })),
  {
    id: '13.1.4', name: 'a compressed message in fragments', section: '5.2', demand: 'RSV1 without an extension that was agreed on closes the connection', request: offering(offers[0]), send: [frame({ rsv: 4, fin: false, payload: deflated.subarray(0, 3) }), continuation(deflated.subarray(3))], expect: { ...declined, close: 1002 }
  }
]

export default [...limits, ...compression]
