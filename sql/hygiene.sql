-- What the install script promises, asked of the catalog.
CREATE TEMPORARY VIEW members AS
SELECT p.* FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
JOIN pg_extension e ON d.refobjid = e.oid AND d.deptype = 'e' AND e.extname = 'pg_ydoc';
SELECT count(*) > 30 AS there_are_functions FROM members;
-- each of these lists what breaks a rule: nothing
SELECT proname AS without_comment FROM members WHERE obj_description(oid, 'pg_proc') IS NULL;
SELECT pg_describe_object(classid, objid, 0) AS object_without_comment FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_ydoc')
  -- members from 17 on: types of arrays and of rows
  AND NOT (classid = 'pg_type'::regclass AND objid IN (SELECT typarray FROM pg_type UNION SELECT reltype FROM pg_class WHERE relkind <> 'c'))
  AND obj_description(objid, (SELECT relname FROM pg_class c WHERE c.oid = classid)) IS NULL;
SELECT proname AS without_argument_names FROM members
WHERE pronargs > 0 AND (proargnames IS NULL OR '' = ANY (proargnames));
SELECT proname AS definer_for_everybody FROM members
WHERE prosecdef AND (proacl IS NULL OR has_function_privilege('public', oid, 'EXECUTE'));
SELECT proname AS runs_sql_without_path FROM members
WHERE pronamespace = 'ydoc'::regnamespace AND prokind = 'f' -- a procedure that commits cannot have one
  AND NOT coalesce(proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp'];
-- what edits takes a client id by chance, so it gives another document each time
SELECT proname AS value_function_not_parallel FROM members
WHERE pronamespace <> 'ydoc'::regnamespace
  AND (proparallel <> 's' OR (provolatile = 'v') <> (prosrc = 'ydoc_edit' OR prosrc ~ '^ydoc_(text|array|map|xml)_.' OR prosrc ~ '^ydoc_(set|unset|patch|from_(text|delta|json|prosemirror|markdown))$'));
SELECT proname AS value_function_not_immutable FROM members
WHERE pronamespace <> 'ydoc'::regnamespace AND provolatile NOT IN ('i', 'v');
-- whatever is not known to read only writes, and no worker may
SELECT proname AS wrong_volatility FROM members
WHERE pronamespace = 'ydoc'::regnamespace AND provolatile <> CASE WHEN
    proname ~ '^(sync|sync_slices|changes|changes_of|heads|state|state_at|seq_at|text|json|json_text|delta|xml|prosemirror|html|markdown|export|search|history|audit|blame|versions|version_state|awaited|waiting|fenced|project|projections|access_level|comment_roots|my_level|claims_of|is_commenting|judge_token|verify_token|read_token_keys|session_secret|find_session|sessions|claims|current_actor|require_level|require_pattern|require_store|one_document|presence|stat_counters|stat_store|content|documents)$'
    THEN 's' ELSE 'v' END;
SELECT proname AS writes_but_parallel FROM members
WHERE pronamespace = 'ydoc'::regnamespace AND provolatile = 'v' AND proparallel <> 'u';
-- a worker does not know what its leader has edited
SELECT proname AS decodes_in_workers FROM members JOIN pg_language l ON l.oid = prolang
WHERE pronamespace = 'ydoc'::regnamespace AND provolatile = 's' AND lanname = 'c' AND proparallel <> 'r'
  AND proname NOT IN ('judge_token', 'read_token_keys', 'is_commenting'); -- of their parameters alone; of what no worker does
-- every cost is somebody's estimate; what decodes is not cheap
SELECT proname AS default_cost FROM members JOIN pg_language l ON l.oid = prolang
WHERE prokind = 'f' AND prorettype <> 'trigger'::regtype
  AND procost = CASE lanname WHEN 'c' THEN 1 ELSE 100 END AND proname NOT IN ('ydoc_subscript', 'ydoc_support');
SELECT proname AS cheap_but_decodes FROM members
WHERE prokind = 'f' AND procost < CASE WHEN pronamespace = 'ydoc'::regnamespace THEN 1000 ELSE 100 END
  AND prorettype <> 'trigger'::regtype
  AND proname !~ '^ydoc_(subscript|support|out|send|to_bytea|eq|ne|hash|hash_extended|position_json|merge_bytea_transition)$'
  AND prosrc NOT IN ('ydoc_empty', 'ydoc_store_heads', 'ydoc_projections', 'ydoc_projection_changed');
-- a NULL has a meaning where it is a default; and an edit of NULL must not make NULL of a document, nor
-- be lost without a word
SELECT p.oid::regprocedure AS wrong_strictness FROM members p
WHERE prokind = 'f' AND pronargs > 0 AND proisstrict =
    (coalesce(pg_get_expr(proargdefaults, 0) ~ '^NULL|, NULL', false)
     OR (provolatile = 'v' AND prosrc ~ '^ydoc_(store_)?(edit|patch|set|unset|create|apply|apply_batch|apply_batch_as|(text|array|map|xml)_.*)$')
     OR prosrc ~ '^ydoc_merge_(bytea_transition|transition|combine|final)$'
     -- no claims are nobody's; no link comes of nothing
     OR proname IN ('access_level', 'require_level', 'create_link', 'set_comment_roots', 'judge_token', 'claims_of', 'set_token_keys')
     -- actor NULL is everybody; ydoc.apply refuses an update that is NULL; a row of the log may lack actor and source; a document may lack a name before
     OR proname IN ('undo', 'import', 'replace_log_rows', 'projection_changed'));
SELECT castsource::regtype, casttarget::regtype FROM pg_cast
WHERE (castsource = 'ydoc'::regtype OR casttarget = 'ydoc'::regtype) AND castcontext <> 'e';
SELECT extrelocatable AS relocatable, extconfig IS NULL AS owns_no_data FROM pg_extension WHERE extname = 'pg_ydoc';
SELECT c.oid::regclass AS tables_of_the_extension FROM pg_class c
JOIN pg_depend d ON d.objid = c.oid AND d.deptype = 'e' WHERE c.relkind IN ('r', 'S')
  AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_ydoc');
-- a hostile search_path changes nothing
CREATE SCHEMA regress_hostile;
CREATE FUNCTION regress_hostile.octet_length(text) RETURNS integer LANGUAGE sql AS 'SELECT 1/0';
CREATE FUNCTION regress_hostile.unnest(anyarray) RETURNS SETOF anyelement LANGUAGE sql AS 'SELECT $1[1/0]';
SET search_path = regress_hostile, pg_catalog, public;
SELECT ydoc.apply('hostile/1', ARRAY['\x01010100040101740568656c6c6f00'::bytea]);
SELECT ydoc.text('hostile/1', 't');
RESET search_path;
\set VERBOSITY terse
DROP SCHEMA regress_hostile CASCADE;
