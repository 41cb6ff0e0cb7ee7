-- doc['root']['key'][0]: reading, and assigning as ydoc_set does.
\set SHOW_CONTEXT never
CREATE TABLE pages (id integer PRIMARY KEY, doc ydoc);
INSERT INTO pages VALUES (1, ydoc_from_json('{"board": {"cards": [{"name": "one"}, {"name": "two"}], "open": true}, "title": "Plan"}')), (2, NULL);
SELECT doc['board']['cards'][1]['name'], doc['title'], doc['none'] IS NULL AS none FROM pages WHERE id = 1;
-- an assignment is an edit: what else there is stays, a shared text is edited, not replaced
UPDATE pages SET doc['board']['cards'][0]['name'] = '"ONE"' WHERE id = 1;
UPDATE pages SET doc['title'] = '"Plan B"', doc['board']['cards'][2] = '{"name": "three"}', doc['board']['open'] = NULL WHERE id = 1 RETURNING doc['board'], doc['title'];
SELECT yupdate_inspect.kind, count(*) FROM pages, yupdate_inspect(doc::bytea) WHERE id = 1 AND parent = 'title' GROUP BY 1;
UPDATE pages SET doc['board']['cards'][0]['done'] = to_jsonb(false), doc['board']['cards'][0]['name'] = to_jsonb(upper('x')) WHERE id = 1;
SELECT doc['board']['cards'] FROM pages WHERE id = 1;
-- no document is an empty one; columns of an INSERT
UPDATE pages SET doc['list'] = '[1, 2]' WHERE id = 2 RETURNING ydoc_json(doc);
INSERT INTO pages (id, doc['a'], doc['b']) VALUES (3, '{"x": 1}', '"text"') RETURNING ydoc_json(doc);
-- others' edits merge with it
SELECT ydoc_text(a.doc || b.doc, 'title') AS merged FROM
    (SELECT ydoc_text_append(doc, 'title', '!') AS doc FROM pages WHERE id = 1) a,
    (SELECT ydoc_set(doc, ARRAY['title'], '"The plan B"') AS doc FROM pages WHERE id = 1) b;
-- what cannot be is refused, and then nothing has changed
\set VERBOSITY default
UPDATE pages SET doc['board']['cards'][7] = '1' WHERE id = 1;
UPDATE pages SET doc['board']['none']['below'] = '1' WHERE id = 1;
UPDATE pages SET doc['title'] = '5' WHERE id = 1;
UPDATE pages SET doc['title'] = NULL WHERE id = 1;
UPDATE pages SET doc['board'][NULL::text] = '1' WHERE id = 1;
UPDATE pages SET doc['board'][0:1] = '1' WHERE id = 1;
UPDATE pages SET doc['board'][now()] = '1' WHERE id = 1;
UPDATE pages SET doc['board'] = 'now'::date WHERE id = 1;
UPDATE pages SET doc['board'].name = '"x"' WHERE id = 1;
\set VERBOSITY terse
SELECT ydoc_json(doc) FROM pages WHERE id = 1;

-- ---- PL/pgSQL ----
DO $$
DECLARE
    doc ydoc := ydoc();
    before ydoc;
BEGIN
    doc['m'] := '{"list": [], "n": 0}';
    before := doc;
    FOR i IN 1..5 LOOP
        doc['m']['list'][i - 1] := to_jsonb(i * i);
        doc['m']['n'] := to_jsonb((doc['m']['n'])::integer + i);
    END LOOP;
    RAISE NOTICE '%', ydoc_json(doc);
    RAISE NOTICE '%', ydoc_json(before);
    -- a fork and its origin edit as two clients, and merge
    before['m']['fork'] := 'true';
    doc['m']['trunk'] := doc['m']['n'];
    RAISE NOTICE '%', ydoc_json(before || doc);
    -- an assignment that fails changes nothing, and leaves the variable usable
    BEGIN
        doc['m']['list'][99] := '1';
    EXCEPTION WHEN invalid_parameter_value THEN RAISE NOTICE '%', SQLERRM;
    END;
    doc['m']['list'][0] := NULL;
    doc['m']['self'] := ydoc_json(doc, 'm');
    RAISE NOTICE '%', ydoc_json(doc);
    RAISE NOTICE 'clients: %', (SELECT count(DISTINCT client) FROM yupdate_inspect(doc::bytea));
END $$;
-- a loop of assignments costs each of them, not each time the document
CREATE FUNCTION assign_often(times integer) RETURNS ydoc LANGUAGE plpgsql AS $$
DECLARE
    doc ydoc := ydoc_from_text(repeat('some text ', 20000), 't');
BEGIN
    doc['m'] := '{}';
    FOR i IN 1..times LOOP
        doc['m']['n'] := to_jsonb(i);
    END LOOP;
    RETURN doc;
END $$;
SELECT d['m'], length(ydoc_text(d, 't')) FROM assign_often(20000) d;
-- an older version that is read between assignments is as it was
CREATE FUNCTION remember() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    doc ydoc := ydoc();
    kept ydoc[];
    wrong integer := 0;
BEGIN
    doc['m'] := '{}';
    FOR i IN 1..200 LOOP
        doc['m']['n'] := to_jsonb(i);
        kept := kept || doc;
    END LOOP;
    FOR i IN 1..200 LOOP
        wrong := wrong + ((kept[i])['m']['n'] <> to_jsonb(i))::integer;
    END LOOP;
    RETURN wrong || ' of ' || cardinality(kept);
END $$;
SELECT remember() AS wrong;

-- ---- plans that are used again ----
PREPARE add AS INSERT INTO pages (id, doc['a']) VALUES ($1, $2);
SET plan_cache_mode = force_generic_plan;
EXECUTE add(10, '{"x": 1}');
EXECUTE add(11, '{"x": 2}');
PREPARE add_same AS INSERT INTO pages (id, doc['a']) VALUES ($1, '{"x": 1}');
EXECUTE add_same(12);
EXECUTE add_same(13);
UPDATE pages SET doc['a']['y'] = to_jsonb(id) WHERE id >= 10;
SELECT id, doc['a'] FROM pages WHERE id >= 10 ORDER BY id;
-- each document that is edited is edited by a client of its own
SELECT count(DISTINCT client) AS clients FROM pages, yupdate_inspect(doc::bytea) WHERE id >= 10 AND key = 'y';
SELECT doc FROM (SELECT ydoc_json(ydoc_merge(doc)) -> 'a' ->> 'x' IS NOT NULL AS doc FROM pages WHERE id >= 10) d;
DROP TABLE pages;
DROP FUNCTION assign_often, remember;
