-- Full-text search over values and stored documents; change events of tables.
SELECT ydoc_search_text(ydoc_from_json('{"title": "Green apples", "board": {"cards": [{"name": "pears", "n": 5}, ["plums"]]}}'));
SELECT ydoc_search_text(ydoc('\x01060200070101780301702800020005636c617373017701610700020006040002020268694602030162027b7d8602040162046e756c6c00')) AS text_in_xml, ydoc_search_text(ydoc()) = '' AS nothing;
SELECT ydoc_tsvector('english', ydoc_from_text('Running dogs', 't'));
-- more text than a tsvector takes is cut, never an error
SELECT length(ydoc_search_text(ydoc_from_text(repeat('word ', 200000), 't'))), length(ydoc_tsvector('simple', ydoc_from_text((SELECT string_agg(i::text, ' ') FROM generate_series(1, 300000) i), 't'))) > 10000 AS many;
SET client_min_messages = warning; -- too long a word is a notice
-- of one word a parser may make several, and a document may be nested as deep as somebody likes
SELECT length(ydoc_tsvector('simple', ydoc_from_text((SELECT string_agg('https://example.com/a/' || to_hex(i), ' ') FROM generate_series(4000, 40000) i), 't'))) > 10000 AS many;
SELECT length(ydoc_tsvector('simple', ydoc_from_text((SELECT string_agg(to_hex(i), '-') FROM generate_series(4096, 99999) i), 't'))) > 10000 AS many;
SELECT length(ydoc_tsvector('simple', ydoc_from_text(repeat('x', 500000), 't'))) AS none;
CREATE FUNCTION pg_temp.deep(levels integer) RETURNS ydoc LANGUAGE plpgsql AS $$
DECLARE
    doc ydoc := ydoc_from_json('{"first": "shallow", "m": {"k": "surface"}}');
    path text[] := '{m}';
BEGIN
    FOR i IN 1 .. levels / 100 LOOP
        doc := ydoc_set(doc, path || '{d}'::text[], (repeat('{"d": ', 99) || '{"d": "deep"}' || repeat('}', 99))::jsonb);
        path := path || array_fill('d'::text, ARRAY[100]);
    END LOOP;
    RETURN doc;
END $$;
SELECT ydoc_search_text(pg_temp.deep(300)), ydoc_search_text(pg_temp.deep(1500));
RESET client_min_messages;

-- ---- a generated column and its index ----
CREATE TABLE articles (id integer PRIMARY KEY, doc ydoc NOT NULL,
    words tsvector GENERATED ALWAYS AS (ydoc_tsvector('english', doc)) STORED);
INSERT INTO articles SELECT i, ydoc_from_text(format('article %s about %s', i, CASE WHEN i % 1000 = 0 THEN 'elephants' ELSE 'nothing' END), 't') FROM generate_series(1, 10000) i;
CREATE INDEX ON articles USING gin (words);
ANALYZE articles;
EXPLAIN (COSTS OFF) SELECT id FROM articles WHERE words @@ to_tsquery('english', 'elephant');
SELECT array_agg(id ORDER BY id) FROM articles WHERE words @@ to_tsquery('english', 'elephant');
UPDATE articles SET doc = ydoc_text_replace(doc, 't', 'a giraffe') WHERE id = 1;
SELECT id FROM articles WHERE words @@ to_tsquery('english', 'giraffes');
-- or an index on the expression
CREATE INDEX ON articles USING gin (ydoc_tsvector('simple', doc));
ANALYZE articles;
EXPLAIN (COSTS OFF) SELECT id FROM articles WHERE ydoc_tsvector('simple', doc) @@ to_tsquery('simple', 'elephants');
-- aggregates are parallel
SET max_parallel_workers_per_gather = 2;
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
EXPLAIN (COSTS OFF) SELECT ydoc_merge(doc) FROM articles;
RESET ALL;

-- ---- stored documents ----
SELECT ydoc.update_search();
SELECT ydoc.create_search('english');
SELECT ydoc.create_search('simple');
\echo :LAST_ERROR_SQLSTATE
SELECT count(ydoc.text_append('search/' || i, 't', 'the ' || CASE WHEN i = 3 THEN 'walrus' ELSE 'carpenters' END)) FROM generate_series(1, 5) i;
SELECT ydoc.create('deep', pg_temp.deep(1500)) AS deep_ones_stop_nobody;
SELECT ydoc.update_search(3) AS some, ydoc.update_search() > 0 AS "the rest", ydoc.update_search() AS none;
SELECT document FROM ydoc.search('walruses OR nobody');
SELECT ydoc.text_replace('search/3', 't', 'the oyster');
SELECT count(*) AS still_found FROM ydoc.search('walrus');
SELECT ydoc.update_search();
SELECT count(*) AS no_longer FROM ydoc.search('walrus');
SELECT document FROM ydoc.search('carpenter -oyster') ORDER BY 1;
-- what is deleted is not found, at once; renamed, it is found by its new name; made anew, by its new words
SELECT ydoc.delete('search/1'), ydoc.purge('search/2'), ydoc.rename('search/4', 'search/6');
SELECT document FROM ydoc.search('carpenter') ORDER BY 1;
SELECT ydoc.update_search();
SELECT document FROM ydoc_data.search WHERE document LIKE 'search/%' ORDER BY 1;
SELECT ydoc.undelete('search/1'), ydoc.create('search/2', ydoc_from_text('the pilot', 't'));
SELECT ydoc.update_search();
SELECT document FROM ydoc.search('carpenter OR pilot') ORDER BY 1;
-- who may not see a document does not find it
CREATE ROLE regress_searcher;
GRANT USAGE ON SCHEMA ydoc_data TO regress_searcher;
GRANT SELECT ON ALL TABLES IN SCHEMA ydoc_data TO regress_searcher;
ALTER TABLE ydoc_data.document ENABLE ROW LEVEL SECURITY;
CREATE POLICY five ON ydoc_data.document USING (name = 'search/5');
SET ROLE regress_searcher;
SELECT document FROM ydoc.search('carpenter OR pilot');
RESET ROLE;
ALTER TABLE ydoc_data.document DISABLE ROW LEVEL SECURITY;
DROP POLICY five ON ydoc_data.document;
DROP OWNED BY regress_searcher;
DROP ROLE regress_searcher;

-- ---- change events ----
CREATE TRIGGER articles_changed AFTER INSERT OR UPDATE OR DELETE ON articles FOR EACH ROW EXECUTE FUNCTION ydoc.notify_trigger('id');
UPDATE articles SET doc = doc WHERE id = 2;
DELETE FROM articles WHERE id = 3;
CREATE TRIGGER articles_wrong AFTER UPDATE ON articles FOR EACH ROW EXECUTE FUNCTION ydoc.notify_trigger();
UPDATE articles SET doc = doc WHERE id = 2;
DROP TRIGGER articles_wrong ON articles;
-- one that fires before the row is there would make it none, and one of statements has no row
CREATE TRIGGER articles_early BEFORE INSERT ON articles FOR EACH ROW EXECUTE FUNCTION ydoc.notify_trigger('id');
INSERT INTO articles (id, doc) VALUES (0, ydoc());
DROP TRIGGER articles_early ON articles;
CREATE TRIGGER articles_all AFTER INSERT ON articles FOR EACH STATEMENT EXECUTE FUNCTION ydoc.notify_trigger('id');
INSERT INTO articles (id, doc) VALUES (0, ydoc());
DROP TABLE articles;
DROP TABLE ydoc_data.search, ydoc_data.search_config;
