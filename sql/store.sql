-- The store: tables, reading, and what a missing document gives.
\set hello '''\\x01010100040101740568656c6c6f00''::bytea'
\set world '''\\x010101058401040620776f726c6400''::bytea'
\set excl '''\\x01010200840104012100''::bytea'
\set del '''\\x000101010001''::bytea'
\set state '''\\x02010200840104012102010001010174018401000a656c6c6f20776f726c640101010001''::bytea'
\set dsv '''\\x020201010b''::bytea'
\set hellosv '''\\x010105''::bytea'
\set diff '''\\x0201020084010401210101058401040620776f726c640101010001''::bytea'

SELECT ydoc.text('notes/1', 't');
\echo :LAST_ERROR_SQLSTATE
-- whatever one begins with, it says so
CREATE FUNCTION pg_temp.without_store(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    hint text;
BEGIN
    EXECUTE 'SELECT * FROM ' || call;
    RETURN 'fine';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN concat_ws('; ', SQLSTATE, SQLERRM, hint);
END
$$;
SELECT pg_temp.without_store(call) AS says, count(*) > 40 AS most FROM unnest(ARRAY[
    $$ydoc.text_append('a', 't', 'x')$$, $$ydoc.apply('a', ARRAY['\x0000'::bytea])$$, $$ydoc.create('a')$$, $$ydoc.delete('a')$$, $$ydoc.heads('{a}')$$,
    $$ydoc.sync('a', '\x00')$$, $$ydoc.compact('a')$$, $$ydoc.compact_due()$$, $$ydoc.waiting()$$, $$ydoc.fenced()$$, $$ydoc.unfence('a')$$, $$ydoc.documents('', '', 1)$$,
    $$ydoc.history('a')$$, $$ydoc.audit()$$, $$ydoc.versions('a')$$, $$ydoc.create_version('a', 'b')$$, $$ydoc.drop_version('a', 'b')$$, $$ydoc.version_state('a', 'b')$$,
    $$ydoc.restore_version('a', 'b')$$, $$ydoc.set_retention('a')$$, $$ydoc.drop_retention('a')$$, $$ydoc.thin('a')$$, $$ydoc.blame('a', 't')$$, $$ydoc.undo('a', 'b', 1)$$,
    $$ydoc.restore('a', 1)$$, $$ydoc.presence()$$, $$ydoc.create_search()$$, $$ydoc.grant_access('a', 'public', 'read')$$, $$ydoc.revoke_access('a', 'public')$$,
    $$ydoc.set_comment_roots('a', '{c}')$$, $$ydoc.create_link('a', 'read', 'infinity')$$, $$ydoc.revoke_link('a')$$, $$ydoc.trust_claims(current_user::regrole)$$,
    $$ydoc.grant_relay(current_user::regrole)$$, $$ydoc.enable_row_security()$$, $$ydoc.partition_log(2)$$, $$ydoc.upgrade_store()$$, $$ydoc.set_token_keys('a', 'b')$$,
    $$ydoc.set_token_policy()$$, $$ydoc.verify_token('a.b.c')$$, $$ydoc.start_session('{"sub": "a"}')$$, $$ydoc.refresh_session('a')$$, $$ydoc.end_session('a')$$,
    $$ydoc.end_sessions('a')$$, $$ydoc.sessions('a')$$, $$ydoc.purge_sessions()$$, $$ydoc.set_session_policy()$$, $$ydoc.purge_deleted('1 day')$$, $$ydoc.project('a', '{"b": "c"}')$$]) AS call
GROUP BY 1 ORDER BY 1;

SELECT ydoc.create_store();
SELECT ydoc.create_store();
\echo :LAST_ERROR_SQLSTATE

SELECT count(*) > 3 AS tables, bool_and(pg_get_userbyid(c.relowner) = current_user) AS all_mine,
       bool_or(EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')) AS some_of_the_extension
FROM pg_class c WHERE c.relnamespace = 'ydoc_data'::regnamespace AND c.relkind = 'r';
-- what an older release did not make yet is made; what is there stays
DROP TABLE ydoc_data.client;
ALTER TABLE ydoc_data.document DROP deleted_at, DROP deleted_by, DROP moved_to, DROP buried;
SELECT ydoc.upgrade_store();
SELECT count(deleted_at), count(deleted_by), count(moved_to), count(buried) FROM ydoc_data.document;
SELECT count(*) FROM ydoc_data.client;
-- the extension cannot be dropped from under the documents
\set VERBOSITY terse
DROP EXTENSION pg_ydoc;
\set VERBOSITY default

SELECT ydoc.apply('notes/1', ARRAY[:hello]);
SELECT ydoc.apply('notes/1', ARRAY[:world, :excl], 'ann');
SELECT ydoc.apply('notes/1', ARRAY[:del], 'ben');
SELECT document, seq_from, seq, actor FROM ydoc_data.log ORDER BY document, seq;
SELECT name, epoch > 1 AS epoch, seq, tail_rows FROM ydoc_data.document;
SELECT ydoc.text('notes/1', 't'), ydoc.json('notes/1'), ydoc.json('notes/1', 't');
SELECT ydoc.state('notes/1')::bytea = :state AS as_yjs;
-- what adds nothing is not logged
SELECT ydoc.apply('notes/1', ARRAY[:hello, :del, :world]) AS still_four;
SELECT count(*) FROM ydoc_data.log;

-- sync: what somebody lacks, and what we hold
SELECT seq, update = :state AS update, state_vector = :dsv AS state_vector FROM ydoc.sync('notes/1', '\x00');
SELECT seq, update = :diff AS update FROM ydoc.sync('notes/1', :hellosv);
SELECT * FROM ydoc.sync('nobody/knows', '\x00');
-- changes after a seq
SELECT seq, ydoc_text(ydoc() || :hello || update, 't') FROM ydoc.changes('notes/1', 1);
SELECT seq, update = :state AS whole FROM ydoc.changes('notes/1', 0);
SELECT seq, update IS NULL AS nothing_new FROM ydoc.changes('notes/1', 4);
SELECT seq, update IS NULL AS nothing_new FROM ydoc.changes('nobody/knows', 4);
-- of several documents at once
SELECT ordinal, seq, update IS NULL AS nothing_new, update = (SELECT update FROM ydoc.changes('notes/1', 1)) AS the_same
FROM ydoc.changes_of(ARRAY['notes/1', 'nobody/knows', 'notes/1'], ARRAY[1, 4, 4], ARRAY[0, 0, 0]) ORDER BY ordinal;
SELECT count(*) FROM ydoc.changes_of('{}', '{}', '{}');
SELECT * FROM ydoc.changes_of(ARRAY['notes/1', 'notes/2'], ARRAY[1], ARRAY[0, 0]);
SELECT * FROM ydoc.changes_of(ARRAY['notes/1', NULL], ARRAY[1, 1], ARRAY[0, 0]);
SELECT * FROM ydoc.changes_of(ARRAY['notes/1'], ARRAY[[1]], ARRAY[0]);
SELECT * FROM ydoc.changes_of(ARRAY['notes/1', ''], ARRAY[1, 1], ARRAY[0, 0]);
SELECT document, epoch > 1 AS epoch, seq FROM ydoc.heads(ARRAY['notes/1', 'nobody/knows']);
SELECT ydoc.state('nobody/knows') IS NULL AS state, ydoc.text('nobody/knows', 't') IS NULL AS text,
       ydoc.json('nobody/knows') IS NULL AS json, ydoc.json(NULL) IS NULL AS no_name;

-- in slices, for a slow line
SELECT seq, update = :state AS update, state_vector = :dsv AS state_vector, reached
FROM ydoc.sync_slices('notes/1', '\x00');
SELECT seq, update = :diff AS update FROM ydoc.sync_slices('notes/1', :hellosv);
SELECT * FROM ydoc.sync_slices('nobody/knows', '\x00');
SELECT ydoc."create"('long/1', ydoc_text_insert(
    ydoc_from_text((SELECT string_agg('line ' || i || E'\n', '') FROM generate_series(1, 2000) i), 't'), 't', 5, '<->'));
SELECT count(*) > 10 AS several, max(octet_length(update)) <= 1024 AS small, count(state_vector) AS state_vectors,
       count(reached) AS reached, ydoc_text(ydoc_merge(update), 't') = ydoc.text('long/1', 't') AS whole
FROM ydoc.sync_slices('long/1', '\x00', 1024);
-- each alone is valid behind those before it: nothing waits
SELECT bool_and(yupdate_state_vector(merged) = ydoc_state_vector(ydoc(merged))) AS nothing_waits
FROM (SELECT ydoc_merge(update) OVER (ROWS UNBOUNDED PRECEDING)::bytea AS merged
      FROM ydoc.sync_slices('long/1', '\x00', 1024)) AS so_far;
-- a part at a time
WITH RECURSIVE part AS (
    SELECT 1 AS number, update, reached FROM ydoc.sync_slices('long/1', '\x00', 1024, 3000)
    UNION ALL
    SELECT p.number + 1, s.update, s.reached
    FROM part p, ydoc.sync_slices('long/1', p.reached, 1024, 3000) s WHERE p.reached IS NOT NULL)
SELECT max(number) > 3 AS several, count(*) FILTER (WHERE number = 1) AS in_the_first,
       ydoc_text(ydoc_merge(update), 't') = ydoc.text('long/1', 't') AS whole
FROM part;
SELECT * FROM ydoc.sync_slices('long/1', '\x00', 1023);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM ydoc.sync_slices('long/1', '\x0101');
SELECT * FROM ydoc.sync_slices('nobody/knows', '\x0101');
\echo :LAST_ERROR_SQLSTATE
-- too many changes for one update
SELECT ydoc.text_insert('long/1', 't', 0, 'short');
SELECT c.seq, c.update IS NULL AS update, max(octet_length(s.update)) < 100 AS small,
       left(ydoc_text(ydoc.state_at('long/1', 1) || ydoc_merge(s.update), 't'), 10) AS text
FROM ydoc.changes('long/1', 1, max_bytes => 10) c, ydoc.sync_slices('long/1', c.state_vector) s GROUP BY 1, 2;
SELECT seq, update IS NULL AS update, state_vector FROM ydoc.changes('long/1', 0, max_bytes => 1000);

-- names
SELECT ydoc.apply('', ARRAY[:hello]);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.apply(repeat('x', 1025), ARRAY[:hello]);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.apply(E'a\nb', ARRAY[:hello]);
\echo :LAST_ERROR_SQLSTATE
-- nor those that terminals take for the beginning of a command
SELECT ydoc.apply(U&'a\009b31m', ARRAY[:hello]);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.apply(repeat('é', 512), ARRAY[:hello]) AS long_enough;

-- row security decides what is seen
CREATE ROLE regress_ydoc_reader;
GRANT USAGE ON SCHEMA ydoc_data TO regress_ydoc_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA ydoc_data TO regress_ydoc_reader;
ALTER TABLE ydoc_data.document ENABLE ROW LEVEL SECURITY;
CREATE POLICY public_only ON ydoc_data.document USING (name LIKE 'public/%');
SELECT ydoc.text('notes/1', 't');
\set SHOW_CONTEXT never
SET ROLE regress_ydoc_reader;
SELECT ydoc.text('notes/1', 't') IS NULL AS hidden_although_decoded;
SELECT ydoc.apply('notes/1', ARRAY[:hello]);
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
ALTER TABLE ydoc_data.document DISABLE ROW LEVEL SECURITY;
DROP POLICY public_only ON ydoc_data.document;
DROP OWNED BY regress_ydoc_reader;
DROP ROLE regress_ydoc_reader;
