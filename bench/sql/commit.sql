-- What commit.sh runs in several connections at once.
CREATE TABLE typing AS SELECT n, typed(n) AS update FROM generate_series(0, 19999) n;
CREATE UNIQUE INDEX ON typing (n);
ANALYZE typing;
CREATE TABLE plain (document text, seq bigint GENERATED ALWAYS AS IDENTITY, update bytea, at timestamptz DEFAULT now(), PRIMARY KEY (document, seq));
CREATE TABLE commit_time (way text, round integer, connections integer, number integer, updates integer, batches integer, seconds float8, p50 float8, p99 float8);
CREATE PROCEDURE write_plain(names text[], given bytea[]) LANGUAGE sql AS $$
INSERT INTO plain (document, update) SELECT * FROM unnest(names, given);
SELECT pg_notify('plain', names[1]);
$$;

-- Batches of so many updates, each of up to 100 documents, for some seconds from a time on.
CREATE PROCEDURE write_batches(way text, round integer, connections integer, number integer, updates integer, start float8, seconds float8) LANGUAGE plpgsql AS $$
DECLARE
    documents integer := least(updates, 100);
    each integer := updates / documents;
    names text[] := ARRAY(SELECT format('%s-%s-%s-%s/%s', connections, updates, number, round, (i - 1) / each) FROM generate_series(1, updates) i);
    given bytea[];
    took float8[] := '{}';
    began timestamptz;
BEGIN
    PERFORM pg_sleep(start - extract(epoch FROM clock_timestamp()));
    FOR batch IN 0 .. 19999 / each LOOP
        SELECT array_agg(t.update ORDER BY i, t.n) INTO given
            FROM typing t, generate_series(1, documents) i WHERE t.n >= batch * each AND t.n < (batch + 1) * each;
        COMMIT;
        began := clock_timestamp();
        IF way = 'ydoc' THEN
            PERFORM count(*) FROM ydoc.apply_batch(names, given, NULL);
        ELSE
            CALL write_plain(names, given);
        END IF;
        COMMIT;
        took := took || (extract(epoch FROM clock_timestamp() - began) * 1e3)::float8;
        EXIT WHEN extract(epoch FROM clock_timestamp()) > start + seconds;
    END LOOP;
    INSERT INTO commit_time
        SELECT way, round, connections, number, updates, array_length(took, 1), extract(epoch FROM clock_timestamp()) - start,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY ms), percentile_cont(0.99) WITHIN GROUP (ORDER BY ms)
        FROM unnest(took) ms;
    IF way = 'ydoc' AND length(ydoc.text(names[1], 't')) <> array_length(took, 1) * each THEN
        RAISE EXCEPTION 'updates are missing';
    END IF;
END $$;

-- Of the best round: what disturbed the others is not what is measured.
CREATE VIEW way_time AS
    SELECT way, updates, connections, max(rate) AS rate, min(p50) AS p50, min(p99) AS p99
    FROM (SELECT way, updates, connections, sum(batches * updates / seconds) AS rate, avg(p50) AS p50, max(p99) AS p99
          FROM commit_time GROUP BY way, round, updates, connections) of_round
    GROUP BY way, updates, connections;
CREATE PROCEDURE note_commits() LANGUAGE sql AS $$
INSERT INTO noted (record) SELECT json_build_object('kind', 'table',
    'title', 'batches, each committed and notified before the next; plain: rows of the same bytes in a table without a CRDT',
    'rows', json_agg(json_build_object(
        'updates a batch', y.updates, 'connections', y.connections, 'updates/s', y.rate, 'commit p50 ms', y.p50, 'p99 ms', y.p99,
        'plain, updates/s', p.rate, 'p50 ms', p.p50, 'plain p99 ms', p.p99, 'p50, ydoc : plain', y.p50 / p.p50) ORDER BY y.updates, y.connections))
    FROM way_time y JOIN way_time p USING (updates, connections) WHERE y.way = 'ydoc' AND p.way = 'plain';
INSERT INTO noted (record) SELECT json_build_object('kind', 'plot', 'file', 'sql-commit', 'title', 'Durable updates a second, by updates a batch',
    'x', 'updates a batch', 'y', 'updates/s', 'series', json_agg(json_build_object('name', name, 'points', points) ORDER BY name DESC))
    FROM (SELECT CASE way WHEN 'ydoc' THEN 'pg_ydoc' ELSE 'plain table' END || ', ' || connections || CASE connections WHEN 1 THEN ' connection' ELSE ' connections' END AS name,
                 json_agg(json_build_array(updates, rate) ORDER BY updates) AS points
          FROM way_time WHERE connections IN (1, 4) GROUP BY way, connections) series;
SELECT note('100 updates a batch, one connection: updates a second', (SELECT rate FROM way_time WHERE way = 'ydoc' AND updates = 100 AND connections = 1), '/s', at_least => 22000);
$$;

-- One connection, a batch one way and then one the other: the disk and whoever else is there disturb both alike.
CREATE PROCEDURE compare_ways(what text, updates integer, documents integer, batches integer) LANGUAGE plpgsql AS $$
DECLARE
    each integer := updates / documents;
    way text;
    names text[];
    given bytea[];
    began timestamptz;
    took float8;
    ydoc float8[];
    plain float8[];
BEGIN
    FOREACH way IN ARRAY ARRAY['on', 'off'] LOOP
        PERFORM set_config('synchronous_commit', way, false);
        names := ARRAY(SELECT format('%s-%s/%s', what, way, (i - 1) / each) FROM generate_series(1, updates) i);
        ydoc := '{}';
        plain := '{}';
        FOR batch IN 0 .. batches - 1 LOOP
            SELECT array_agg(t.update ORDER BY i, t.n) INTO given
                FROM typing t, generate_series(1, documents) i WHERE t.n >= batch * each AND t.n < (batch + 1) * each;
            COMMIT;
            began := clock_timestamp();
            PERFORM count(*) FROM ydoc.apply_batch(names, given, NULL);
            COMMIT;
            took := extract(epoch FROM clock_timestamp() - began) * 1e6;
            began := clock_timestamp();
            CALL write_plain(names, given);
            COMMIT;
            IF batch >= 20 THEN -- plans are made
                ydoc := ydoc || took;
                plain := plain || (extract(epoch FROM clock_timestamp() - began) * 1e6)::float8;
            END IF;
        END LOOP;
        PERFORM note(CASE way WHEN 'on' THEN what || ': durable commit' ELSE '  without waiting for the disk' END, median(ydoc), 'µs');
        PERFORM note('  as a multiple of as many plain rows', median(ydoc) / median(plain), 'x');
    END LOOP;
END $$;
