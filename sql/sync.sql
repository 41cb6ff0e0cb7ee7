-- What two holders of a document exchange: apply, merge, diff, state vector.
\set hello '''\\x01010100040101740568656c6c6f00''::bytea'
\set world '''\\x010101058401040620776f726c6400''::bytea'
\set excl '''\\x01010200840104012100''::bytea'
\set del '''\\x000101010001''::bytea'
\set merged '''\\x020102008401040121020100040101740568656c6c6f8401040620776f726c640101010001''::bytea'
\set state '''\\x02010200840104012102010001010174018401000a656c6c6f20776f726c640101010001''::bytea'
\set dsv '''\\x020201010b''::bytea'
\set diff '''\\x0201020084010401210101058401040620776f726c640101010001''::bytea'
\set hellosv '''\\x010105''::bytea'

-- in whatever order the updates come, the document is what Yjs makes of them
SELECT ydoc_text(ydoc() || :hello || :world || :excl || :del, 't');
SELECT (ydoc() || :hello || :world || :excl || :del)::bytea = :state AS in_order;
SELECT ydoc_text(ydoc() || :del || :world || :excl || :hello, 't') AS backwards;
-- a missing dependency waits: it is part of the state, but not of the text or the state vector
SELECT ydoc_text(ydoc(:world), 't') AS nothing_yet, ydoc_state_vector(ydoc(:world)) AS knows_nothing,
       length(ydoc(:world)::bytea) > 2 AS kept;
SELECT ydoc_text(ydoc(:world) || ydoc(:hello), 't');
-- merging is idempotent and commutative
SELECT d || d = d AS idempotent, d || ydoc() = d AS neutral,
       ydoc(:merged) || ydoc(:excl) = ydoc(:excl) || ydoc(:merged) AS commutative
FROM ydoc(:state) d;
SELECT ydoc_apply(ydoc(:hello), :world) = ydoc(:hello) || :world AS same;

-- state vectors and differences are the bytes of Yjs
SELECT ydoc_state_vector(ydoc(:state)) = :dsv AS state_vector;
SELECT ydoc_diff(ydoc(:state), :hellosv) = :diff AS difference;
SELECT ydoc_diff(ydoc(:state), '\x') = :state AND ydoc_diff(ydoc(:state), '\x00') = :state AS whole;
SELECT ydoc_diff(ydoc(:state), :dsv) AS only_the_deletes;

-- a variable holds the decoded document; a copy of it stays as it was
DO $$
DECLARE
    doc ydoc := ydoc();
    copy ydoc;
BEGIN
    doc := doc || '\x01010100040101740568656c6c6f00'::bytea;
    copy := doc;
    doc := doc || '\x010101058401040620776f726c6400'::bytea;
    RAISE NOTICE '% / %', ydoc_text(copy, 't'), ydoc_text(doc, 't');
END $$;

-- bad input
SELECT ydoc_apply(ydoc(:hello), '\x0101');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc_diff(ydoc(:hello), '\x05');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc_diff(ydoc(:hello), '\x0101');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc_apply(NULL, :hello) IS NULL AS strict;
