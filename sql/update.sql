-- Updates without a document, as Yjs's mergeUpdates, diffUpdate and encodeStateVectorFromUpdate.
\set hello '''\\x01010100040101740568656c6c6f00''::bytea'
\set world '''\\x010101058401040620776f726c6400''::bytea'
\set excl '''\\x01010200840104012100''::bytea'
\set del '''\\x000101010001''::bytea'
\set merged '''\\x020102008401040121020100040101740568656c6c6f8401040620776f726c640101010001''::bytea'
\set sv '''\\x020201010b''::bytea'
\set udiff '''\\x0201020084010401210101058401040620776f726c640101010001''::bytea'
\set hellosv '''\\x010105''::bytea'

SELECT yupdate_merge(ARRAY[:hello, :world, :excl, :del]) = :merged AS as_yjs_merges;
SELECT yupdate_merge(ARRAY[:hello]) = :hello AS one_is_itself, yupdate_merge('{}') AS none;
SELECT yupdate_merge(ARRAY[NULL, :hello, NULL]) = :hello AS nulls_left_out;
SELECT yupdate_diff(:merged, :hellosv) = :udiff AS as_yjs_diffs;
SELECT yupdate_state_vector(:merged) = :sv AS as_yjs_says;
-- a hole stays a hole
SELECT yupdate_merge(ARRAY[:world, :excl]) AS with_a_hole, yupdate_state_vector(:world) AS reaches_nothing;

-- the second of three
SELECT yupdate_merge(ARRAY[:hello, '\x0101', :world]);
\echo :LAST_ERROR_SQLSTATE
SELECT yupdate_diff('\x', :sv);
\echo :LAST_ERROR_SQLSTATE
SELECT yupdate_diff(:hello, '\x0501');
\echo :LAST_ERROR_SQLSTATE
SELECT yupdate_state_vector('\x010101');
\echo :LAST_ERROR_SQLSTATE

-- ---- format 2, and looking inside ----
\set rich '''\\x01050100040101740b48656c6c6f20776f726c6446010004626f6c640474727565c60104010504626f6c64046e756c6cc40104010c012185010a117b22696d616765223a22612e706e67227d0101010506''::bytea'
\set rich_v2 '''\\x000200020241050308000c03000a0e0904004600c600c400851b157448656c6c6f20776f726c64626f6c64626f6c6421010b44000101010000010500787e760105696d6167657705612e706e670101010505''::bytea'
\set known '''\\x01010d''::bytea'
\set diff_v2 '''\\x000002410202080c011803c400850301210100000001020d760105696d6167657705612e706e670101010505''::bytea'

SELECT yupdate_convert(:rich, 1, 2) = :rich_v2 AS as_yjs_converts, yupdate_convert(:rich_v2, 2, 1) = :rich AS and_back,
       yupdate_convert(:rich, 1, 1) = :rich AS to_itself;
SELECT yupdate_merge(ARRAY[:rich_v2], 2) = :rich_v2 AS merged, yupdate_diff(:rich_v2, :known, 2) = :diff_v2 AS as_yjs_diffs,
       yupdate_state_vector(:rich_v2, 2) = yupdate_state_vector(:rich) AS same_vector;
SELECT yupdate_valid(:rich) AS v1, yupdate_valid(:rich_v2, 2) AS v2, yupdate_valid(:rich, 2) AS v1_as_v2,
       yupdate_valid('\x') AS nothing, yupdate_valid('\x0000') AS empty;
SELECT * FROM yupdate_meta(:rich);
SELECT * FROM yupdate_inspect(:rich);
SELECT count(*) FROM (SELECT * FROM yupdate_inspect(:rich) EXCEPT SELECT * FROM yupdate_inspect(:rich_v2, 2)) AS differing;
-- nested types and keys
SELECT client, clock, kind, parent, key, type, name, value
FROM yupdate_inspect('\x01060200070101780301702800020005636c617373017701610700020006040002020268694602030162027b7d8602040162046e756c6c00');
-- of the same client 5 units, a hole of 3, and 1 unit
SELECT clock, length, kind, value FROM yupdate_inspect(yupdate_merge(ARRAY[:hello, '\x01010108840104012100']));

SELECT yupdate_convert(:rich, 1, 3);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM yupdate_inspect('\x0101');
\echo :LAST_ERROR_SQLSTATE
SELECT yupdate_convert('\x000200', 2, 1);
\echo :LAST_ERROR_SQLSTATE
-- an update of format 2 that is given as one of format 1 would be nothing, without a word
SELECT ydoc(:rich_v2);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc() || yupdate_convert('\x01010100040101740568656c6c6f00', 1, 2);
SELECT yupdate_convert(:rich_v2, 1, 2);
SELECT yupdate_convert('\x0000', 1, 2), ydoc(yupdate_convert('\x0000', 1, 2));
SELECT ydoc('\x0001010105030001'::bytea) AS deletes_and_a_rest, ydoc(:rich || '\x00'::bytea) = ydoc(:rich) AS rest;
