// 6 and 7: UTF-8, closing.
import { close, fragments, frame, OPCODE, ping, syncStep1, text, updateOf } from '../client.mjs'

const numbered = (family, section, demand, list) => list.map(([name, send, expect, more], i) => ({
  id: `${family}.${i + 1}`, name, section, demand, send, expect, ...more
}))
const hex = digits => Buffer.from(digits.replaceAll(' ', ''), 'hex')

// Markus Kuhn's list, and the ends of every range of RFC 3629.
const valid = [
  ['nothing', ''], ['ASCII', '48656c6c6f'], ['κόσμε', 'cebae1bdb9cf83cebcceb5'], ['U+0000', '00'], ['U+007F', '7f'], ['U+0080', 'c280'], ['U+07FF', 'dfbf'],
  ['U+0800', 'e0a080'], ['U+D7FF', 'ed9fbf'], ['U+E000', 'ee8080'], ['U+FFFD', 'efbfbd'], ['U+FFFF', 'efbfbf'], ['U+10000', 'f0908080'], ['U+10FFFF', 'f48fbfbf'],
  ['U+FEFF and text', 'efbbbf41'], ['U+FFFE', 'efbfbe'], ['U+1FFFF', 'f09fbfbf']
]
const invalid = [
  ['a continuation alone', '80'], ['BF alone', 'bf'], ['five continuations', '8080808080'], ['a lead byte of 2 alone', 'c3'], ['a lead byte of 3 and one more', 'e282'],
  ['a lead byte of 4 and two more', 'f09f98'], ['a lead byte and a letter', 'c341'], ['C0 80', 'c080'], ['C1 BF', 'c1bf'], ['overlong in 3', 'e09fbf'],
  ['overlong in 4', 'f08fbfbf'], ['overlong slash', 'c0af'], ['U+D800', 'eda080'], ['U+DFFF', 'edbfbf'], ['a pair of surrogates', 'eda080edb080'],
  ['U+110000', 'f4908080'], ['F5', 'f5808080'], ['a form of 5', 'f888808080'], ['a form of 6', 'fc8480808080'], ['FE', 'fe'], ['FF', 'ff'],
  ['text, then a surrogate, then text', 'cebae1bdb9cf83cebcceb5eda080656469746564']
]

const utf8 = [
  ...numbered('6.1', '5.6', 'text that is UTF-8 is a type of data; who cannot accept it says 1003', valid.map(([name, digits]) => [name, [text(hex(digits))], { close: 1003 }])),
  ...numbered('6.2', '8.1', 'text that is not UTF-8 closes the connection (1007; or 1003, before anybody looks at it)', invalid.map(([name, digits]) => [name, [text(hex(digits))], { close: 1003 }])),
  ...numbered('6.3', '5.6', 'a character may be cut between frames and packets', valid.slice(2, 4).map(([name, digits]) =>
    [`${name}, a byte a fragment`, fragments(hex(digits), 1, OPCODE.text), { close: 1003 }])),
  ...numbered('6.4', '5.5.1', 'the reason of a Close is UTF-8: any that is, is taken', valid.map(([name, digits]) => [name, [close(1000, hex(digits))], { close: 1000 }])),
  ...numbered('6.5', '8.1', 'the reason of a Close that is not UTF-8 is answered 1007', invalid.map(([name, digits]) => [name, [close(1000, hex(digits))], { close: 1007 }]))
]

const good = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
const bad = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]
const update = updateOf(20)

const closing = [
  ...numbered('7.1', '5.5.1', 'a Close is answered by a Close, and then the server ends the TCP connection', [
    ['at once', [close(1000)], { close: 1000 }],
    ['a byte at a time', [close(1000, 'bye')], { close: 1000 }, { cut: 1 }],
    ['after an update in the same packet, which is stored', [frame({ payload: update }), close(1000)], { close: 1000, stored: 20 }],
    ['the same, a byte at a time', [frame({ payload: update }), close(1000)], { close: 1000, stored: 20 }, { cut: 1 }],
    ['after 500 pings', [...Array.from({ length: 500 }, () => ping('x')), close(1000)], { close: 1000 }],
    ['while a large answer is on its way', [frame({ payload: updateOf(500000) }), frame({ payload: syncStep1 }), close(1000)], { close: 1000, stored: 500000 }],
    ['two Closes: one answer', [close(1000), close(1001)], { close: 1000 }]
  ]),
  ...numbered('7.2', '5.5.1', 'what comes after a Close is nothing', [
    ['a message', [close(1000), frame({ payload: update })], { close: 1000, stored: 0 }],
    ['a ping', [close(1000), ping('late')], { close: 1000, pongs: [] }],
    ['a broken frame', [close(1000), frame({ rsv: 7, mask: null })], { close: 1000 }],
    ['bytes by chance', [close(1000), Buffer.alloc(5000, 0xa5)], { close: 1000 }]
  ]),
  ...numbered('7.3', '5.5.1', 'what a Close may hold', [
    ['nothing: answered by nothing', [close()], { close: 1005 }],
    ['nothing, a byte at a time', [close()], { close: 1005 }, { cut: 1 }],
    ['one byte: no code', [close(undefined, [3])], { close: 1002 }],
    ['a code', [close(1000)], { close: 1000 }],
    ['a code and a reason', [close(1000, 'goodbye')], { close: 1000 }],
    ['a reason of 123 bytes', [close(1000, 'x'.repeat(123))], { close: 1000 }],
    ['a reason of 124 bytes', [close(1000, 'x'.repeat(124))], { close: 1002 }]
  ]),
  ...numbered('7.7', '7.4', 'a code that may be sent is echoed', good.map(code => [String(code), [close(code, 'code')], { close: code }])),
  ...numbered('7.9', '7.4', 'a code that may not be sent is answered 1002', bad.map(code => [String(code), [close(code, 'code')], { close: 1002 }])),
  ...numbered('7.10', '7.1.1', 'when the server closes first, it waits for the client\'s Close, and not for ever', [
    ['the client answers', [frame({ payload: [0, 2, 200] })], { close: 4400 }],
    ['the client answers late', [frame({ payload: [0, 2, 200] })], { close: 4400 }, { answersLate: 500 }],
    ['the client answers with a code that there is not', [frame({ payload: [0, 2, 200] })], { close: 4400 }, { answersWith: close(5000) }],
    ['the client goes on and never answers', [frame({ payload: [0, 2, 200] }), frame({ payload: update })], { close: 4400, stored: 0 }, { isSilent: true }]
  ])
]

export default [...utf8, ...closing]
