// pg_dump and restore into a fresh database: documents, and whatever a DBA added to the tables.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'

import { startDatabase } from '../relay/harness.mjs'

const run = promisify(execFile)
const hello = "'\\x01010100040101740568656c6c6f00'::bytea"
const world = "'\\x010101058401040620776f726c6400'::bytea"

let database

before(async () => { database = await startDatabase() })
after(() => database?.stop())

test('a dump keeps the documents and the policies, triggers, columns and indexes that were added', async () => {
  await database.psql(`
    SELECT ydoc.apply('notes/1', ARRAY[${hello}], 'ann');
    SELECT ydoc.apply('notes/1', ARRAY[${world}], 'ben');
    CREATE TABLE own (id integer PRIMARY KEY, doc ydoc);
    INSERT INTO own VALUES (1, ydoc.state('notes/1'));
    CREATE ROLE reader;
    ALTER TABLE ydoc_data.document ADD COLUMN project integer DEFAULT 7;
    ALTER TABLE ydoc_data.document ENABLE ROW LEVEL SECURITY;
    CREATE POLICY by_project ON ydoc_data.document TO reader USING (project = 7);
    CREATE TABLE audit (document text, seq bigint);
    CREATE FUNCTION note_log() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN INSERT INTO public.audit VALUES (NEW.document, NEW.seq); RETURN NULL; END $$;
    CREATE TRIGGER note AFTER INSERT ON ydoc_data.log FOR EACH ROW EXECUTE FUNCTION note_log();
    CREATE INDEX by_actor ON ydoc_data.log (actor)`)
  const socket = database.conninfo.match(/host=(\S+)/)[1]
  const connect = ['-h', socket, '-U', 'postgres']
  const { stdout: dump } = await run('pg_dump', [...connect, 'test'], { maxBuffer: 1 << 26 })
  await database.psql('CREATE DATABASE restored')
  const restore = execFile('psql', [...connect, '-d', 'restored', '-Xq', '-v', 'ON_ERROR_STOP=1'])
  restore.stdin.end(dump)
  assert.equal(await new Promise(resolve => restore.on('exit', resolve)), 0)

  const psql = sql => database.psql(sql, 'restored')
  assert.equal(await psql("SELECT ydoc.text('notes/1', 't')"), 'hello world')
  assert.equal(await psql("SELECT ydoc_text(doc, 't') FROM own"), 'hello world')
  assert.equal(await psql('SELECT string_agg(actor, \',\' ORDER BY seq) FROM ydoc_data.log'), 'ann,ben')
  assert.equal(await psql('SELECT project FROM ydoc_data.document'), '7')
  assert.equal(await psql("SELECT relrowsecurity FROM pg_class WHERE oid = 'ydoc_data.document'::regclass"), 't')
  assert.equal(await psql('SELECT polname FROM pg_policy'), 'by_project')
  assert.equal(await psql("SELECT count(*) FROM pg_indexes WHERE indexname = 'by_actor'"), '1')
  // the restored store goes on where it was, and the trigger fires
  assert.equal(await psql("SELECT ydoc.apply('notes/1', ARRAY['\\x0101020084010a012100'::bytea])"), '3')
  assert.equal(await psql("SELECT ydoc.text('notes/1', 't')"), 'hello world!')
  assert.equal(await psql('SELECT max(seq) FROM audit'), '3')
})
