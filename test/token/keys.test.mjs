// What token/keys.c makes of files with keys: which are taken, with which algorithm, and what it says of
// the others.
import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { after, test } from 'node:test'

import { ask, base64url, forge, jwks, makeKey, privateJwk, stop } from './judge.mjs'

after(async () => assert.deepEqual(await stop(), { code: 0, signal: null }))

const hs = makeKey('HS256', 'hs')
const rs = makeKey('RS256', 'rs')
const es = makeKey('ES256', 'es')
const ed = makeKey('EdDSA', 'ed')
const bare = ({ alg, kid, ...jwk }) => jwk
const pair = (kind, options) => generateKeyPairSync(kind, options)
const pem = (kind, options, type = 'spki') => pair(kind, options).publicKey.export({ type, format: 'pem' })
const privatePem = pair('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })
const secret = randomBytes(40).toString('base64')
const evenModulus = { ...rs.jwk, n: base64url(Buffer.from(rs.jwk.n, 'base64url').fill(0xfe, 255)) }

// name, what is taken, the file
const taken = [
  ['a set of all kinds', ['HS256 hs', 'RS256 rs', 'ES256 es', 'EdDSA ed'], jwks(hs.jwk, rs.jwk, es.jwk, ed.jwk)],
  ['a single JWK', ['ES256 es'], JSON.stringify(es.jwk)],
  ['white space before', ['ES256 es'], '\r\n\t ' + JSON.stringify(es.jwk)],
  ['keys without alg', ['HS256', 'RS256', 'ES256', 'EdDSA'], jwks(bare(hs.jwk), bare(rs.jwk), bare(es.jwk), bare(ed.jwk))],
  ['PS256, said of the key', ['PS256 rs'], jwks({ ...rs.jwk, alg: 'PS256' })],
  ['Ed25519, as RFC 9864 calls it', ['EdDSA ed'], jwks({ ...ed.jwk, alg: 'Ed25519' })],
  ['use and key_ops that fit', ['ES256 es', 'EdDSA ed'], jwks({ ...es.jwk, use: 'sig' }, { ...ed.jwk, key_ops: ['sign', 'verify'] })],
  ['members that nobody knows', ['ES256 es'], jwks({ ...es.jwk, x5c: ['AA=='], x5t: 1, 'own:': {} })],
  ['the same kid for two algorithms', ['RS256 one', 'ES256 one'], jwks({ ...rs.jwk, kid: 'one' }, { ...es.jwk, kid: 'one' })],
  ['an issuer\'s set with keys for other things', ['ES256 es'], jwks(
    { ...rs.jwk, use: 'enc' }, { ...rs.jwk, alg: 'RSA-OAEP-256' }, { ...rs.jwk, alg: 'RS512' }, { ...rs.jwk, key_ops: ['encrypt'] },
    pair('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' }), pair('x25519').publicKey.export({ format: 'jwk' }),
    pair('ed448').publicKey.export({ format: 'jwk' }), { kty: 'PQC', alg: 'ML-DSA-44' }, es.jwk)],
  ['an RSA key of 4096 bits', ['RS256 big'], jwks(makeKey('RS256', 'big', { bits: 4096 }).jwk)],
  ['RSA as PEM', ['RS256'], rs.pem],
  ['RSA as PEM of PKCS 1', ['RS256'], pem('rsa', { modulusLength: 2048 }, 'pkcs1')],
  ['RSA-PSS as PEM', ['PS256'], pem('rsa-pss', { modulusLength: 2048 })],
  ['P-256 as PEM', ['ES256'], es.pem],
  ['Ed25519 as PEM', ['EdDSA'], ed.pem],
  ['several PEM blocks and words between', ['RS256', 'ES256', 'EdDSA'], `of March\n${rs.pem}of April\n${es.pem}\n${ed.pem}the end\n`],
  ['PEM with CR LF', ['ES256'], es.pem.replaceAll('\n', '\r\n')]
]

const weak = /too weak: an RSA key has 2048 bits at least, this one has/
const isPrivate = /private key, which nobody needs who checks tokens/

// name, what is wrong, the file
const refused = [
  ['an empty file', /neither JSON/, ''],
  ['white space', /neither JSON/, ' \n'],
  ['words', /neither JSON/, 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI'],
  ['half a set', /line 1/, jwks(es.jwk).slice(0, -3)],
  ['a list', /neither JSON/, `[${JSON.stringify(es.jwk)}]`],
  ['an object of something else', /neither a set of keys/, '{"jwks": []}'],
  ['keys that is no list', /neither a set of keys/, '{"keys": {}}'],
  ['no keys', /holds no key/, jwks()],
  ['keys for other things only', /holds no key/, jwks({ ...rs.jwk, use: 'enc' })],
  ['a key that is none', /key 2: has no kty/, jwks(es.jwk, 7)],
  ['a key without kty', /key 1 \(es\): has no kty/, jwks({ ...es.jwk, kty: undefined })],
  ['a member twice', /duplicate/, jwks(es.jwk).replace('"kty"', '"alg":"HS256","kty"')],
  ['a kid twice', /key 2 \(es\): another key has the same kid/, jwks(es.jwk, makeKey('ES256', 'es').jwk)],
  ['a kid that is a number', /kid is no text/, jwks({ ...es.jwk, kid: 1 })],
  ['an alg that is a number', /alg is no text/, jwks({ ...es.jwk, alg: 256 })],
  ['HS256 of an RSA key', /HS256 is no algorithm for a key of kind RSA/, jwks({ ...rs.jwk, alg: 'HS256' })],
  ['HS256 of an EC key', /HS256 is no algorithm for a key of kind EC/, jwks({ ...es.jwk, alg: 'HS256' })],
  ['RS256 of a secret', /RS256 is no algorithm for a key of kind oct/, jwks({ ...hs.jwk, alg: 'RS256' })],
  ['ES256 of an Ed25519 key', /ES256 is no algorithm for a key of kind OKP/, jwks({ ...ed.jwk, alg: 'ES256' })],
  ['RSA of 1024 bits', weak, jwks(makeKey('RS256', 'weak', { bits: 1024 }).jwk)],
  ['RSA of 2047 bits', weak, jwks(makeKey('RS256', 'weak', { bits: 2047 }).jwk)],
  ['RSA of 1024 bits beside a strong key', weak, jwks(rs.jwk, makeKey('RS256', 'weak', { bits: 1024 }).jwk)],
  ['RSA of 1024 bits as PEM', weak, pem('rsa', { modulusLength: 1024 })],
  ['RSA with exponent 1', /no valid key|no RSA key/, jwks({ ...rs.jwk, e: base64url([1]) })],
  ['RSA with exponent 2', /no valid key|no RSA key/, jwks({ ...rs.jwk, e: base64url([2]) })],
  ['RSA with exponent 0', /no valid key|no RSA key/, jwks({ ...rs.jwk, e: base64url([0]) })],
  ['RSA with an even modulus', /no valid key|no RSA key/, jwks(evenModulus)],
  ['RSA with a modulus of 20000 bits', /no RSA key/, jwks({ ...rs.jwk, n: base64url(Buffer.alloc(2500, 0xff)) })],
  ['RSA without n', /its n is no base64url/, jwks({ ...rs.jwk, n: undefined })],
  ['RSA with n in padded base64', /its n is no base64url/, jwks({ ...rs.jwk, n: rs.jwk.n + '==' })],
  ['RSA with n a number', /its n is no base64url/, jwks({ ...rs.jwk, n: 17 })],
  ['P-256 off the curve', /no point of P-256/, jwks({ ...es.jwk, y: es.jwk.x })],
  ['P-256 at 0, 0', /no point of P-256/, jwks({ ...es.jwk, x: base64url(Buffer.alloc(32)), y: base64url(Buffer.alloc(32)) })],
  ['P-256 with a short x', /no point of P-256/, jwks({ ...es.jwk, x: es.jwk.x.slice(0, 40) })],
  ['P-256 with y missing', /its y is no base64url/, jwks({ ...es.jwk, y: undefined })],
  ['P-384 as PEM', /not P-256/, pem('ec', { namedCurve: 'P-384' })],
  ['secp256k1 as PEM', /not P-256/, pem('ec', { namedCurve: 'secp256k1' })],
  ['Ed25519 of 31 bytes', /no Ed25519 key/, jwks({ ...ed.jwk, x: base64url(Buffer.alloc(31)) })],
  ['X25519 as PEM', /of this kind are not used/, pem('x25519')],
  ['a secret of 31 bytes', /too weak: a secret has 32 bytes at least, this one has 31/, jwks({ ...hs.jwk, k: base64url(Buffer.alloc(31, 1)) })],
  ['an empty secret', /its k is no base64url/, jwks({ ...hs.jwk, k: '' })],
  ['a private RSA key', isPrivate, jwks(privateJwk(rs))],
  ['a private EC key', isPrivate, jwks(privateJwk(es))],
  ['a private Ed25519 key', isPrivate, jwks(privateJwk(ed))],
  ['a private key as PEM', isPrivate, privatePem],
  ['a private key as PEM behind a public one', /block 2: is a private key/, es.pem + privatePem],
  ['a PEM block that is cut', /block is broken|neither JSON/, es.pem.slice(0, -40)],
  ['a PEM block with rubbish in it', /block 1: is no public key/, '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'],
  ['a PEM block with bytes behind its key', /block 1: is no public key/, '-----BEGIN PUBLIC KEY-----\n' +
    Buffer.concat([Buffer.from(es.pem.split('\n').slice(1, -2).join(''), 'base64'), Buffer.alloc(3)]).toString('base64') + '\n-----END PUBLIC KEY-----\n'],
  ['a certificate', /block 1: is a CERTIFICATE/, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
  ['101 keys', /too many keys/, jwks(...Array.from({ length: 101 }, (_, i) => ({ ...ed.jwk, kid: `ed${i}` })))]
]

const noSecret = /are no secret/

// name, what is wrong, the file of a secret
const refusedSecrets = [
  ['an empty secret', /this one has 0/, ''],
  ['a line end', /this one has 0/, '\n'],
  ['31 letters', /this one has 31/, 'x'.repeat(31)],
  ['31 letters and a line end', /this one has 31/, 'x'.repeat(31) + '\n'],
  ['31 letters, CR and LF', /this one has 31/, 'x'.repeat(31) + '\r\n'],
  ['a public key in PEM', noSecret, rs.pem],
  ['a public key in PEM, behind a line', noSecret, 'key:\n' + rs.pem],
  ['a private key in PEM', noSecret, privatePem],
  ['a public key in DER', noSecret, Buffer.from(rs.pem.split('\n').slice(1, -2).join(''), 'base64')],
  ['a set of keys', noSecret, jwks(rs.jwk)],
  ['a JWK of a secret', noSecret, JSON.stringify(hs.jwk, null, 2)]
]

for (const [name, keys, file] of taken) {
  test(name, async () => {
    const answer = await ask({ keys: file })
    assert.equal(answer.problem, undefined)
    assert.deepEqual(answer.keys.map(({ kid, alg }) => kid === null ? alg : `${alg} ${kid}`), keys)
  })
}

for (const [name, problem, file] of refused) {
  test(`${name}: refused`, async () => assert.match((await ask({ keys: file })).problem, problem))
}

for (const [name, problem, file] of refusedSecrets) {
  test(`${name} as the secret: refused`, async () => assert.match((await ask({ secret: file })).problem, problem))
}

test('both files at once', async () => {
  const answer = await ask({ keys: jwks(es.jwk), secret })
  assert.deepEqual(answer.keys, [{ kid: 'es', alg: 'ES256' }, { kid: null, alg: 'HS256' }])
})

test('a secret is the text without its line end, or all its bytes', async () => {
  const bytes = Buffer.concat([randomBytes(31), Buffer.from('\n')])
  for (const [file, key] of [[secret, secret], [secret + '\n', secret], [secret + '\r\n', secret], [bytes, bytes],
    [secret + '\n\n', secret + '\n\n'], ['a secret of two lines, whatever that\nis good for\n', 'a secret of two lines, whatever that\nis good for\n']]) {
    const token = forge('{"alg":"HS256"}', '{}', makeKey('HS256', undefined, { secret: Buffer.from(key) }).sign)
    assert.equal((await ask({ secret: file, token, now: 0, expires: false })).verdict, 'valid')
  }
})

test('PEM keys check what their private keys have signed', async () => {
  for (const alg of ['RS256', 'ES256', 'EdDSA']) {
    const key = makeKey(alg, 'named')
    const token = forge(JSON.stringify({ alg, kid: 'named' }), '{}', key.sign)
    assert.equal((await ask({ keys: key.pem, token, now: 0, expires: false })).verdict, 'valid')
    assert.equal((await ask({ keys: makeKey(alg).pem, token, now: 0, expires: false })).verdict, 'wrong signature')
  }
})

test('a PEM key for RSA-PSS checks PS256, and no other parameters than its own', async () => {
  for (const [options, verdict] of [[{}, 'valid'], [{ hashAlgorithm: 'sha256', mgf1HashAlgorithm: 'sha256', saltLength: 32 }, 'valid'],
    [{ hashAlgorithm: 'sha512', mgf1HashAlgorithm: 'sha512', saltLength: 64 }, 'wrong signature']]) {
    const { publicKey, privateKey } = pair('rsa-pss', { modulusLength: 2048, ...options })
    const token = forge('{"alg":"PS256"}', '{}', text => sign(options.hashAlgorithm ?? 'sha256', text, {
      key: privateKey, saltLength: options.saltLength ?? 32
    }))
    assert.equal((await ask({ keys: publicKey.export({ type: 'spki', format: 'pem' }), token, now: 0, expires: false })).verdict, verdict)
  }
})

test('no beginning of a file of keys is taken for another, or read beyond its end', async () => {
  for (const file of [jwks(hs.jwk, es.jwk), ed.pem]) {
    for (let size = 0; size < file.trimEnd().length; size++) {
      assert.notEqual((await ask({ keys: file.slice(0, size) })).problem, undefined, `${size} bytes`)
    }
  }
})
