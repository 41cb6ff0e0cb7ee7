-- How large a stored document may become.
CREATE FUNCTION text_update(size integer) RETURNS bytea LANGUAGE sql AS $$ SELECT ydoc_from_text(repeat('x', size), 't')::bytea $$;
CREATE FUNCTION try(documents text[], updates bytea[])
    RETURNS TABLE (ordinal integer, seq bigint, sqlstate text, message text) LANGUAGE sql AS
$$ SELECT ordinal, seq, sqlstate, regexp_replace(message, '\d{4,}', 'N') FROM ydoc.apply_batch(documents, updates, array_fill(NULL::text, ARRAY[cardinality(updates)])) $$;

SET ydoc.max_document_size = '100kB';
SELECT ydoc.apply('size/1', ARRAY[text_update(90000)]);
SELECT octet_length(ydoc.state('size/1')::bytea) AS bytes \gset
SELECT :bytes BETWEEN 90000 AND 90100 AS as_expected;
-- what would be too much is refused, and nothing else
SELECT * FROM try(ARRAY['size/1', 'size/2', 'size/1'], ARRAY[text_update(20000), text_update(20000), text_update(5000)]);
SELECT length(ydoc.text('size/1', 't'));
\set VERBOSITY sqlstate
SELECT ydoc.apply('size/1', ARRAY[text_update(20000)]);
-- up to the limit and a little more
SELECT count(seq) BETWEEN 60 AND 90 AS accepted, count(sqlstate) > 100 AS refused
FROM try(array_fill('size/1'::text, ARRAY[200]), (SELECT array_agg(text_update(100)) FROM generate_series(1, 200)));
SELECT octet_length(ydoc.state('size/1')::bytea) BETWEEN 102400 AND 104000 AS at_the_limit;
-- who has everything may say so again
SELECT sqlstate FROM try(ARRAY['size/1'], ARRAY[ydoc.state('size/1')::bytea]);
-- edits in SQL
SELECT ydoc.text_insert('size/1', 't', 0, repeat('y', 2000));
SELECT ydoc.text('size/1', 't') LIKE '%y%' AS inserted;
-- what makes room is accepted, and then there is some
SELECT ydoc.text_delete('size/1', 't', 0, 50000) IS NOT NULL AS deleted;
SELECT ydoc.text_insert('size/1', 't', 0, repeat('y', 2000)) IS NOT NULL AS inserted;
SELECT sqlstate FROM try(ARRAY['size/1'], ARRAY[text_update(20000)]);
SELECT octet_length(ydoc.state('size/1')::bytea) BETWEEN 72000 AND 78000 AS smaller;
-- also when nothing but the deletion came in between
SELECT sqlstate FROM try(ARRAY['size/1'], ARRAY[text_update(30000)]);
SELECT ydoc.text_delete('size/1', 't', 0, 40000) IS NOT NULL AS deleted FROM pg_sleep(0.1);
SELECT sqlstate FROM pg_sleep(0.1), try(ARRAY['size/1'], ARRAY[text_update(30000)]);
SELECT ydoc.text_delete('size/1', 't', 0, 1000) IS NOT NULL AS deleted;
-- also if the document is larger than is allowed now, and decoded anew
SET ydoc.max_document_size = '50kB';
SET ydoc.cache_size = 0;
SELECT * FROM try(ARRAY['size/1'], ARRAY[text_update(10)]);
SELECT ydoc.text_delete('size/1', 't', 0, 40000) IS NOT NULL AS deleted;
SELECT sqlstate FROM try(ARRAY['size/1'], ARRAY[text_update(10)]);
RESET ydoc.cache_size;
-- a long history is no size: hundreds of words that were taken back
SET ydoc.max_document_size = '2kB';
SELECT ydoc.text_insert('size/3', 't', 0, 'a');
DO $$ BEGIN
    FOR i IN 1..300 LOOP
        PERFORM ydoc.text_insert('size/3', 't', 1, repeat('b', 20));
        PERFORM ydoc.text_delete('size/3', 't', 1, 20);
    END LOOP;
END $$;
SELECT ydoc.text('size/3', 't');
RESET ydoc.max_document_size;
DROP FUNCTION try;
DROP FUNCTION text_update;
