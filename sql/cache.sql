-- Decoded documents that a session keeps: the size of the cache never shows in an answer.
\set hello '''\\x01010100040101740568656c6c6f00''::bytea'
\set world '''\\x010101058401040620776f726c6400''::bytea'
\set excl '''\\x01010200840104012100''::bytea'

-- more documents than fit, in turns: each is evicted and decoded again
SET ydoc.cache_size = '64kB';
SELECT count(*) FROM generate_series(1, 50) AS i, ydoc.apply('cache/' || i, ARRAY[:hello]);
SELECT count(*) FROM generate_series(1, 50) AS i, ydoc.apply('cache/' || i, ARRAY[:world]);
SELECT ydoc.text('cache/' || i, 't') AS text, count(*) FROM generate_series(1, 50) AS i GROUP BY 1;
-- one document alone is more than the cache holds, and changes in several steps
SET ydoc.cache_size = '1kB';
BEGIN;
SELECT ydoc.apply('cache/1', ARRAY[:excl]);
SELECT ydoc.text('cache/1', 't');
SAVEPOINT here;
SELECT ydoc.apply('cache/1', ARRAY['\x000101010001'::bytea]);
SELECT ydoc.text('cache/1', 't');
ROLLBACK TO here;
SELECT ydoc.text('cache/1', 't');
ROLLBACK;
SELECT ydoc.text('cache/1', 't');
-- switched off in the middle of a transaction, with changes in the cache
RESET ydoc.cache_size;
BEGIN;
SELECT ydoc.apply('cache/2', ARRAY[:excl]);
SET LOCAL ydoc.cache_size = 0;
SELECT ydoc.text('cache/2', 't'), ydoc.text('cache/3', 't');
ROLLBACK;
SELECT ydoc.text('cache/2', 't'), ydoc.text('cache/3', 't');

-- the seq that a roll-back gave up goes to another session's update (its rows, written by hand):
-- whoever kept what was rolled back would show "hello world!"
BEGIN;
SELECT ydoc.apply('cache/5', ARRAY[:excl]);
ROLLBACK;
UPDATE ydoc_data.document SET seq = 3 WHERE name = 'cache/5';
INSERT INTO ydoc_data.log (document, seq_from, seq, update) VALUES ('cache/5', 3, 3, '\x000101010001');
SELECT ydoc.text('cache/5', 't');
BEGIN;
SAVEPOINT here;
SELECT ydoc.apply('cache/6', ARRAY[:excl]);
ROLLBACK TO here;
UPDATE ydoc_data.document SET seq = 3 WHERE name = 'cache/6';
INSERT INTO ydoc_data.log (document, seq_from, seq, update) VALUES ('cache/6', 3, 3, '\x000101010001');
SELECT ydoc.text('cache/6', 't');
COMMIT;

-- another store of the same name is another store, although this session has the old one decoded
BEGIN;
ALTER SCHEMA ydoc_data RENAME TO regress_old_data;
SELECT ydoc.text('cache/3', 't');
ROLLBACK;
BEGIN;
ALTER SCHEMA ydoc_data RENAME TO regress_old_data;
SELECT ydoc.create_store();
SELECT ydoc.text('cache/3', 't') IS NULL AS unknown;
SELECT ydoc.apply('cache/3', ARRAY[:hello]);
SELECT ydoc.text('cache/3', 't');
ROLLBACK;
SELECT ydoc.text('cache/3', 't');

-- what was decoded for its owner does not help who may not see the row
CREATE ROLE regress_ydoc_cache;
GRANT USAGE ON SCHEMA ydoc_data TO regress_ydoc_cache;
GRANT SELECT ON ALL TABLES IN SCHEMA ydoc_data TO regress_ydoc_cache;
REVOKE SELECT ON ydoc_data.log FROM regress_ydoc_cache;
SELECT ydoc.text('cache/4', 't');
\set SHOW_CONTEXT never
SET ROLE regress_ydoc_cache;
SELECT ydoc.text('cache/4', 't');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
DROP OWNED BY regress_ydoc_cache;
DROP ROLE regress_ydoc_cache;

-- less than nothing is no size
\set VERBOSITY sqlstate
SET ydoc.cache_size = -1;
