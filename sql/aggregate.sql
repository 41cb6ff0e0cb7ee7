-- The aggregate ydoc_merge, of updates and of documents, in parallel too.
\set hello '''\\x01010100040101740568656c6c6f00''::bytea'
\set world '''\\x010101058401040620776f726c6400''::bytea'
\set excl '''\\x01010200840104012100''::bytea'
\set del '''\\x000101010001''::bytea'
\set state '''\\x02010200840104012102010001010174018401000a656c6c6f20776f726c640101010001''::bytea'

CREATE TABLE updates (n integer, update bytea);
INSERT INTO updates VALUES (1, :hello), (2, :world), (3, NULL), (4, :excl), (5, :del);
SELECT ydoc_merge(update)::bytea = :state AS as_yjs FROM updates;
SELECT ydoc_merge(update ORDER BY n DESC)::bytea = :state AS backwards FROM updates;
SELECT ydoc_text(ydoc_merge(ydoc(update)), 't') AS of_documents FROM updates;
SELECT ydoc_merge(update) IS NULL AS of_none FROM updates WHERE n > 5;
SELECT ydoc_merge(update) IS NULL AS of_nulls FROM updates WHERE n = 3;
SELECT n, ydoc_text(ydoc_merge(update) OVER (ORDER BY n), 't') AS so_far FROM updates ORDER BY n;

-- parallel workers see parts of the history; the result is the same
INSERT INTO updates SELECT 10 + i, :hello FROM generate_series(1, 20000) i;
ALTER TABLE updates SET (parallel_workers = 2);
ANALYZE updates;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT ydoc_merge(update) FROM updates;
SELECT ydoc_merge(update)::bytea = :state AS in_parallel FROM updates;

SET max_parallel_workers_per_gather = 0;
INSERT INTO updates VALUES (0, '\x0101');
SELECT ydoc_merge(update) FROM updates;
\echo :LAST_ERROR_SQLSTATE
DROP TABLE updates;
