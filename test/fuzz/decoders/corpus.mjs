// Turns the byte strings of the vectors into inputs of the fuzz targets.
import fs from 'node:fs'
import path from 'node:path'
import zlib from 'node:zlib'
import { createHash } from 'node:crypto'

const [data, out] = process.argv.slice(2)
const MOST_BYTES = 1500
const EACH_FIELD = 60 // inputs of one field of one group

const write = (target, bytes) => {
  const folder = path.join(out, target)
  const name = createHash('sha1').update(bytes).digest('hex').slice(0, 16)
  fs.mkdirSync(folder, { recursive: true })
  fs.writeFileSync(path.join(folder, name), bytes)
}
const taken = new Map()
const isNew = (field) => {
  const count = taken.get(field) ?? 0
  taken.set(field, count + 1)
  return count < EACH_FIELD
}
const decode = (text) => Buffer.from(text, 'base64')
const small = (bytes) => bytes.length > 0 && bytes.length < MOST_BYTES

// updates: [flags, share of the first, bytes]
const asUpdate = (bytes, v2) => write('updates', Buffer.concat([Buffer.from([v2 ? 1 : 0, 255]), bytes]))
// apply: [flags] then [size] [bytes] up to four times
const asApplied = (updates, v2) => {
  const parts = [Buffer.from([(v2 ? 0x78 : 0) | (updates.length & 7)])]
  updates.slice(0, 4).forEach((bytes, i) => parts.push(Buffer.from([i === 3 ? 0 : bytes.length]), bytes))
  const all = Buffer.concat(parts)
  if (all.length < MOST_BYTES && updates.slice(0, 3).every(u => u.length < 256)) write('apply', all)
}
// values: [what] [bytes]
const asValue = (what, bytes) => write('values', Buffer.concat([Buffer.from([what]), bytes]))

for (const folder of ['vectors', 'found']) {
  for (const file of fs.readdirSync(path.join(data, folder))) {
    if (!file.endsWith('.jsonl.gz')) continue
    const lines = zlib.gunzipSync(fs.readFileSync(path.join(data, folder, file))).toString().split('\n').filter(Boolean)
    for (const line of lines) {
      const c = JSON.parse(line)
      if (c.kind === 'malformed' && small(decode(c.input)) && isNew(file + c.format)) {
        asUpdate(decode(c.input), c.format === 2)
        asApplied([decode(c.input)], c.format === 2)
      }
      for (const [field, v2] of [['updates', false], ['updatesV2', true]]) {
        const updates = (c[field] ?? []).map(decode)
        if (updates.length === 0 || !isNew(file + field)) continue
        updates.filter(small).slice(0, 3).forEach(u => asUpdate(u, v2))
        for (let i = 0; i < updates.length && i < 12; i += 4) asApplied(updates.slice(i, i + 4), v2)
      }
      if (c.kind === 'primitive' && c.codec === 'any' && small(decode(c.bytes))) {
        for (let what = 3; what < 8; what++) asValue(what, decode(c.bytes))
        asValue(0, Buffer.from(JSON.stringify(c.value) ?? 'null'))
      }
      for (const snapshot of c.snapshots ?? []) {
        asValue(8, decode(snapshot.snapshot))
        asValue(9, decode(snapshot.snapshotV2))
      }
      for (const position of c.positions ?? []) asValue(10, decode(position.bytes))
      const state = c.orders?.[0]?.expect
      if (state?.sv && isNew(file + 'sv')) asValue(1, decode(state.sv))
      if (state?.v1 && small(decode(state.v1)) && isNew(file + 'v1')) asUpdate(decode(state.v1), false)
      if (state?.v2 && small(decode(state.v2)) && isNew(file + 'v2')) asUpdate(decode(state.v2), true)
    }
  }
}

// tokens: [what] and the text; a zero byte between header and payload
const payload = '{"iss":"i","aud":["a","b"],"sub":"ann","exp":1800000000,"nbf":1.5e9,"iat":1700000000,"roles":["x"]}'
for (const header of [
  '{"alg":"HS256"}', '{"alg":"HS256","kid":"es","typ":"at+jwt"}', '{"alg":"ES256","kid":"es"}', '{"alg":"none"}',
  '{"typ":"JWT","alg":"HS256","crit":["b64"],"b64":false}', '{"alg":"HS256","jwk":{"kty":"oct"},"jku":"x","x5c":[]}'
]) {
  write('tokens', Buffer.from(`\x01${header}\0${payload}`))
  write('tokens', Buffer.from(`\x01${header}\0{"sub":"ann"}`))
  write('tokens', Buffer.from('\0' + [header, payload, 'x'.repeat(64)].map(part => Buffer.from(part).toString('base64url')).join('.')))
}
const x = 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU'
for (const key of [
  { kty: 'EC', crv: 'P-256', x, y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0', alg: 'ES256', kid: 'k' },
  { kty: 'OKP', crv: 'Ed25519', x, use: 'sig' }, { kty: 'oct', k: x, key_ops: ['verify'] },
  { kty: 'RSA', n: x.repeat(8), e: 'AQAB', alg: 'PS256' }, { kty: 'EC', crv: 'P-384' }
]) {
  write('tokens', Buffer.from('\x02' + JSON.stringify({ keys: [key] })))
  write('tokens', Buffer.from('\x02' + JSON.stringify(key)))
}
write('tokens', Buffer.from('\x02-----BEGIN PUBLIC KEY-----\n' +
  'MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n'))
write('tokens', Buffer.from('\x03' + x + '\n'))
