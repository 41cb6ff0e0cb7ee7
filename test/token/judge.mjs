// Asks build/judge, or a database (YDOC_JUDGE: psql and its arguments), and makes tokens that no library would make.
//
//     const answer = await ask({ keys: jwks(es.jwk), token: forge('{"alg":"ES256"}', '{}', es.sign), now: 0 })
import { spawn } from 'node:child_process'
import { createHmac, generateKeyPairSync, randomBytes, sign, constants } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

export const isSql = process.env.YDOC_JUDGE !== undefined
const [program, ...programArguments] = isSql
  ? process.env.YDOC_JUDGE.split(' ')
  : [new URL('../../build/judge/judge', import.meta.url).pathname]
const judge = spawn(program, programArguments, { stdio: ['pipe', 'pipe', 'inherit'] })
if (isSql) judge.stdin.write(readFileSync(new URL('judge.sql', import.meta.url)))
const waiting = []
const ended = new Promise(resolve => judge.on('exit', (code, signal) => resolve({ code, signal })))

createInterface({ input: judge.stdout }).on('line', line => waiting.shift().resolve(JSON.parse(line)))
judge.on('exit', code => { for (const one of waiting) one.reject(new Error(`the judge ended with ${code}`)) })
judge.stdin.on('error', () => {}) // it is gone: its exit tells

export function ask ({ keys, secret, token, ...policy }) {
  const question = { ...policy }
  for (const [name, value] of Object.entries({ keys, secret, token })) {
    if (value !== undefined) question[name] = Buffer.from(value).toString('hex')
  }
  const line = JSON.stringify(question)
  judge.stdin.write(isSql ? `SELECT pg_temp.judge('${line.replaceAll("'", "''")}');\n` : line + '\n')
  return new Promise((resolve, reject) => waiting.push({ resolve, reject }))
}

// { code: 0, signal: null }, unless a sanitizer found something
export function stop () {
  judge.stdin.end()
  return ended
}

export const base64url = bytes => Buffer.from(bytes).toString('base64url')
export const jwks = (...keys) => JSON.stringify({ keys })

// header and payload as text or bytes, signed by a function of the bytes
export function forge (header, payload, signer) {
  const text = base64url(header) + '.' + base64url(payload)
  return text + '.' + base64url(signer(Buffer.from(text)))
}

// ---- a key of each kind: its public JWK, its PEM, its private key for the library, and a bare signer ----

const rsaOptions = { RS256: {}, PS256: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 } }

export function makeKey (alg, kid, { bits = 2048, curve = 'P-256', secret = randomBytes(32) } = {}) {
  const named = jwk => ({ ...jwk, alg, ...(kid === undefined ? {} : { kid }) })
  if (alg === 'HS256') {
    return {
      jwk: named({ kty: 'oct', k: base64url(secret) }), private: secret, secret,
      sign: text => createHmac('sha256', secret).update(text).digest()
    }
  }
  const { publicKey, privateKey } = alg === 'ES256'
    ? generateKeyPairSync('ec', { namedCurve: curve })
    : alg === 'EdDSA' ? generateKeyPairSync('ed25519') : generateKeyPairSync('rsa', { modulusLength: bits })
  const options = alg === 'ES256' ? { dsaEncoding: 'ieee-p1363' } : rsaOptions[alg]
  return {
    jwk: named(publicKey.export({ format: 'jwk' })),
    pem: publicKey.export({ type: 'spki', format: 'pem' }),
    private: privateKey,
    sign: text => sign(alg === 'EdDSA' ? null : 'sha256', text, { key: privateKey, ...options }),
    der: text => sign('sha256', text, { key: privateKey, dsaEncoding: 'der' })
  }
}

export function privateJwk (key) {
  return { ...key.private.export({ format: 'jwk' }), alg: key.jwk.alg, kid: key.jwk.kid }
}
