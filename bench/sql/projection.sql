-- Tables that follow documents: what a batch pays for them, and what it does not.
CREATE TABLE followed (document text PRIMARY KEY, t text);
CREATE TABLE batch AS SELECT n, array_fill(typed(n), ARRAY[100]) AS updates FROM generate_series(0, 2099) n;
CREATE INDEX ON batch (n);
CREATE TABLE batch_time (round integer, part text, us float8);

-- Microseconds for each update: the median of 100 batches of 100 documents, after 5 that find new plans, into batch_time.
CREATE SEQUENCE next_batch;
CREATE PROCEDURE run_batches(part text, round integer) LANGUAGE plpgsql AS $$
DECLARE
    names text[] := ARRAY(SELECT 'followed/' || i FROM generate_series(1, 100) i);
    number integer;
    given bytea[];
    began timestamptz;
    us float8[] := '{}';
BEGIN
    FOR i IN 1..105 LOOP
        number := nextval('next_batch') - 1;
        SELECT updates INTO STRICT given FROM batch WHERE n = number;
        began := clock_timestamp();
        PERFORM count(*) FROM ydoc.apply_batch(names, given, NULL);
        COMMIT;
        us := us || (extract(epoch FROM clock_timestamp() - began) * 1e4)::float8;
    END LOOP;
    INSERT INTO batch_time VALUES (round, part, median(us[6:]));
END $$;
SET synchronous_commit = off; -- the disk is not what is measured
CALL run_batches('warm', 0);
-- now one first, now the other: documents grow meanwhile
SELECT string_agg(CASE WHEN round % 2 = 1 THEN format('CALL run_batches(%L, %s);', 'none', round) ELSE '' END || format($$
    SELECT ydoc.create_projection('followed', 'others/%%', '{"t": {"path": "t", "as": "text"}}');
    CALL run_batches('others', %1$s);
    SELECT ydoc.drop_projection('followed');
    $$, round) || CASE WHEN round % 2 = 0 THEN format('CALL run_batches(%L, %s);', 'none', round) ELSE '' END || format($$
    SELECT ydoc.create_projection('followed', 'followed/%%', '{"t": {"path": "t", "as": "text"}}');
    CALL run_batches('followed', %1$s);
    SELECT ydoc.drop_projection('followed');
    $$, round), E'\n' ORDER BY round) AS rounds FROM generate_series(1, 6) round \gset
:rounds
SELECT note('a batch of 100 documents: each update', (SELECT min(us) FROM batch_time WHERE part = 'none'), 'µs');
SELECT note('  tables follow other documents : none does', (SELECT min(us) FILTER (WHERE part = 'others') / min(us) FILTER (WHERE part = 'none') FROM batch_time), 'x', at_most => 1.25);
SELECT note('  a table follows them: each update more', (SELECT min(us) FILTER (WHERE part = 'followed') - min(us) FILTER (WHERE part = 'none') FROM batch_time), 'µs', at_most => 100);
DO $$ BEGIN
    IF EXISTS (SELECT FROM followed WHERE t <> ydoc.text(document, 't')) THEN
        RAISE EXCEPTION 'rows lag behind their documents';
    END IF;
END $$;
