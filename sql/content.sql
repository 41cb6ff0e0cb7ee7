-- Whole documents for others (ydoc.content), and which there are (ydoc.documents).
\set SHOW_CONTEXT never
SELECT ydoc.text_append('content/text', 't', 'hello <world>'), ydoc.create_version('content/text', 'first', 'the beginning');
SELECT ydoc.text_append('content/text', 't', '!');
SELECT ydoc.map_set('content/two', 'm', 'key', '1'), ydoc.text_append('content/two', 't', 'text');
SELECT kind, c.seq, CASE WHEN kind ~ '^(update|state)' THEN (octet_length(content) > 5)::text ELSE convert_from(content, 'UTF8') END AS content
    FROM unnest(ARRAY['update', 'update_v2', 'state_vector', 'json', 'text', 'html', 'markdown']) AS kind,
         ydoc.content('content/text', kind) AS c;
-- the bytes are those of the functions
SELECT content = ydoc.state('content/text')::bytea AS update FROM ydoc.content('content/text', 'update');
SELECT content = ydoc_diff(ydoc.state('content/text'), '\x00', 2) AS v2 FROM ydoc.content('content/text', 'update_v2');
SELECT content = ydoc_state_vector(ydoc.state('content/text')) AS state_vector FROM ydoc.content('content/text', 'state_vector');
SELECT ydoc_text(ydoc(v.content) || d.content, 't') AS "both"
    FROM ydoc.content('content/text', 'update', version => 'first') v,
         ydoc.content('content/text', 'update', state_vector => ydoc_state_vector(ydoc(v.content))) d;
-- a version, a root
SELECT c.seq, convert_from(content, 'UTF8') AS content FROM ydoc.content('content/text', 'html', version => 'first') c;
SELECT convert_from(content, 'UTF8') AS content FROM ydoc.content('content/two', 'json');
SELECT convert_from(content, 'UTF8') AS content FROM ydoc.content('content/two', 'json', root => 'm');
SELECT convert_from(content, 'UTF8') AS content FROM ydoc.content('content/two', 'text', root => 't');
SELECT content FROM ydoc.content('content/two', 'text');
\echo :LAST_ERROR_SQLSTATE
SELECT content FROM ydoc.content('content/two', 'text', root => 'elsewhere');
\echo :LAST_ERROR_SQLSTATE
SELECT content FROM ydoc.content('content/two', 'json', root => 'elsewhere');
\echo :LAST_ERROR_SQLSTATE
SELECT content FROM ydoc.content('content/two', 'html', root => 'm');
\echo :LAST_ERROR_SQLSTATE
SELECT content FROM ydoc.content('content/two', 'pdf');
\echo :LAST_ERROR_SQLSTATE
SELECT content FROM ydoc.content(NULL, 'update');
\echo :LAST_ERROR_SQLSTATE
SELECT content FROM ydoc.content('content/text', 'update', state_vector => '\xff');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.create('content/empty');
SELECT kind, content FROM unnest(ARRAY['json', 'text', 'html', 'markdown', 'update']) AS kind, ydoc.content('content/empty', kind);
SELECT ydoc.purge('content/empty', true);
-- what is known is not read again
SELECT c.seq, c.content IS NULL AS unchanged FROM ydoc.heads(ARRAY['content/text']) h,
    ydoc.content('content/text', 'html', known_epoch => h.epoch, known_seq => h.seq) c;
-- what is not there
SELECT count(*) FROM ydoc.content('content/none', 'update');
SELECT count(*) FROM ydoc.content('content/text', 'update', version => 'none');
SELECT ydoc.rename('content/two', 'content/2');
\set VERBOSITY sqlstate
SELECT count(*) FROM ydoc.content('content/two', 'json');
SELECT ydoc.delete('content/2');
SELECT count(*) FROM ydoc.content('content/2', 'json');
\set VERBOSITY default
-- which there are
SELECT ydoc.text_append('content/' || n, 't', 'x') FROM generate_series(3, 6) n;
SELECT document, seq FROM ydoc.documents('', 'content/', 3);
SELECT document, seq FROM ydoc.documents('content/5', 'content/');
SELECT document FROM ydoc.documents('content/5', 'content/', 0);
SELECT d.document, d.epoch = h.epoch AS same FROM ydoc.documents('content/5', 'content/', 1) d, ydoc.heads(ARRAY['content/6']) h;
