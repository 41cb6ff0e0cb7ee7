// Power loss: whatever was acknowledged is there.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { startDatabase } from '../relay/harness.mjs'

let database

before(async () => { database = await startDatabase() })
after(() => database?.stop())

test('what was committed before kill -9 is there after the restart, seq and all', async () => {
  for (let clock = 0; clock < 100; clock++) {
    const update = Buffer.from([1, 1, 9, clock, 4, 1, 1, 0x74, 1, 0x61 + clock % 26, 0]).toString('hex')
    assert.equal(await database.psql(`SELECT ydoc.apply('crash', ARRAY['\\x${update}'::bytea])`), String(clock + 1))
  }
  const before = await database.psql("SELECT ydoc.state('crash')")
  await database.kill9()
  await database.start()
  assert.equal(await database.psql("SELECT ydoc.state('crash')"), before)
  assert.equal(await database.psql("SELECT seq FROM ydoc.heads(ARRAY['crash'])"), '100')
})
