
-- ---- places that stay: cursors, comments ----

CREATE FUNCTION @extschema@.ydoc_position(doc @extschema@.ydoc, root text, index bigint, assoc integer DEFAULT 0)
    RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_position';
COMMENT ON FUNCTION @extschema@.ydoc_position(@extschema@.ydoc, text, bigint, integer) IS
    'A Yjs relative position: the place at an index (UTF-16 units or elements) of a root; assoc below 0 sticks to what is left of it, else to what is right';

CREATE FUNCTION @extschema@.ydoc_position_resolve(doc @extschema@.ydoc, "position" bytea,
    OUT root text, OUT item text, OUT index bigint, OUT assoc bigint)
    RETURNS record
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_position_resolve';
COMMENT ON FUNCTION @extschema@.ydoc_position_resolve(@extschema@.ydoc, bytea) IS
    'Where a Yjs relative position is now: in a root, or in the type that an item (client:clock) holds; NULL if the document does not know it';

CREATE FUNCTION @extschema@.ydoc_position_json("position" bytea)
    RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'ydoc_position_json';
COMMENT ON FUNCTION @extschema@.ydoc_position_json(bytea) IS
    'A Yjs relative position in its JSON form, as editors keep it';
