-- What reads a value at a place reads a stored document too.
SELECT count(ydoc.text_append('read/1', 'text', 'hello ')), count(ydoc.text_append('read/1', 'text', 'world', '{"bold": true}'));
SELECT count(ydoc.set('read/1', 'board', '{"cards": [{"name": "one"}, {"name": null}], "open": true}'));
SELECT count(ydoc.xml_insert('read/1', 'page', 0, '{"type": "paragraph", "content": [{"type": "text", "text": "hi"}]}'));
SELECT ydoc.text('read/1', 'text'), ydoc.text('read/1', '{text}'::text[]), ydoc.text('read/1', 'other') = '' AS no_such_root,
       ydoc.text('read/1', '{board,cards}'::text[]) = '' AS no_text, ydoc.text('read/1', '{board,cards,7}'::text[]) IS NULL AS nothing;
SELECT ydoc.json('read/1', '{board,cards,0}'::text[]), ydoc.json('read/1', 'board'), ydoc.json('read/1', '{board,lost}'::text[]) IS NULL AS nothing;
SELECT ydoc.json_text('read/1', '{board,cards,0,name}'::text[]), ydoc.json_text('read/1', '{board,cards,1,name}'::text[]) IS NULL AS "null", ydoc.json_text('read/1', 'text');
SELECT ydoc.delta('read/1', 'text'), ydoc.delta('read/1', '{text}'::text[]) = ydoc.delta('read/1', 'text') AS by_path;
SELECT ydoc.xml('read/1', 'page'), ydoc.xml('read/1', '{page,0}'::text[]);
SELECT ydoc.prosemirror('read/1', 'page'), ydoc.prosemirror('read/1', 'other') IS NULL AS no_such_root;
SELECT ydoc.html('read/1', 'page'), ydoc.html('read/1', '{page,0}'::text[]), ydoc.markdown('read/1', 'page'), ydoc.markdown('read/1', '{text}'::text[]), ydoc.html('read/1', 'other') IS NULL AS no_such_root, ydoc.markdown('nobody/knows', 'page') IS NULL AS nobody;
-- each reads what it reads in a value
SELECT ydoc.delta('read/1', 'text') = ydoc_delta(doc, 'text') AS delta, ydoc.xml('read/1', 'text') = ydoc_xml(doc, 'text') AS xml,
       ydoc.json('read/1') = ydoc_json(doc) AS json FROM ydoc.state('read/1') doc;
-- errors and documents that are not there
SELECT ydoc.prosemirror('read/1', 'text');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.xml('read/1', '{board,cards}'::text[]);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.text('read/1', '{}'::text[]);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.delta('nobody/knows', 'text') IS NULL AND ydoc.xml('nobody/knows', 'page') IS NULL AND ydoc.prosemirror('nobody/knows', 'page') IS NULL
       AND ydoc.json('nobody/knows', '{a}'::text[]) IS NULL AND ydoc.json('read/1', NULL::text[]) IS NULL AND ydoc.text(NULL, 'text') IS NULL AS nothing;
-- an edit of the transaction is seen by its reads
BEGIN;
SELECT count(ydoc.text_append('read/1', 'text', '!', '{"bold": null}'));
SELECT ydoc.delta('read/1', 'text');
ROLLBACK;
SELECT ydoc.delta('read/1', 'text');
-- a twin for each reader at a place, and no other
SELECT p.proname, p.proargtypes[1]::regtype AS place FROM pg_proc p
WHERE p.pronamespace = 'ydoc'::regnamespace AND p.proargnames[2] IN ('root', 'path')
  AND EXISTS (SELECT FROM pg_proc v WHERE v.proname = 'ydoc_' || p.proname AND v.proargnames[1] = 'doc' AND v.provolatile = 'i')
ORDER BY 1, 2;
