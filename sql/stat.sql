-- What was done and how much there is.  This session is asked: the module is not preloaded here.
SELECT scope, since <= now() AS since, cached_bytes >= 0 AS bytes FROM ydoc.stat;
CREATE TEMPORARY TABLE before AS SELECT * FROM ydoc.stat_counters();
CREATE TEMPORARY VIEW done AS
SELECT now.updates_applied - before.updates_applied AS applied, now.updates_known - before.updates_known AS known,
       now.updates_refused - before.updates_refused AS refused, now.log_rows_written - before.log_rows_written AS rows,
       now.log_bytes_written - before.log_bytes_written AS bytes, now.notifications - before.notifications AS notified,
       now.cache_hits - before.cache_hits AS hits, now.cache_misses - before.cache_misses AS misses,
       now.cached_documents - before.cached_documents AS cached
FROM ydoc.stat_counters() AS now, before;
SELECT ydoc.apply('stat/1', ARRAY['\x01010100040101740568656c6c6f00'::bytea]);
SELECT * FROM done;
-- the same again is known; of a batch what is malformed is refused
SELECT ydoc.apply('stat/1', ARRAY['\x01010100040101740568656c6c6f00'::bytea]);
SELECT ordinal, sqlstate FROM ydoc.apply_batch(ARRAY['stat/1', 'stat/2'], ARRAY['\x01', '\x01010100040101740568656c6c6f00'::bytea], ARRAY['ann', NULL]);
SELECT applied, known, refused, rows, notified, hits, misses, cached FROM done;
-- edits in SQL write the log, too, once a transaction
BEGIN;
SELECT ydoc.text_append('stat/1', 't', '!');
SELECT ydoc.text_append('stat/1', 't', '!');
COMMIT;
SELECT rows, notified FROM done;
-- silence is not counted
SET ydoc.notify = off;
SELECT ydoc.apply('stat/3', ARRAY['\x01010100040101740568656c6c6f00'::bytea]);
RESET ydoc.notify;
SELECT applied, rows, notified FROM done;
-- what does not fit has to go
SET ydoc.cache_size = 0;
SELECT ydoc.text('stat/1', 't');
SELECT cached_documents, cached_bytes, cache_evictions > 0 AS evictions FROM ydoc.stat;
RESET ydoc.cache_size;
-- how much there is, as PostgreSQL estimates it
ANALYZE ydoc_data.document, ydoc_data.log;
SELECT documents > 0 AS documents, log_rows > 0 AS log_rows, log_bytes > 0 AS log_bytes, state_bytes > 0 AS state_bytes, connected FROM ydoc.stat;
-- everybody may look; who is connected only those who may see that
CREATE ROLE regress_looker;
SET ROLE regress_looker;
SELECT count(*), count(connected) AS knows FROM ydoc.stat;
RESET ROLE;
DROP ROLE regress_looker;
