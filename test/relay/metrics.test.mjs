// What the relay tells of itself: OpenMetrics, health, the log.
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'

import { closeAll, open, raw, startDatabase, startDetour, startRelay, until } from './harness.mjs'
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
  await until(() => /update_refused/.test(relay.log))
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
