// A secret in a file, and tokens signed with it: for tests that want users, and nothing special of tokens.
//
//     const keys = keyring('notes')
//     const relay = await startRelay(database, { arguments: keys.flags })
//     open(relay, 'notes/7', { headers: keys.bearer('ann', { groups: ['team'] }) })
import { createHmac, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const base64url = bytes => Buffer.from(bytes).toString('base64url')

export function keyring (audience) {
  const directory = mkdtempSync(join(tmpdir(), 'pg_ydoc-keyring-'))
  const file = join(directory, 'secret')
  const secret = randomBytes(32)
  writeFileSync(file, secret, { mode: 0o600 })

  function token (sub, more = {}) {
    const exp = Math.floor(Date.now() / 1000) + 300
    const text = base64url('{"alg":"HS256","typ":"JWT"}') + '.' + base64url(JSON.stringify({ aud: audience, exp, sub, ...more }))
    return text + '.' + base64url(createHmac('sha256', secret).update(text).digest())
  }

  return {
    flags: ['--jwt-secret-file', file, '--jwt-audience', audience, '--jwt-leeway', '0'],
    secret,
    token,
    bearer: (sub, more) => ({ authorization: `Bearer ${token(sub, more)}` }),
    remove: () => rmSync(directory, { recursive: true })
  }
}
