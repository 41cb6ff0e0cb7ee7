
-- ---- the aggregate ----

CREATE FUNCTION @extschema@.ydoc_merge_bytea_transition(state internal, update bytea)
    RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'ydoc_merge_bytea_transition';
COMMENT ON FUNCTION @extschema@.ydoc_merge_bytea_transition(internal, bytea) IS
    'Part of aggregate ydoc_merge';

CREATE FUNCTION @extschema@.ydoc_merge_transition(state internal, doc @extschema@.ydoc)
    RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_merge_transition';
COMMENT ON FUNCTION @extschema@.ydoc_merge_transition(internal, @extschema@.ydoc) IS
    'Part of aggregate ydoc_merge';

CREATE FUNCTION @extschema@.ydoc_merge_combine(a internal, b internal)
    RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_merge_combine';
COMMENT ON FUNCTION @extschema@.ydoc_merge_combine(internal, internal) IS
    'Part of aggregate ydoc_merge';

CREATE FUNCTION @extschema@.ydoc_merge_serialize(state internal)
    RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_merge_serialize';
COMMENT ON FUNCTION @extschema@.ydoc_merge_serialize(internal) IS
    'Part of aggregate ydoc_merge';

CREATE FUNCTION @extschema@.ydoc_merge_deserialize(state bytea, unused internal)
    RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_merge_deserialize';
COMMENT ON FUNCTION @extschema@.ydoc_merge_deserialize(bytea, internal) IS
    'Part of aggregate ydoc_merge';

CREATE FUNCTION @extschema@.ydoc_merge_final(state internal)
    RETURNS @extschema@.ydoc
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_merge_final';
COMMENT ON FUNCTION @extschema@.ydoc_merge_final(internal) IS
    'Part of aggregate ydoc_merge';

CREATE AGGREGATE @extschema@.ydoc_merge(update bytea) (
    SFUNC = @extschema@.ydoc_merge_bytea_transition,
    STYPE = internal,
    FINALFUNC = @extschema@.ydoc_merge_final,
    COMBINEFUNC = @extschema@.ydoc_merge_combine,
    SERIALFUNC = @extschema@.ydoc_merge_serialize,
    DESERIALFUNC = @extschema@.ydoc_merge_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.ydoc_merge(bytea) IS
    'The document that all these Yjs updates (V1) make, in whatever order; NULL for none';

CREATE AGGREGATE @extschema@.ydoc_merge(doc @extschema@.ydoc) (
    SFUNC = @extschema@.ydoc_merge_transition,
    STYPE = internal,
    FINALFUNC = @extschema@.ydoc_merge_final,
    COMBINEFUNC = @extschema@.ydoc_merge_combine,
    SERIALFUNC = @extschema@.ydoc_merge_serialize,
    DESERIALFUNC = @extschema@.ydoc_merge_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.ydoc_merge(@extschema@.ydoc) IS
    'The document that holds what all these hold; NULL for none';
