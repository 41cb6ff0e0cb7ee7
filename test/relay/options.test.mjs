// Options of the relay: flags, variables and a file, in this order; what is wrong with them is said at the start, and
// so is what is missing in the database.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { closeAll, logged, open, relayProgram, startDatabase, startRelay, until } from './harness.mjs'

let directory

before(() => { directory = mkdtempSync(join(tmpdir(), 'pg_ydoc-options-')) })
after(() => rmSync(directory, { recursive: true, force: true }))

// How a relay ends, and what it says.
function ends (flags, env = {}) {
  return new Promise(resolve => execFile(relayProgram, flags, { env: { ...process.env, ...env }, timeout: 10000 },
    (error, stdout, stderr) => resolve({ code: error ? error.code : 0, said: stdout + stderr })))
}

const check = async (flags, env) => (await ends(['--check', ...flags], env))

function file (content) {
  const path = join(directory, 'relay.json')
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

test('help names every option, with its default', async () => {
  const { code, said } = await ends(['--help'])
  assert.equal(code, 0)
  for (const option of ['--listen TEXT', '--database TEXT', '--workers NUMBER', '--max-message BYTES', '--sandbox=false', '--config FILE', '--version']) assert.ok(said.includes(option), option)
  assert.match(said, /--max-message BYTES +.* \(16M\)/)
  assert.match((await ends(['--version'])).said, /^ydoc-relay \d+\.\d+\n$/)
})

test('a flag wins over a variable, a variable over the file', async () => {
  const bad = ['--config', file({ 'max-message': '3Q' })]
  assert.match((await check(bad)).said, /max-message \(file\) must be a number .* not "3Q"/)
  assert.match((await check(bad, { YDOC_RELAY_MAX_MESSAGE: '2Q' })).said, /max-message \(environment\) .* not "2Q"/)
  assert.match((await check([...bad, '--max-message', '1Q'], { YDOC_RELAY_MAX_MESSAGE: '2Q' })).said, /max-message \(flag\) .* not "1Q"/)
  assert.equal((await check([...bad, '--max-message', '1M'], { YDOC_RELAY_MAX_MESSAGE: '2Q' })).code, 0)
  assert.match((await check([], { YDOC_RELAY_CONFIG: file({ workers: 65 }) })).said, /workers \(file\) must be a number from 0 to 64/)
  assert.equal((await check(['--config', file({ workers: 2, sandbox: false, listen: '[::1]:0', 'max-message': '1K' })])).code, 0)
})

test('what is no option is told', async () => {
  const flag = await ends(['--nonsense'])
  assert.equal(flag.code, 64)
  assert.match(flag.said, /--help/)
  assert.deepEqual(await ends(['nonsense']), { code: 64, said: 'ydoc-relay: unexpected argument "nonsense"; see --help\n' })
  for (const [content, message] of [
    [{ nonsense: 1 }, /unknown option "nonsense"/], [{ listen: null }, /neither text, number nor boolean: "listen"/],
    [{ origins: ['https://a.test', 'https://b.test'] }, /neither text, number nor boolean: "origins"; several are one text, with commas between/],
    ['[1]', /not an object/], ['{', /expected/], ['{"workers": 1, "workers": 2}', /duplicate/]
  ]) {
    const { code, said } = await check(['--config', file(content)])
    assert.equal(code, 78, said)
    assert.match(said, message)
  }
  assert.match((await check(['--config', join(directory, 'nowhere')])).said, /nowhere: .*No such file/)
  // a variable may be somebody else's: its name is told, never its value
  const variable = await check([], { YDOC_RELAY_JWT_KEY: 'canary' })
  assert.equal(variable.code, 0)
  assert.match(variable.said, /"event": "unknown_variable", "variable": "YDOC_RELAY_JWT_KEY"/)
  assert.doesNotMatch(variable.said, /canary/)
  assert.doesNotMatch((await check([], { YDOC_RELAY_MAX_MESSAGE: '1M', YDOC_RELAY_CONFIG: file({}) })).said, /unknown_variable/)
})

test('values that would do something else than they say are refused', async () => {
  for (const [flag, goods, bads] of [
    ['--listen', ['127.0.0.1:0', '[::1]:65535', ':1234', 'localhost:1'], ['127.0.0.1:65536', '127.0.0.1:99999', '127.0.0.1:-1', '127.0.0.1:', '127.0.0.1', '::1', 'localhost:http', '']],
    ['--origins', ['https://notes.example', 'https://a.example:8443, http://b.example', 'capacitor://localhost', '*', ''], ['notes.example', 'https://notes.example/', 'https://a.example,https://b.example/editor', 'https://', '*.example']],
    ['--cookie', ['token', '__Host-token', ''], ['a token', 'a=b', 'a;b']],
    ['--user', ['nobody'], ['nobody here']],
    ['--static', [tmpdir()], [join(tmpdir(), 'nowhere')]],
    ['--log-level', ['debug'], ['loud']]
  ]) {
    for (const good of goods) assert.deepEqual(await check([flag, good]), { code: 0, said: 'configuration is fine\n' }, `${flag} ${good}`)
    for (const bad of bads) {
      const { code, said } = await check([flag, bad])
      assert.equal(code, 78, `${flag} ${bad}: ${said}`)
      assert.ok(said.startsWith(`ydoc-relay: ${flag.slice(2)}`), said)
    }
  }
})

// A relay while body runs, whatever becomes of that: what is left running keeps this process from ending.
async function withRelay (conninfo, flags, body) {
  const relay = await startRelay({ conninfo }, { arguments: flags })
  try {
    await body(relay)
    assert.deepEqual(await relay.terminate(), { code: 0, signal: null })
  } finally {
    closeAll()
    await relay.stop()
  }
}

async function withDatabase (body) {
  const database = await startDatabase()
  try {
    await body(database)
  } finally {
    await database.stop()
  }
}

function secretFile () {
  const path = join(directory, 'secret')
  writeFileSync(path, 'a secret of at least thirty-two bytes', { mode: 0o600 })
  return path
}

test('a database without a store makes no relay ready, and is told what to do', { timeout: 60000 }, () => withDatabase(async database => {
  await database.psql('CREATE DATABASE functions', 'postgres')
  await database.psql('CREATE EXTENSION pg_ydoc', 'functions')
  for (const name of ['functions', 'postgres']) {
    await withRelay(database.conninfo.replace('dbname=test', `dbname=${name}`), [], async relay => {
      await logged(relay, /"event": "store_missing", "hint": "--init creates/)
      await logged(relay, /"event": "database_down"/)
      assert.equal((await fetch(`${relay.http}/readyz`)).status, 503)
      assert.equal((await fetch(`${relay.http}/healthz`)).status, 200)
      assert.equal(relay.log.match(/store_missing/g).length, 1)
      // it comes up by itself when somebody does
      await database.psql('CREATE EXTENSION IF NOT EXISTS pg_ydoc; SELECT ydoc.create_store()', name)
      await until(async () => (await fetch(`${relay.http}/readyz`)).status === 200)
    })
  }
  assert.equal((await ends(['--init', '--database', database.conninfo.replace('dbname=test', 'dbname=nowhere')])).code, 69)
}))

test('relays that start at once make one store, and wait for no lock that anybody may hold', { timeout: 60000 }, () => withDatabase(async database => {
  await database.psql(['CREATE ROLE tenant LOGIN', 'CREATE DATABASE fresh'], 'postgres')
  const tenant = database.startSession()
  const conninfo = database.conninfo.replace('dbname=test', 'dbname=fresh')
  await tenant.ask("\\c fresh tenant\nSELECT pg_advisory_lock(hashtext('ydoc-relay --init'))")
  const relays = await Promise.all(Array.from({ length: 4 }, () => startRelay({ conninfo }, { arguments: ['--init'] })))
  for (const relay of relays) await until(async () => (await fetch(`${relay.http}/readyz`)).status === 200)
  for (const relay of relays) assert.deepEqual(await relay.stop(), { code: 0, signal: null })
  await tenant.stop()
  assert.equal(await database.psql("SELECT count(*) FROM pg_namespace WHERE nspname = 'ydoc_data'", 'fresh'), '1')
}))

test('a store that an older release made is told, and what to do', { timeout: 60000 }, () => withDatabase(async database => {
  await database.psql('CREATE ROLE door LOGIN')
  await database.psql("SELECT ydoc.grant_relay('door')")
  await database.psql('DROP FUNCTION ydoc_data.relay_changes')
  await database.psql(`CREATE FUNCTION ydoc_data.relay_changes(claims text, document text, since bigint, known_epoch bigint, max_bytes integer, OUT seq bigint, OUT update bytea)
    RETURNS SETOF record LANGUAGE sql AS 'SELECT 1::bigint, NULL::bytea'`)
  await withRelay(database.conninfo.replace('user=postgres', 'user=door'), ['--jwt-secret-file', secretFile()], async relay => {
    await logged(relay, /"event": "store_missing", .*ydoc.upgrade_store\(\) makes what is new/)
    assert.equal((await fetch(`${relay.http}/readyz`)).status, 503)
    await database.psql('DROP FUNCTION ydoc_data.relay_changes')
    await database.psql('SELECT ydoc.upgrade_store()')
    await database.psql("SELECT ydoc.grant_relay('door')")
    await until(async () => (await fetch(`${relay.http}/readyz`)).status === 200)
  })
}))

test('a role without rights is told what a relay needs', { timeout: 60000 }, () => withDatabase(async database => {
  await database.psql('CREATE ROLE door LOGIN')
  await withRelay(database.conninfo.replace('user=postgres', 'user=door'), ['--jwt-secret-file', secretFile()], async relay => {
    await logged(relay, /"event": "rights_missing", "hint": "SELECT ydoc.grant_relay/)
    await database.psql("SELECT ydoc.grant_relay('door')")
    await until(async () => (await fetch(`${relay.http}/readyz`)).status === 200)
  })
}))

test('a relay without keys is ready when its role may read tables, and is told what else it needs', { timeout: 60000 }, () => withDatabase(async database => {
  await database.psql('CREATE ROLE door LOGIN')
  await database.psql("SELECT ydoc.grant_relay('door')")
  await withRelay(database.conninfo.replace('user=postgres', 'user=door'), [], async relay => {
    await logged(relay, /"event": "rights_missing", .*without keys it needs as well .*SELECT on its tables/)
    assert.equal((await fetch(`${relay.http}/readyz`)).status, 503)
    await database.psql('GRANT SELECT ON ydoc_data.document, ydoc_data.log, ydoc_data.segment, ydoc_data.state TO door')
    await until(async () => (await fetch(`${relay.http}/readyz`)).status === 200)
  })
}))

test('a relay whose role may read and not write is told when somebody writes', { timeout: 60000 }, () => withDatabase(async database => {
  await database.psql('CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA ydoc_data TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA ydoc_data TO reader')
  await withRelay(database.conninfo.replace('user=postgres', 'user=reader'), [], async relay => {
    await until(async () => (await fetch(`${relay.http}/readyz`)).status === 200)
    assert.doesNotMatch(relay.log, /rights_missing/)
    const ann = open(relay, 'notes/1')
    ann.text.insert(0, 'hello')
    await logged(relay, /"event": "rights_missing", .*INSERT on document and log/)
    await database.psql('GRANT INSERT ON ydoc_data.document, ydoc_data.log TO reader; GRANT UPDATE ON ydoc_data.document TO reader')
    await until(async () => await database.psql("SELECT ydoc.text('notes/1', 'content')") === 'hello')
  })
}))

test('a relay that shares its port with another says so', { timeout: 60000 }, () => withDatabase(database => withRelay(database.conninfo, [], async first => {
  await first.terminate()
  await first.launch() // at the same port, which was given by chance before: that is shared with nobody
  assert.doesNotMatch(first.log, /port_is_shared/)
  const second = await startRelay(database, { arguments: ['--listen', new URL(first.http).host] })
  try {
    await logged(second, /"event": "port_is_shared"/)
  } finally {
    await second.stop()
  }
})))
