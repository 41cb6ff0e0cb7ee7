-- Accepting updates: many documents at once, refusals, order, notifications, roll-back.
\set hello '''\\x01010100040101740568656c6c6f00''::bytea'
\set world '''\\x010101058401040620776f726c6400''::bytea'
\set excl '''\\x01010200840104012100''::bytea'
\set del '''\\x000101010001''::bytea'

-- one row for each input; a log row for each document and run of one actor
SELECT ordinal, epoch > 1 AS epoch, seq, logged IS NOT NULL AS closes_a_row, sqlstate, message
FROM ydoc.apply_batch(
    ARRAY['b/2', 'b/1', 'b/2', 'b/1', 'b/2', 'b/3'],
    ARRAY[:hello, :hello, '\x0101'::bytea, :world, :excl, :hello],
    ARRAY['ann', 'ann', 'eve', 'ben', 'ann', NULL]);
SELECT document, seq_from, seq, actor FROM ydoc_data.log WHERE document LIKE 'b/%' ORDER BY 1, 3;
SELECT ydoc.text('b/1', 't'), ydoc.text('b/2', 't'), ydoc.text('b/3', 't');
-- a refused update took no seq and left no trace
SELECT ydoc.json('b/2');
SELECT ordinal, seq, logged FROM ydoc.apply_batch(ARRAY['b/1', 'b/1'], ARRAY[:hello, '\x0000'::bytea], ARRAY[NULL, NULL]);
-- to open a document and write nothing makes none
SELECT ordinal, epoch, seq, logged FROM ydoc.apply_batch(ARRAY['b/9'], ARRAY['\x0000'::bytea], ARRAY['ann']);
SELECT count(*) FROM ydoc_data.document WHERE name = 'b/9';
SELECT count(*) FROM ydoc.apply_batch('{}', '{}', '{}');
-- nor does one of whose updates none can be taken
SELECT ordinal, epoch <> 0 AS epoch, seq, sqlstate FROM ydoc.apply_batch(
    ARRAY['b/none', 'b/none', 'b/some', 'b/some', 'b/none', 'b/2'],
    ARRAY['\x0101'::bytea, '\x0000', '\x0101', :hello, '\x00', '\x0101'], NULL);
SELECT name, seq FROM ydoc_data.document WHERE name IN ('b/none', 'b/some');
SELECT ordinal, sqlstate FROM ydoc.apply_batch(ARRAY['b/none'], ARRAY['\x0101'::bytea], NULL);
-- though what waits for others is taken
SELECT ordinal, seq, sqlstate FROM ydoc.apply_batch(ARRAY['b/waits', 'b/waits'], ARRAY['\x0101'::bytea, :world], NULL);
DELETE FROM ydoc_data.document WHERE name = 'b/waits';

-- all or nothing
SELECT ydoc.apply('b/4', ARRAY[:hello, '\x010101']);
\echo :LAST_ERROR_SQLSTATE

SELECT ydoc.text('b/4', 't') IS NULL AS nothing_stored;
-- an update of format 2 is not taken for nothing, and a rest; what deletes only is none
SELECT ordinal, sqlstate, message FROM ydoc.apply_batch(ARRAY['b/2', 'b/2'], ARRAY[yupdate_convert(:world, 1, 2), :del], ARRAY[NULL, NULL]);
SELECT ydoc.apply('b/4', ARRAY[yupdate_convert(:hello, 1, 2)]);
\echo :LAST_ERROR_SQLSTATE
SET ydoc.max_update_size = '1kB';
SELECT sqlstate, message FROM ydoc.apply_batch(ARRAY['b/4'], ARRAY[decode(repeat('00', 2000), 'hex')], ARRAY[NULL]);
SELECT count(*) FROM ydoc_data.document WHERE name = 'b/4';
RESET ydoc.max_update_size;
SELECT ydoc.apply_batch(ARRAY['b/4'], ARRAY[:hello, :hello], ARRAY[NULL, NULL]);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.apply_batch(ARRAY[NULL], ARRAY[:hello], ARRAY[NULL]);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.apply('b/4', ARRAY[NULL]::bytea[]);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.apply('b/4', '{}');
\echo :LAST_ERROR_SQLSTATE

-- thousands at once
SELECT count(*), count(DISTINCT seq), max(seq) FROM ydoc.apply_batch(
    array_fill('many/1'::text, ARRAY[3000]) || (SELECT array_agg('many/' || i) FROM generate_series(1, 3000) i),
    array_fill(:hello, ARRAY[6000]), array_fill(NULL::text, ARRAY[6000]));
SELECT count(*), sum(seq) FROM ydoc_data.document WHERE name LIKE 'many/%';

-- what is rolled back is gone from the session's memory too
BEGIN;
SELECT ydoc.apply('roll/1', ARRAY[:hello]);
SAVEPOINT here;
SELECT ydoc.apply('roll/1', ARRAY[:excl]);
SELECT ydoc.text('roll/1', 't');
ROLLBACK TO here;
SELECT ydoc.text('roll/1', 't');
SELECT ydoc.apply('roll/1', ARRAY[:world]);
COMMIT;
SELECT ydoc.text('roll/1', 't');
BEGIN;
SELECT ydoc.apply('roll/1', ARRAY[:excl]);
ROLLBACK;
SELECT ydoc.text('roll/1', 't'), seq FROM ydoc.heads(ARRAY['roll/1']);
SELECT ydoc.apply('roll/1', ARRAY[:excl]);
SELECT ydoc.text('roll/1', 't');
-- without a cache everything is the same
SET ydoc.cache_size = 0;
SELECT ydoc.text('roll/1', 't');
SELECT ydoc.apply('roll/1', ARRAY[:del]);
SELECT ydoc.text('roll/1', 't');
RESET ydoc.cache_size;
-- an old snapshot sees the document as it was
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT ydoc.text('roll/1', 't');
COMMIT;

-- a document that is deleted and made anew is another one, also for whoever has it decoded
DELETE FROM ydoc_data.document WHERE name = 'roll/1';
SELECT ydoc.text('roll/1', 't') IS NULL AS gone;
SELECT ydoc.apply('roll/1', ARRAY[:hello]);
SELECT ydoc.apply('roll/1', ARRAY[:excl]);
SELECT ydoc.text('roll/1', 't');

-- a transaction cannot be prepared that listeners should hear of
BEGIN;
SELECT ydoc.apply('roll/1', ARRAY[:world]);
PREPARE TRANSACTION 'regress_ydoc';
SELECT ydoc.text('roll/1', 't');
-- what is NULL is not lost without a word; no actors are nobody
SELECT ydoc.apply(NULL, ARRAY['\x0000'::bytea]);
SELECT ydoc.apply('b/null', NULL);
SELECT * FROM ydoc.apply_batch(NULL, ARRAY['\x0000'::bytea], NULL);
SELECT * FROM ydoc.apply_batch(ARRAY['b/null'], NULL, NULL);
SELECT seq FROM ydoc.apply_batch(ARRAY['b/null'], ARRAY['\x01010100040101740568656c6c6f00'::bytea], NULL);
SELECT actor IS NULL AS nobody FROM ydoc_data.log WHERE document = 'b/null';
SELECT ydoc.edit(NULL, '[]');
SELECT ydoc.edit('b/null', NULL);
SELECT ydoc_edit(ydoc(), NULL);
SELECT ydoc_edit(NULL, '[]') IS NULL AS "null";

-- what somebody has put onto the tables is asked, though batches go past statements without it
CREATE TABLE heard (document text, seq bigint);
CREATE FUNCTION hear() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.heard VALUES (NEW.document, NEW.seq); RETURN NEW; END';
CREATE TRIGGER hear AFTER INSERT ON ydoc_data.log FOR EACH ROW EXECUTE FUNCTION hear();
SELECT seq FROM ydoc.apply_batch(ARRAY['b/plain'], ARRAY['\x01010100040101740568656c6c6f00'::bytea], NULL);
DROP TRIGGER hear ON ydoc_data.log;
SELECT seq FROM ydoc.apply_batch(ARRAY['b/plain'], ARRAY['\x01010200040101740568656c6c6f00'::bytea], NULL);
SELECT * FROM heard;
\set VERBOSITY terse
ALTER TABLE ydoc_data.log ADD CHECK (actor <> 'mallory');
SELECT seq FROM ydoc.apply_batch(ARRAY['b/plain'], ARRAY['\x01010300040101740568656c6c6f00'::bytea], ARRAY['mallory']);
\set VERBOSITY default
SELECT ordinal, epoch <> 0 AS epoch, seq, sqlstate FROM ydoc.apply_batch(
    ARRAY['b/none', 'b/first', 'b/none', 'b/first', 'b/plain'], ARRAY['\x0101'::bytea, '\x0101', '\x0000', :hello, '\x0101'], NULL);
SELECT name FROM ydoc_data.document WHERE name IN ('b/none', 'b/first');
ALTER TABLE ydoc_data.log DROP CONSTRAINT log_actor_check;
ALTER TABLE ydoc_data.log ADD COLUMN noted integer DEFAULT 7;
SELECT seq FROM ydoc.apply_batch(ARRAY['b/plain'], ARRAY['\x01010300040101740568656c6c6f00'::bytea], ARRAY['mallory']);
SELECT actor, noted FROM ydoc_data.log WHERE document = 'b/plain' ORDER BY seq;
ALTER TABLE ydoc_data.log DROP COLUMN noted;
-- more than a page of rows, more than once
SELECT count(*), min(seq), max(seq) FROM ydoc.apply_batch(array_fill('b/page'::text, ARRAY[100]),
    ARRAY(SELECT ('\x0101' || to_hex(i + 15) || '00040101740161' || '00')::bytea FROM generate_series(1, 100) i), ARRAY(SELECT 'actor ' || i FROM generate_series(1, 100) i));
SELECT count(*), count(DISTINCT actor), max(seq) FROM ydoc_data.log WHERE document = 'b/page';
SELECT length(ydoc.text('b/page', 't'));
DROP FUNCTION hear CASCADE;
DROP TABLE heard;

-- a session remembers where rows are; they may be elsewhere by now
SELECT count(*) FROM ydoc.apply_batch(ARRAY['place/1', 'place/2', 'place/3'], ARRAY[:hello, :hello, :hello], NULL);
SELECT seq FROM ydoc.apply_batch(ARRAY['place/2', 'place/3'], ARRAY[:world, :excl], NULL);
BEGIN;
SELECT pg_stat_get_xact_numscans('ydoc_data.document_pkey'::regclass) AS before \gset
SELECT seq FROM ydoc.apply_batch(ARRAY['place/1', 'place/2'], ARRAY[:excl, :excl], NULL);
SELECT pg_stat_get_xact_numscans('ydoc_data.document_pkey'::regclass) - :before AS "look-ups in the index";
ROLLBACK;
-- under each other's names
BEGIN;
UPDATE ydoc_data.document SET name = 'place/0' WHERE name = 'place/2';
UPDATE ydoc_data.document SET name = 'place/2' WHERE name = 'place/3';
UPDATE ydoc_data.document SET name = 'place/3' WHERE name = 'place/0';
COMMIT;
SELECT seq FROM ydoc.apply_batch(ARRAY['place/2', 'place/3'], ARRAY['\x01010300040101750178' || '\x00'::bytea, '\x01010400040101750179' || '\x00'::bytea], NULL);
SELECT name, seq, ydoc.text(name, 't'), ydoc.text(name, 'u') FROM ydoc_data.document WHERE name LIKE 'place/%' ORDER BY 1;
-- another document's in the place
DELETE FROM ydoc_data.document WHERE name = 'place/3';
VACUUM ydoc_data.document;
SELECT seq FROM ydoc.apply_batch(ARRAY['other place/1', 'other place/2', 'other place/3'], ARRAY[:hello, :hello, :hello], NULL);
SELECT seq FROM ydoc.apply_batch(ARRAY['place/3', 'place/2'], ARRAY[:hello, :excl], NULL);
-- versions on other pages, and their beginning cleared away
DO $$ BEGIN
    FOR i IN 1..400 LOOP
        PERFORM ydoc.apply_batch(ARRAY['place/1'], ARRAY[('\x0101' || to_hex(128 + i % 128) || '0' || i / 128 || '0004010175017a00')::bytea], NULL);
    END LOOP;
END $$;
SELECT seq FROM ydoc.apply_batch(ARRAY['place/1'], ARRAY[:world], NULL);
VACUUM ydoc_data.document;
SELECT seq FROM ydoc.apply_batch(ARRAY['place/1'], ARRAY['\x0101ff0f0004010176016100'::bytea], NULL);
-- a table that was written anew, and is shorter
SELECT count(*) FROM ydoc.apply_batch(ARRAY(SELECT 'rows/' || i FROM generate_series(1, 500) i), ARRAY(SELECT :hello FROM generate_series(1, 500)), NULL);
SELECT pg_relation_size('ydoc_data.document') AS size \gset
DELETE FROM ydoc_data.document WHERE name LIKE 'rows/%' AND name <> 'rows/500';
DELETE FROM ydoc_data.document WHERE name LIKE 'many/%';
VACUUM FULL ydoc_data.document;
SELECT pg_relation_size('ydoc_data.document') < :size AS shorter;
SELECT seq FROM ydoc.apply_batch(ARRAY['rows/500', 'rows/400', 'place/1'], ARRAY[:world, :hello, '\x0101fe0f0004010176016200'::bytea], NULL);
SELECT name, seq, ydoc.text(name, 't') FROM ydoc_data.document WHERE name LIKE 'place/%' OR name LIKE 'rows/%' ORDER BY 1;
-- taken back
BEGIN;
DELETE FROM ydoc_data.document WHERE name = 'rows/500';
SELECT seq FROM ydoc.apply_batch(ARRAY['rows/500'], ARRAY[:hello], NULL);
ROLLBACK;
SELECT seq FROM ydoc.apply_batch(ARRAY['rows/500'], ARRAY[:excl], NULL);
SELECT ydoc.text('rows/500', 't');

-- ---- an index that only summarizes ----
-- from 16 on the row may stay on its page in spite of it; it is told all the same
SELECT seq FROM ydoc.apply_batch(ARRAY['summary/1'], ARRAY[:hello], NULL);
CREATE INDEX summary ON ydoc_data.document USING brin (tail_bytes) WITH (pages_per_range = 1);
SELECT seq FROM ydoc.apply_batch(ARRAY['summary/1'], ARRAY[ydoc_from_text(repeat('x', 2000000), 'u')::bytea], NULL);
SET enable_seqscan = off;
SELECT name FROM ydoc_data.document WHERE tail_bytes > 2000000;
RESET enable_seqscan;
DROP INDEX ydoc_data.summary;

-- ---- from where ----
SET ydoc.source = 'a shell';
SELECT ordinal, seq, logged_from FROM ydoc.apply_batch(array_fill('source/1'::text, ARRAY[4]),
    ARRAY['\x0101010004010174016100'::bytea, '\x0101020004010174016200', '\x0101030004010174016300', '\x0101040004010174016400'],
    array_fill('ann'::text, ARRAY[4]), sources => ARRAY['192.0.2.1', '192.0.2.1', '192.0.2.2', NULL]);
RESET ydoc.source;
SELECT seq FROM ydoc.apply_batch(ARRAY['source/1'], ARRAY['\x0101050004010174016500'::bytea], ARRAY['ann'], sources => '{}');
ALTER TABLE ydoc_data.log ADD COLUMN own text; -- by statements, now
SELECT seq FROM ydoc.apply_batch(ARRAY['source/1', 'source/1'], ARRAY['\x0101060004010174016600'::bytea, '\x0101070004010174016700'], ARRAY['ann', 'ann'],
    sources => ARRAY['2001:db8::/64', NULL]);
ALTER TABLE ydoc_data.log DROP COLUMN own;
SELECT seq_from, seq, actor, source FROM ydoc.audit('source/1');
SELECT seq_from, seq, actor, source, log_rows FROM ydoc.history('source/1');
SELECT ydoc.apply_batch(ARRAY['source/1'], ARRAY['\x0101080004010174016800'::bytea], NULL, sources => '{a, b}');
\echo :LAST_ERROR_SQLSTATE
