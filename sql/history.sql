-- What the log tells: sessions, the document as it was, who wrote what; taking things back.
SET ydoc.actor = 'ann';
SELECT ydoc.text_insert('history/1', 't', 0, 'Hello world');
SET ydoc.actor = 'ben';
SELECT ydoc.text_insert('history/1', 't', 5, ' brave new');
SET ydoc.actor = 'ann';
SET ydoc.source = 'psql on desk 7';
SELECT ydoc.text_append('history/1', 't', '!');
SELECT ydoc.text_delete('history/1', 't', 0, 5);
RESET ydoc.source;
SET ydoc.actor = '';
SELECT ydoc.text_insert('history/1', 't', 0, 'Bye');
SELECT ydoc.text('history/1', 't');

SELECT seq_from, seq, actor, source, log_rows, bytes > 0 AS bytes FROM ydoc.history('history/1');
SELECT seq_from, seq, actor, log_rows FROM ydoc.history('history/1', '0');
SELECT document, seq, actor, source, bytes > 0 AS bytes, at > now() - interval '1 hour' AS at FROM ydoc.audit('history/_');
SELECT count(*) FROM ydoc.audit('history/1', now() + interval '1 day');
SELECT count(*) FROM ydoc.history('nobody/knows');

-- ---- as it was ----
SELECT n, ydoc_text(ydoc.state_at('history/1', n), 't') FROM generate_series(0, 5) AS n;
SELECT ydoc.state_at('history/1', 5) = ydoc.state('history/1') AS now;
SELECT ydoc.state_at('history/1', 6);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.state_at('history/1', -1);
SELECT ydoc.state_at('nobody/knows', 1) IS NULL AS nobody, ydoc.state_at('nobody/knows', now()) IS NULL AS knows;
UPDATE ydoc_data.log SET at = '2026-01-01 12:00+00'::timestamptz + seq * interval '1 hour' WHERE document = 'history/1';
SELECT ydoc.seq_at('history/1', '2026-01-01 14:59+00'), ydoc.seq_at('history/1', '2026-01-01 12:00+00'), ydoc.seq_at('nobody/knows', now());
SELECT ydoc_text(ydoc.state_at('history/1', at => '2026-01-01 14:59+00'), 't');
-- what a batch merged into one row has no seqs within
SELECT ordinal, seq FROM ydoc.apply_batch(ARRAY['history/2', 'history/2'],
    ARRAY['\x01010100040101740568656c6c6f00'::bytea, '\x010101058401040620776f726c6400'], ARRAY['ann', 'ann']);
SELECT ydoc.state_at('history/2', 1);
\echo :LAST_ERROR_SQLSTATE

-- ---- who wrote what ----
SELECT * FROM ydoc.blame('history/1', 't', '1 minute');
SELECT index, text, actor, seq FROM ydoc.blame('history/1', 't', '1 day');
SELECT count(*) AS nothing FROM ydoc.blame('history/1', 'other');
SELECT count(*) AS nobody FROM ydoc.blame('nobody/knows', 't');
-- elements, values of keys, what is nested
SET ydoc.actor = 'ann';
SELECT ydoc.set('history/3', 'board', '{"cards": [{"name": "one"}, 2, 3], "open": true}');
SET ydoc.actor = 'ben';
SELECT ydoc.set('history/3', ARRAY['board', 'open'], 'false');
SELECT ydoc.array_push('history/3', ARRAY['board', 'cards'], '[4, 5]');
SELECT ydoc.xml_insert('history/3', 'page', 0, '{"type": "paragraph", "attrs": {"level": 1}, "content": [{"type": "text", "text": "por"}]}');
SET ydoc.actor = 'eve';
SELECT ydoc.text_insert('history/3', ARRAY['page', '0', '0'], 1, 'ö😀');
SELECT path, index, length, text, actor, seq FROM ydoc.blame('history/3', 'board', '0');
-- how wide a character is, not every psql thinks the same of
\pset format unaligned
SELECT path, index, length, text, actor, seq FROM ydoc.blame('history/3', 'page');
\pset format aligned
-- a client that comes back and sends again what is known wrote nothing new
SELECT ydoc.apply('history/2', ARRAY[(ydoc() || (SELECT update FROM ydoc_data.log WHERE document = 'history/2') || '\x010102000401017401780000'::bytea)::bytea], 'ben');
SELECT text, actor, seq FROM ydoc.blame('history/2', 't');

-- ---- taking back: what one wrote goes, what others wrote stays ----
SELECT ydoc.undo('history/1', 'ben', 1);
SELECT ydoc.text('history/1', 't');
SET ydoc.actor = 'moderator';
SELECT ydoc.undo('history/1', 'ann', 3, 4);
SELECT ydoc.text('history/1', 't');
-- an undo is an edit: it can be undone
SELECT ydoc.undo('history/1', 'moderator', 7);
SELECT ydoc.text('history/1', 't');
SELECT ydoc.undo('history/1', 'ann', since => '2026-01-01 15:30+00');
SELECT ydoc.text('history/1', 't');
-- nothing of his is nothing done
SELECT ydoc.undo('history/1', 'nobody', 1) = (SELECT max(seq) FROM ydoc_data.log WHERE document = 'history/1') AS nothing;
SELECT ydoc.undo('history/2', NULL, 2);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.undo('history/2', 'ann', 1, 1);
SELECT ydoc.text('history/2', 't');
-- nobody's document is not made by taking back what was written to it
SELECT ydoc.undo('nobody/knows', 'ann', 1);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.undo('nobody/knows', 'ann', since => '2026-01-01');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) AS nothing FROM ydoc.heads('{nobody/knows}');
SELECT ydoc.undo('history/3', 'ben', 1);
SELECT ydoc.json('history/3', 'board'), ydoc_xml(ydoc.state('history/3'), 'page');

-- ---- as it was, again ----
SELECT ydoc.restore('history/1', 2);
SELECT ydoc.text('history/1', 't');
SELECT ydoc.restore('history/1', 0);
SELECT ydoc.text('history/1', 't') = '' AS empty;
SELECT ydoc.restore('history/1', at => '2026-01-01 17:30+00');
SELECT ydoc.text('history/1', 't');
SELECT ydoc.restore('history/3', 1);
SELECT ydoc.json('history/3', 'board'), ydoc_xml(ydoc.state('history/3'), 'page');
SELECT ydoc.restore('history/1', 99);
SELECT ydoc.restore('nobody/knows', 0);
\echo :LAST_ERROR_SQLSTATE
-- in a transaction, what it has edited itself too
BEGIN;
SELECT ydoc.text_insert('history/1', 't', 0, 'Never mind. ');
SELECT ydoc.restore('history/1', 1);
SELECT ydoc.text('history/1', 't');
COMMIT;
SELECT ydoc.text('history/1', 't');
SELECT count(*) = max(seq) AS one_row_for_each FROM ydoc_data.log WHERE document = 'history/1';
RESET ydoc.actor;
-- what replays its log agrees
SELECT ydoc_text(ydoc_merge(update), 't') = ydoc.text('history/1', 't') AS same FROM ydoc_data.log WHERE document = 'history/1';

-- ---- named versions ----
SET ydoc.actor = 'ann';
BEGIN;
SELECT ydoc.text_append('history/4', 't', 'first draft');
SELECT ydoc.create_version('history/4', 'draft', 'sent to ben');
COMMIT;
SELECT ydoc.text_replace('history/4', 't', 'second draft, longer');
SELECT ydoc.create_version('history/4', 'second');
SELECT label, seq, actor, note FROM ydoc.versions('history/4');
SELECT ydoc_text(ydoc.version_state('history/4', 'draft'), 't'), ydoc.version_state('history/4', 'third') IS NULL AS none;
SELECT ydoc.restore_version('history/4', 'draft');
SELECT ydoc.text('history/4', 't');
SELECT ydoc.create_version('history/4', 'draft');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.create_version('history/4', repeat('x', 1025));
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.create_version('history/4', '');
SELECT ydoc.create_version('nobody/knows', 'draft');
SELECT ydoc.restore_version('history/4', 'third');
SELECT ydoc.drop_version('history/4', 'second'), ydoc.drop_version('history/4', 'second') AS again;

-- ---- how long history is kept ----
SELECT ydoc.text_append('history/4', 't', n::text) FROM generate_series(1, 5) AS n;
SET ydoc.actor = 'ben';
SELECT ydoc.text_append('history/4', 't', n::text) FROM generate_series(6, 8) AS n;
SELECT seq, actor FROM ydoc_data.log WHERE document = 'history/4' ORDER BY seq;
SELECT * FROM ydoc.thin('history/4'); -- nobody said so
UPDATE ydoc_data.log SET at = '2026-01-01'::timestamptz + seq * interval '1 minute' WHERE document = 'history/4';
SELECT ydoc.state('history/4') AS before \gset
SELECT ydoc.set_retention('history/%', gap => '5 minutes'), ydoc.set_retention('%', keep => '1 second');
SELECT * FROM ydoc.thin('history/4');
SELECT seq_from, seq, actor, at FROM ydoc_data.log WHERE document = 'history/4' ORDER BY seq;
-- a session that was merged has its beginning still
SELECT seq_from, seq, began_at, ended_at, actor, log_rows FROM ydoc.history('history/4');
SELECT ydoc.state('history/4') = :'before' AS nothing_changed, ydoc_text(ydoc.version_state('history/4', 'draft'), 't');
-- a more definite pattern counts, and days go
SELECT ydoc.set_retention('history/4', keep => '1 day');
UPDATE ydoc_data.log SET at = now() WHERE document = 'history/4' AND actor = 'ben';
SELECT * FROM ydoc.thin('history/4');
SELECT seq_from, seq, actor FROM ydoc_data.log WHERE document = 'history/4' ORDER BY seq;
SELECT ydoc.state('history/4') = :'before' AS nothing_changed, ydoc_text(ydoc.version_state('history/4', 'draft'), 't');
SELECT text, actor FROM ydoc.blame('history/4', 't');
SELECT seq, update IS NOT NULL AS update FROM ydoc.changes('history/4', 2);
SELECT ydoc.restore('history/4', 1);
SELECT ydoc.restore_version('history/4', 'draft');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.set_retention('x', keep => '-1 day');
\echo :LAST_ERROR_SQLSTATE
-- what the document was before, nobody knows: it was not empty, and is not made so
SET ydoc.actor = 'ann';
SELECT format($$SELECT ydoc.text_append('history/5', 't', '%s ')$$, n) FROM generate_series(1, 6) AS n \gexec
UPDATE ydoc_data.log SET at = '2026-01-01'::timestamptz + seq * interval '1 day' WHERE document = 'history/5';
UPDATE ydoc_data.log SET at = now() WHERE document = 'history/5' AND seq > 4;
SELECT ydoc.set_retention('history/5', keep => '1 day');
SELECT * FROM ydoc.thin('history/5');
SELECT seq_from, seq, began_at, at, actor FROM ydoc_data.log WHERE document = 'history/5' AND seq <= 4;
SELECT ydoc.state_at('history/5', at => '2026-01-03');
\echo :LAST_ERROR_SQLSTATE
\set SHOW_CONTEXT never
SELECT ydoc.restore('history/5', at => '2026-01-03');
\echo :LAST_ERROR_SQLSTATE
\set SHOW_CONTEXT errors
SELECT ydoc.undo('history/5', NULL, since => '2026-01-03');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.undo('history/5', NULL, since => '2025-01-01', until => '2026-01-03');
SELECT ydoc.text('history/5', 't');
SELECT ydoc_text(ydoc.state_at('history/5', at => '2026-01-05'), 't') AS then, ydoc.state_at('history/5', at => '2026-01-01') = ydoc() AS before;
SELECT ydoc.undo('history/5', 'ann', since => '2026-01-03');
SELECT ydoc.text('history/5', 't');
-- a clock that was wrong for a while, ahead or behind, keeps nothing for ever and lets nothing go too early
SELECT format($$SELECT ydoc.text_append('history/6', 't', '%s ')$$, n) FROM generate_series(1, 6) AS n \gexec
UPDATE ydoc_data.log SET at = now() - (6 - seq) * interval '1 day' WHERE document = 'history/6';
UPDATE ydoc_data.log SET at = CASE seq WHEN 2 THEN now() + interval '70 years' ELSE now() - interval '70 years' END WHERE document = 'history/6' AND seq IN (2, 5);
SELECT ydoc.set_retention('history/6', keep => '60 hours');
SELECT * FROM ydoc.thin('history/6');
SELECT seq_from, seq, at < now() AS past FROM ydoc_data.log WHERE document = 'history/6' ORDER BY seq;
-- and one document that cannot be read keeps no other from being thinned
SELECT format('SELECT ydoc.text_append(%L, $$t$$, $$%s $$)', name, n) FROM generate_series(1, 3) AS n, unnest('{history/bad,history/good}'::text[]) AS name \gexec
UPDATE ydoc_data.log SET at = '2026-01-01', update = CASE WHEN document = 'history/bad' THEN '\xff' ELSE update END WHERE document IN ('history/bad', 'history/good');
SELECT ydoc.set_retention('history/_%d', keep => '1 day');
\c -
CALL ydoc.thin_all('history/%');
SELECT document, count(*) FROM ydoc_data.log WHERE document LIKE 'history/%' GROUP BY document ORDER BY document;
SELECT ydoc.drop_retention(documents) FROM ydoc_data.retention ORDER BY documents COLLATE "C";
RESET ydoc.actor;
