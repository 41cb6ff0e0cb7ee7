-- What session.sh calls, some of it in sessions of their own.
ANALYZE update_of_session;
SELECT ydoc.apply('small', ARRAY[typed(0)]) \g /dev/null
CREATE TABLE measured (what text, value float8);

CREATE FUNCTION since(began timestamptz) RETURNS float8 LANGUAGE sql VOLATILE AS
$$ SELECT extract(epoch FROM clock_timestamp() - began) * 1e3 $$;
CREATE PROCEDURE expect_state(doc ydoc) LANGUAGE plpgsql AS $$
BEGIN
    IF doc::bytea <> (SELECT state FROM state_of_session) THEN
        RAISE EXCEPTION 'the document is not that of Yjs';
    END IF;
END $$;

-- The aggregate; beside counting the bytes of the same rows.
CREATE PROCEDURE merge_session() LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz;
    doc ydoc;
BEGIN
    SET LOCAL max_parallel_workers_per_gather = 0;
    FOR round IN 1..5 LOOP
        began := clock_timestamp();
        PERFORM sum(length(update)) FROM update_of_session;
        INSERT INTO measured VALUES ('scan', since(began));
        began := clock_timestamp();
        SELECT ydoc_merge(update) INTO doc FROM update_of_session;
        INSERT INTO measured VALUES ('merge', since(began));
    END LOOP;
    CALL expect_state(doc);
END $$;

-- Batches of 100, each update of another actor, so that each is a row.
CREATE PROCEDURE log_session() LANGUAGE plpgsql AS $$
DECLARE
    names text[] := array_fill('session'::text, ARRAY[100]);
    actors text[] := ARRAY(SELECT 'actor ' || i FROM generate_series(1, 100) i);
    given bytea[];
    began timestamptz;
    updates integer := (SELECT count(*) FROM update_of_session);
BEGIN
    ALTER TABLE ydoc_data.log SET (autovacuum_enabled = off); -- it would analyze the log, now or later
    COMMIT;
    SET synchronous_commit = off; -- commit.sh measures that
    FOR before IN 0 .. updates - 1 BY 100 LOOP
        given := ARRAY(SELECT update FROM update_of_session WHERE n >= before AND n < before + 100 ORDER BY n);
        PERFORM count(*) FROM ydoc.apply_batch(names[:array_length(given, 1)], given, actors[:array_length(given, 1)]);
        COMMIT;
    END LOOP;
    IF (SELECT count(*) FROM ydoc_data.log WHERE document = 'session') <> updates THEN
        RAISE EXCEPTION 'the log has not a row for each update';
    END IF;
END $$;

CREATE PROCEDURE open_cold(way text) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz;
    doc ydoc;
BEGIN
    doc := ydoc.state('small'); -- plans and code are there
    began := clock_timestamp();
    doc := ydoc.state('session');
    INSERT INTO measured VALUES ('cold, ' || way, since(began));
    CALL expect_state(doc);
    began := clock_timestamp();
    PERFORM length(ydoc.text('session', 'content'));
    INSERT INTO measured VALUES ('warm text, ' || way, since(began));
END $$;

-- Somebody who knows nine tenths of the session.
CREATE PROCEDURE ask_as_returning_client() LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz;
    known bytea;
    news bytea;
    base ydoc;
BEGIN
    SELECT ydoc_merge(update) INTO base FROM update_of_session WHERE n < (SELECT count(*) FROM update_of_session) * 9 / 10;
    known := ydoc_state_vector(base);
    PERFORM ydoc.text('session', 'content'); -- decoded from here on
    FOR round IN 1..5 LOOP
        began := clock_timestamp();
        SELECT update INTO news FROM ydoc.sync('session', known);
        INSERT INTO measured VALUES ('diff', since(began));
    END LOOP;
    INSERT INTO measured VALUES ('diff bytes', length(news));
    CALL expect_state(base || news);
END $$;

CREATE PROCEDURE compact_session() LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz;
    lsn pg_lsn;
BEGIN
    CHECKPOINT;
    lsn := pg_current_wal_insert_lsn();
    began := clock_timestamp();
    PERFORM ydoc.compact('session', true);
    COMMIT;
    INSERT INTO measured VALUES ('compact', since(began)), ('compact wal', pg_current_wal_insert_lsn() - lsn);
    began := clock_timestamp();
    PERFORM ydoc.compact('session', true);
    COMMIT;
    INSERT INTO measured VALUES ('compact again', since(began));
END $$;

CREATE FUNCTION median_of(what text) RETURNS float8 LANGUAGE sql AS $$ SELECT median(array_agg(value)) FROM measured WHERE measured.what = $1 $$;
CREATE PROCEDURE note_session() LANGUAGE plpgsql AS $$
DECLARE
    updates text := to_char((SELECT count(*) FROM update_of_session), 'FM999,999');
    state_bytes integer := (SELECT length(state) FROM state_of_session);
BEGIN
    PERFORM note('ydoc_merge over ' || updates || ' single updates', median_of('merge'), 'ms');
    PERFORM note('  as a multiple of a scan that adds up their lengths', median_of('merge') / median_of('scan'), 'x');
    PERFORM note('a document of ' || updates || ' rows of the log, opened cold', median_of('cold, log'), 'ms');
    PERFORM note('  before the log was analyzed for the first time, as a multiple', median_of('cold, fresh log') / median_of('cold, log'), 'x', at_most => 2);
    PERFORM note('  its text, once decoded', median_of('warm text, log'), 'ms');
    PERFORM note('  what a client lacks who knows nine tenths, decoded', median_of('diff'), 'ms', at_most => 10);
    PERFORM note('  bytes of that', median_of('diff bytes'), 'B');
    PERFORM note('compacting it', median_of('compact'), 'ms');
    PERFORM note('  write-ahead log, as a multiple of the state', median_of('compact wal') / state_bytes, 'x', at_most => 3);
    PERFORM note('  when there is nothing to do', median_of('compact again'), 'ms');
    PERFORM note('the compacted document, opened cold', median_of('cold, compacted'), 'ms', at_most => 10);
    PERFORM note('  its text, decoded for it', median_of('warm text, compacted'), 'ms');
END $$;
