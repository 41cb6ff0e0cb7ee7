/* pg_ydoc: collaborative documents in PostgreSQL.  Install with CREATE EXTENSION pg_ydoc. */

-- complain if this script is read by psql instead of CREATE EXTENSION
\echo Use "CREATE EXTENSION pg_ydoc" to load this file. \quit

-- ---- the type ----

CREATE TYPE @extschema@.ydoc;

CREATE FUNCTION @extschema@.ydoc_in(source cstring)
    RETURNS @extschema@.ydoc
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_in';
COMMENT ON FUNCTION @extschema@.ydoc_in(cstring) IS
    'Reads a document from its text form, the Yjs update (V1) as bytea writes it';

CREATE FUNCTION @extschema@.ydoc_out(doc @extschema@.ydoc)
    RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'ydoc_out';
COMMENT ON FUNCTION @extschema@.ydoc_out(@extschema@.ydoc) IS
    'Writes a document as the Yjs update (V1) of its whole state, hexadecimal';

CREATE FUNCTION @extschema@.ydoc_recv(message internal)
    RETURNS @extschema@.ydoc
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_recv';
COMMENT ON FUNCTION @extschema@.ydoc_recv(internal) IS
    'Reads a document from its binary form, a Yjs update (V1)';

CREATE FUNCTION @extschema@.ydoc_send(doc @extschema@.ydoc)
    RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'ydoc_send';
COMMENT ON FUNCTION @extschema@.ydoc_send(@extschema@.ydoc) IS
    'Writes a document in binary form, the Yjs update (V1) of its whole state';

CREATE FUNCTION @extschema@.ydoc_support(request internal)
    RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 1
    AS 'MODULE_PATHNAME', 'ydoc_support';
COMMENT ON FUNCTION @extschema@.ydoc_support(internal) IS
    'Tells the planner that functions that change a document may change a variable in place';

CREATE FUNCTION @extschema@.ydoc_subscript(request internal)
    RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 1
    SUPPORT @extschema@.ydoc_support
    AS 'MODULE_PATHNAME', 'ydoc_subscript';
COMMENT ON FUNCTION @extschema@.ydoc_subscript(internal) IS
    'Makes doc[''root''][''key''][0] read what is at that path, as jsonb, or set it, as ydoc_set does';

CREATE TYPE @extschema@.ydoc (
    SUBSCRIPT = @extschema@.ydoc_subscript,
    INPUT = @extschema@.ydoc_in,
    OUTPUT = @extschema@.ydoc_out,
    RECEIVE = @extschema@.ydoc_recv,
    SEND = @extschema@.ydoc_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = extended
);
COMMENT ON TYPE @extschema@.ydoc IS
    'A collaborative document: the whole state of a Yjs document, deletions included';

-- ---- making and converting ----

CREATE FUNCTION @extschema@.ydoc()
    RETURNS @extschema@.ydoc
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'ydoc_empty';
COMMENT ON FUNCTION @extschema@.ydoc() IS
    'An empty document';

CREATE FUNCTION @extschema@.ydoc(update bytea)
    RETURNS @extschema@.ydoc
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_from_bytea';
COMMENT ON FUNCTION @extschema@.ydoc(bytea) IS
    'The document that a Yjs update (V1) makes of an empty one; 22P03 if it is malformed';

CREATE FUNCTION @extschema@.ydoc_to_bytea(doc @extschema@.ydoc)
    RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'ydoc_to_bytea';
COMMENT ON FUNCTION @extschema@.ydoc_to_bytea(@extschema@.ydoc) IS
    'The document''s whole state as a Yjs update (V1)';

CREATE CAST (bytea AS @extschema@.ydoc) WITH FUNCTION @extschema@.ydoc(bytea);
CREATE CAST (@extschema@.ydoc AS bytea) WITH FUNCTION @extschema@.ydoc_to_bytea(@extschema@.ydoc);
COMMENT ON CAST (bytea AS @extschema@.ydoc) IS 'a Yjs update (V1) as a document';
COMMENT ON CAST (@extschema@.ydoc AS bytea) IS 'a document''s state as a Yjs update (V1)';

-- ---- equality: the same bytes ----

CREATE FUNCTION @extschema@.ydoc_eq(a @extschema@.ydoc, b @extschema@.ydoc)
    RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'ydoc_eq';
COMMENT ON FUNCTION @extschema@.ydoc_eq(@extschema@.ydoc, @extschema@.ydoc) IS
    'Do both documents have the same encoded state?';

CREATE FUNCTION @extschema@.ydoc_ne(a @extschema@.ydoc, b @extschema@.ydoc)
    RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'ydoc_ne';
COMMENT ON FUNCTION @extschema@.ydoc_ne(@extschema@.ydoc, @extschema@.ydoc) IS
    'Do the documents differ in their encoded state?';

CREATE FUNCTION @extschema@.ydoc_hash(doc @extschema@.ydoc)
    RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'ydoc_hash';
COMMENT ON FUNCTION @extschema@.ydoc_hash(@extschema@.ydoc) IS
    'Hash of a document''s encoded state';

CREATE FUNCTION @extschema@.ydoc_hash_extended(doc @extschema@.ydoc, seed bigint)
    RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'ydoc_hash_extended';
COMMENT ON FUNCTION @extschema@.ydoc_hash_extended(@extschema@.ydoc, bigint) IS
    'Hash of a document''s encoded state, 64 bits, with a seed';

CREATE OPERATOR @extschema@.= (
    LEFTARG = @extschema@.ydoc,
    RIGHTARG = @extschema@.ydoc,
    FUNCTION = @extschema@.ydoc_eq,
    COMMUTATOR = OPERATOR(@extschema@.=),
    NEGATOR = OPERATOR(@extschema@.<>),
    RESTRICT = pg_catalog.eqsel,
    JOIN = pg_catalog.eqjoinsel,
    HASHES
);
COMMENT ON OPERATOR @extschema@.= (@extschema@.ydoc, @extschema@.ydoc) IS 'same encoded state';

CREATE OPERATOR @extschema@.<> (
    LEFTARG = @extschema@.ydoc,
    RIGHTARG = @extschema@.ydoc,
    FUNCTION = @extschema@.ydoc_ne,
    COMMUTATOR = OPERATOR(@extschema@.<>),
    NEGATOR = OPERATOR(@extschema@.=),
    RESTRICT = pg_catalog.neqsel,
    JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (@extschema@.ydoc, @extschema@.ydoc) IS
    'different encoded state';

CREATE OPERATOR CLASS @extschema@.ydoc_hash_ops
    DEFAULT FOR TYPE @extschema@.ydoc USING hash AS
    OPERATOR 1 @extschema@.= (@extschema@.ydoc, @extschema@.ydoc),
    FUNCTION 1 @extschema@.ydoc_hash(@extschema@.ydoc),
    FUNCTION 2 @extschema@.ydoc_hash_extended(@extschema@.ydoc, bigint);
COMMENT ON OPERATOR FAMILY @extschema@.ydoc_hash_ops USING hash IS
    'equality of documents by their encoded states';
COMMENT ON OPERATOR CLASS @extschema@.ydoc_hash_ops USING hash IS
    'lets documents be hashed: GROUP BY, DISTINCT, hash joins and indexes';
