// 0: handshakes (RFC 6455 4).  Autobahn has none.
import { awarenessOf, frame, request, sampleKey, syncStep1 } from '../client.mjs'

const key = 'Sec-WebSocket-Key'
const version = 'Sec-WebSocket-Version'
const opened = { status: 101, headers: { upgrade: /^websocket$/i, connection: /^upgrade$/i, 'sec-websocket-accept': 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' } }
const refused = status => ({ status, isEnd: true })
const old = { status: 426, headers: { 'sec-websocket-version': '13' }, isEnd: true }

// [name, what is changed in the usual request, what is expected]
const rows = (family, section, demand, list) => list.map(([name, changes, expect], i) => ({
  id: `0.${family}.${i + 1}`, name, section, demand, request: document => request(document, changes), expect
}))
const headers = changes => ({ changes })

export default [
  ...rows(1, '4.2.2', 'a request as it should be is answered 101, with the right Sec-WebSocket-Accept', [
    ['the key of the RFC\'s example', {}, opened],
    ['Connection: keep-alive, Upgrade', headers({ Connection: 'keep-alive, Upgrade' }), opened],
    ['upgrade in small letters', headers({ Connection: 'upgrade' }), opened],
    ['Upgrade: WebSocket', headers({ Upgrade: 'WebSocket' }), opened],
    ['Upgrade: WEBSOCKET', headers({ Upgrade: 'WEBSOCKET' }), opened],
    ['headers\' names in small letters', headers({ Host: null, Upgrade: null, Connection: null, [key]: null, [version]: null, host: 'x', upgrade: 'websocket', connection: 'upgrade', 'sec-websocket-key': sampleKey, 'sec-websocket-version': '13' }), opened],
    ['headers\' names in capitals', headers({ Host: null, Upgrade: null, Connection: null, [key]: null, [version]: null, HOST: 'x', UPGRADE: 'websocket', CONNECTION: 'upgrade', 'SEC-WEBSOCKET-KEY': sampleKey, 'SEC-WEBSOCKET-VERSION': '13' }), opened],
    ['headers that nobody knows', headers({ 'X-Unknown': 'y', Pragma: 'no-cache' }), opened],
    ['spaces before a value', headers({ [version]: '   13' }), opened],
    ['Host with a port', headers({ Host: 'example.org:8443' }), opened],
    ['Origin of the same host', headers({ Origin: 'http://localhost:3000' }), opened],
    ['a query', { target: '/0.1.12?a=b&c' }, opened],
    ['a body of no bytes', headers({ 'Content-Length': '0' }), opened]
  ]),
  ...rows(2, '4.4', 'another version is answered 426 with Sec-WebSocket-Version: 13', [
    ['none', headers({ [version]: null }), old],
    ...['0', '7', '8', '12', '14', '25', '255', '1300', '113', '-13', '13.0', '13x', '0x0d', 'thirteen'].map(each => [each, headers({ [version]: each }), old])
  ]),
  ...rows(3, '4.2.1', 'a key that is not 16 bytes in base64 is refused', [
    ['none', headers({ [key]: null }), refused(400)],
    ['empty', headers({ [key]: '' }), refused(400)],
    ['15 bytes', headers({ [key]: Buffer.alloc(15).toString('base64') }), refused(400)],
    ['17 bytes', headers({ [key]: Buffer.alloc(17).toString('base64') }), refused(400)],
    ['1000 bytes', headers({ [key]: Buffer.alloc(1000).toString('base64') }), refused(400)],
    ['no padding', headers({ [key]: sampleKey.slice(0, 22) }), refused(400)],
    ['a letter that is none of base64', headers({ [key]: '!' + sampleKey.slice(1) }), refused(400)],
    ['padding in the middle', headers({ [key]: 'dGhlIHN=bXBsZSBub25jZQ==' }), refused(400)],
    ['two of them', headers({ [key]: [sampleKey, sampleKey] }), refused(400)]
  ]),
  ...rows(4, '4.2.1', 'a handshake is a GET of HTTP 1.1 or higher', [
    ['POST', { method: 'POST', changes: { 'Content-Length': '0' } }, refused(405)],
    ['HEAD', { method: 'HEAD' }, refused(405)],
    ['PUT', { method: 'PUT', changes: { 'Content-Length': '0' } }, refused(405)],
    ['OPTIONS', { method: 'OPTIONS' }, refused(405)],
    ['DELETE', { method: 'DELETE' }, refused(405)],
    ['a method that there is not', { method: 'FETCH' }, refused(405)],
    ['HTTP/1.0', { version: 'HTTP/1.0' }, refused(400)],
    ['HTTP/0.9', { version: 'HTTP/0.9' }, refused(400)],
    ['HTTP/2.0', { version: 'HTTP/2.0' }, refused(400)],
    ['no version', { version: '' }, refused(400)],
    ['lines that end with LF alone', { end: '\n' }, refused(408)]
  ]),
  ...rows(5, '4.2.1', 'Host, Upgrade and Connection must be there and say what they must', [
    ['no Host', headers({ Host: null }), refused(400)],
    ['two Hosts', headers({ Host: ['a', 'b'] }), refused(400)],
    ['no Upgrade: an ordinary request', headers({ Upgrade: null }), { status: 404 }],
    ['Upgrade: h2c: an ordinary request', headers({ Upgrade: 'h2c' }), { status: 404 }],
    ['Upgrade: websockets', headers({ Upgrade: 'websockets' }), { status: 404 }],
    ['no Connection', headers({ Connection: null }), refused(400)],
    ['Connection: keep-alive', headers({ Connection: 'keep-alive' }), refused(400)],
    ['Connection: close', headers({ Connection: 'close' }), refused(400)],
    ['Connection: upgraded', headers({ Connection: 'upgraded' }), refused(400)]
  ]),
  ...rows(6, '3', 'the path is the name of a resource; here a document\'s name of 1 to 1024 bytes of UTF-8 without control characters', [
    ['no name', { target: '/' }, refused(400)],
    ['a NUL', { target: '/a%00b' }, refused(400)],
    ['a line feed', { target: '/a%0ab' }, refused(400)],
    ['DEL', { target: '/a%7fb' }, refused(400)],
    ['an overlong slash', { target: '/a%c0%afb' }, refused(400)],
    ['a surrogate', { target: '/%ed%a0%80' }, refused(400)],
    ['beyond U+10FFFF', { target: '/%f4%90%80%80' }, refused(400)],
    ['half a percent sign', { target: '/a%2' }, refused(400)],
    ['1024 bytes', { target: '/' + 'n'.repeat(1024) }, opened],
    ['1025 bytes', { target: '/' + 'n'.repeat(1025) }, refused(400)],
    ['letters of every length in UTF-8', { target: '/' + encodeURIComponent('aé文😀') }, opened],
    ['no slash before it', { target: 'name' }, refused(400)],
    ['a whole URL', { target: 'http://localhost/0.6.13' }, refused(400)],
    ['the authority alone', { target: 'localhost:80' }, refused(400)]
  ]),
  ...rows(7, '10.4', 'sizes are bounded', [
    ['headers of 12 kB', headers({ Cookie: 'a'.repeat(12000) }), opened],
    ['headers of 20 kB', headers({ Cookie: 'a'.repeat(20000) }), refused(431)],
    ['a thousand headers', headers(Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`X-Header-Number-${i}`, 'x']))), refused(431)],
    ['a URL of 20 kB', { target: '/' + 'u'.repeat(20000) }, refused(431)]
  ]),
  {
    id: '0.8.1', name: 'a byte at a time', section: '4.2', demand: 'a handshake is a stream of bytes, however it is cut', request: request, slow: 1, expect: opened
  },
  {
    id: '0.8.2', name: 'a request that does not come to its end', section: '10.4', demand: 'nobody waits for ever: 408 after 10 s', request: document => request(document).slice(0, -2), expect: refused(408)
  },
  {
    id: '0.8.3', name: 'nothing at all', section: '10.4', demand: 'nobody waits for ever: 408 after 10 s', request: () => '', expect: refused(408)
  },
  {
    id: '0.9.1', name: 'frames in one packet with the request', section: '4.1', demand: 'what a client sends too early is not lost (it should wait for the answer)', request: request, isPipelined: true, send: [frame({ payload: awarenessOf('early') })], expect: { ...opened, echo: ['early'] }
  },
  {
    id: '0.9.2', name: 'frames cut by the end of the request\'s packet', section: '4.1', demand: 'what a client sends too early is not lost (it should wait for the answer)', request: document => Buffer.concat([Buffer.from(request(document)), frame({ payload: awarenessOf('cut'), mask: [1, 2, 3, 4] }).subarray(0, 3)]), send: [frame({ payload: awarenessOf('cut'), mask: [1, 2, 3, 4] }).subarray(3)], expect: { ...opened, echo: ['cut'] }
  },
  {
    id: '0.9.3', name: 'a broken frame in one packet with the request', section: '5.1', demand: 'it is judged like any other', request: request, isPipelined: true, send: [frame({ payload: syncStep1, mask: null })], expect: { ...opened, close: 1002 }
  },
  {
    id: '0.11.1', name: 'Origin of another host', section: '10.2', demand: 'a server that is not for everybody checks Origin (it could answer 403, which a page would not see)', request: document => request(document, { changes: { Origin: 'https://example.org' } }), expect: { ...opened, close: 4403 }
  },
  ...rows(10, '4.2.2', 'none of the subprotocols offered is known: the answer names none, and the client decides', [
    ['one', headers({ 'Sec-WebSocket-Protocol': 'chat' }), { ...opened, headers: { ...opened.headers, 'sec-websocket-protocol': undefined } }],
    ['several', headers({ 'Sec-WebSocket-Protocol': 'chat, superchat' }), { ...opened, headers: { ...opened.headers, 'sec-websocket-protocol': undefined } }],
    ['in two headers', headers({ 'Sec-WebSocket-Protocol': ['chat', 'superchat'] }), { ...opened, headers: { ...opened.headers, 'sec-websocket-protocol': undefined } }]
  ])
]
