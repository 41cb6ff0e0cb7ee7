-- The aggregate ydoc_merge with a worker and without: of documents that share nothing, so that what the
-- two have merged must be merged once more, and of versions of one document, as backups are.
CREATE TABLE apart AS
SELECT ydoc_from_text(string_agg(md5((i * 1000 + k)::text), ' '), 't') AS doc
FROM generate_series(1, 3000) i, generate_series(1, 100) k GROUP BY i;

CREATE TABLE version (doc ydoc);
DO $$
DECLARE
    doc ydoc := ydoc();
BEGIN
    FOR i IN 1..1500 LOOP
        doc := ydoc_text_insert(doc, 't', i * 7919 % (4 * i - 3), 'word');
        doc := ydoc_map_set(doc, 'm', 'k' || i % 100, to_jsonb(i));
        INSERT INTO version VALUES (doc);
    END LOOP;
END $$;
ALTER TABLE apart SET (parallel_workers = 1);
ALTER TABLE version SET (parallel_workers = 1);
ANALYZE apart, version;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;

CREATE FUNCTION merge_ms(documents regclass, workers integer, OUT ms float8, OUT state text) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz := clock_timestamp();
BEGIN
    PERFORM set_config('max_parallel_workers_per_gather', workers::text, true);
    EXECUTE format('SELECT md5(ydoc_merge(doc)::text) FROM %s', documents) INTO state;
    ms := extract(epoch FROM clock_timestamp() - began) * 1e3;
END $$;

CREATE PROCEDURE compare_merges(documents regclass, what text, at_least float8) LANGUAGE plpgsql AS $$
DECLARE
    serial float8; parallel float8; one record; many record; plan text;
BEGIN
    SET LOCAL max_parallel_workers_per_gather = 1;
    FOR plan IN EXECUTE format('EXPLAIN SELECT ydoc_merge(doc) FROM %s', documents) LOOP
        EXIT WHEN plan ~ 'Gather';
    END LOOP;
    IF plan !~ 'Gather' THEN
        RAISE EXCEPTION 'the aggregate is not parallel';
    END IF;
    FOR round IN 1..5 LOOP
        one := merge_ms(documents, 0);
        many := merge_ms(documents, 1);
        IF one.state <> many.state THEN
            RAISE EXCEPTION 'with workers the document is another one';
        END IF;
        serial := least(serial, one.ms);
        parallel := least(parallel, many.ms);
    END LOOP;
    PERFORM note('ydoc_merge of ' || what, serial, 'ms');
    PERFORM note('  no worker : one', serial / parallel, 'x', at_least => at_least);
END $$;
CALL compare_merges('apart', '3,000 documents of 3.3 kB', NULL);
CALL compare_merges('version', '1,500 versions of one document', 1.2);
