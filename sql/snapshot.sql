-- Yjs snapshots: taken of a document, and a history read as of them.
\set history '''\\x01050100040101740b48656c6c6f20776f726c6446010004626f6c640474727565c60104010504626f6c64046e756c6cc40104010c012185010a117b22696d616765223a22612e706e67227d0101010506''::bytea'
\set first '''\\x0001010d''::bytea'
\set second '''\\x010101050601010f''::bytea'
\set restored '''\\x01040100040101740548656c6c6f8401040620776f726c6446010004626f6c640474727565c60104010504626f6c64046e756c6c00''::bytea'

SELECT ydoc_snapshot(ydoc(:history)) = :second AS as_yjs_says, ydoc_snapshot(ydoc()) AS of_nothing;
SELECT ydoc_snapshot(ydoc(:history), 2) AS format_2, ydoc_snapshot(ydoc(:history), 1) = :second AS format_1;

-- the text that was deleted since is there again
SELECT ydoc_at(:history, :first)::bytea = :restored AS as_yjs_restores, ydoc_text(ydoc_at(:history, :first), 't') AS text;
SELECT ydoc_text(ydoc_at(:history, :second), 't') AS later, ydoc_json(ydoc_at(:history, '\x0000')) AS before_all;
-- a history is what a log has: updates merged without a document
SELECT ydoc_text(ydoc_at(yupdate_merge(array_agg(update ORDER BY n)), '\x00010106'), 't') AS after_six_units
FROM (VALUES (1, '\x01010100040101740548656c6c6f00'::bytea), (2, '\x010101058401040620776f726c6400'), (3, '\x000101010001')) AS log (n, update);

SELECT ydoc_delta(:history, 't', :first) AS at_first;
SELECT ydoc_delta(:history, 't', :second, :first) AS what_changed;
SELECT ydoc_delta(:history, 'other', :first) IS NULL AS no_such_root, ydoc_delta(NULL, 't', :first) IS NULL AS of_null;

-- a snapshot of another document, no snapshot, no history
SELECT ydoc_at(:history, '\x00010763');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc_at(:history, '\x00');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc_at('\x0101', :first);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc_snapshot(ydoc(), 7);
\echo :LAST_ERROR_SQLSTATE
