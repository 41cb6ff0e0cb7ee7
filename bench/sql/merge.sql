-- The aggregate ydoc_merge with workers and without.
CREATE TABLE part AS
SELECT ydoc_from_text(string_agg(md5((i * 1000 + k)::text), ' '), 't') AS doc, i
FROM generate_series(1, 3000) i, generate_series(1, 100) k GROUP BY i;
ALTER TABLE part SET (parallel_workers = 1);
ANALYZE part;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;

CREATE FUNCTION merge_ms(workers integer, OUT ms float8, OUT state text) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz := clock_timestamp();
BEGIN
    PERFORM set_config('max_parallel_workers_per_gather', workers::text, true);
    SELECT md5(ydoc_merge(doc)::text) INTO state FROM part;
    ms := extract(epoch FROM clock_timestamp() - began) * 1e3;
END $$;

DO $$
DECLARE
    serial float8[]; parallel float8[]; one record; many record; plan text;
BEGIN
    SET LOCAL max_parallel_workers_per_gather = 1;
    FOR plan IN EXPLAIN SELECT ydoc_merge(doc) FROM part LOOP
        EXIT WHEN plan ~ 'Gather';
    END LOOP;
    IF plan !~ 'Gather' THEN
        RAISE EXCEPTION 'the aggregate is not parallel';
    END IF;
    FOR round IN 1..5 LOOP
        one := merge_ms(0);
        many := merge_ms(1);
        IF one.state <> many.state THEN
            RAISE EXCEPTION 'with workers the document is another one';
        END IF;
        serial := serial || one.ms;
        parallel := parallel || many.ms;
    END LOOP;
    PERFORM note('ydoc_merge of 3,000 documents of 3.3 kB, no worker', median(serial), 'ms');
    PERFORM note('  no worker : one', median(serial) / median(parallel), 'x', at_least => 1);
END $$;
