// What the relay tells of itself: OpenMetrics, health, the log.
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'

import { closeAll, logged, open, raw, startDatabase, startDetour, startRelay, until } from './harness.mjs'
import { openMetrics, value } from './openmetrics.mjs'

let database, relay

before(async () => {
  database = await startDatabase()
  relay = await startRelay(database)
})

afterEach(closeAll)

after(async () => {
  closeAll()
  await relay?.stop()
  await database?.stop()
})

const scrape = async (of = relay) => {
  const response = await fetch(`${of.http}/metrics`)
  assert.equal(response.status, 200)
  assert.match(response.headers.get('content-type'), /^application\/openmetrics-text; version=1\.0\.0; charset=utf-8$/)
  return openMetrics(await response.text())
}

test('the reader refuses what is no OpenMetrics', () => {
  const good = '# TYPE a counter\n# HELP a Help.\na_total 1\n# EOF\n'
  openMetrics(good)
  for (const bad of [
    good.replace('# EOF\n', ''), good.replace('a_total', 'a'), good.replace('counter', 'gauge'),
    good.replace('a_total 1\n', 'a_total 1\na_total 2\n'), good.replaceAll(' a', ' a_bytes').replace('a_total', 'a_bytes_total'),
    '# TYPE h histogram\n# HELP h H.\nh_bucket{le="1.0"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n# EOF\n'
  ]) assert.throws(() => openMetrics(bad), bad)
})

test('metrics are OpenMetrics, and count what happened', async () => {
  const before = await scrape()
  const ann = open(relay, 'counted')
  const ben = open(relay, 'counted')
  await Promise.all([ann.synced(), ben.synced()])
  for (let i = 0; i < 20; i++) {
    ann.text.insert(0, 'x')
    await until(() => ben.text.length === i + 1)
  }
  ann.provider.awareness.setLocalStateField('user', { name: 'Ann' })
  await until(() => ben.provider.awareness.getStates().has(ann.doc.clientID))
  const after = await scrape()
  const grew = (name, suffix) => value(after, `ydoc_relay_${name}`, suffix) - value(before, `ydoc_relay_${name}`, suffix)
  assert.equal(grew('connections'), 2)
  assert.equal(grew('connections_opened'), 2)
  assert.equal(grew('rooms'), 1)
  assert.equal(grew('updates_received'), 20)
  assert.equal(grew('batches'), 20)
  for (const histogram of ['update_queue_seconds', 'update_delivery_seconds']) assert.equal(grew(histogram, '_count'), 20)
  assert.equal(grew('commit_seconds', '_count'), 20)
  // a delivery waits for its commit; none of them took no time, or a minute
  assert.ok(grew('commit_seconds', '_sum') > 0.0001)
  assert.ok(grew('update_delivery_seconds', '_sum') >= grew('commit_seconds', '_sum'))
  assert.ok(grew('update_delivery_seconds', '_sum') < 60)
  assert.ok(grew('received_bytes') > 400 && grew('sent_bytes') > 400)
  assert.ok(value(after, 'ydoc_relay_presence_clients') >= 1)
  assert.equal(value(after, 'ydoc_relay_database_connections_up'), 5)
  assert.deepEqual(after.get('ydoc_relay_build').samples[0].labels, { version: '1.0' })
  assert.ok(Math.abs(value(after, 'ydoc_relay_start_time_seconds') - Date.now() / 1000) < 3600)
})

test('refused items and closed connections are counted, and logged with their reason', async () => {
  const before = await scrape()
  const eve = await raw(relay, '/refused')
  eve.send(new Uint8Array([0, 2, 6, 1, 1, 1, 0, 4, 1]))
  await eve.closed
  const after = await scrape()
  for (const name of ['updates_refused', 'connections_closed_by_relay']) {
    assert.equal(value(after, `ydoc_relay_${name}`) - value(before, `ydoc_relay_${name}`), 1, name)
  }
  await logged(relay, /update_refused/)
  const lines = relay.log.trim().split('\n').map(line => JSON.parse(line))
  const refusal = lines.find(line => line.event === 'update_refused')
  assert.equal(refusal.document, 'refused')
  assert.equal(refusal.sqlstate, '22P03')
  for (const line of lines) {
    assert.match(line.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    assert.match(line.level, /^(info|warning|error)$/)
  }
})

test('while the database is away the relay is healthy, but not ready', async () => {
  const detour = await startDetour(database)
  const own = await startRelay(detour)
  const status = async path => (await fetch(`${own.http}${path}`)).status
  try {
    await until(async () => await status('/readyz') === 200)
    const before = await scrape(own)
    await detour.stop()
    await until(async () => await status('/readyz') === 503)
    assert.equal(await status('/healthz'), 200)
    const after = await scrape(own)
    assert.equal(value(after, 'ydoc_relay_database_connections_up'), 0)
    assert.equal(value(after, 'ydoc_relay_database_disconnects') - value(before, 'ydoc_relay_database_disconnects'), 5)
  } finally {
    await own.stop()
  }
})

test('when the notification queue fills, the relay warns, then commits in silence and asks instead', { timeout: 120000 }, async () => {
  const options = { arguments: ['--notify-alarm', '1', '--notify-off', '2'] }
  const own = await startRelay(database, options)
  const other = await startRelay(database, options)
  const usage = async () => value(await scrape(own), 'ydoc_relay_notify_queue_usage_ratio')
  const notifies = async of => value(await scrape(of), 'ydoc_relay_notifies')
  // a session that listens and never reads: what others notify stays in the queue
  const blocker = database.psql(['LISTEN nothing', "BEGIN; SELECT pg_sleep(600) AS blocker"]).catch(() => {})
  const stuck = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%AS blocker'"
  // each of these takes a page of the queue's million
  const fill = pages => database.psql(`SELECT count(pg_notify('filler', repeat('x', 7000) || i)) FROM generate_series(1, ${pages}) AS i`)
  try {
    const ann = open(own, 'silent')
    const ben = open(other, 'silent')
    await Promise.all([ann.synced(), ben.synced()])
    await until(async () => await database.psql(stuck) !== '')
    const full = Number(await database.psql("SELECT pg_notification_queue_usage()"))
    await fill(13000)
    const percent = (Number(await database.psql('SELECT pg_notification_queue_usage()')) - full) * 100
    assert.ok(percent > 1, `${percent} %`)
    await logged(own, /notify_queue_fills/)
    assert.ok(await usage() > 0.01)
    assert.equal(await notifies(own), 1)
    await fill(Math.ceil(13000 * 1.2 / percent))
    await until(async () => await notifies(own) === 0 && await notifies(other) === 0)
    const before = await usage()
    ann.text.insert(0, 'in silence')
    await until(() => ben.text.toString() === 'in silence')
    assert.equal(await database.text('silent'), 'in silence')
    await logged(own, /notify_off/)

    await database.psql(`SELECT pg_terminate_backend(pid) FROM (${stuck}) AS s`)
    await until(async () => await notifies(own) === 1 && await usage() < before)
    const heard = value(await scrape(other), 'ydoc_relay_notifications')
    ann.text.insert(0, 'aloud, not ')
    await until(() => ben.text.toString() === 'aloud, not in silence')
    assert.ok(value(await scrape(other), 'ydoc_relay_notifications') > heard)
  } finally {
    await database.psql(`SELECT pg_terminate_backend(pid) FROM (${stuck}) AS s`)
    await blocker
    closeAll()
    await own.stop()
    await other.stop()
  }
})

test('what fails because the queue is full is committed in silence, and nobody is closed', { timeout: 60000 }, async () => {
  // the queue's own error, from the same place: the commit
  await database.psql(`
    CREATE FUNCTION full_queue() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NEW.document = 'overflow' AND current_setting('ydoc.notify') = 'on' THEN
        RAISE EXCEPTION 'too many notifications in the NOTIFY queue' USING ERRCODE = '54000';
      END IF;
      RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER full_queue AFTER INSERT ON ydoc_data.log DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION full_queue()`)
  const own = await startRelay(database)
  try {
    const ann = open(own, 'overflow')
    const ben = open(own, 'overflow')
    await Promise.all([ann.synced(), ben.synced()])
    let closes = 0
    for (const one of [ann, ben]) one.provider.on('connection-close', () => closes++)
    for (let i = 0; i < 20; i++) ann.text.insert(0, 'x')
    await until(() => ben.text.length === 20)
    assert.equal((await database.text('overflow')).length, 20)
    assert.equal(closes, 0)
    await logged(own, /notify_off/)
    await logged(own, /notify_on/, 30000) // the queue has room: it tries again
  } finally {
    await database.psql('DROP TRIGGER full_queue ON ydoc_data.log')
    closeAll()
    await own.stop()
  }
})
