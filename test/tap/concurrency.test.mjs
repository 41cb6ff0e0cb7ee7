// Many writers at once: no deadlock, no hole, nothing missed by a reader who follows.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { startDatabase } from '../relay/harness.mjs'

let database

before(async () => { database = await startDatabase() })
after(() => database?.stop())

// Client inserts its letter, clock after clock, each at the start of root "t": independent updates.
const script = (client, names, rounds) => `
  DO $$
  DECLARE
    names text[] := ARRAY[${names.map(name => `'${name}'`).join(', ')}];
    clock integer;
    update bytea;
  BEGIN
    FOR clock IN 0 .. ${rounds - 1} LOOP
      update := '\\x0101'::bytea || set_byte('\\x00', 0, ${client}) || set_byte('\\x00', 0, clock)
        || '\\x040101740178'::bytea || '\\x00'::bytea;
      PERFORM ydoc.apply_batch(names, array_fill(update, ARRAY[cardinality(names)]),
                               array_fill('client ${client}'::text, ARRAY[cardinality(names)]));
      COMMIT;
    END LOOP;
  END $$`

test('writers who name the same documents in opposite orders do not deadlock, and seqs have no holes', async () => {
  const names = Array.from({ length: 12 }, (_, i) => `doc/${i}`)
  const writers = 6
  const rounds = 40
  await Promise.all(Array.from({ length: writers }, (_, i) =>
    database.psql(script(i + 1, i % 2 ? names : [...names].reverse(), rounds))))
  assert.equal(await database.psql(`
    SELECT count(*) FROM ydoc_data.document d
    WHERE d.seq <> ${writers * rounds}
       OR d.seq <> (SELECT count(DISTINCT l.seq) FROM ydoc_data.log l WHERE l.document = d.name)
       OR d.seq <> (SELECT max(l.seq) FROM ydoc_data.log l WHERE l.document = d.name)
       OR length(ydoc.text(d.name, 't')) <> ${writers * rounds}`), '0')
})

test('a reader who asks for what came after never misses a row', async () => {
  const writers = Array.from({ length: 4 }, (_, i) => database.psql(script(i + 1, ['followed'], 60)))
  const reader = database.psql(`
    DO $$
    DECLARE
      known bigint := 0;
      doc ydoc := ydoc();
      change record;
      tries integer := 0;
    BEGIN
      WHILE known < 240 AND tries < 100000 LOOP
        SELECT * INTO change FROM ydoc.changes('followed', known);
        IF change.update IS NOT NULL THEN
          doc := doc || change.update;
          known := change.seq;
        END IF;
        tries := tries + 1;
        COMMIT;
      END LOOP;
      IF length(ydoc_text(doc, 't')) <> 240 THEN
        RAISE EXCEPTION 'the reader has % characters at seq %', length(ydoc_text(doc, 't')), known;
      END IF;
    END $$`)
  await Promise.all([...writers, reader])
})

test('an old snapshot reads the document as it was, whatever the session has decoded since', async () => {
  const hello = "'\\x01010100040101740568656c6c6f00'::bytea"
  await database.psql(`SELECT ydoc.apply('old', ARRAY[${hello}])`)
  const slow = database.psql(`
    BEGIN ISOLATION LEVEL REPEATABLE READ;
    SELECT ydoc.text('old', 't');
    SELECT pg_sleep(1);
    SELECT ydoc.text('old', 't');
    COMMIT;
    SELECT ydoc.text('old', 't')`)
  await new Promise(resolve => setTimeout(resolve, 300))
  await database.psql("SELECT ydoc.apply('old', ARRAY['\\x01010200840104012100'::bytea])")
  assert.deepEqual((await slow).split('\n').filter(Boolean), ['hello', 'hello', 'hello!'])
})
