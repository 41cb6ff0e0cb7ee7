-- Editing values: texts, arrays, maps, whole JSON, patches, paths; bad arguments.
\set VERBOSITY default
-- ---- texts ----
SELECT ydoc_text(ydoc_text_insert(ydoc_text_insert(ydoc(), 't', 0, 'world'), 't', 0, 'hello '), 't');
SELECT ydoc_delta(ydoc_text_insert(ydoc_from_text('plain', 't'), 't', 5, ' bold', '{"bold": true}'), 't');
SELECT ydoc_delta(ydoc_text_append(ydoc_text_append(ydoc(), 't', 'a', '{"bold": true}'), 't', 'b'), 't') AS goes_on_bold;
SELECT ydoc_text(ydoc_text_delete(ydoc_from_text('hello world', 't'), 't', 5, 6), 't');
SELECT ydoc_delta(ydoc_text_format(ydoc_from_text('hello world', 't'), 't', 0, 5, '{"bold": true}'), 't');
SELECT ydoc_delta(ydoc_text_insert_embed(ydoc_from_text('ab', 't'), 't', 1, '{"image": "a.png"}', '{"width": 10}'), 't');
SELECT ydoc_delta(ydoc_text_apply_delta(ydoc_from_text('hello world', 't'), 't', '[{"retain": 6, "attributes": {"italic": true}}, {"delete": 5}, {"insert": "you"}, {"insert": {"image": "b"}}]'), 't');
SELECT ydoc_delta(ydoc_from_delta('{"ops": [{"insert": "a", "attributes": {"link": "x"}}, {"insert": "\n", "attributes": {"header": 1}}]}', 't'), 't');
-- UTF-16 units are what Yjs counts
SELECT ydoc_text(ydoc_text_insert(ydoc_from_text(U&'\+01F600!', 't'), 't', 2, 'x'), 't') = U&'\+01F600x!' AS behind_the_pair;

-- ---- replacing by the smallest edit ----
SELECT ydoc_text(ydoc_text_replace(ydoc_from_text('the quick brown fox', 't'), 't', 'the quick red fox jumps'), 't');
-- formatting and embeds stay
SELECT ydoc_delta(ydoc_text_replace(ydoc_from_delta('[{"insert": "one "}, {"insert": "two", "attributes": {"bold": true}}, {"insert": {"image": "a"}}, {"insert": " three"}]', 't'), 't', 'One twofold three!'), 't');
SELECT ydoc_text(ydoc_text_replace(ydoc_from_text('', 't'), 't', 'new'), 't') AS from_nothing, ydoc_text(ydoc_text_replace(ydoc_from_text('old', 't'), 't', ''), 't') AS to_nothing;
-- an embed that is a string (yrs makes such ones) is no text
SELECT ydoc_delta(ydoc_text_replace('\x0103a091a1bf0b0004010174016184a091a1bf0b00056263646566c5a091a1bf0b00a091a1bf0b010522454d422200', 't', 'abcdXef'), 't'), ydoc_delta(ydoc_text_replace('\x0103a091a1bf0b0004010174016184a091a1bf0b00056263646566c5a091a1bf0b00a091a1bf0b010522454d422200', 't', 'f'), 't');
-- a small change of a long text is a small update
SELECT octet_length(ydoc_diff(ydoc_text_replace(doc, 't', replace(ydoc_text(doc, 't'), 'line 500 ', 'line five hundred ')), ydoc_state_vector(doc))) < 100 AS small
FROM (SELECT ydoc_from_text(string_agg(format('line %s of many', i), E'\n'), 't') AS doc FROM generate_series(1, 1000) i) d;

-- ---- arrays and maps ----
SELECT ydoc_json(ydoc_array_delete(ydoc_array_insert(ydoc_array_push(ydoc(), 'a', '[1, {"b": [true, null]}]'), 'a', 1, '["x", "y"]'), 'a', 0));
SELECT ydoc_json(ydoc_map_delete(ydoc_map_set(ydoc_map_set(ydoc(), 'm', 'k', '{"x": 1.5}'), 'm', 'gone', '"v"'), 'm', 'gone'));
SELECT ydoc_json(ydoc_map_clear(ydoc_map_set(ydoc(), 'm', 'k', '1'), 'm'));

-- ---- whole JSON, and paths into it ----
SELECT ydoc_from_json('{"title": "Plan", "board": {"cards": [{"name": "one", "tags": []}, {"name": "two"}], "n": 1}}') AS board \gset
SELECT ydoc_json(:'board');
SELECT ydoc_json(ydoc_set(:'board', ARRAY['board', 'cards', '0', 'name'], '"first"'), 'board');
SELECT ydoc_json(ydoc_set(:'board', ARRAY['board', 'cards', '2'], '{"name": "three"}'), 'board') AS appended;
SELECT ydoc_json(ydoc_map_set(:'board', ARRAY['board', 'cards', '1'], 'done', 'true'), 'board') AS a_map_at_a_path;
SELECT ydoc_json(ydoc_unset(ydoc_unset(:'board', ARRAY['board', 'cards', '0']), 'title'));
-- equal JSON is no edit; a small difference is a small edit
SELECT ydoc_set(:'board', 'board', '{"cards": [{"name": "one", "tags": []}, {"name": "two"}], "n": 1}') = :'board'::ydoc AS nothing_to_do;
SELECT octet_length(ydoc_diff(ydoc_set(:'board', 'board', '{"cards": [{"name": "one", "tags": []}, {"name": "2"}], "n": 1}'), ydoc_state_vector(:'board'))) < 50 AS small;
-- what comes back is what went in
SELECT j = ydoc_json(ydoc_from_json(j)) AS same FROM (VALUES ('{"a": [1, -2.5, 1e300, 0.1, true, null, "\u00e9\ud83d\ude00", [], {}, [[[]]], {"b": {"c": [{}]}}], "s": "text", "m": {"": {"k": "v"}}}'::jsonb)) v (j);

-- one key or element is read and set without what lies beside it, which may be too deep or too large to be read
DO $$
DECLARE
    doc ydoc := ydoc_from_json('{"m": {"near": 1, "list": [1, {"a": 2}]}}');
    level jsonb := (repeat('{"d": ', 150) || '{}' || repeat('}', 150))::jsonb;
    path text[] := '{m,d}';
BEGIN
    FOR i IN 1 .. 8 LOOP
        doc := ydoc_set(doc, path, level);
        path := path || array_fill('d'::text, ARRAY[151]);
    END LOOP;
    BEGIN
        RAISE NOTICE '%', ydoc_json(doc, 'm');
    EXCEPTION WHEN program_limit_exceeded THEN RAISE NOTICE '%', SQLERRM;
    END;
    doc := ydoc_patch(ydoc_set(doc, ARRAY['m', 'near'], '2'), '[{"op": "add", "path": "/m/other", "value": {"x": null}}, {"op": "test", "path": "/m/near", "value": 2},
        {"op": "replace", "path": "/m/list/1/a", "value": 3}, {"op": "remove", "path": "/m/list/0"}]');
    RAISE NOTICE '% % % %', doc['m']['near'], doc #> '{m,other,x}', doc['m']['list'], doc['m']['none'] IS NULL;
END $$;
SELECT ydoc_json(ydoc_set(doc, ARRAY['a', '1'], '"y"'), 'a'), doc #> '{a,1}' AS one_of_several, doc #> '{a,3}' AS past_the_end, doc #> '{a,-1}' AS negative
FROM ydoc_array_push(ydoc(), 'a', '["x", {"k": [null]}, true]') doc;

-- numbers: what is too small to be told from 0 is 0; what is too large is refused
SELECT ydoc_json(ydoc_set(ydoc(), 'n', '[1e-400, -0.0, 5e-324, 1e308, 9007199254740992]')) = '{"n": [0, 0, 5e-324, 1e308, 9007199254740992]}' AS same;
SELECT ydoc_set(ydoc(), 'n', '[1e400]');
SELECT ydoc_set(ydoc(), 'n', '[9007199254740993]');

-- ---- patches ----
SELECT ydoc_json(ydoc_patch(:'board', '[
    {"op": "test", "path": "/board/n", "value": 1},
    {"op": "replace", "path": "/title", "value": "Plan B"},
    {"op": "add", "path": "/board/cards/1", "value": {"name": "between"}},
    {"op": "add", "path": "/board/cards/-", "value": {"name": "last"}},
    {"op": "move", "from": "/board/n", "path": "/board/moved"},
    {"op": "copy", "from": "/board/cards/0/name", "path": "/board/a~1b~0c"},
    {"op": "remove", "path": "/board/cards/0"}]'));
SELECT ydoc_json(ydoc_patch(:'board', '{"title": "Merged", "board": {"n": null, "new": {"x": null, "y": 2}, "cards": [1]}}'));

-- RFC 6901: an index has no leading zeros
SELECT ydoc_patch(ydoc_from_json('{"a": [1, 2]}'), '[{"op": "remove", "path": "/a/01"}]');
SELECT ydoc_json(ydoc_patch(ydoc_from_json('{"a": {"01": 1}}'), '[{"op": "replace", "path": "/a/01", "value": 2}]'));

-- ---- several at once ----
SELECT ydoc_json(ydoc_edit(ydoc(), '[
    {"op": "text_insert", "path": "t", "index": 0, "text": "hello"},
    {"op": "text_format", "path": "t", "index": 0, "length": 5, "attributes": {"bold": true}},
    {"op": "array_push", "path": ["a"], "elements": [1, 2]},
    {"op": "set", "path": ["m", "k"], "value": {"deep": [1]}},
    {"op": "array_push", "path": ["m", "k", "deep"], "elements": [2]}]'));

-- ---- bad arguments change nothing and say what to do ----
SELECT ydoc_text_insert(ydoc(), 't', 1, 'x');
SELECT ydoc_text_insert(ydoc(), 't', -1, 'x');
SELECT ydoc_text_insert(ydoc(), 't', 0, NULL);
SELECT ydoc_text_insert(NULL, 't', 0, 'x') IS NULL AS of_no_document;
SELECT ydoc_text_delete(ydoc_from_text('abc', 't'), 't', 2, 2);
SELECT ydoc_array_push(ydoc_from_text('abc', 't'), 't', '[1]');
SELECT ydoc_array_push(ydoc(), 'a', '1');
-- a path that comes as text, as drivers send it, makes no root of that name
PREPARE from_driver (unknown, unknown) AS SELECT ydoc_set(ydoc_from_json('{"m": {"a": 1}}'), $1, $2);
EXECUTE from_driver ('{"m","a"}', '"new"');
DEALLOCATE from_driver;
PREPARE from_driver (text[], unknown) AS SELECT ydoc_json(ydoc_set(ydoc_from_json('{"m": {"a": 1}}'), $1, $2));
EXECUTE from_driver ('{"m","a"}', '"new"');
SELECT ydoc_json(ydoc_text_append(ydoc_text_append(ydoc(), ARRAY['{braces}'], 'meant'), '{braces}', ' so'));
SELECT ydoc_text_apply_delta(ydoc(), 't', '[{"insert": "x"}, {"retain": -1}]');
SELECT ydoc_array_insert(ydoc(), ARRAY['a'], 7, '[1]');
SELECT ydoc_map_set(ydoc(), ARRAY['m', 'x'], 'k', '1');
SELECT ydoc_map_set(:'board', ARRAY['board', 'n'], 'k', '1');
SELECT ydoc_set(:'board', ARRAY['board', 'cards', '7'], '1');
SELECT ydoc_unset(:'board', ARRAY['board', 'nothing']);
SELECT ydoc_map_set(ydoc(), 'm', 'k', '12345678901234567890');
SELECT ydoc_map_set(ydoc(), '{}'::text[], 'k', '1');
SELECT ydoc_from_json('{"a": 1}');
SELECT ydoc_from_json('[1]');
SELECT ydoc_text_apply_delta(ydoc(), 't', '[{"insert": "a"}, {"keep": 1}]');
SELECT ydoc_patch(:'board', '[{"op": "test", "path": "/board/n", "value": 2}]');
SELECT ydoc_patch(:'board', '[{"op": "add", "path": "/board/cards/00", "value": 1}]');
SELECT ydoc_patch(:'board', '[{"op": "add", "path": "/board/half~", "value": 1}]');
SELECT ydoc_patch(:'board', '[{"op": "add", "path": "/board/~2", "value": 1}]');
SELECT ydoc_patch(:'board', '[{"op": "add", "path": "/board/x", "value": 1}, {"op": "remove", "path": "/board/y"}]');
SELECT ydoc_edit(ydoc(), '[{"op": "text_insert", "path": "t", "index": 0, "text": "x"}, {"op": "text_isnert"}]');
SELECT ydoc_edit(ydoc(), '[{"op": "text_insert", "path": "t", "index": 0}]');
SELECT ydoc_edit(ydoc(), '[{"op": "text_append", "path": "t", "text": "x", "atributes": {"bold": true}}]');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc_edit(ydoc(), '[{"op": "map_clear", "path": "m", "key": "k"}]');
SELECT ydoc_edit(ydoc(), '[{"op": "text_insert", "path": "t", "index": 0.5, "text": "x"}]');
SELECT ydoc_text(ydoc_edit(ydoc(), '[{"op": "text_insert", "path": "t", "index": 0.0, "text": "x", "attributes": null}]'), 't');

-- ---- who edits ----
-- edits that do not descend from one another have different clients; those that do have the same
SELECT ydoc_text_insert(ydoc(), 't', 0, 'x') <> ydoc_text_insert(ydoc(), 't', 0, 'x') AS two_clients;
SELECT count(DISTINCT client) FROM yupdate_inspect(ydoc_text_append(ydoc_text_append(ydoc_text_append(ydoc(), 't', 'a'), 't', 'b'), 't', 'c')::bytea);
CREATE TEMPORARY TABLE rows AS SELECT ydoc_text_insert(ydoc(), 't', 0, 'x') AS doc FROM generate_series(1, 100);
SELECT count(DISTINCT client) FROM rows, yupdate_inspect(doc::bytea);
-- forks of one variable merge: nothing collides
DO $$
DECLARE
    base ydoc := ydoc_from_text('base', 't');
    one ydoc;
    two ydoc;
    failed boolean := false;
BEGIN
    base := ydoc_text_append(base, 't', '.');
    one := ydoc_text_append(base, 't', ' one');
    two := ydoc_text_append(base, 't', ' two');
    one := ydoc_text_append(one, 't', '!');
    BEGIN
        two := ydoc_edit(ydoc_text_append(two, 't', '?'), '[{"op": "text_append", "path": "t", "text": "lost"}, {"op": "no"}]');
    EXCEPTION WHEN invalid_parameter_value THEN failed := true;
    END;
    two := ydoc_text_append(two, 't', '.');
    RAISE NOTICE 'base "%", one "%", two "%", failed %, merged % characters', ydoc_text(base, 't'), ydoc_text(one, 't'), ydoc_text(two, 't'), failed, length(ydoc_text(one || two, 't'));
END $$;
-- ten thousand keystrokes on a variable
DO $$
DECLARE
    doc ydoc := ydoc();
BEGIN
    FOR i IN 1 .. 10000 LOOP
        doc := ydoc_text_insert(doc, 't', i / 2, chr(97 + i % 26));
    END LOOP;
    RAISE NOTICE '% characters of % client', length(ydoc_text(doc, 't')), (SELECT count(DISTINCT client) FROM yupdate_inspect(doc::bytea));
END $$;

-- ---- XML, and ProseMirror's JSON both ways ----
SELECT ydoc_from_prosemirror('{"type": "doc", "content": [
    {"type": "heading", "attrs": {"level": 2, "textAlign": null}, "content": [{"type": "text", "text": "Title"}]},
    {"type": "paragraph", "content": [{"type": "text", "text": "plain "}, {"type": "text", "text": "bold", "marks": [{"type": "bold"}]},
        {"type": "text", "text": "link", "marks": [{"type": "link", "attrs": {"href": "https://example.org"}}]}, {"type": "hardBreak"}, {"type": "text", "text": "end"}]},
    {"type": "bulletList", "content": [{"type": "listItem", "content": [{"type": "paragraph"}]}]}]}', 'default') AS page \gset
SELECT ydoc_prosemirror(:'page', 'default');
SELECT ydoc_xml(:'page', 'default');
SELECT ydoc_xml(ydoc_xml_insert(:'page', 'default', 1, '{"type": "paragraph", "content": [{"type": "text", "text": "new"}]}'), 'default') AS a_node;
SELECT ydoc_xml(ydoc_xml_insert(:'page', ARRAY['default', '2'], 1, '[{"type": "listItem"}, {"type": "listItem", "attrs": {"n": 3}}]'), 'default') AS nodes_in_an_element;
SELECT ydoc_xml(ydoc_xml_delete(:'page', 'default', 1, 2), 'default') AS deleted;
SELECT ydoc_prosemirror(ydoc_xml_remove_attribute(ydoc_xml_set_attribute(:'page', ARRAY['default', '0'], 'id', '"x"'), ARRAY['default', '0'], 'level'), 'default') #> '{content,0}' AS attributes;
SELECT ydoc_xml(ydoc_text_insert(:'page', ARRAY['default', '0', '0'], 5, '!', '{"italic": {}}'), 'default') AS text_in_an_element;
SELECT ydoc_prosemirror(:'page', 'other') IS NULL AS no_such_root, ydoc_prosemirror(ydoc_xml_delete(:'page', 'default', 0, 3), 'default') AS empty;
-- neighbours of the same marks are one node, and a text without characters is none, as in the editor
SELECT ydoc_edit(ydoc_from_prosemirror('{"type": "doc", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "one two"}]}, {"type": "paragraph", "content": [{"type": "text", "text": "x"}]}]}', 'default'), '[
    {"op": "text_format", "path": ["default", "0", "0"], "index": 0, "length": 3, "attributes": {"bold": {}}},
    {"op": "text_format", "path": ["default", "0", "0"], "index": 4, "length": 3, "attributes": {"bold": {}}},
    {"op": "text_delete", "path": ["default", "0", "0"], "index": 3, "length": 1},
    {"op": "text_delete", "path": ["default", "1", "0"], "index": 0, "length": 1}]') AS joined \gset
SELECT ydoc_xml(:'joined', 'default') AS xml, ydoc_prosemirror(:'joined', 'default') AS json;
-- several marks of one type on a text, such as comments, are named as y-prosemirror names them
SELECT ydoc_xml(d, 'x') AS xml, ydoc_prosemirror(d, 'x') #> '{content,0,content}' AS json FROM ydoc_from_prosemirror('{"type": "doc", "content": [{"type": "p", "content": [
    {"type": "text", "text": "both", "marks": [{"type": "c", "attrs": {"id": 0}}, {"type": "c", "attrs": {"id": 1}}]}, {"type": "text", "text": "one", "marks": [{"type": "c", "attrs": {"id": 1}}, {"type": "my--own_mark1"}]}]}]}', 'x') d;
SELECT ydoc_prosemirror(ydoc_from_text('x', 't'), 't');
SELECT ydoc_xml_insert(ydoc(), 'x', 0, '{"typ": "paragraph"}');
SELECT ydoc_xml_insert(ydoc(), 'x', 0, '[1]');
SELECT ydoc_xml_set_attribute(:'page', 'default', 'id', '1');
