
-- ---- merging and exchanging ----

CREATE FUNCTION @extschema@.ydoc_apply(doc @extschema@.ydoc, update bytea)
    RETURNS @extschema@.ydoc
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    SUPPORT @extschema@.ydoc_support
    AS 'MODULE_PATHNAME', 'ydoc_apply';
COMMENT ON FUNCTION @extschema@.ydoc_apply(@extschema@.ydoc, bytea) IS
    'The document with a Yjs update (V1) merged in; what it depends on may come later; 22P03 if it is malformed';

CREATE FUNCTION @extschema@.ydoc_concat(a @extschema@.ydoc, b @extschema@.ydoc)
    RETURNS @extschema@.ydoc
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    SUPPORT @extschema@.ydoc_support
    AS 'MODULE_PATHNAME', 'ydoc_concat';
COMMENT ON FUNCTION @extschema@.ydoc_concat(@extschema@.ydoc, @extschema@.ydoc) IS
    'The document that holds what both hold';

CREATE FUNCTION @extschema@.ydoc_diff(doc @extschema@.ydoc, state_vector bytea)
    RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_diff';
COMMENT ON FUNCTION @extschema@.ydoc_diff(@extschema@.ydoc, bytea) IS
    'The Yjs update (V1) that brings somebody from a state vector to this document; an empty state vector has nothing';

CREATE FUNCTION @extschema@.ydoc_state_vector(doc @extschema@.ydoc)
    RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_state_vector';
COMMENT ON FUNCTION @extschema@.ydoc_state_vector(@extschema@.ydoc) IS
    'What the document holds of every client, as Yjs encodes it';

CREATE OPERATOR @extschema@.|| (
    LEFTARG = @extschema@.ydoc,
    RIGHTARG = @extschema@.ydoc,
    FUNCTION = @extschema@.ydoc_concat,
    COMMUTATOR = OPERATOR(@extschema@.||)
);
COMMENT ON OPERATOR @extschema@.|| (@extschema@.ydoc, @extschema@.ydoc) IS 'merge documents';

CREATE OPERATOR @extschema@.|| (
    LEFTARG = @extschema@.ydoc,
    RIGHTARG = bytea,
    FUNCTION = @extschema@.ydoc_apply
);
COMMENT ON OPERATOR @extschema@.|| (@extschema@.ydoc, bytea) IS 'merge a Yjs update into a document';

CREATE FUNCTION @extschema@.ydoc_contains(a @extschema@.ydoc, b @extschema@.ydoc)
    RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 200
    AS 'MODULE_PATHNAME', 'ydoc_contains';
COMMENT ON FUNCTION @extschema@.ydoc_contains(@extschema@.ydoc, @extschema@.ydoc) IS
    'Does the first document hold all that the second does, so that merging it changes nothing?';

CREATE FUNCTION @extschema@.ydoc_contained(a @extschema@.ydoc, b @extschema@.ydoc)
    RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 200
    AS 'MODULE_PATHNAME', 'ydoc_contained';
COMMENT ON FUNCTION @extschema@.ydoc_contained(@extschema@.ydoc, @extschema@.ydoc) IS
    'Does the second document hold all that the first does, so that merging it changes nothing?';

CREATE OPERATOR @extschema@.@> (
    LEFTARG = @extschema@.ydoc,
    RIGHTARG = @extschema@.ydoc,
    FUNCTION = @extschema@.ydoc_contains,
    COMMUTATOR = OPERATOR(@extschema@.<@),
    RESTRICT = pg_catalog.contsel,
    JOIN = pg_catalog.contjoinsel
);
COMMENT ON OPERATOR @extschema@.@> (@extschema@.ydoc, @extschema@.ydoc) IS 'holds all that the other does';

CREATE OPERATOR @extschema@.<@ (
    LEFTARG = @extschema@.ydoc,
    RIGHTARG = @extschema@.ydoc,
    FUNCTION = @extschema@.ydoc_contained,
    COMMUTATOR = OPERATOR(@extschema@.@>),
    RESTRICT = pg_catalog.contsel,
    JOIN = pg_catalog.contjoinsel
);
COMMENT ON OPERATOR @extschema@.<@ (@extschema@.ydoc, @extschema@.ydoc) IS 'nothing that the other lacks';

-- ---- in a format of one's choice ----

CREATE FUNCTION @extschema@.ydoc_apply(doc @extschema@.ydoc, update bytea, format integer)
    RETURNS @extschema@.ydoc
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    SUPPORT @extschema@.ydoc_support
    AS 'MODULE_PATHNAME', 'ydoc_apply';
COMMENT ON FUNCTION @extschema@.ydoc_apply(@extschema@.ydoc, bytea, integer) IS
    'The document with a Yjs update in that format, 1 or 2, merged in; 22P03 if it is malformed';

CREATE FUNCTION @extschema@.ydoc_diff(doc @extschema@.ydoc, state_vector bytea, format integer)
    RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_diff';
COMMENT ON FUNCTION @extschema@.ydoc_diff(@extschema@.ydoc, bytea, integer) IS
    'The Yjs update in that format, 1 or 2, that brings somebody from a state vector to this document';
