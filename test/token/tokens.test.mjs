// What token/token.c says of tokens: a table by name, in the order of RFC 8725, and beside it what the
// npm package jose says of the same token.  Where jose is less strict a row says so, and why we are not.
import assert from 'node:assert/strict'
import { constants, sign } from 'node:crypto'
import { after, test } from 'node:test'
import * as jose from 'jose'

import { chance } from '../chance.mjs'
import { ask, base64url, forge, isSql, jwks, makeKey, stop } from './judge.mjs'
import { vectors } from './vectors.mjs'

after(async () => assert.deepEqual(await stop(), { code: 0, signal: null }))

const now = 1700000000
const standard = { now, audience: 'notes', issuer: 'https://issuer.example', leeway: 30, expires: true }
const claims = { iss: 'https://issuer.example', aud: 'notes', sub: 'ann', exp: now + 300 }

const hs = makeKey('HS256', 'hs')
const rs = makeKey('RS256', 'rs')
const ps = makeKey('PS256', 'ps')
const es = makeKey('ES256', 'es')
const ed = makeKey('EdDSA', 'ed')
const all = [hs, rs, ps, es, ed]
const stranger = makeKey('ES256', 'es')
const strangerRs = makeKey('RS256', 'rs')

// ---- ways to a token ----

const header = (key, more = {}) => JSON.stringify({ alg: key.jwk.alg, kid: key.jwk.kid, ...more })
const withClaims = (more, key = es) => forge(header(key), JSON.stringify({ ...claims, ...more }), key.sign)
const withHeader = (more, key = es) => forge(header(key, more), JSON.stringify(claims), key.sign)
const withText = (payload, key = es) => forge(header(key), payload, key.sign)
const withHeaderText = (text, key = es) => forge(text, JSON.stringify(claims), key.sign)
const unsigned = head => forge(JSON.stringify(head), JSON.stringify(claims), () => '')
const good = withClaims({})
const parts = good.split('.')
const made = key => new jose.SignJWT(claims).setProtectedHeader({ alg: key.jwk.alg, kid: key.jwk.kid, typ: 'JWT' }).sign(key.private)
const without = name => withText(JSON.stringify({ ...claims, [name]: undefined }))
const padded = bytes => withClaims({ pad: 'x'.repeat(bytes) })

// r || s as s' = order - s: the other signature that says the same
function otherSignature (token) {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const [head, payload, signature] = token.split('.')
  const bytes = Buffer.from(signature, 'base64url')
  const s = order - BigInt('0x' + bytes.subarray(32).toString('hex'))
  return `${head}.${payload}.` + base64url(Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]))
}

// the first or last letter that can be changed without changing the bytes
function idleBits (token) {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return token.slice(0, -1) + alphabet[alphabet.indexOf(token.at(-1)) ^ 1]
}

// RFC 7518 3.5: the salt of PS256 has 32 bytes
function signWithSalt (saltLength) {
  return text => sign('sha256', text, { key: ps.private, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength })
}

// the payload spelled otherwise, and signed as it is spelled
function respell (change) {
  const text = Buffer.from(`${parts[0]}.${change(parts[1])}`)
  return `${text}.${base64url(es.sign(text))}`
}

async function encrypted () {
  return await new jose.EncryptJWT(claims).setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: 'hs' }).encrypt(hs.secret)
}

// ---- the table: name, verdict, token, and what is not as usual (policy, keys, stricter: than jose, why) ----

const table = [
  ['HS256 by jose', 'valid', () => made(hs)],
  ['RS256 by jose', 'valid', () => made(rs)],
  ['PS256 by jose', 'valid', () => made(ps)],
  ['ES256 by jose', 'valid', () => made(es)],
  ['EdDSA by jose', 'valid', () => made(ed)],
  ['Ed25519, as RFC 9864 calls it', 'valid', () => forge(header(ed, { alg: 'Ed25519' }), JSON.stringify(claims), ed.sign), { keys: [{ ...ed.jwk, alg: 'Ed25519' }] }],

  // 2.1, 3.1: weak signatures and insufficient signature validation
  ['alg none without a signature', 'algorithm refused', unsigned({ alg: 'none', kid: 'es' })],
  ['alg None', 'algorithm refused', unsigned({ alg: 'None' })],
  ['alg NONE', 'algorithm refused', unsigned({ alg: 'NONE', kid: 'es' })],
  ['alg nOnE with a signature', 'algorithm refused', withHeader({ alg: 'nOnE' })],
  ['alg none without its dot', 'malformed', unsigned({ alg: 'none' }).slice(0, -1)],
  ['no alg', 'malformed', withHeader({ alg: undefined })],
  ['alg empty', 'algorithm refused', withHeader({ alg: '' })],
  ['alg a number', 'malformed', withHeader({ alg: 256 })],
  ['alg null', 'malformed', withHeader({ alg: null })],
  ['alg a list', 'malformed', withHeader({ alg: ['ES256'] })],
  ['alg in small letters', 'algorithm refused', withHeader({ alg: 'es256' })],
  ['alg with a NUL behind', 'malformed', withHeader({ alg: 'ES256\0' })],
  ['alg with a space behind', 'algorithm refused', withHeader({ alg: 'ES256 ' })],
  ['alg HS384', 'algorithm refused', withHeader({ alg: 'HS384' }, hs)],
  ['alg ES384', 'algorithm refused', withHeader({ alg: 'ES384' })],
  ['alg RS1', 'algorithm refused', withHeader({ alg: 'RS1' }, rs)],
  ['no signature', 'wrong signature', `${parts[0]}.${parts[1]}.`],
  ['HS256 signed with the RSA key as PEM', 'no such key', forge(header(rs, { alg: 'HS256' }), JSON.stringify(claims), makeKey('HS256', 'x', { secret: Buffer.from(rs.pem) }).sign)],
  ['HS256 signed with the RSA key as PEM, without kid', 'wrong signature', forge('{"alg":"HS256"}', JSON.stringify(claims), makeKey('HS256', 'x', { secret: Buffer.from(rs.pem) }).sign)],
  ['HS256 signed with the JWK of the EC key', 'no such key', forge(header(es, { alg: 'HS256' }), JSON.stringify(claims), makeKey('HS256', 'x', { secret: Buffer.from(JSON.stringify(es.jwk)) }).sign)],
  ['HS256 signed with nothing', 'wrong signature', forge(header(hs), JSON.stringify(claims), makeKey('HS256', 'hs', { secret: Buffer.alloc(0) }).sign)],
  ['RS256 claimed of the secret\'s kid', 'no such key', withHeader({ alg: 'RS256', kid: 'hs' }, rs)],
  ['PS256 signed with the key for RS256', 'no such key', forge(header(rs, { alg: 'PS256' }), JSON.stringify(claims), rs.sign)],
  ['RS256 claimed of the key for PS256', 'no such key', forge(header(ps, { alg: 'RS256' }), JSON.stringify(claims), ps.sign)],
  ['PS256 signature in a token of RS256', 'wrong signature', forge(header(rs), JSON.stringify(claims), ps.sign)],
  ['PS256 with a salt of 20 bytes', 'wrong signature', forge(header(ps), JSON.stringify(claims), signWithSalt(20))],
  ['PS256 without salt', 'wrong signature', forge(header(ps), JSON.stringify(claims), signWithSalt(0))],
  ['another\'s ES256 key', 'wrong signature', withClaims({}, stranger)],
  ['another\'s RS256 key', 'wrong signature', withClaims({}, strangerRs)],
  ['signature of r = s = 0', 'wrong signature', `${parts[0]}.${parts[1]}.${base64url(Buffer.alloc(64))}`],
  ['signature of r = 0', 'wrong signature', () => forge(header(es), JSON.stringify(claims), text => Buffer.concat([Buffer.alloc(32), es.sign(text).subarray(32)]))],
  ['signature of s = 0', 'wrong signature', () => forge(header(es), JSON.stringify(claims), text => Buffer.concat([es.sign(text).subarray(0, 32), Buffer.alloc(32)]))],
  ['signature of r = s = order', 'wrong signature', `${parts[0]}.${parts[1]}.${base64url(Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'.repeat(2), 'hex'))}`],
  ['ECDSA signature in DER', 'wrong signature', forge(header(es), JSON.stringify(claims), es.der)],
  ['ECDSA signature with the other s, which is as good', 'valid', otherSignature(good)],
  ['ECDSA signature one byte longer', 'wrong signature', forge(header(es), JSON.stringify(claims), text => Buffer.concat([es.sign(text), Buffer.alloc(1)]))],
  ['ECDSA signature with zeros before r', 'wrong signature', forge(header(es), JSON.stringify(claims), text => Buffer.concat([Buffer.alloc(2), es.sign(text)]))],
  ['HMAC cut short', 'wrong signature', forge(header(hs), JSON.stringify(claims), text => hs.sign(text).subarray(0, 16))],
  ['HMAC with a byte behind', 'wrong signature', forge(header(hs), JSON.stringify(claims), text => Buffer.concat([hs.sign(text), Buffer.alloc(1)]))],
  ['RSA signature with a zero before', 'wrong signature', forge(header(rs), JSON.stringify(claims), text => Buffer.concat([Buffer.alloc(1), rs.sign(text)]))],
  ['RSA signature of zeros', 'wrong signature', forge(header(rs), JSON.stringify(claims), () => Buffer.alloc(256))],
  ['Ed25519 signature of zeros', 'wrong signature', forge(header(ed), JSON.stringify(claims), () => Buffer.alloc(64))],
  ['a signature of 3000 bytes', 'malformed', forge(header(rs), JSON.stringify(claims), () => Buffer.alloc(3000))],
  ['signature of another token', 'wrong signature', `${parts[0]}.${base64url(JSON.stringify({ ...claims, sub: 'eve' }))}.${parts[2]}`],
  ['signed header exchanged', 'wrong signature', `${base64url(header(es, { typ: 'JWT' }))}.${parts[1]}.${parts[2]}`],

  // 2.4, 2.7, 3.2: encryption, compression, nesting
  ['an encrypted token', 'asks for something that is not supported', encrypted],
  ['five parts', 'malformed', `${good}.AA.AA`],
  ['four parts', 'malformed', `${good}.AA`],
  ['two parts', 'malformed', `${parts[0]}.${parts[1]}`],
  ['one part', 'malformed', parts[0]],
  ['enc in the header', 'asks for something that is not supported', withHeader({ enc: 'A256GCM' }), { stricter: 'jose leaves enc of a signed token alone; nobody signs such a header' }],
  ['zip in the header', 'asks for something that is not supported', withHeader({ zip: 'DEF' }), { stricter: 'zip means nothing in a signed token' }],
  ['cty JWT: a token in the token', 'asks for something that is not supported', () => forge(header(es, { cty: 'JWT' }), good, es.sign)],
  ['cty JWT, claims all the same', 'asks for something that is not supported', withHeader({ cty: 'JWT' }), { stricter: 'it says that it is nested and is not' }],
  ['a token as payload', 'malformed', withText(good)],
  ['an unsecured token as payload', 'malformed', withText(unsigned({ alg: 'none' }))],

  // crit, b64: extensions
  ['crit with an unknown extension', 'asks for something that is not supported', withHeader({ crit: ['exp'], exp: now })],
  ['crit with b64', 'asks for something that is not supported', withHeader({ crit: ['b64'], b64: true }), { stricter: 'jose knows that extension; no issuer of tokens needs it' }],
  ['crit with b64 false', 'asks for something that is not supported', withHeader({ crit: ['b64'], b64: false })],
  ['crit empty', 'asks for something that is not supported', withHeader({ crit: [] })],
  ['crit a text', 'asks for something that is not supported', withHeader({ crit: 'b64' })],
  ['b64 without crit', 'asks for something that is not supported', withHeader({ b64: false }), { stricter: 'RFC 7797: b64 must be named in crit' }],

  // 2.9, 3.10: what the header brings along is not trusted
  ['jwk in the header, signed with it', 'wrong signature', withHeader({ jwk: stranger.jwk }, stranger)],
  ['jwk in the header, signed with ours', 'valid', withHeader({ jwk: stranger.jwk })],
  ['jku in the header, signed with a key from there', 'wrong signature', withHeader({ jku: 'https://evil.example/jwks' }, stranger)],
  ['jku in the header, signed with ours', 'valid', withHeader({ jku: 'https://evil.example/jwks' })],
  ['x5u and x5c in the header', 'valid', withHeader({ x5u: 'https://evil.example/x', x5c: ['AA=='], x5t: 'AA' })],
  ['x5c in the header, signed with it', 'wrong signature', withHeader({ x5c: ['AA=='] }, stranger)],

  // kid
  ['kid unknown', 'no such key', withHeader({ kid: 'other' })],
  ['kid of another kind of key', 'no such key', withHeader({ kid: 'rs' })],
  ['kid empty', 'no such key', withHeader({ kid: '' })],
  ['kid a number', 'malformed', withHeader({ kid: 1 })],
  ['kid null', 'malformed', withHeader({ kid: null })],
  ['kid a path', 'no such key', withHeader({ kid: '../../../dev/null' })],
  ['kid with SQL', 'no such key', withHeader({ kid: "es' UNION SELECT 'x" })],
  ['kid with a NUL', 'malformed', withHeader({ kid: 'es\0' })],
  ['kid that begins as ours', 'no such key', withHeader({ kid: 'es2' })],
  ['no kid, one key of that algorithm', 'valid', withHeader({ kid: undefined })],
  ['no kid, two keys of that algorithm', 'names no key, and there are several', withHeader({ kid: undefined }), { keys: [es.jwk, { ...stranger.jwk, kid: 'es2' }] }],
  ['no kid, a key without kid', 'valid', withHeader({ kid: undefined }), { keys: [{ ...es.jwk, kid: undefined }] }],
  ['kid, but the only key has none', 'valid', good, { keys: [{ ...es.jwk, kid: undefined }] }],
  ['kid, and two keys that have none', 'names no key, and there are several', good, { keys: [{ ...es.jwk, kid: undefined }, { ...stranger.jwk, kid: undefined }] }],
  ['kid of another algorithm, and a key without kid', 'no such key', withHeader({ kid: 'rs' }), { keys: [{ ...es.jwk, kid: undefined }, rs.jwk], stricter: 'the kid is known, and for something else' }],
  ['the second of two keys', 'valid', withHeader({ kid: 'es2' }), { keys: [stranger.jwk, { ...es.jwk, kid: 'es2' }] }],
  ['the same kid for two algorithms', 'valid', withHeader({ kid: 'one' }), { keys: [{ ...rs.jwk, kid: 'one' }, { ...es.jwk, kid: 'one' }] }],

  // 3.11, 3.12: kinds of tokens
  ['typ JWT', 'valid', withHeader({ typ: 'JWT' })],
  ['typ jwt', 'valid', withHeader({ typ: 'jwt' })],
  ['typ at+jwt', 'valid', withHeader({ typ: 'at+jwt' })],
  ['typ application/at+jwt', 'valid', withHeader({ typ: 'application/at+jwt' })],
  ['typ logout+jwt', 'asks for something that is not supported', withHeader({ typ: 'logout+jwt' }), { stricter: 'jose asks only if told to' }],
  ['typ dpop+jwt with a jwk', 'asks for something that is not supported', withHeader({ typ: 'dpop+jwt', jwk: stranger.jwk }, stranger)],
  ['typ a number', 'asks for something that is not supported', withHeader({ typ: 1 }), { stricter: 'as above' }],
  ['typ empty', 'asks for something that is not supported', withHeader({ typ: '' }), { stricter: 'as above' }],

  // time
  ['expired', 'expired', withClaims({ exp: now - 31 })],
  ['expired a second before the leeway', 'expired', withClaims({ exp: now - 30 })],
  ['expired, but within the leeway', 'valid', withClaims({ exp: now - 29 })],
  ['expired without leeway', 'expired', withClaims({ exp: now }), { leeway: 0 }],
  ['expires in a second, without leeway', 'valid', withClaims({ exp: now + 1 }), { leeway: 0 }],
  ['exp missing', 'never expires', without('exp')],
  ['exp missing, and it may', 'valid', without('exp'), { expires: false }],
  ['exp null', 'its times are not seconds since 1970', withClaims({ exp: null })],
  ['exp a text', 'its times are not seconds since 1970', withClaims({ exp: String(now + 300) })],
  ['exp true', 'its times are not seconds since 1970', withClaims({ exp: true })],
  ['exp 0', 'expired', withClaims({ exp: 0 })],
  ['exp -0.0', 'expired', withText(JSON.stringify(claims).replace(/"exp":\d+/, '"exp":-0.0'))],
  ['exp negative', 'its times are not seconds since 1970', withClaims({ exp: -1 })],
  ['exp with a fraction', 'valid', withClaims({ exp: now + 1.5 })],
  ['exp as 1.7000003e9', 'valid', withText(JSON.stringify(claims).replace(/"exp":\d+/, '"exp":1.7000003e9'))],
  ['exp the last second of 9999', 'valid', withClaims({ exp: 253402300799 })],
  ['exp after 9999', 'its times are not seconds since 1970', withClaims({ exp: 253402300800 }), { stricter: 'no time that a token ends at' }],
  ['exp in milliseconds', 'its times are not seconds since 1970', withClaims({ exp: (now + 300) * 1000 }), { stricter: 'in 50,000 years' }],
  ['exp 2^63', 'malformed', withText(JSON.stringify(claims).replace(/"exp":\d+/, '"exp":9223372036854775808')), { stricter: 'as above' }],
  ['exp 1e308', 'its times are not seconds since 1970', withClaims({ exp: 1e308 }), { stricter: 'as above' }],
  ['exp 1e999', 'malformed', withText(JSON.stringify(claims).replace(/"exp":\d+/, '"exp":1e999')), { stricter: 'JSON.parse makes it infinite' }],
  ['exp of 4000 digits', 'malformed', withText(JSON.stringify(claims).replace(/"exp":\d+/, '"exp":' + '9'.repeat(4000))), { stricter: 'as above' }],
  ['not yet valid', 'not yet valid', withClaims({ nbf: now + 31 })],
  ['not yet valid, but within the leeway', 'valid', withClaims({ nbf: now + 30 })],
  ['nbf a text', 'its times are not seconds since 1970', withClaims({ nbf: '0' })],
  ['nbf huge', 'its times are not seconds since 1970', withClaims({ nbf: 1e300 })],
  ['iat a text', 'its times are not seconds since 1970', withClaims({ iat: 'now' })],
  ['iat in the future, which says nothing', 'valid', withClaims({ iat: now + 1000 })],

  // 3.8, 3.9: issuer and audience
  ['aud another', 'for another audience', withClaims({ aud: 'mail' })],
  ['aud missing', 'for another audience', without('aud')],
  ['aud several, ours among them', 'valid', withClaims({ aud: ['mail', 'notes'] })],
  ['aud several, ours not', 'for another audience', withClaims({ aud: ['mail', 'news'] })],
  ['aud none at all', 'for another audience', withClaims({ aud: [] })],
  ['aud a number', 'malformed', withClaims({ aud: 1 })],
  ['aud null', 'malformed', withClaims({ aud: null })],
  ['aud with a number in it', 'malformed', withClaims({ aud: ['notes', 1] }), { stricter: 'StringOrURI, each of them' }],
  ['aud a list in a list', 'malformed', withClaims({ aud: [['notes']] })],
  ['aud that begins as ours', 'for another audience', withClaims({ aud: 'notes2' })],
  ['aud in capitals', 'for another audience', withClaims({ aud: 'Notes' })],
  ['aud with a NUL', 'malformed', withClaims({ aud: 'notes\0' })],
  ['aud, and we are none', 'for another audience', good, { audience: undefined, stricter: 'RFC 7519 4.1.3: who does not name himself must refuse' }],
  ['no aud, and we are none', 'valid', without('aud'), { audience: undefined }],
  ['iss another', 'from another issuer', withClaims({ iss: 'https://evil.example' })],
  ['iss missing', 'from another issuer', without('iss')],
  ['iss a list', 'malformed', withClaims({ iss: ['https://issuer.example'] })],
  ['iss with a slash behind', 'from another issuer', withClaims({ iss: 'https://issuer.example/' })],
  ['iss any, if none is asked for', 'valid', withClaims({ iss: 'x' }), { issuer: undefined }],

  // sub
  ['sub missing', 'valid', without('sub')],
  ['sub empty', 'valid', withClaims({ sub: '' })],
  ['sub a number', 'malformed', withClaims({ sub: 7 }), { stricter: 'RFC 7519 4.1.2: a text' }],
  ['sub null', 'malformed', withClaims({ sub: null }), { stricter: 'as above' }],
  ['sub an object', 'malformed', withClaims({ sub: { name: 'ann' } }), { stricter: 'as above' }],
  ['sub with a line feed', 'malformed', withClaims({ sub: 'ann\nben' }), { stricter: 'it ends up in logs and tables' }],
  ['sub with an escape', 'malformed', withClaims({ sub: '\x1b[31mann' }), { stricter: 'as above' }],
  ['sub with U+009B', 'malformed', withClaims({ sub: 'ann\u009b' }), { stricter: 'as above' }],
  ['sub with a delete', 'malformed', withClaims({ sub: 'ann\x7f' }), { stricter: 'as above' }],
  ['sub with U+0000', 'malformed', withClaims({ sub: 'ann\0' }), { stricter: 'PostgreSQL\'s text has none' }],
  ['sub with é, 漢 and 😀', 'valid', withClaims({ sub: 'é漢😀\u00a0' })],

  // 2.6, 3.6, 3.7: what is no UTF-8, no base64url, no JSON
  ['empty', 'malformed', ''],
  ['one dot', 'malformed', '.'],
  ['two dots', 'malformed', '..'],
  ['a header of no JSON', 'malformed', withHeaderText('alg')],
  ['a header that is a list', 'malformed', withHeaderText('["ES256"]')],
  ['a header that is null', 'malformed', withHeaderText('null')],
  ['a header with something behind', 'malformed', withHeaderText(header(es) + '{}')],
  ['a header that ends early', 'malformed', withHeaderText('{"alg":"ES256"')],
  ['a header with a byte-order mark', 'malformed', withHeaderText('\ufeff' + header(es)), { stricter: 'TextDecoder takes it away' }],
  ['a header in UTF-16', 'malformed', withHeaderText(Buffer.from(header(es), 'utf16le'))],
  ['a header with a byte that is no UTF-8', 'malformed', withHeaderText(Buffer.from(header(es, { x: '\xff' }), 'latin1'))],
  ['a payload with a byte that is no UTF-8', 'malformed', withText(Buffer.from(JSON.stringify({ ...claims, name: '\xff' }), 'latin1'))],
  ['a payload with an overlong letter', 'malformed', withText(Buffer.from(JSON.stringify({ ...claims, name: '\xc1\xa1' }), 'latin1'))],
  ['a payload with half a surrogate pair', 'malformed', withText(JSON.stringify(claims).replace('ann', '\\ud800')), { stricter: 'JSON.parse takes it' }],
  ['a payload that is a list', 'malformed', withText('[]')],
  ['a payload that is a text', 'malformed', withText('"ann"')],
  ['a payload that is empty', 'malformed', withText('')],
  ['a payload with something behind', 'malformed', withText(JSON.stringify(claims) + ' x')],
  ['a payload with NaN', 'malformed', withText(JSON.stringify(claims).replace(/"exp":\d+/, '"exp":NaN'))],
  ['a payload with white space', 'valid', withText(JSON.stringify(claims, null, '\t') + '\r\n')],
  ['alg twice, the second is ours', 'malformed', withHeaderText('{"alg":"none","alg":"ES256","kid":"es"}'), { stricter: 'RFC 8725 2.7: JSON.parse takes the last, others the first' }],
  ['alg twice, both ours', 'malformed', withHeaderText('{"alg":"ES256","alg":"ES256"}'), { stricter: 'as above' }],
  ['alg twice, once as \\u0061lg', 'malformed', withHeaderText('{"alg":"none","\\u0061lg":"ES256","kid":"es"}'), { stricter: 'as above' }],
  ['sub twice', 'malformed', withText(JSON.stringify(claims).replace('"sub"', '"sub":"eve","sub"')), { stricter: 'as above' }],
  ['exp twice', 'malformed', withText(JSON.stringify(claims).replace('"exp"', '"exp":0,"exp"')), { stricter: 'as above' }],
  ['a member twice deep inside', 'malformed', withText(JSON.stringify({ ...claims, a: [{ b: 0 }] }).replace('"b":0', '"b":1,"b":2')), { stricter: 'as above' }],
  ['nested 1000 deep', 'valid', withText(JSON.stringify(claims).replace('}', ',"a":' + '['.repeat(1000) + ']'.repeat(1000) + '}'))],
  ['nested 3000 deep', 'malformed', withText(JSON.stringify(claims).replace('}', ',"a":' + '['.repeat(2900) + ']'.repeat(2900) + '}')), { stricter: 'jansson\'s bound' }],
  ['padding at the end', 'malformed', good + '==', { stricter: 'base64url of JOSE has none' }],
  ['padding in the payload', 'malformed', respell(text => text + '=')],
  ['the other alphabet', 'malformed', `${parts[0]}.${parts[1]}.${'+/' + parts[2].slice(2)}`],
  ['a space before', 'malformed', ' ' + good],
  ['a space behind', 'malformed', good + ' ', { stricter: 'as above' }],
  ['a line feed behind', 'malformed', good + '\n', { stricter: 'as above' }],
  ['a line feed in the signature', 'malformed', `${parts[0]}.${parts[1]}.${parts[2].slice(0, 43)}\n${parts[2].slice(43)}`, { stricter: 'as above' }],
  ['white space in the payload, signed so', 'malformed', respell(text => text.slice(0, 8) + '\n' + text.slice(8)), { stricter: 'as above' }],
  ['a NUL behind', 'malformed', good + '\0'],
  ['a byte beyond ASCII behind', 'malformed', good + 'é'],
  ['"Bearer" left before', 'malformed', 'Bearer ' + good],
  ['bits in the last letter that do not count', 'malformed', idleBits(good), { stricter: 'one token has one spelling' }],
  ['one letter left over', 'malformed', good + 'AAA'],
  ['as long as may be', 'valid', () => padded(5900)],
  ['too long', 'too long', () => padded(6100), { stricter: '8192 bytes are the most' }],
  ['a megabyte', 'too long', () => padded(1 << 20), { stricter: 'as above' }],
  ['a megabyte of dots', 'too long', '.'.repeat(1 << 20)]
]

async function joseSays (token, { keys, audience, issuer, leeway, expires, now }) {
  const find = async head => {
    const fit = keys.filter(key => key.alg === head.alg && (head.kid === undefined || key.kid === undefined || key.kid === head.kid))
    if (fit.length !== 1) throw new Error('no key, or several')
    return await jose.importJWK(fit[0])
  }
  try {
    await jose.jwtVerify(token, find, {
      audience, issuer, clockTolerance: leeway, currentDate: new Date(now * 1000), requiredClaims: expires ? ['exp'] : []
    })
    return 'valid'
  } catch (error) {
    return error.message
  }
}

test('the table is long enough, and no name is in it twice', () => {
  assert.ok(table.length >= 60)
  assert.equal(new Set(table.map(([name]) => name)).size, table.length)
})

for (const [name, verdict, token, { stricter, ...more } = {}] of table) {
  test(name, async () => {
    const policy = { ...standard, keys: all.map(key => key.jwk), ...more }
    const bytes = typeof token === 'function' ? await token() : token
    const answer = await ask({ ...policy, keys: jwks(...policy.keys), token: bytes })
    assert.equal(answer.verdict ?? answer.problem, verdict)
    const other = await joseSays(bytes, policy)
    if (verdict === 'valid') {
      const payload = JSON.parse(Buffer.from(bytes.split('.')[1], 'base64url'))
      assert.equal(other, 'valid')
      assert.deepEqual(JSON.parse(answer.claims), payload)
      assert.equal(answer.subject, payload.sub ?? null)
      assert.equal(answer.expires_at, payload.exp === undefined ? 9223372036854775807 : Math.floor(payload.exp) + policy.leeway)
    } else {
      assert.equal(other === 'valid', stricter !== undefined, `jose says: ${other}`)
    }
  })
}

// as jsonb has it: shorter keys first
const reordered = json => JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(json)).sort(([a], [b]) => a.length - b.length || (a < b ? -1 : 1))))

for (const { name, jwk, token, payload } of vectors) {
  test(name, async () => {
    const policy = { keys: jwks(jwk), now: 1300819000, expires: false }
    const answer = await ask({ ...policy, token })
    assert.equal(answer.verdict, payload === null ? 'malformed' : 'valid') // what is malformed was signed rightly
    if (payload !== null) assert.equal(isSql ? JSON.stringify(JSON.parse(answer.claims)) : answer.claims, isSql ? reordered(payload) : payload)
    const [head, body, signature] = token.split('.')
    const changed = `${head}.${body}.${signature[0] === 'A' ? 'B' : 'A'}${signature.slice(1)}`
    assert.equal((await ask({ ...policy, token: changed })).verdict, 'wrong signature')
  })
}

test('RFC 7515 A.5, unsecured', async () => {
  const token = 'eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.'
  assert.equal((await ask({ keys: jwks(...all.map(key => key.jwk)), token, now })).verdict, 'algorithm refused')
})

test('no letter of a token can be changed, left out or doubled, and none of its beginnings is a token', async () => {
  const keys = jwks(...all.map(key => key.jwk))
  for (const key of all) {
    const token = await made(key)
    const tries = []
    for (let i = 0; i < token.length; i += isSql ? 41 : 1) { // the database reads all keys for each question
      const other = token[i] === '.' ? 'A' : '.A_'[i % 3] === token[i] ? 'B' : '.A_'[i % 3]
      tries.push(token.slice(0, i), token.slice(0, i) + other + token.slice(i + 1),
        token.slice(0, i) + token.slice(i + 1), token.slice(0, i) + token[i] + token.slice(i))
    }
    const answers = await Promise.all(tries.map(token => ask({ ...standard, keys, token })))
    answers.forEach(({ verdict }, i) => assert.notEqual(verdict, 'valid', tries[i]))
  }
})

test('random bytes and random changes are refused', { timeout: 60000 }, async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1000000)
  console.log(`# seed ${seed}`)
  const { below } = chance(seed)
  const keys = jwks(...all.map(key => key.jwk))
  const tokens = await Promise.all(all.map(made))
  for (let i = 0; i < (isSql ? 100 : 2000); i++) {
    const token = Buffer.from(tokens[below(tokens.length)])
    const changes = 1 + below(8)
    const original = Buffer.from(token)
    for (let j = 0; j < changes; j++) token[below(token.length)] = below(4) ? '._-AZaz09'.charCodeAt(below(9)) : below(256)
    const { verdict } = await ask({ ...standard, keys, token })
    assert.equal(verdict === 'valid', token.equals(original), token.toString('latin1'))
  }
})
