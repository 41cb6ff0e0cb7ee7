-- Accepting updates as a relay sends them: how many a second, each batch durable before the next, with notification; and
-- what they write ahead.
CREATE TABLE written AS SELECT n, typed(n) AS update FROM generate_series(0, 29999) n;
CREATE INDEX ON written (n);

-- 300 batches of 100: of one document and actor (one row), of one document and 100 actors (a row each), of 100
-- documents (a row each, and a document's row to change for each).
CREATE PROCEDURE write_batches(what text, documents integer, actors integer, each_at_most float8) LANGUAGE plpgsql AS $$
DECLARE
    names text[] := ARRAY(SELECT left(md5(what), 6) || '/' || CASE documents WHEN 1 THEN 1 ELSE i END FROM generate_series(1, 100) i);
    people text[] := ARRAY(SELECT 'actor ' || i % actors FROM generate_series(1, 100) i);
    given bytea[];
    began timestamptz;
    seconds float8 := 0;
    lsn pg_lsn;
    wal float8 := 0;
BEGIN
    FOR batch IN 0..299 LOOP
        IF documents = 1 THEN
            given := ARRAY(SELECT update FROM written WHERE n BETWEEN batch * 100 AND batch * 100 + 99 ORDER BY n);
        ELSE
            given := (SELECT array_fill(update, ARRAY[100]) FROM written WHERE n = batch);
        END IF;
        IF batch = 100 THEN -- full pages and plans are behind us
            wal := 0;
            seconds := 0;
        END IF;
        COMMIT;
        began := clock_timestamp();
        lsn := pg_current_wal_insert_lsn();
        PERFORM count(*) FROM ydoc.apply_batch(names, given, people);
        COMMIT;
        wal := wal + (pg_current_wal_insert_lsn() - lsn);
        seconds := seconds + extract(epoch FROM clock_timestamp() - began);
    END LOOP;
    PERFORM note('100 updates a batch, ' || what || ': updates a second', 20000 / seconds, '/s');
    PERFORM note('  write-ahead log for each', wal / 20000, 'B', at_most => each_at_most);
END $$;
CHECKPOINT;
CALL write_batches('one document, one actor', 1, 1, 60);
CALL write_batches('one document, 100 actors', 1, 100, 200);
CALL write_batches('100 documents', 100, 1, NULL);
DO $$ BEGIN
    IF length(ydoc.text(left(md5('one document, 100 actors'), 6) || '/1', 't')) <> 30000 OR length(ydoc.text(left(md5('100 documents'), 6) || '/7', 't')) <> 300 THEN
        RAISE EXCEPTION 'updates are missing';
    END IF;
END $$;
