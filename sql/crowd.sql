-- Many who write at one place without knowing of one another: what it takes to order them is bounded, and an
-- update that was given up half way leaves nothing behind.
CREATE FUNCTION pg_temp.varuint(number integer) RETURNS bytea LANGUAGE sql AS $$
    SELECT CASE WHEN number < 128 THEN set_byte('\x00', 0, number)
        ELSE set_byte('\x00', 0, number & 127 | 128) || set_byte('\x00', 0, number >> 7) END
$$;
-- client 1 writes a text as long as the crowd is large, each other one an x somewhere in it with nothing to the left
CREATE FUNCTION pg_temp.crowd(size integer) RETURNS bytea LANGUAGE sql AS $$
    SELECT pg_temp.varuint(size + 1)
        || (SELECT string_agg('\x01' || pg_temp.varuint(1 + i) || '\x004401' || pg_temp.varuint(size - i) || '\x0178', ''::bytea ORDER BY i DESC) FROM generate_series(1, size) i)
        || '\x0101000401' || '\x0174' || pg_temp.varuint(size) || convert_to(repeat('b', size), 'UTF8') || '\x00'
$$;
CREATE FUNCTION pg_temp.typed(client integer, word text) RETURNS bytea LANGUAGE sql AS $$
    SELECT '\x0101' || pg_temp.varuint(client) || '\x0004010174' || pg_temp.varuint(length(word)) || convert_to(word, 'UTF8') || '\x00'
$$;
SELECT ydoc_text(ydoc_from_text('loads the library', 't'), 't');
SHOW ydoc.max_conflict_steps;
SET ydoc.max_conflict_steps = 10000;

-- ---- stored documents ----
SELECT ordinal, seq, sqlstate, message
FROM ydoc.apply_batch(ARRAY['crowd/1', 'crowd/1', 'crowd/2', 'crowd/1', 'crowd/1', 'crowd/1', 'crowd/2', 'crowd/1'],
    ARRAY[pg_temp.typed(5001, 'one'), pg_temp.typed(5002, 'two'), pg_temp.crowd(20), pg_temp.crowd(300), pg_temp.typed(5003, 'three'),
        pg_temp.typed(5001, 'one'), pg_temp.crowd(300), pg_temp.crowd(400)],
    ARRAY['ann', 'ben', 'ben', 'eve', 'ben', 'ann', 'eve', 'eve']);
SELECT ydoc.text('crowd/1', 't'), length(ydoc.text('crowd/2', 't'));
-- it is whole: what the session keeps is what is stored, byte for byte
SELECT ydoc.state('crowd/1')::bytea AS state, ydoc.text_insert('crowd/1', 't', 0, 'four ') AS seq \gset
SELECT ydoc.text('crowd/1', 't');
SET ydoc.cache_size = 0;
SELECT ydoc.text('crowd/1', 't');
SELECT (SELECT ydoc_merge(update ORDER BY seq) FROM ydoc_data.log WHERE document = 'crowd/1' AND seq < :seq)::ydoc = :'state'::bytea::ydoc AS as_the_log;
RESET ydoc.cache_size;
-- all or nothing
SELECT ydoc.apply('crowd/1', ARRAY[pg_temp.typed(5004, 'five'), pg_temp.crowd(300)]);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.text('crowd/1', 't');
-- whoever goes on after the error, in the same transaction
DO $$
BEGIN
    PERFORM ydoc.apply('crowd/1', ARRAY[pg_temp.typed(5004, 'five')]);
    BEGIN
        PERFORM ydoc.apply('crowd/1', ARRAY[pg_temp.typed(5005, 'six'), pg_temp.crowd(300)]);
    EXCEPTION WHEN program_limit_exceeded THEN
        RAISE NOTICE '%', SQLERRM;
    END;
    RAISE NOTICE '%', ydoc.text('crowd/1', 't');
    PERFORM ydoc.text_insert('crowd/1', 't', 0, 'seven ');
END $$;
SELECT ydoc.text('crowd/1', 't');
-- what was accepted is read, and added to, under a smaller bound as well
SET ydoc.max_conflict_steps = 0;
SELECT ydoc.apply('crowd/3', ARRAY[pg_temp.crowd(300)]);
SET ydoc.max_conflict_steps = 1000;
SET ydoc.cache_size = 0;
SELECT length(ydoc.text('crowd/3', 't')), ydoc.apply('crowd/3', ARRAY[pg_temp.typed(5001, 'one')]), did FROM ydoc.compact('crowd/3', true);
SELECT length(ydoc.text('crowd/3', 't')), length(ydoc_text(ydoc.state('crowd/3')::text::ydoc, 't'));
RESET ydoc.cache_size;
SET ydoc.max_conflict_steps = 10000;

-- ---- values ----
SELECT ydoc_apply(ydoc(), pg_temp.crowd(300));
\echo :LAST_ERROR_SQLSTATE
SELECT length(ydoc_text(ydoc_apply(ydoc(), pg_temp.crowd(20)), 't'));
-- a variable is as it was, and goes on from there; so is what descends from it
DO $$
DECLARE
    doc ydoc := ydoc_from_text('cat', 't');
    other ydoc;
    fresh ydoc := ydoc_apply(ydoc(), pg_temp.typed(5001, 'one'));
BEGIN
    doc := ydoc_text_insert(doc, 't', 3, ' and dog');
    other := doc;
    FOR i IN 1..2 LOOP
        BEGIN
            doc := ydoc_apply(doc, pg_temp.crowd(300));
            RAISE NOTICE 'accepted';
        EXCEPTION WHEN program_limit_exceeded THEN
            RAISE NOTICE '%', SQLERRM;
        END;
        RAISE NOTICE '%, %', ydoc_text(doc, 't'), ydoc_text(other, 't');
        doc := ydoc_text_insert(doc, 't', 0, 'a ');
    END LOOP;
    RAISE NOTICE '%, %', ydoc_text(doc, 't'), doc::text::ydoc = doc;
    other := ydoc_apply(other, pg_temp.typed(5002, '!'));
    RAISE NOTICE '%', length(ydoc_text(other, 't'));
    BEGIN
        fresh := ydoc_apply(ydoc_apply(fresh, pg_temp.typed(5002, 'two')), pg_temp.crowd(300));
    EXCEPTION WHEN program_limit_exceeded THEN
        RAISE NOTICE '%', ydoc_text(fresh, 't');
    END;
    fresh := ydoc_apply(fresh, pg_temp.crowd(20));
    RAISE NOTICE '%, %', length(ydoc_text(fresh, 't')), fresh::text::ydoc = fresh;
END $$;

-- ---- cancelling ----
SET ydoc.max_conflict_steps = 0;
CREATE TEMPORARY TABLE large AS SELECT pg_temp.crowd(16000) AS crowd;
SET statement_timeout = '1s';
DO $$
DECLARE
    doc ydoc := ydoc_from_text('cat', 't');
    start timestamptz := clock_timestamp();
BEGIN
    doc := ydoc_text_insert(doc, 't', 3, '!');
    BEGIN
        doc := ydoc_apply(doc, crowd) FROM large;
    EXCEPTION WHEN query_canceled THEN
        RAISE NOTICE '%, soon: %', SQLERRM, clock_timestamp() - start < '8s';
    END;
    RAISE NOTICE '%', ydoc_text(doc, 't');
END $$;
SELECT ydoc.apply('crowd/1', ARRAY[crowd]) FROM large;
\echo :LAST_ERROR_SQLSTATE
RESET statement_timeout;
SELECT ydoc.text('crowd/1', 't');
RESET ydoc.max_conflict_steps;

DELETE FROM ydoc_data.document WHERE name LIKE 'crowd/%';
