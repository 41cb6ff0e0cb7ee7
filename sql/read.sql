-- Text, JSON and roots of a document.
\set hello '''\\x01010100040101740568656c6c6f00''::bytea'
\set values '''\\x010403002801016d016b017602016175047d017c402000007e77017801627808010161027d01770374776f83030203010203880303047bbfb999999999999a7b444b1ae4d6e2ef507b7ff80000000000007e00''::bytea'
\set xml '''\\x0104040007010178030150280004000269640177013707000400060400040202686900''::bytea'
\set emoji '''\\x01010500040101740861f09f988000c3a900''::bytea'

SELECT ydoc_text(ydoc(:hello), 't') AS text, ydoc_text(ydoc(:hello), 'other') AS no_such_root;
-- characters beyond the basic plane; U+0000, which text cannot hold, reads as U+FFFD
SELECT ydoc_text(ydoc(:emoji), 't') = U&'a\+01F600\FFFD\00E9' AS unicode;
SELECT ydoc_json(ydoc(:values));
SELECT ydoc_json(ydoc(:values), 'm') AS map, ydoc_json(ydoc(:values), 'a') AS array;
SELECT ydoc_json(ydoc(:xml), 'x') AS xml, ydoc_json(ydoc(:xml), 'other') IS NULL AS no_such_root;
SELECT ydoc_json(ydoc()) AS nothing;
SELECT * FROM ydoc_roots(ydoc(:hello) || :values || :xml) ORDER BY name;
SELECT count(*) FROM ydoc_roots(ydoc());

-- ---- rich text and markup ----
\set rich '''\\x01050100040101740b48656c6c6f20776f726c6446010004626f6c640474727565c60104010504626f6c64046e756c6cc40104010c012185010a117b22696d616765223a22612e706e67227d0101010506''::bytea'
\set page '''\\x01060200070101780301702800020005636c617373017701610700020006040002020268694602030162027b7d8602040162046e756c6c00''::bytea'
SELECT ydoc_delta(ydoc(:rich), 't') AS delta, ydoc_text(ydoc(:rich), 't') AS text, ydoc_xml(ydoc(:rich), 't') AS xml;
SELECT ydoc_delta(ydoc(:rich), 'other') IS NULL AS no_such_root, ydoc_delta(ydoc(:page), 'x') AS no_text_in_it;
SELECT ydoc_xml(ydoc(:page), 'x') AS xml, ydoc_xml(ydoc(:page), 'other') IS NULL AS no_such_root;
SELECT ydoc_xml(ydoc(:values), 'm');
\echo :LAST_ERROR_SQLSTATE

-- ---- by path: operators and subscripts ----
SELECT ydoc_from_json('{"title": "Plan", "board": {"cards": [{"name": "one"}, {"name": "two", "plain": null}]}}') AS board \gset
SELECT :'board'::ydoc -> 'board' AS root, :'board'::ydoc ->> 'title' AS text, :'board'::ydoc -> 'other' IS NULL AS none;
SELECT :'board'::ydoc #> '{board,cards,1}' AS path, :'board'::ydoc #>> '{board,cards,1,name}' AS text, :'board'::ydoc #>> '{board,cards,1,plain}' IS NULL AS "null";
CREATE TEMPORARY TABLE boards AS SELECT :'board'::ydoc AS doc;
SELECT doc['board']['cards'][0]['name'], doc['title'], doc['board']['cards'][7] IS NULL AS beyond, doc['board'][NULL::text] IS NULL AS unknown FROM boards;
SELECT doc['board']['cards'][0:1] FROM boards;
SELECT ydoc_json(doc, ARRAY['board', 'cards']), ydoc_json_text(doc, ARRAY['board', 'cards', '0', 'name']) FROM boards;
