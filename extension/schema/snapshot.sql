
-- ---- documents at earlier times ----

CREATE FUNCTION @extschema@.ydoc_snapshot(doc @extschema@.ydoc)
    RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_snapshot';
COMMENT ON FUNCTION @extschema@.ydoc_snapshot(@extschema@.ydoc) IS
    'A Yjs snapshot (V1) of the document: what is known, and what of it is deleted';

CREATE FUNCTION @extschema@.ydoc_snapshot(doc @extschema@.ydoc, format integer)
    RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_snapshot';
COMMENT ON FUNCTION @extschema@.ydoc_snapshot(@extschema@.ydoc, integer) IS
    'A Yjs snapshot of the document in that format, 1 or 2';

CREATE FUNCTION @extschema@.ydoc_at(history bytea, snapshot bytea)
    RETURNS @extschema@.ydoc
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_at';
COMMENT ON FUNCTION @extschema@.ydoc_at(bytea, bytea) IS
    'The document as of a Yjs snapshot (V1); history: an update that still has what was deleted since, such as yupdate_merge of a log; 22023 if it does not reach the snapshot';

CREATE FUNCTION @extschema@.ydoc_delta(history bytea, root text, snapshot bytea, previous bytea DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_delta_at';
COMMENT ON FUNCTION @extschema@.ydoc_delta(bytea, text, bytea, bytea) IS
    'A root''s text as of a Yjs snapshot, as Quill''s Delta; with a previous snapshot what came since has the attribute ychange {"type": "added"}, what went {"type": "removed"}';
