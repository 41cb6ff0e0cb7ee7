
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
