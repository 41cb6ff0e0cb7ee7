
-- ---- reading ----

CREATE FUNCTION @extschema@.ydoc_text(doc @extschema@.ydoc, root text)
    RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_text';
COMMENT ON FUNCTION @extschema@.ydoc_text(@extschema@.ydoc, text) IS
    'The visible text of a root, without formatting; empty if there is no such root; U+0000 reads as U+FFFD';

CREATE FUNCTION @extschema@.ydoc_json(doc @extschema@.ydoc)
    RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_json';
COMMENT ON FUNCTION @extschema@.ydoc_json(@extschema@.ydoc) IS
    'All roots as an object: texts and XML as strings, bytes in base64, numbers that JSON lacks as null';

CREATE FUNCTION @extschema@.ydoc_json(doc @extschema@.ydoc, root text)
    RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_json';
COMMENT ON FUNCTION @extschema@.ydoc_json(@extschema@.ydoc, text) IS
    'One root as jsonb, by the kind its content suggests; NULL if there is no such root';

CREATE FUNCTION @extschema@.ydoc_roots(doc @extschema@.ydoc, OUT name text, OUT kind text)
    RETURNS SETOF record
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100 ROWS 5
    AS 'MODULE_PATHNAME', 'ydoc_roots';
COMMENT ON FUNCTION @extschema@.ydoc_roots(@extschema@.ydoc) IS
    'The document''s roots and what their content suggests they are: text, array, map, xmlfragment; NULL if empty';

CREATE FUNCTION @extschema@.ydoc_delta(doc @extschema@.ydoc, root text)
    RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_delta';
COMMENT ON FUNCTION @extschema@.ydoc_delta(@extschema@.ydoc, text) IS
    'A root''s text with its formatting, as Quill''s Delta: an array of {insert, attributes}; NULL if there is no such root';

CREATE FUNCTION @extschema@.ydoc_xml(doc @extschema@.ydoc, root text)
    RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_xml';
COMMENT ON FUNCTION @extschema@.ydoc_xml(@extschema@.ydoc, text) IS
    'A root''s markup as Yjs''s toString prints it, without any escaping; NULL if there is no such root; 22023 for arrays and maps';

-- ---- by path ----

CREATE FUNCTION @extschema@.ydoc_text(doc @extschema@.ydoc, path text[])
    RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_text';
COMMENT ON FUNCTION @extschema@.ydoc_text(@extschema@.ydoc, text[]) IS
    'The visible text of what is at a path (a root, then keys and indices from 0); NULL if no shared type is there';

CREATE FUNCTION @extschema@.ydoc_delta(doc @extschema@.ydoc, path text[])
    RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_delta';
COMMENT ON FUNCTION @extschema@.ydoc_delta(@extschema@.ydoc, text[]) IS
    'The text at a path with its formatting, as Quill''s Delta; NULL if no shared type is there';

CREATE FUNCTION @extschema@.ydoc_xml(doc @extschema@.ydoc, path text[])
    RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_xml';
COMMENT ON FUNCTION @extschema@.ydoc_xml(@extschema@.ydoc, text[]) IS
    'The markup at a path as Yjs''s toString prints it, without any escaping; NULL if no shared type is there; 22023 for arrays and maps';

CREATE FUNCTION @extschema@.ydoc_json(doc @extschema@.ydoc, path text[])
    RETURNS jsonb
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_json_at';
COMMENT ON FUNCTION @extschema@.ydoc_json(@extschema@.ydoc, text[]) IS
    'What is at a path (a root, then keys and indices from 0) as jsonb; NULL if there is nothing';

CREATE FUNCTION @extschema@.ydoc_json_text(doc @extschema@.ydoc, root text)
    RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_json_text_at';
COMMENT ON FUNCTION @extschema@.ydoc_json_text(@extschema@.ydoc, text) IS
    'A root as text: a text as it is, anything else as JSON; NULL if there is no such root';

CREATE FUNCTION @extschema@.ydoc_json_text(doc @extschema@.ydoc, path text[])
    RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100
    AS 'MODULE_PATHNAME', 'ydoc_json_text_at';
COMMENT ON FUNCTION @extschema@.ydoc_json_text(@extschema@.ydoc, text[]) IS
    'What is at a path as text: a string as it is, null as NULL, anything else as JSON';

CREATE OPERATOR @extschema@.-> (
    LEFTARG = @extschema@.ydoc, RIGHTARG = text, FUNCTION = @extschema@.ydoc_json);
COMMENT ON OPERATOR @extschema@.-> (@extschema@.ydoc, text) IS 'a root as jsonb';

CREATE OPERATOR @extschema@.->> (
    LEFTARG = @extschema@.ydoc, RIGHTARG = text, FUNCTION = @extschema@.ydoc_json_text);
COMMENT ON OPERATOR @extschema@.->> (@extschema@.ydoc, text) IS 'a root as text';

CREATE OPERATOR @extschema@.#> (
    LEFTARG = @extschema@.ydoc, RIGHTARG = text[], FUNCTION = @extschema@.ydoc_json);
COMMENT ON OPERATOR @extschema@.#> (@extschema@.ydoc, text[]) IS 'what is at a path, as jsonb';

CREATE OPERATOR @extschema@.#>> (
    LEFTARG = @extschema@.ydoc, RIGHTARG = text[], FUNCTION = @extschema@.ydoc_json_text);
COMMENT ON OPERATOR @extschema@.#>> (@extschema@.ydoc, text[]) IS 'what is at a path, as text';
