
-- ---- updates without a document ----

CREATE FUNCTION @extschema@.yupdate_merge(updates bytea[])
    RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'yupdate_merge';
COMMENT ON FUNCTION @extschema@.yupdate_merge(bytea[]) IS
    'One Yjs update (V1) with the effect of all, as Yjs''s mergeUpdates writes it; nulls are left out';

CREATE FUNCTION @extschema@.yupdate_diff(update bytea, state_vector bytea)
    RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'yupdate_diff';
COMMENT ON FUNCTION @extschema@.yupdate_diff(bytea, bytea) IS
    'What of a Yjs update (V1) is news to somebody at a state vector, as Yjs''s diffUpdate writes it';

CREATE FUNCTION @extschema@.yupdate_state_vector(update bytea)
    RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'yupdate_state_vector';
COMMENT ON FUNCTION @extschema@.yupdate_state_vector(bytea) IS
    'The state vector that a Yjs update (V1) reaches from nothing';

-- ---- the same in a format of one's choice: 1, or 2, which compresses better ----

CREATE FUNCTION @extschema@.yupdate_merge(updates bytea[], format integer)
    RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'yupdate_merge';
COMMENT ON FUNCTION @extschema@.yupdate_merge(bytea[], integer) IS
    'One Yjs update with the effect of all, inputs and result in that format';

CREATE FUNCTION @extschema@.yupdate_diff(update bytea, state_vector bytea, format integer)
    RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'yupdate_diff';
COMMENT ON FUNCTION @extschema@.yupdate_diff(bytea, bytea, integer) IS
    'What of a Yjs update is news to somebody at a state vector, update and result in that format';

CREATE FUNCTION @extschema@.yupdate_state_vector(update bytea, format integer)
    RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'yupdate_state_vector';
COMMENT ON FUNCTION @extschema@.yupdate_state_vector(bytea, integer) IS
    'The state vector that a Yjs update in that format reaches from nothing';

CREATE FUNCTION @extschema@.yupdate_convert(update bytea, from_format integer, to_format integer)
    RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'yupdate_convert';
COMMENT ON FUNCTION @extschema@.yupdate_convert(bytea, integer, integer) IS
    'A Yjs update in the other format, 1 or 2, as Yjs''s convertUpdateFormat writes it; 22P03 if it is malformed';

-- ---- looking into updates ----

CREATE FUNCTION @extschema@.yupdate_valid(update bytea, format integer DEFAULT 1)
    RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'yupdate_valid';
COMMENT ON FUNCTION @extschema@.yupdate_valid(bytea, integer) IS
    'Is this a whole Yjs update in that format? For a CHECK constraint on a column of updates';

CREATE FUNCTION @extschema@.yupdate_meta(update bytea, format integer DEFAULT 1,
    OUT client bigint, OUT first_clock bigint, OUT next_clock bigint)
    RETURNS SETOF record
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 10
    AS 'MODULE_PATHNAME', 'yupdate_meta';
COMMENT ON FUNCTION @extschema@.yupdate_meta(bytea, integer) IS
    'Each client of a Yjs update with the clocks its structs go from and up to, as Yjs''s parseUpdateMeta says';

CREATE FUNCTION @extschema@.yupdate_inspect(update bytea, format integer DEFAULT 1,
    OUT client bigint, OUT clock bigint, OUT length bigint, OUT kind text, OUT origin text, OUT right_origin text,
    OUT parent text, OUT key text, OUT type text, OUT name text, OUT value jsonb)
    RETURNS SETOF record
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 100
    AS 'MODULE_PATHNAME', 'yupdate_inspect';
COMMENT ON FUNCTION @extschema@.yupdate_inspect(bytea, integer) IS
    'A row for each struct of a Yjs update, then one of kind delete for each deleted range; ids as client:clock; parent: a root''s name or the id of the item that holds the type, NULL if inherited from the origins';
