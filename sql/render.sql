-- Documents as HTML and as Markdown.  What random documents look like to real parsers: test/render.
\pset format unaligned
\pset tuples_only on
CREATE FUNCTION pg_temp.show(content jsonb) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT unnest(ARRAY[ydoc_html(d, 'x'), ydoc_markdown(d, 'x')])
    FROM ydoc_from_prosemirror(jsonb_build_object('type', 'doc', 'content', content), 'x') d
$$;
CREATE FUNCTION pg_temp.show_delta(delta jsonb) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT unnest(ARRAY[ydoc_html(d, 'x'), ydoc_markdown(d, 'x')]) FROM ydoc_from_delta(delta, 'x') d
$$;

-- ---- ProseMirror: nodes, by the names of Tiptap and of ProseMirror's own schemas ----
SELECT pg_temp.show('[
  {"type": "heading", "attrs": {"level": 2, "textAlign": "center"}, "content": [{"type": "text", "text": "Plan #"}]},
  {"type": "paragraph", "attrs": {"dir": "rtl"}, "content": [{"type": "text", "text": "one"}, {"type": "hardBreak"}, {"type": "text", "text": "two"}, {"type": "hard_break"}]},
  {"type": "paragraph"},
  {"type": "blockquote", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "quoted"}]}, {"type": "horizontalRule"}]},
  {"type": "codeBlock", "attrs": {"language": "sql"}, "content": [{"type": "text", "text": "SELECT 1 < 2;\n```"}]},
  {"type": "code_block", "attrs": {"params": "no \"language\""}, "content": [{"type": "text", "text": "x"}]},
  {"type": "horizontal_rule"}]');
SELECT pg_temp.show('[
  {"type": "bulletList", "content": [
    {"type": "listItem", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "one"}]}, {"type": "bullet_list", "content": [{"type": "list_item", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "nested"}]}]}]}]},
    {"type": "listItem", "content": [{"type": "paragraph"}]}]},
  {"type": "bulletList", "content": [{"type": "listItem", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "another list"}]}, {"type": "paragraph", "content": [{"type": "text", "text": "second paragraph"}]}]}]},
  {"type": "orderedList", "attrs": {"start": 9}, "content": [{"type": "listItem", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "nine"}]}]}, {"type": "listItem", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "ten"}]}]}]},
  {"type": "ordered_list", "attrs": {"order": 3}, "content": [{"type": "list_item", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "three"}]}]}]},
  {"type": "taskList", "content": [{"type": "taskItem", "attrs": {"checked": true}, "content": [{"type": "paragraph", "content": [{"type": "text", "text": "done"}]}]}, {"type": "taskItem", "attrs": {"checked": false}, "content": [{"type": "paragraph"}]}]},
  {"type": "bulletList", "content": [{"type": "listItem", "content": [{"type": "bulletList", "content": [{"type": "listItem", "content": [{"type": "horizontalRule"}]}]}]}]}]');
SELECT pg_temp.show('[{"type": "table", "content": [
  {"type": "tableRow", "content": [{"type": "tableHeader", "attrs": {"colspan": 2}, "content": [{"type": "paragraph", "attrs": {"textAlign": "right"}, "content": [{"type": "text", "text": "a|b"}]}]}, {"type": "tableHeader", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "c"}]}]}]},
  {"type": "tableRow", "content": [{"type": "tableCell", "attrs": {"rowspan": 2}, "content": [{"type": "paragraph", "content": [{"type": "text", "text": "1"}]}, {"type": "codeBlock", "content": [{"type": "text", "text": "x\ny|z"}]}]}, {"type": "tableCell", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "2"}]}]}, {"type": "tableCell"}]},
  {"type": "tableRow", "content": [{"type": "table_cell", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "3"}, {"type": "hardBreak"}, {"type": "text", "text": "4"}]}]}]}]},
  {"type": "table", "content": [{"type": "table_row", "content": [{"type": "table_cell", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "no header"}]}]}]}]}]');
SELECT pg_temp.show('[{"type": "paragraph", "content": [
  {"type": "image", "attrs": {"src": "https://x.y/z.png", "alt": "a \"b\"", "title": "t", "width": 100, "height": "50px"}},
  {"type": "mention", "attrs": {"id": "7", "label": "ann"}}, {"type": "text", "text": " "}, {"type": "inlineMath", "attrs": {"latex": "a_1 < b"}}]},
  {"type": "image", "attrs": {"src": "/a.png"}}, {"type": "image", "attrs": {"src": "javascript:alert(1)", "alt": "only words"}},
  {"type": "youtube", "attrs": {"src": "https://www.youtube.com/watch?v=x"}}]');
-- names that nobody knows keep what is in them
SELECT pg_temp.show('[{"type": "callout", "attrs": {"onclick": "alert(1)"}, "content": [{"type": "paragraph", "content": [{"type": "text", "text": "in a "}, {"type": "footnote", "content": [{"type": "text", "text": "footnote"}]}, {"type": "bulletList", "content": [{"type": "listItem", "content": [{"type": "text", "text": "a list in a line cuts it"}]}]}, {"type": "text", "text": "rest of the line"}]}]},
  {"type": "script", "content": [{"type": "text", "text": "alert(1)"}]}, {"type": "tableCell", "content": [{"type": "text", "text": "a cell alone"}]}, {"type": "listItem", "content": [{"type": "text", "text": "an item alone"}]}, {"type": "text", "text": "a text alone"}]');
-- BlockNote: an item, and what is nested below it
SELECT pg_temp.show('[{"type": "blockGroup", "content": [
  {"type": "blockContainer", "content": [{"type": "bulletListItem", "content": [{"type": "text", "text": "one"}]}, {"type": "blockGroup", "content": [{"type": "blockContainer", "content": [{"type": "checkListItem", "attrs": {"checked": true}, "content": [{"type": "text", "text": "below"}]}]}]}]},
  {"type": "blockContainer", "content": [{"type": "bulletListItem", "content": [{"type": "text", "text": "two", "marks": [{"type": "textColor", "attrs": {"stringValue": "red"}}]}]}]},
  {"type": "blockContainer", "content": [{"type": "numberedListItem", "attrs": {"start": 5}, "content": [{"type": "text", "text": "five"}]}]}]}]');

-- ---- marks ----
SELECT pg_temp.show(jsonb_build_array(jsonb_build_object('type', 'paragraph', 'content', jsonb_agg(jsonb_build_object('type', 'text', 'text', name || ' ', 'marks', jsonb_build_array(jsonb_build_object('type', name, 'attrs', attrs)))))))
FROM (VALUES ('bold', NULL::jsonb), ('strong', NULL), ('italic', NULL), ('em', NULL), ('underline', NULL), ('strike', NULL), ('code', NULL), ('subscript', NULL), ('superscript', NULL), ('highlight', NULL),
  ('highlight', '{"color": "#ff0"}'), ('textStyle', '{"color": "rgb(1, 2, 3)", "backgroundColor": "blue"}'), ('link', '{"href": "https://x.y?a=b&c=d", "title": "a \"title\""}'), ('comment', '{"id": 7}')) marks (name, attrs);
-- spaces go out of marks; a neighbour that keeps a delimiter from being one is written as a reference; marks nest
SELECT pg_temp.show_delta('[{"insert": "a"}, {"insert": " bold ", "attributes": {"bold": true}}, {"insert": "b "}, {"insert": "(x)", "attributes": {"bold": true}}, {"insert": "y in"}, {"insert": "sid", "attributes": {"italic": true}}, {"insert": "e "},
  {"insert": "one ", "attributes": {"bold": true}}, {"insert": "both", "attributes": {"bold": true, "italic": true, "strike": true}}, {"insert": " other", "attributes": {"italic": true}}, {"insert": "\n"}]');
SELECT pg_temp.show_delta('[{"insert": "1. # - + > | * _a_ snake_case `x` [x](y) ![z] <b> &amp; AT&T \\ ~~s~~ http://x.y\n# no heading\n- no item\n1986. No number\n    no code\n===\n---\n> no quote\n| no | table |\n"}]');

-- ---- Quill: lines by their newlines ----
SELECT pg_temp.show_delta('[{"insert": "Title"}, {"insert": "\n", "attributes": {"header": 1}}, {"insert": "one"}, {"insert": "\n", "attributes": {"list": "bullet"}}, {"insert": "two"}, {"insert": "\n", "attributes": {"list": "bullet", "indent": 1}}, {"insert": "2a"},
  {"insert": "\n", "attributes": {"list": "ordered", "indent": 1}}, {"insert": "deep"}, {"insert": "\n", "attributes": {"list": "ordered", "indent": 99}}, {"insert": "task"}, {"insert": "\n", "attributes": {"list": "checked"}}, {"insert": "task"}, {"insert": "\n", "attributes": {"list": "unchecked"}},
  {"insert": "said"}, {"insert": "\n", "attributes": {"blockquote": true}}, {"insert": "again"}, {"insert": "\n", "attributes": {"blockquote": true, "align": "right"}}, {"insert": "SELECT 1;"}, {"insert": "\n", "attributes": {"code-block": "sql"}}, {"insert": "\n", "attributes": {"code-block": "sql"}},
  {"insert": "SELECT 2;"}, {"insert": "\n", "attributes": {"code-block": "sql"}}, {"insert": "plain"}, {"insert": "\n", "attributes": {"code-block": true}}, {"insert": "a"}, {"insert": "\n", "attributes": {"table": "row-1"}}, {"insert": "b"}, {"insert": "\n", "attributes": {"table": "row-1"}},
  {"insert": "c"}, {"insert": "\n", "attributes": {"table": "row-2"}}, {"insert": "left"}, {"insert": "\n", "attributes": {"align": "left", "direction": "rtl"}}]');
SELECT pg_temp.show_delta('[{"insert": {"image": "/a.png"}, "attributes": {"alt": "a", "width": "20", "link": "https://x.y"}}, {"insert": {"formula": "e=mc^2"}}, {"insert": {"mention": {"denotationChar": "@", "id": "7", "value": "ann"}}}, {"insert": {"video": "https://x.y/v"}}, {"insert": {"unknown": "x"}}, {"insert": "H"},
  {"insert": "2", "attributes": {"script": "sub"}}, {"insert": "O", "attributes": {"script": "super", "color": "#f00", "background": "red"}}, {"insert": "."}, {"insert": {"divider": true}}, {"insert": "the last line has no newline", "attributes": {"underline": true}}]');
-- a plain text, as editors of code keep it
SELECT ydoc_html(d, 't'), ydoc_markdown(d, 't') FROM ydoc_from_text(E'a  b\n\nc <d>', 't') d;

-- ---- what strangers try ----
CREATE TEMPORARY TABLE attack (number serial, url text);
INSERT INTO attack (url) VALUES ('javascript:alert(1)'), ('JaVaScRiPt:alert(1)'), ('  javascript:alert(1)'), (E'\tjavascript:alert(1)'), (E'java\tscript:alert(1)'), (E'java\nscript:alert(1)'), (E'java\rscript:alert(1)'),
  (E'\x01javascript:alert(1)'), (E'java\x01script:alert(1)'), (E'javascript\t:alert(1)'), ('javascript&#58;alert(1)'), ('javascript&colon;alert(1)'), ('&#106;avascript:alert(1)'), ('java&Tab;script:alert(1)'), ('javascript%3Aalert(1)'),
  ('vbscript:msgbox(1)'), ('data:text/html,<script>alert(1)</script>'), ('data:text/html;base64,PHNjcmlwdD4='), ('data:image/svg+xml;base64,PHN2Zz4='), ('file:///etc/passwd'), ('blob:https://x.y/z'), ('view-source:javascript:1'), ('ftp://x.y'), (':javascript:1'), ('x:y'),
  ('https://x.y/" onmouseover="alert(1)'), ('https://x.y/''><script>alert(1)</script>'), ('https://x.y/a) [b](javascript:alert(1)'), ('https://x.y/a "t" b'), (E'https://x.y/\\'), ('https://x.y/<a>'), ('//x.y'), ('/a/b?c:d'), ('#javascript:x'), ('mailto:a@b.c'), ('TEL:+1'), ('');
SELECT number, to_json(url), h, m FROM attack, ydoc_from_delta(jsonb_build_array(jsonb_build_object('insert', 'x', 'attributes', jsonb_build_object('link', url))), 'x') d, ydoc_html(d, 'x') h, ydoc_markdown(d, 'x') m ORDER BY 1;
-- images take pictures in base64 besides, and neither mail nor telephones
SELECT to_json(url), ydoc_html(ydoc_from_delta(jsonb_build_array(jsonb_build_object('insert', jsonb_build_object('image', url), 'attributes', '{"alt": "<alt>"}'::jsonb)), 'x'), 'x')
FROM (VALUES ('data:image/png;base64,AAA='), ('DATA:image/WebP;base64,AAA='), ('data:image/png;base64,AA" onerror="x'), ('data:image/svg+xml;base64,AAA='), ('data:image/png,x'), ('data:text/html;base64,AAA='), ('mailto:a@b.c'), ('javascript:alert(1)'), ('https://x.y')) i (url);
SELECT to_json(color), ydoc_html(ydoc_from_delta(jsonb_build_array(jsonb_build_object('insert', 'x', 'attributes', jsonb_build_object('color', color))), 'x'), 'x')
FROM (VALUES ('red'), ('#F00'), ('#ff000080'), ('#ff00'), ('#ff0000f'), ('rgb(1,2,3)'), ('RGBA(1 2 3 / 50%)'), ('hsl(1.5deg, 2%, 3%)'), ('rgb(1,2,3);x:y'), ('red;background:url(x)'), ('url(https://x.y)'), ('expression(alert(1))'), ('var(--x)'), ('rgb(url(x))'), ('red"'), ('red}'), (repeat('a', 61)), (' red ')) c (color);
-- elements, attributes, text
SELECT pg_temp.show('[{"type": "paragraph", "attrs": {"textAlign": "left;background:url(x)", "onclick": "alert(1)", "style": "x", "class": "y", "id": "z"}, "content": [{"type": "text", "text": "<script>alert(''1'')</script>\r&lt;", "marks": [{"type": "script"}, {"type": "style"}, {"type": "span", "attrs": {"onclick": "alert(1)"}}]}]},
  {"type": "\"><img src=x onerror=alert(1)>", "content": [{"type": "text", "text": "x"}]}, {"type": "codeBlock", "attrs": {"language": "x fixed-overlay"}, "content": [{"type": "text", "text": "</code></pre><script>"}]},
  {"type": "heading", "attrs": {"level": "1><script>"}, "content": [{"type": "text", "text": "x"}]}, {"type": "heading", "attrs": {"level": 7}, "content": [{"type": "text", "text": "x"}]}, {"type": "heading", "attrs": {"level": 1e300}, "content": [{"type": "text", "text": "x"}]},
  {"type": "tableCell", "attrs": {"colspan": 1000000, "rowspan": "9"}, "content": [{"type": "text", "text": "x"}]}, {"type": "orderedList", "attrs": {"start": -1}, "content": [{"type": "listItem"}]}]');
-- lone surrogates and U+0000 read as U+FFFD
SELECT ydoc_html(d, 'x') = U&'<p>\FFFD</p>', ydoc_markdown(d, 'x') = E'\uFFFD\n' FROM ydoc_text_delete(ydoc_from_text('😀', 'x'), 'x', 0, 1) d;

-- ---- roots, paths, errors ----
SELECT ydoc_html(ydoc(), 'x') IS NULL, ydoc_markdown(ydoc(), 'x') IS NULL, ydoc_html(ydoc_from_text('', 'x'), 'x') = '', ydoc_markdown(ydoc_from_text(E'\n \n', 'x'), 'x') = '';
SELECT ydoc_html(ydoc_from_json('[1]', 'a'), 'a');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc_markdown(ydoc_from_json('{"m": {"n": {}}}'), ARRAY['m', 'n']);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc_html(d, ARRAY['x', '1']), ydoc_markdown(d, ARRAY['x', '1']), ydoc_html(d, ARRAY['x', '1', '0']), ydoc_html(d, ARRAY['x', '7']) IS NULL
FROM ydoc_from_prosemirror('{"type": "doc", "content": [{"type": "paragraph"}, {"type": "heading", "attrs": {"level": 3}, "content": [{"type": "text", "text": "only this", "marks": [{"type": "bold"}]}]}]}', 'x') d;
-- so deep and no deeper
CREATE FUNCTION pg_temp.quotes(depth integer) RETURNS ydoc LANGUAGE plpgsql AS $$
DECLARE
    doc ydoc := ydoc();
    path text[] := '{x}';
BEGIN
    FOR i IN 1 .. depth LOOP
        doc := ydoc_xml_insert(doc, path, 0, '{"type": "blockquote"}');
        path := path || '0'::text;
    END LOOP;
    RETURN ydoc_xml_insert(doc, path, 0, '{"type": "text", "text": "deep"}');
END
$$;
SELECT length(ydoc_html(d, 'x')), ydoc_markdown(d, 'x') = repeat('> ', 50) || E'deep\n' FROM pg_temp.quotes(500) d;
SELECT ydoc_html(pg_temp.quotes(501), 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc_markdown(pg_temp.quotes(501), 'x');
\echo :LAST_ERROR_SQLSTATE
