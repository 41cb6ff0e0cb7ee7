// 1 to 5: framing, pings, reserved bits, opcodes, fragments.
import { awareness, awarenessOf, fragments, frame, OPCODE, ping, pong, queryAwareness, syncStep1, text, updateOf } from '../client.mjs'

const said = Buffer.from([0, 0, 1, 0])
const good = awarenessOf('before')
const update = updateOf(20) // what it says is stored, whatever comes after it
const stateOf = (size, state = awareness(size)) => state.toString().match(/"(x*)"/)[1]

const numbered = (family, section, demand, list) => list.map(([name, send, expect, more], i) => ({
  id: `${family}.${i + 1}`, name, section, demand, send, expect, ...more
}))
const broken = { close: 1002 }
const sizes = [125, 126, 127, 128, 65535, 65536]
const echoes = size => ({ echo: [stateOf(size)] })

const framing = [
  ...numbered('1.1', '5.6', 'text is a type of data; who cannot accept it says 1003', [0, 1, ...sizes].flatMap(size => [
    [`text of ${size} bytes`, [text('*'.repeat(size))], { close: 1003 }],
    ...(size > 0 ? [[`text of ${size} bytes, cut into packets of 997`, [text('*'.repeat(size))], { close: 1003 }, { cut: 997 }]] : [])
  ])),
  ...numbered('1.2', '5.2', 'payloads of any length arrive whole, with the length in as few bytes as it needs', [
    ['binary of 0 bytes (which is no message of the protocol above)', [frame()], { close: 4400 }],
    ['binary of 1 byte: a question', [frame({ payload: queryAwareness })], {}],
    ...sizes.map(size => [`binary of ${size} bytes`, [frame({ payload: awareness(size) })], echoes(size)]),
    ...sizes.map(size => [`binary of ${size} bytes, cut into packets of 997`, [frame({ payload: awareness(size) })], echoes(size), { cut: 997 }]),
    ...[125, 126, 300].map(size => [`binary of ${size} bytes, a byte at a time`, [frame({ payload: awareness(size) })], echoes(size), { cut: 1 }])
  ]),
  ...numbered('1.3', '5.2', 'the length is in the fewest bytes that hold it', [
    ['0 in two bytes', [frame({ lengthBytes: 2 })], broken],
    ['4 in two bytes', [frame({ payload: said, lengthBytes: 2 })], broken],
    ['125 in two bytes', [frame({ payload: awareness(125), lengthBytes: 2 })], broken],
    ['4 in eight bytes', [frame({ payload: said, lengthBytes: 8 })], broken],
    ['126 in eight bytes', [frame({ payload: awareness(126), lengthBytes: 8 })], broken],
    ['65535 in eight bytes', [frame({ payload: awareness(65535), lengthBytes: 8 })], broken],
    ['2^63: the highest bit must be 0', [frame({ length: 2n ** 63n })], broken],
    ['2^64 - 1: the highest bit must be 0', [frame({ length: 2n ** 64n - 1n })], broken],
    ['2^63, a byte at a time', [frame({ length: 2n ** 63n })], broken, { cut: 1 }]
  ]),
  ...numbered('1.4', '5.1', 'a frame of a client without a mask closes the connection', [
    ['binary', [frame({ payload: said, mask: null })], broken],
    ['binary of 0 bytes', [frame({ mask: null })], broken],
    ['binary of 65536 bytes', [frame({ payload: awareness(65536), mask: null })], broken],
    ['text', [text('hello', { mask: null })], broken],
    ['ping', [ping('hello', { mask: null })], broken],
    ['empty ping', [ping('', { mask: null })], broken],
    ['pong', [pong('hello', { mask: null })], broken],
    ['Close', [frame({ opcode: OPCODE.close, payload: [3, 232], mask: null })], broken],
    ['empty Close', [frame({ opcode: OPCODE.close, mask: null })], broken],
    ['the second fragment', [frame({ payload: [3], fin: false }), frame({ opcode: OPCODE.continuation, mask: null })], broken],
    ['after a message that is as it must be', [frame({ payload: update }), frame({ payload: said, mask: null })], { stored: 20, ...broken }],
    ['a byte at a time', [frame({ payload: said, mask: null })], broken, { cut: 1 }]
  ]),
  ...numbered('1.5', '5.3', 'any mask is right', [[0, 0, 0, 0], [255, 255, 255, 255], [0, 0, 0, 1], [0x33, 0, 0x34, 0]].map(mask =>
    [mask.map(byte => byte.toString(16).padStart(2, '0')).join(' '), [frame({ payload: awareness(500), mask }), ping('mask', { mask })], { ...echoes(500), pongs: ['mask'] }]))
]

const all = Array.from({ length: 125 }, (_, i) => i * 2)
const pings = [
  ...numbered('2.1', '5.5.2', 'a ping is answered by a pong with its payload', [
    ['no payload', [ping()], { pongs: [''] }],
    ['"Hello, world!"', [ping('Hello, world!')], { pongs: ['Hello, world!'] }],
    ['bytes that are no text', [ping([0, 255, 254, 253, 252, 251, 0, 255])], { pongs: [[0, 255, 254, 253, 252, 251, 0, 255]] }],
    ['125 bytes', [ping(all)], { pongs: [all] }],
    ['125 bytes, a byte at a time', [ping(all)], { pongs: [all] }, { cut: 1 }],
    ['between two messages in one packet', [frame({ payload: good }), ping('between'), frame({ payload: queryAwareness })], { echo: ['before'], pongs: ['between'] }],
    ['one after the other', [ping('1'), 50, ping('2'), 50, ping('3')], { pongs: ['1', '2', '3'] }],
    ['a byte at a time, between messages', [frame({ payload: good }), ping('between'), frame({ payload: queryAwareness })], { echo: ['before'], pongs: ['between'] }, { cut: 1 }]
  ]),
  ...numbered('2.2', '5.5', 'a control frame has at most 125 bytes', [
    ['ping of 126 bytes', [ping('x'.repeat(126))], broken],
    ['ping of 126 bytes, a byte at a time', [ping('x'.repeat(126))], broken, { cut: 1 }],
    ['ping of 65536 bytes', [ping('x'.repeat(65536))], broken],
    ['ping that claims 2^62 bytes', [ping('', { length: 2n ** 62n })], broken],
    ['pong of 126 bytes', [pong('x'.repeat(126))], broken],
    ['Close of 126 bytes', [frame({ opcode: OPCODE.close, payload: Buffer.concat([Buffer.from([3, 232]), Buffer.alloc(124, 'x')]) })], broken]
  ]),
  ...numbered('2.3', '5.5.3', 'a pong that nobody asked for is ignored', [
    ['empty', [pong()], { pongs: [] }],
    ['with a payload', [pong('unasked')], { pongs: [] }],
    ['before a ping', [pong('unasked'), ping('asked')], { pongs: ['asked'] }],
    ['a hundred in one packet', Array.from({ length: 100 }, (_, i) => pong(String(i))), { pongs: [] }],
    ['a byte at a time', [pong('unasked'), ping('asked')], { pongs: ['asked'] }, { cut: 1 }]
  ]),
  ...numbered('2.4', '5.5.3', 'of several pings that wait, the most recent one must be answered', [
    ['10 in one packet', Array.from({ length: 10 }, (_, i) => ping(`payload-${i}`)), { lastPong: 'payload-9' }],
    ['10 in one packet, cut into bytes', Array.from({ length: 10 }, (_, i) => ping(`payload-${i}`)), { lastPong: 'payload-9' }, { cut: 1 }],
    ['500 in one packet', Array.from({ length: 500 }, (_, i) => ping(`payload-${i}`)), { lastPong: 'payload-499' }],
    ['10 with messages between', Array.from({ length: 10 }, (_, i) => [ping(`payload-${i}`), frame({ payload: queryAwareness })]).flat(), { lastPong: 'payload-9' }]
  ])
]

const kinds = {
  binary: more => frame({ payload: said, ...more }),
  'empty binary': more => frame(more),
  text: more => text('hello', more),
  ping: more => ping('hello', more),
  Close: more => frame({ opcode: OPCODE.close, payload: [3, 232], ...more })
}

const reserved = [
  ...numbered('3.1', '5.2', 'a reserved bit without an extension that gives it a meaning closes the connection', [1, 2, 3, 4, 5, 6, 7].flatMap(rsv =>
    Object.entries(kinds).map(([kind, make]) => [`RSV ${rsv} in ${kind}`, [make({ rsv })], broken]))),
  ...numbered('3.2', '5.2', 'a reserved bit without an extension that gives it a meaning closes the connection', [
    ...[1, 2, 4, 7].map(rsv => [`RSV ${rsv} after a message in the same packet, which counts`, [frame({ payload: update }), frame({ payload: said, rsv })], { stored: 20, ...broken }]),
    ...[1, 4].map(rsv => [`RSV ${rsv}, a byte at a time, after a message`, [frame({ payload: update }), frame({ payload: said, rsv })], { stored: 20, ...broken }, { cut: 1 }]),
    ...[1, 4].map(rsv => [`RSV ${rsv} in the second fragment`, [frame({ payload: [3], fin: false }), frame({ opcode: OPCODE.continuation, rsv })], broken]),
    ['RSV 1 in pong', [pong('', { rsv: 1 })], broken]
  ])
]

const unknown = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]
const opcodes = [
  ...numbered('4.1', '5.2', 'an opcode that there is not closes the connection', unknown.flatMap(opcode => [
    [`opcode ${opcode}, empty`, [frame({ opcode })], broken],
    [`opcode ${opcode} with a payload`, [frame({ opcode, payload: 'reserved opcode payload' })], broken]
  ])),
  ...numbered('4.2', '5.2', 'an opcode that there is not closes the connection', unknown.map(opcode =>
    [`opcode ${opcode} after a message in the same packet, which counts`, [frame({ payload: update }), frame({ opcode, payload: 'x' })], { stored: 20, ...broken }])),
  ...numbered('4.3', '5.2', 'an opcode that there is not closes the connection', [3, 11].flatMap(opcode => [
    [`opcode ${opcode}, a byte at a time`, [frame({ payload: update }), frame({ opcode, payload: 'x' })], { stored: 20, ...broken }, { cut: 1 }],
    [`opcode ${opcode} inside a message`, [frame({ payload: [3], fin: false }), frame({ opcode })], broken]
  ]))
]

const whole = awareness(300)
const parts = size => fragments(whole, size)
const between = (frames, one) => frames.flatMap((each, i) => i < frames.length - 1 ? [each, one] : [each])
const continuation = (payload, more) => frame({ opcode: OPCODE.continuation, payload, ...more })
const first = frame({ payload: good.subarray(0, 3), fin: false })
const last = continuation(good.subarray(3))
const there = { echo: [stateOf(300)] }

const fragmented = [
  ...numbered('5.1', '5.4', 'a message in fragments is one message', [
    ...[1, 2, 7, 100, 150, 299].map(size => [`300 bytes in fragments of ${size}`, parts(size), there]),
    ...[1, 100].map(size => [`300 bytes in fragments of ${size}, a byte at a time`, parts(size), there, { cut: 1 }]),
    ['an empty fragment first', [frame({ fin: false }), continuation(whole)], there],
    ['an empty fragment last', [frame({ payload: whole, fin: false }), continuation('')], there],
    ['empty fragments everywhere', between(parts(100), continuation('', { fin: false })), there],
    ['nothing but empty fragments (which is no message of the protocol above)', [frame({ fin: false }), continuation('', { fin: false }), continuation('')], { close: 4400 }],
    ['two messages in fragments, one after the other', [...parts(100), ...fragments(awarenessOf('second', 2), 5)], { echo: [stateOf(300), 'second'] }],
    ['text in fragments', [text('he', { fin: false }), continuation('llo')], { close: 1003 }],
    ['the first fragment in one packet, the last much later', [first, 300, last], { echo: ['before'] }]
  ]),
  ...numbered('5.2', '5.4', 'control frames may come between fragments, and are answered', [
    ['a ping', [first, ping('between'), last], { pongs: ['between'], echo: ['before'] }],
    ['a ping, before the message is there', [first, ping('between'), 300, last], { pongs: ['between'], echo: ['before'] }],
    ['a ping, a byte at a time', [first, ping('between'), last], { pongs: ['between'], echo: ['before'] }, { cut: 1 }],
    ['a ping after every fragment', between(parts(100), ping('x')), { ...there, lastPong: 'x' }],
    ['a ping after every byte, cut into packets of 3', between(parts(10), ping('x')), { ...there, lastPong: 'x' }, { cut: 3 }],
    ['a pong', [first, pong('x'), last], { echo: ['before'], pongs: [] }],
    ['a Close: it is the end', [first, frame({ opcode: OPCODE.close, payload: [3, 232] }), last], { close: 1000, echo: [] }]
  ]),
  ...numbered('5.3', '5.5', 'control frames are never fragmented', [
    ['ping', [ping('he', { fin: false }), continuation('llo')], broken],
    ['ping, a byte at a time', [ping('he', { fin: false }), continuation('llo')], broken, { cut: 1 }],
    ['pong', [pong('he', { fin: false }), continuation('llo')], broken],
    ['Close', [frame({ opcode: OPCODE.close, payload: [3], fin: false }), continuation([232])], broken]
  ]),
  ...numbered('5.4', '5.4', 'a continuation continues something', [
    ['a last one of nothing', [continuation(said)], broken],
    ['a further one of nothing', [continuation(said, { fin: false })], broken],
    ['empty', [continuation('')], broken],
    ['after a whole message', [frame({ payload: update }), continuation(said)], { stored: 20, ...broken }],
    ['after a message in fragments', [...fragments(update, 10), continuation(said)], { stored: 20, ...broken }],
    ['after a ping', [ping('x'), continuation(said)], broken],
    ['a byte at a time', [continuation(said)], broken, { cut: 1 }]
  ]),
  ...numbered('5.5', '5.4', 'messages are not interleaved', [
    ['a whole binary one inside another', [first, frame({ payload: said }), last], broken],
    ['a fragment of another', [first, first, last], broken],
    ['a text inside', [first, text('hello'), last], broken],
    ['a binary one inside a text: the text came first', [text('he', { fin: false }), frame({ payload: said })], { close: [1003, 1002] }],
    ['after a ping', [first, ping('x'), frame({ payload: said })], broken],
    ['a byte at a time', [first, frame({ payload: said }), last], broken, { cut: 1 }]
  ])
]

export default [...framing, ...pings, ...reserved, ...opcodes, ...fragmented, {
  id: '5.6.1', name: 'all of the above in one packet', section: '5.4', demand: 'a message in fragments is one message',
  send: [ping('1'), ...between(parts(50), pong('2')), frame({ payload: syncStep1 }), ping('3')], expect: { ...there, lastPong: '3' }
}]
