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

-- ---- format 2 ----
\set rich '''\\x01050100040101740b48656c6c6f20776f726c6446010004626f6c640474727565c60104010504626f6c64046e756c6cc40104010c012185010a117b22696d616765223a22612e706e67227d0101010506''::bytea'
\set rich_v2 '''\\x000200020241050308000c03000a0e0904004600c600c400851b157448656c6c6f20776f726c64626f6c64626f6c6421010b44000101010000010500787e760105696d6167657705612e706e670101010505''::bytea'
\set state_v2 '''\\x00020002024106040801000c03000a0e0b040081004600c600c40085150f7448656c6c6f626f6c64626f6c642101054400010101000106010600787e760105696d6167657705612e706e670101010505''::bytea'
\set known '''\\x01010d''::bytea'
\set diff_v2 '''\\x000002410202080c011803c400850301210100000001020d760105696d6167657705612e706e670101010505''::bytea'
SELECT ydoc_apply(ydoc(), :rich_v2, 2) = ydoc(:rich) AS the_same_document;
SELECT ydoc_diff(ydoc(:rich), '\x', 2) = :state_v2 AS as_yjs_encodes, ydoc_diff(ydoc(:rich), :known, 2) = :diff_v2 AS as_yjs_diffs,
       ydoc_diff(ydoc(:rich), '\x', 1) = ydoc(:rich)::bytea AS format_1;
SELECT ydoc_apply(ydoc(), '\x00020002', 2);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc_diff(ydoc(), '\x', 0);
\echo :LAST_ERROR_SQLSTATE

-- which document holds all of which: a @> b where merging b into a changes nothing
WITH d (name, doc) AS (VALUES ('nothing', ydoc()), ('hello', ydoc(:hello)), ('deleted', ydoc() || :hello || :del),
    ('world waits', ydoc(:world)), ('hello world', ydoc() || :hello || :world), ('delete waits', ydoc(:del)), ('all', ydoc(:state)))
SELECT a.name, string_agg(b.name, ', ' ORDER BY b.name COLLATE "C") FILTER (WHERE a.doc @> b.doc) AS holds,
       bool_and((a.doc @> b.doc) = (a.doc || b.doc = a.doc) AND (a.doc @> b.doc) = (b.doc <@ a.doc)) AS as_merging_says
FROM d a, d b GROUP BY a.name ORDER BY a.name COLLATE "C";
SELECT ydoc() @> NULL AS unknown, ydoc(:state) @> ydoc(:merged) AND ydoc(:state) <@ ydoc(:merged) AS equal;
DO $$
DECLARE
    doc ydoc := ydoc_from_text('a', 't');
    before ydoc := doc;
BEGIN
    doc := ydoc_text_append(doc, 't', 'b');
    RAISE NOTICE 'a variable holds what it held: %, the other way: %', doc @> before, before @> doc;
    before := doc;
    doc := ydoc_text_delete(doc, 't', 0, 1);
    RAISE NOTICE 'a deletion is news, too: %, %', doc @> before, before @> doc;
END
$$;
WITH RECURSIVE d (n, doc, other) AS (
    SELECT 0, ydoc_from_json('{"t": "one two three", "m": {"a": 1}}'), ydoc()
    UNION ALL
    SELECT n + 1,
           CASE n % 3 WHEN 0 THEN ydoc_text_append(doc, 't', 'x') WHEN 1 THEN ydoc_text_delete(doc, 't', n % 7, 1) ELSE ydoc_map_set(doc, 'm', 'a', to_jsonb(n)) END,
           CASE n % 4 WHEN 0 THEN other || doc WHEN 1 THEN ydoc_text_append(other, 't', 'y') ELSE other END
    FROM d WHERE n < 40)
SELECT count(*) AS pairs, count(*) FILTER (WHERE a.doc @> b.other) > 50 AS many_hold, count(*) FILTER (WHERE a.other @> b.doc) > 100 AS many_more,
       bool_and((a.doc @> b.other) = (a.doc || b.other = a.doc) AND (a.other @> b.doc) = (a.other || b.doc = a.other)) AS as_merging_says
FROM d a, d b;
