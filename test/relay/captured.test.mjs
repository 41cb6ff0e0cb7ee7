// A relay's database role in other hands: without claims, or with claims that grant nothing, it gets nothing, whatever
// function it calls; and where only tokens count, it speaks for nobody whose token it never saw.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, afterEach, before, test } from 'node:test'

import { bin, closeAll, open, startDatabase, startRelay, until } from './harness.mjs'
import { keyring } from './keyring.mjs'

let database
const keys = keyring('notes')
const canary = 'canary' + Math.floor(Math.random() * 1e9).toString(36)
const sql = statement => database.psql(statement)
// what relays of old thought of, and the update of somebody else
const update = '\\x0101020004010174017800'

before(async () => {
  database = await startDatabase()
  await sql(`CREATE ROLE nobody LOGIN; SELECT ydoc.grant_relay('nobody');
    SELECT ydoc.grant_access('secret/%', 'user:ann', 'admin'), ydoc.grant_access('talk/%', 'user:ann', 'comment'),
      ydoc.set_comment_roots('%', '{comments}'), ydoc.text_append('secret/1', 't', '${canary}'), ydoc.text_append('talk/1', 't', '${canary}'),
      ydoc.create_link('secret/1', 'write', 'infinity'), ydoc.start_session('{"sub": "ann", "name": "${canary}"}');
    SELECT ydoc.set_token_keys('own', '{"kty": "oct", "k": "${keys.secret.toString('base64url')}"}')`)
})
afterEach(closeAll)
after(async () => {
  closeAll()
  await database?.stop()
  keys.remove()
})

const asNobody = lines => new Promise((resolve, reject) => {
  const psql = spawn(`${bin}/psql`, ['-h', database.socket, '-U', 'nobody', '-d', 'test', '-XAtq'])
  let out = ''
  psql.stdout.on('data', text => { out += text })
  psql.stderr.on('data', text => { out += text })
  psql.on('error', reject)
  psql.on('exit', () => resolve(out))
  psql.stdin.end(lines.join('\n'))
})

// All that is kept, but who is here.
const fingerprint = async () => {
  const tables = (await sql(`SELECT string_agg(format('SELECT %L, md5(string_agg(t::text, E''\\n'' ORDER BY t::text)) FROM ydoc_data.%I AS t', relname, relname), ' UNION ALL ' ORDER BY relname)
    FROM pg_class WHERE relnamespace = 'ydoc_data'::regnamespace AND relkind = 'r' AND relname NOT IN ('relay', 'presence')`))
  return sql(tables)
}

const credentials = ['NULL', "'{}'", "'{\"sub\": \"eve\"}'", "'{\"sub\": \"eve\", \"link\": \"guess\", \"groups\": [\"x\"], \"roles\": [\"nobody\"]}'", "'a.b.c'", "'ydoc_access_guess'", "'[]'", "''"]

test('whatever function the role may call, it gets nothing', async () => {
  const functions = JSON.parse(await sql(`SELECT json_agg(json_build_object(
      'name', format('%I.%I', n.nspname, p.proname), 'kind', p.prokind, 'own', n.nspname = 'ydoc_data',
      'types', ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS a (t, i) ORDER BY i),
      'names', coalesce(p.proargnames[1:cardinality(p.proargtypes)], '{}')) ORDER BY n.nspname, p.proname, p.oid)
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE (n.nspname IN ('ydoc', 'ydoc_data') OR p.oid IN (SELECT objid FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid WHERE e.extname = 'pg_ydoc' AND d.deptype = 'e'))
      AND has_function_privilege('nobody', p.oid, 'EXECUTE') AND p.prorettype <> ALL ('{trigger,internal,event_trigger}'::regtype[])
      AND NOT 'internal'::regtype = ANY (p.proargtypes) AND NOT 'cstring'::regtype = ANY (p.proargtypes)`))
  assert.ok(functions.length > 200, `${functions.length}`)
  assert.ok(functions.filter(each => each.own).length > 15)

  const valueOf = (type, name, credential) => {
    if (/^(claims|credential|token)$/.test(name)) return type === 'text[]' ? `ARRAY[${credential}]::text[]` : `(${credential})::${type}`
    const values = {
      text: name === 'documents' ? "'%'" : "'secret/1'", 'text[]': "ARRAY['secret/1']", bytea: `'${name === 'update' ? update : '\\x00'}'::bytea`, 'bytea[]': `ARRAY['${update}'::bytea]`,
      bigint: '0', 'bigint[]': 'ARRAY[1]::bigint[]', integer: '1000', boolean: 'true', jsonb: `coalesce(${credential}, '{}')::jsonb`, ydoc: "'\\x0000'::bytea::ydoc",
      interval: "interval '1 day'", 'timestamp with time zone': 'now()', regclass: "'ydoc_data.log'::regclass", regrole: "'nobody'::regrole", uuid: 'gen_random_uuid()',
      'ydoc.level': "'admin'::ydoc.level"
    }
    return values[type] ?? `NULL::${type}`
  }
  const calls = []
  for (const { name, kind, types, names } of functions) {
    for (const credential of credentials) {
      const values = types.map((type, i) => valueOf(type, names[i] ?? '', credential)).join(', ')
      if (kind === 'p') calls.push(`CALL ${name}(${values});`)
      else if (kind === 'a') calls.push(`SELECT ${name}(${values});`)
      else calls.push(`SELECT 'answered ${name}', * FROM ${name}(${values});`)
      if (!types.some((type, i) => type === 'jsonb' || /^(claims|credential|token)$/.test(names[i] ?? ''))) break
    }
  }
  // and with what the role itself might say of itself
  const asEve = ["SET request.jwt.claims = '{\"sub\": \"ann\"}';", ...calls]
  const before = await fingerprint()
  const said = [await asNobody(calls), await asNobody(asEve)].join('\n')
  // where claims count, a relay may log in who it says that he is; here: eve, who has no rights
  await sql("DELETE FROM ydoc_data.session WHERE subject = 'eve'; DELETE FROM ydoc_data.session_audit WHERE subject = 'eve'")
  assert.equal(await fingerprint(), before)
  const spellings = [canary, Buffer.from(canary).toString('hex'), Buffer.from(canary).toString('base64').slice(0, -4)]
  for (const spelling of spellings) assert.equal(said.includes(spelling), false, said.split('\n').find(line => line.includes(spelling)))
  // of the store's own functions these answer anything: nothing of a document, a user or a session
  const answered = new Set([...said.matchAll(/^answered (ydoc_data\.\w+)\|(.*)$/gm)].filter(([, , row]) => row !== '').map(([, name]) => name))
  assert.deepEqual([...answered].sort(), [
    'ydoc_data.access_level', // none
    'ydoc_data.claims_of', // what was said, back
    'ydoc_data.comment_roots', // of a document by name: the configuration
    'ydoc_data.judge_token', // malformed
    'ydoc_data.only_tokens',
    'ydoc_data.relay_apply', // refused
    'ydoc_data.relay_end_session', // false
    'ydoc_data.relay_end_sessions', // 0
    'ydoc_data.relay_levels', // none
    'ydoc_data.relay_presence_key', // the relays' own: who is here, never what is in a document
    'ydoc_data.relay_refresh_session', // unknown
    'ydoc_data.relay_report',
    'ydoc_data.relay_start_session' // refused, but for eve: an honest relay would have checked that it is she
  ])
  assert.match(said, /^answered ydoc_data\.relay_apply\|1\|.*\|42501\|no right to write document "secret\/1"$/m)
  assert.match(said, /^answered ydoc_data\.relay_levels\|1\|none\|t\|\|$/m)
  assert.doesNotMatch(said, /server closed the connection|connection to server was lost/)
})

test('the role reads no table, and owns nothing', async () => {
  assert.equal(await sql("SELECT count(*) FROM pg_class WHERE relowner = 'nobody'::regrole"), '0')
  assert.equal(await sql(`SELECT count(*) FROM pg_class c WHERE c.relnamespace = 'ydoc_data'::regnamespace AND c.relkind IN ('r', 'p', 'v')
    AND c.relname <> 'speaker' AND has_table_privilege('nobody', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')`), '0')
})

test('where only tokens count, a relay speaks for nobody whose token it never saw', async () => {
  await sql("SELECT ydoc.set_token_policy(audience => 'notes', leeway => '0', only_tokens => true)")
  const bare = "'{\"sub\": \"ann\"}'"
  const good = `'${keys.token('ann')}'`
  const tries = [
    `SELECT level FROM ydoc_data.relay_levels(ARRAY['secret/1'], ARRAY[${bare}]);`,
    `SELECT sqlstate FROM ydoc_data.relay_apply(ARRAY['secret/1'], ARRAY['${update}'::bytea], ARRAY[${bare}], '{}');`,
    `SELECT update FROM ydoc_data.relay_sync(${bare}, 'secret/1', '\\x00', 0);`,
    `SELECT update FROM ydoc_data.relay_sync_slices(${bare}, 'secret/1', '\\x00', 1024, 1024, 0);`,
    `SELECT update FROM ydoc_data.relay_changes(${bare}, 'secret/1', 0, 0, 1000);`,
    `SELECT count(*) FROM ydoc_data.relay_heads(ARRAY['secret/1'], ARRAY[${bare}]);`,
    `SELECT status FROM ydoc_data.relay_start_session(${bare}, NULL);`]
  const denied = 'ERROR:  the token is not valid\nCONTEXT:  SQL function '
  const answers = ['none', '28000', `${denied}"relay_sync" statement 1`, `${denied}"relay_sync_slices" statement 1`,
    `${denied}"relay_changes" statement 1`, '0', 'refused'].join('\n')
  const lines = text => text.trim().split('\n').sort() // errors come another way than answers
  assert.deepEqual(lines(await asNobody(tries)), lines(answers))
  assert.equal((await asNobody([tries[0].replace(bare, good)])).trim(), 'admin')

  // a relay that shows the tokens works as ever; one that does not, for strangers
  await sql("SELECT ydoc.grant_access('open/%', 'public', 'read'), ydoc.text_append('open/1', 'content', 'open')")
  const conninfo = database.conninfo.replace('user=postgres', 'user=nobody')
  const relay = await startRelay({ ...database, pooled: undefined, conninfo }, { arguments: [...keys.flags, '--pass-tokens'] })
  const other = await startRelay({ ...database, pooled: undefined, conninfo }, { arguments: keys.flags })
  try {
    const ann = open(relay, 'secret/2', { headers: keys.bearer('ann') })
    await ann.synced()
    ann.text.insert(0, 'typed')
    await until(async () => await database.text('secret/2') === 'typed')
    assert.equal(await sql("SELECT actor FROM ydoc_data.log WHERE document = 'secret/2'"), 'ann')
    const stranger = open(other, 'open/1')
    await stranger.synced()
    assert.equal(stranger.text.toString(), 'open')
    const unheard = open(other, 'secret/2', { headers: keys.bearer('ann') })
    const closed = await new Promise(resolve => unheard.provider.on('connection-close', event => event?.code > 4000 && resolve(event.code)))
    assert.equal(closed, 4401)
    // the database finds out by itself that a key is gone
    const gone = new Promise(resolve => ann.provider.on('connection-close', event => event?.code > 4000 && resolve(event.code)))
    await sql("SELECT ydoc.set_token_keys('own', NULL); SELECT pg_notify('ydoc_access', '')")
    assert.equal(await gone, 4401)
  } finally {
    assert.deepEqual(await relay.stop(), { code: 0, signal: null })
    assert.deepEqual(await other.stop(), { code: 0, signal: null })
    await sql('SELECT ydoc.set_token_policy()')
  }
})

test('what came in with a session\'s access token stays as long as the session, and no longer', async () => {
  await sql("SELECT ydoc.set_session_policy(access_lifetime => '1 second')")
  const start = async () => JSON.parse(await sql("SELECT to_json(s) FROM ydoc.start_session('{\"sub\": \"ann\"}') AS s"))
  const conninfo = database.conninfo.replace('user=postgres', 'user=nobody')
  const relay = await startRelay({ ...database, pooled: undefined, conninfo }, { arguments: [...keys.flags, '--sessions'] })
  const closeOf = client => new Promise(resolve => client.provider.on('connection-close', event => event?.code > 4000 && resolve(event.code)))
  try {
    const session = await start()
    const headers = { authorization: `Bearer ${session.access_token}` }
    const ann = open(relay, 'secret/3', { headers })
    await ann.synced()
    await until(async () => await sql(`SELECT ydoc.claims_of('${session.access_token}') IS NULL`) === 't')
    ann.text.insert(0, 'later')
    await until(async () => await database.text('secret/3') === 'later')
    assert.equal(await closeOf(open(relay, 'secret/3', { headers })), 4401)
    assert.equal(await closeOf(open(relay, 'secret/3', { headers: { authorization: `Bearer ydoc_access_${'A'.repeat(43)}` } })), 4401)
    const closed = closeOf(ann)
    const began = Date.now()
    await sql(`SELECT ydoc.end_session('${session.refresh_token}')`)
    assert.equal(await closed, 4401)
    assert.ok(Date.now() - began < 1000, `${Date.now() - began} ms`)
  } finally {
    assert.deepEqual(await relay.stop(), { code: 0, signal: null })
    await sql('SELECT ydoc.set_session_policy()')
  }
})
