-- Compaction: log rows are folded into segments and merged into stored states; documents stay as
-- they are, to the byte.  What waits for updates that have not come is kept, shown and bounded.
\set VERBOSITY terse
DO $$ BEGIN IF to_regclass('ydoc_data.document') IS NULL THEN PERFORM ydoc.create_store(); END IF; END $$;

-- client types text behind what it has typed before
CREATE FUNCTION pg_temp.varuint(number bigint) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
    bytes bytea := '';
BEGIN
    WHILE number > 127 LOOP
        bytes := bytes || set_byte('\x00', 0, ((number & 127) | 128)::integer);
        number := number >> 7;
    END LOOP;
    RETURN bytes || set_byte('\x00', 0, number::integer);
END
$$;
CREATE FUNCTION pg_temp.typed(client bigint, before bigint, text text) RETURNS bytea LANGUAGE sql AS $$
    SELECT '\x0101' || pg_temp.varuint(client) || pg_temp.varuint(before)
        || CASE WHEN before = 0 THEN '\x04010174'::bytea ELSE '\x84' || pg_temp.varuint(client) || pg_temp.varuint(before - 1) END
        || pg_temp.varuint(octet_length(text)) || convert_to(text, 'UTF8') || '\x00'
$$;
CREATE FUNCTION pg_temp.type_letters(document text, client bigint, first bigint, last bigint) RETURNS bigint LANGUAGE sql AS $$
    SELECT max(ydoc.apply(document, ARRAY[pg_temp.typed(client, n, chr((97 + n % 26)::integer))], 'ann')) FROM generate_series(first, last) n
$$;
CREATE TEMPORARY TABLE was (document text PRIMARY KEY, state bytea);
CREATE FUNCTION pg_temp.remember(document text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO was VALUES (document, ydoc.state(document)::bytea)
    ON CONFLICT ON CONSTRAINT was_pkey DO UPDATE SET state = EXCLUDED.state
$$;
-- decoded anew from its rows, is it what it was, and what the log says?
CREATE FUNCTION pg_temp.same(name text, OUT bytes boolean, OUT log boolean) LANGUAGE sql AS $$
    SELECT ydoc.state(name)::bytea = w.state, ydoc.state(name) = (SELECT ydoc_merge(update ORDER BY seq) FROM ydoc_data.log l WHERE l.document = name)
    FROM was w WHERE w.document = name
$$;
CREATE FUNCTION pg_temp.stored(
    name text, OUT seq bigint, OUT state_seq bigint, OUT segments text, OUT log_rows bigint, OUT tail_rows bigint) LANGUAGE sql AS $$
    SELECT d.seq, d.state_seq, (SELECT string_agg(s.seq_from || '-' || s.seq, ' ' ORDER BY s.seq) FROM ydoc_data.segment s WHERE s.document = name),
           (SELECT count(*) FROM ydoc_data.log l WHERE l.document = name), d.tail_rows
    FROM ydoc_data.document d WHERE d.name = name AND d.name = stored.name
$$;
SET ydoc.cache_size = 0;
DELETE FROM ydoc_data.due;

-- ---- folding ----
-- 199 rows are too few, one more is a case for compaction, and is noted once
SELECT pg_temp.type_letters('compact/1', 1, 0, 198);
SELECT * FROM ydoc.compact('compact/1');
SELECT count(*) FROM ydoc_data.due;
SELECT pg_temp.type_letters('compact/1', 1, 199, 249);
SELECT document FROM ydoc_data.due;
SELECT pg_temp.remember('compact/1');
SELECT did, seq, log_rows, bytes < (SELECT sum(octet_length(update)) FROM ydoc_data.log WHERE document = 'compact/1') AS is_less FROM ydoc.compact('compact/1');
SELECT * FROM pg_temp.stored('compact/1');
SELECT * FROM pg_temp.same('compact/1');
SELECT count(*) FROM ydoc_data.due;
SELECT did FROM ydoc.compact('compact/1');
-- segments of like size become one
SELECT pg_temp.type_letters('compact/1', 1, 250, 459), pg_temp.remember('compact/1');
SELECT ydoc.compact_due();
SELECT * FROM pg_temp.stored('compact/1');
SELECT * FROM pg_temp.same('compact/1');
SELECT pg_temp.type_letters('compact/1', 1, 460, 679), ydoc.compact_due(), pg_temp.remember('compact/1');
SELECT * FROM pg_temp.stored('compact/1');
SELECT * FROM pg_temp.same('compact/1');
SELECT pg_temp.type_letters('compact/1', 1, 680, 700), pg_temp.remember('compact/1');
-- history is read from the log as before
SELECT length(ydoc_text(ydoc.state_at('compact/1', 300), 't')), length(ydoc_text(ydoc.state_at('compact/1', 500), 't'));
SELECT seq, length(ydoc_text(ydoc(update), 't')) FROM ydoc.changes('compact/1', 0);

-- ---- storing ----
SELECT did, seq, log_rows FROM ydoc.compact('compact/1', true);
SELECT * FROM pg_temp.stored('compact/1');
SELECT * FROM pg_temp.same('compact/1');
SELECT seq, state::bytea = (SELECT w.state FROM was w WHERE w.document = s.document) AS same FROM ydoc_data.state s WHERE document = 'compact/1';
SELECT did FROM ydoc.compact('compact/1', true);
-- writing goes on
SELECT pg_temp.type_letters('compact/1', 1, 701, 702), pg_temp.remember('compact/1');
SELECT * FROM pg_temp.same('compact/1');
SELECT length(ydoc_text(ydoc.state_at('compact/1', 300), 't')) AS before_the_stored_state;
-- bytes count as well as rows
SELECT ydoc.apply('compact/2', ARRAY[pg_temp.typed(1, 0, repeat('x', 20000))]), count(*) FROM ydoc_data.due;
SELECT ydoc.apply('compact/2', ARRAY[pg_temp.typed(1, 20000, repeat('y', 20000))]);
SELECT document FROM ydoc_data.due;
SELECT pg_temp.remember('compact/2'), ydoc.compact_due();
SELECT * FROM pg_temp.stored('compact/2');
SELECT * FROM pg_temp.same('compact/2');
-- a large state is moved by half as much: until then its tail is folded
SELECT ydoc.apply('compact/2', ARRAY[pg_temp.typed(1, 40000, repeat('z', 100000))]), ydoc.compact_due();
SELECT * FROM pg_temp.stored('compact/2');
SELECT ydoc.apply('compact/2', ARRAY[pg_temp.typed(1, 140000 + 20000 * n, repeat('z', 20000))]) FROM generate_series(0, 1) n;
SELECT pg_temp.remember('compact/2'), did FROM ydoc.compact('compact/2');
SELECT * FROM pg_temp.stored('compact/2');
SELECT * FROM pg_temp.same('compact/2');
-- SQL edits count too
SET ydoc.compact_rows = 2;
SELECT ydoc.text_append('compact/3', 't', 'one');
SELECT ydoc.text_append('compact/3', 't', ' two');
SELECT document FROM ydoc_data.due;
BEGIN;
SELECT ydoc.text_append('compact/3', 't', ' three');
SELECT did, seq, log_rows FROM ydoc.compact('compact/3');
SELECT ydoc.text('compact/3', 't');
ROLLBACK;
SELECT ydoc.text('compact/3', 't'), (SELECT count(*) FROM ydoc_data.segment WHERE document = 'compact/3') AS segments;
SELECT did, seq, log_rows FROM ydoc.compact('compact/3');
SELECT ydoc.text('compact/3', 't');
RESET ydoc.compact_rows;

-- ---- all of them ----
CALL ydoc.compact_all(1, true);
CALL ydoc.compact_all(force => true) \gset
SELECT :compacted >= 2 AS compacted;
SELECT name, seq = state_seq AS stored, tail_rows, tail_bytes FROM ydoc_data.document WHERE name LIKE 'compact/%' ORDER BY 1;
CALL ydoc.compact_all();
BEGIN;
CALL ydoc.compact_all();
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
SELECT ydoc.compact_due(-1);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.compact('compact/nobody');
\echo :LAST_ERROR_SQLSTATE

-- ---- rights ----
-- whoever may write queues documents, and needs no right on the queue
CREATE ROLE regress_ydoc_writer;
GRANT USAGE ON SCHEMA ydoc_data TO regress_ydoc_writer;
GRANT SELECT, INSERT, UPDATE ON ydoc_data.document, ydoc_data.log TO regress_ydoc_writer;
SET ROLE regress_ydoc_writer;
SELECT ydoc.apply('compact/4', ARRAY[pg_temp.typed(1, 0, repeat('x', 20000)), pg_temp.typed(1, 20000, repeat('x', 20000))]);
SELECT ydoc.apply('compact/4', ARRAY[pg_temp.typed(2, 5, 'too early')]);
SELECT ydoc.compact('compact/4');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT document FROM ydoc_data.due;
SELECT document, client FROM ydoc_data.waiting WHERE document = 'compact/4';
-- who does not see all of the store does not compact what he sees
GRANT ALL ON ALL TABLES IN SCHEMA ydoc_data TO regress_ydoc_writer;
ALTER TABLE ydoc_data.log ENABLE ROW LEVEL SECURITY;
CREATE POLICY early ON ydoc_data.log USING (seq < 2);
SET ROLE regress_ydoc_writer;
SELECT ydoc.compact('compact/4');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.compact_due();
RESET ROLE;
DROP POLICY early ON ydoc_data.log;
ALTER TABLE ydoc_data.log DISABLE ROW LEVEL SECURITY;
SET ROLE regress_ydoc_writer;
SELECT ydoc.compact_due();
RESET ROLE;
-- segments that may not be read are not needed: the log has what they hold
SELECT pg_temp.type_letters('compact/5', 1, 0, 300), ydoc.compact_due();
REVOKE ALL ON ydoc_data.segment FROM regress_ydoc_writer;
SET ROLE regress_ydoc_writer;
SELECT length(ydoc.text('compact/5', 't'));
RESET ROLE;
UPDATE ydoc_data.segment SET update = '\x01' WHERE document = 'compact/5';
SELECT length(ydoc.text('compact/5', 't'));
DELETE FROM ydoc_data.segment WHERE document = 'compact/5';
SELECT length(ydoc.text('compact/5', 't'));
SELECT did, seq FROM ydoc.compact('compact/5', true);
DROP OWNED BY regress_ydoc_writer;
DROP ROLE regress_ydoc_writer;

-- ---- what waits ----
SELECT count(*) FROM ydoc.waiting() WHERE document LIKE 'compact/%' AND document <> 'compact/4';
SELECT ydoc.apply('compact/6', ARRAY[pg_temp.typed(1, 0, 'cat')]);
SELECT ydoc.apply('compact/6', ARRAY[pg_temp.typed(1, 7, 's')]);
SELECT ydoc.apply('compact/6', ARRAY[pg_temp.typed(7, 9, '!'), '\x0001080105030001'::bytea]);
SELECT document, client, clock_from, clock_to, bytes > 100 AS bytes, since <= now() AS since FROM ydoc.waiting() WHERE document = 'compact/6';
-- is kept
SELECT pg_temp.remember('compact/6'), did FROM ydoc.compact('compact/6', true);
SELECT bytes FROM pg_temp.same('compact/6');
SELECT document, client, clock_from, clock_to FROM ydoc.waiting() WHERE document = 'compact/6';
SELECT ydoc.apply('compact/6', ARRAY[pg_temp.typed(1, 3, 'fish')]);
SELECT ydoc.text('compact/6', 't');
SELECT client FROM ydoc_data.waiting WHERE document = 'compact/6' ORDER BY 1;
SELECT pg_temp.remember('compact/6'), did FROM ydoc.compact('compact/6', true);
SELECT bytes FROM pg_temp.same('compact/6');
SELECT ydoc.apply('compact/6', ARRAY[pg_temp.typed(7, 0, 'and a dog'), pg_temp.typed(8, 0, 'and cows')]);
SELECT count(*) FROM ydoc.waiting() WHERE document = 'compact/6';
SELECT ydoc_text(ydoc_merge(update), 't') = ydoc.text('compact/6', 't') AS as_the_log FROM ydoc_data.log WHERE document = 'compact/6';

-- is bounded, in all and for one client; what was accepted stays
SET ydoc.max_waiting_size = '100kB';
SET ydoc.max_waiting_client_size = '70kB';
SELECT ydoc.apply('compact/7', ARRAY[pg_temp.typed(1, 5, repeat('x', 60000))]);
SELECT ordinal, seq, sqlstate, message FROM ydoc.apply_batch(array_fill('compact/7'::text, ARRAY[4]),
    ARRAY[pg_temp.typed(1, 60005, repeat('x', 20000)), pg_temp.typed(2, 5, repeat('x', 50000)), pg_temp.typed(2, 5, repeat('x', 30000)), pg_temp.typed(3, 0, 'here')],
    array_fill(NULL::text, ARRAY[4]));
SELECT ydoc.apply('compact/7', ARRAY[pg_temp.typed(4, 5, repeat('x', 50000))]);
\echo :LAST_ERROR_SQLSTATE
-- deletes that wait, too
SELECT ydoc.apply('compact/7', ARRAY['\x0001'::bytea || pg_temp.varuint(5) || pg_temp.varuint(1000) || (SELECT string_agg(pg_temp.varuint(2 * n) || '\x01', ''::bytea ORDER BY n) FROM generate_series(0, 999) n)]);
\echo :LAST_ERROR_SQLSTATE
-- a document that holds more than is allowed now is read as ever
SET ydoc.max_waiting_size = '1kB';
SELECT ydoc.text('compact/7', 't'), did FROM ydoc.compact('compact/7', true);
SELECT ydoc.apply('compact/7', ARRAY[pg_temp.typed(1, 0, 'tiny '), pg_temp.typed(2, 0, 'space')]);
SELECT length(ydoc.text('compact/7', 't')), (SELECT count(*) FROM ydoc.waiting() WHERE document = 'compact/7') AS waiting;
RESET ydoc.max_waiting_size;
RESET ydoc.max_waiting_client_size;

-- Structs that wait for one another although all has come, as they do in Yjs when updates come in this
-- order, are healed.
SELECT ydoc.apply('compact/8', ARRAY[update]) FROM (VALUES (1, '\x01010301c402000300016300'::bytea), (2, '\x01010202840300016500'),
    (3, '\x0101030004010174016100'), (4, '\x01010200440300016200'), (5, '\x01010201c403010300016400')) u (number, update) ORDER BY number;
SELECT ydoc.text('compact/8', 't'), array_agg(client) FROM ydoc.waiting() WHERE document = 'compact/8';
SET ydoc.cache_size = '16MB';
SELECT ydoc.text('compact/8', 't');
SELECT did FROM ydoc.compact('compact/8', true);
SELECT ydoc.text('compact/8', 't'), ydoc_text(ydoc_merge(update), 't') FROM ydoc_data.log WHERE document = 'compact/8';
SELECT count(*) FROM ydoc.waiting() WHERE document = 'compact/8';
SET ydoc.cache_size = 0;

-- ---- documents that cannot be decoded ----
SELECT pg_temp.type_letters('compact/9', 1, 0, 220), pg_temp.type_letters('compact/90', 1, 0, 220);
UPDATE ydoc_data.log SET update = '\x01010100' WHERE document = 'compact/9' AND seq = 100;
SELECT ydoc.compact_due();
SELECT did FROM ydoc.compact('compact/9', true);
SELECT document, seq, problem, sqlstate, at <= now() AS at FROM ydoc.fenced();
SELECT document FROM ydoc_data.due;
SELECT * FROM pg_temp.stored('compact/90');
-- is not tried again, and takes no updates
INSERT INTO ydoc_data.due VALUES ('compact/9');
SELECT ydoc.compact_due();
SELECT count(*) FROM ydoc_data.due;
CALL ydoc.compact_all(force => true) \gset
SELECT state_seq FROM ydoc_data.document WHERE name = 'compact/9';
SELECT ydoc.apply('compact/9', ARRAY[pg_temp.typed(2, 0, 'x')]);
\echo :LAST_ERROR_SQLSTATE
DELETE FROM ydoc_data.fence;
SELECT ordinal, seq, sqlstate FROM ydoc.apply_batch('{compact/9,compact/90}', ARRAY[pg_temp.typed(2, 0, 'x'), pg_temp.typed(2, 0, 'x')], '{NULL,NULL}');
SELECT document, problem FROM ydoc.fenced();
-- until it is repaired
UPDATE ydoc_data.log SET update = pg_temp.typed(1, 99, 'X') WHERE document = 'compact/9' AND seq = 100;
SELECT ydoc.unfence('compact/9'), ydoc.unfence('compact/8');
SELECT ydoc.compact_due();
SELECT (SELECT count(*) FROM ydoc.fenced()) AS fenced, (SELECT count(*) FROM ydoc_data.due) AS due;
SELECT substr(ydoc.text('compact/9', 't'), 99, 3);
-- or a row that nobody has any more is emptied, and an editor brings what was in it
SELECT length(ydoc.text('compact/9', 't')) AS whole;
UPDATE ydoc_data.log SET update = '\xff' WHERE document = 'compact/9' AND seq = 150;
DELETE FROM ydoc_data.segment WHERE document = 'compact/9';
DELETE FROM ydoc_data.state WHERE document = 'compact/9';
SET ydoc.cache_size = 0;
SELECT ydoc.text('compact/9', 't');
\echo :LAST_ERROR_SQLSTATE
SELECT seq FROM ydoc_data.log WHERE document = 'compact/9' AND NOT yupdate_valid(update);
UPDATE ydoc_data.log SET update = '\x0000' WHERE document = 'compact/9' AND seq = 150;
SELECT length(ydoc.text('compact/9', 't')) AS before_it;
SELECT ydoc.apply('compact/9', ARRAY[pg_temp.typed(1, 149, 'x')]) AS seq;
SELECT length(ydoc.text('compact/9', 't')) AS whole;
RESET ydoc.cache_size;
-- a gap in the log; whoever compacts by name tries again
DELETE FROM ydoc_data.log WHERE document = 'compact/90' AND seq = 222 RETURNING seq;
UPDATE ydoc_data.document SET state_seq = 0, segment_seq = 0 WHERE name = 'compact/90';
DELETE FROM ydoc_data.state WHERE document = 'compact/90';
SELECT did FROM ydoc.compact('compact/90', true);
SELECT document, problem FROM ydoc.fenced();
INSERT INTO ydoc_data.log (document, seq_from, seq, update) VALUES ('compact/90', 222, 222, pg_temp.typed(2, 0, 'x'));
SELECT did FROM ydoc.compact('compact/90', true);
SELECT count(*) FROM ydoc.fenced();
-- making search's words fences as well
BEGIN;
DELETE FROM ydoc_data.state WHERE document = 'compact/90';
DELETE FROM ydoc_data.log WHERE document = 'compact/90' AND seq = 5;
DROP TABLE IF EXISTS ydoc_data.search, ydoc_data.search_config;
SELECT ydoc.create_search();
SELECT ydoc.update_search(1000000) > 1 AS others_too;
SELECT document, problem, sqlstate FROM ydoc.fenced();
ROLLBACK;

-- ---- documents that are renamed or deleted ----
SELECT pg_temp.type_letters('compact/10', 1, 0, 220), ydoc.apply('compact/10', ARRAY[pg_temp.typed(2, 5, 'early')]), ydoc.compact_due();
INSERT INTO ydoc_data.due VALUES ('compact/10');
SELECT ydoc.rename('compact/10', 'compact/11');
SELECT segments FROM pg_temp.stored('compact/11');
SELECT document, client FROM ydoc.waiting() WHERE document LIKE 'compact/1_';
SELECT document FROM ydoc_data.due;
SELECT ydoc.compact('compact/10', true);
\echo :LAST_ERROR_SQLSTATE
SELECT did FROM ydoc.compact('compact/11', true);
SELECT ydoc.apply('compact/11', ARRAY[pg_temp.typed(2, 0, 'late ')]), length(ydoc.text('compact/11', 't'));
SELECT ydoc.delete('compact/11');
INSERT INTO ydoc_data.due VALUES ('compact/11') ON CONFLICT DO NOTHING;
SELECT ydoc.compact_due();
SELECT count(*) FROM ydoc_data.due;
\set VERBOSITY sqlstate
SELECT ydoc.compact('compact/11', true);
\set VERBOSITY terse
SELECT ydoc.undelete('compact/11');
SELECT did, length(ydoc.text('compact/11', 't')) FROM ydoc.compact('compact/11', true);
SELECT ydoc.purge('compact/11'), ydoc."create"('compact/11', ydoc_from_text('anew', 't'));
SELECT * FROM pg_temp.stored('compact/11');
SELECT did FROM ydoc.compact('compact/11', true);
SELECT ydoc.text('compact/11', 't');

-- ---- what is stored is not lost ----
-- no state is put in the place of one that reaches as far
UPDATE ydoc_data.document SET state_seq = 0 WHERE name = 'compact/1';
SELECT ydoc.compact('compact/1', true);
\echo :LAST_ERROR_SQLSTATE
SELECT seq = (SELECT d.seq FROM ydoc_data.document d WHERE d.name = 'compact/1') AS is_there FROM ydoc_data.state WHERE document = 'compact/1';
UPDATE ydoc_data.document SET state_seq = seq WHERE name = 'compact/1';
-- an error stops no other document, and is not met again at once
CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON ydoc_data.state FOR EACH ROW WHEN (NEW.document = 'compact/a') EXECUTE FUNCTION pg_temp.refuse();
SELECT ydoc.apply('compact/' || name, ARRAY[pg_temp.typed(1, 0, repeat('x', 40000))]) FROM unnest('{a,b}'::text[]) name;
SELECT ydoc.compact_due();
SELECT document, at > now() AS later FROM ydoc_data.due;
SELECT ydoc.compact_due();
CALL ydoc.compact_all();
DROP TRIGGER refuse ON ydoc_data.state;
SELECT did FROM ydoc.compact('compact/a');
SELECT count(*) FROM ydoc_data.due;

DELETE FROM ydoc_data.document WHERE name LIKE 'compact/%';
SELECT (SELECT count(*) FROM ydoc_data.segment) + (SELECT count(*) FROM ydoc_data.due) + (SELECT count(*) FROM ydoc_data.waiting) + (SELECT count(*) FROM ydoc_data.fence) AS left;
