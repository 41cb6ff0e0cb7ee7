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
