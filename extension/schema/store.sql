
-- ---- the store: functions; the tables are made by ydoc.create_store() ----

CREATE SCHEMA ydoc;
COMMENT ON SCHEMA ydoc IS 'Functions on stored documents (pg_ydoc)';
GRANT USAGE ON SCHEMA ydoc TO PUBLIC;

CREATE FUNCTION ydoc.require_store()
    RETURNS void
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE n.nspname = 'ydoc_data' AND c.relname = 'document') THEN
        RAISE EXCEPTION 'this database has no store for documents' USING
            ERRCODE = 'undefined_table', HINT = 'SELECT ydoc.create_store() creates its tables.';
    END IF;
END
$$;
COMMENT ON FUNCTION ydoc.require_store() IS 'An error (42P01) unless ydoc.create_store() has made the tables';

CREATE FUNCTION ydoc.require_pattern(documents text)
    RETURNS void
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    IF documents !~ '^([^\\]|\\.)*$' THEN
        RAISE EXCEPTION 'a LIKE pattern must not end with a backslash' USING
            ERRCODE = 'invalid_escape_sequence', DETAIL = format('The pattern is %s.', documents),
            HINT = 'A backslash that is meant is written twice.';
    END IF;
END
$$;
COMMENT ON FUNCTION ydoc.require_pattern(text) IS
    'An error (22025) unless this can be compared with every name of a document: a rule whose pattern fails would fail for all that begin like it';

CREATE FUNCTION ydoc.one_document(documents text)
    RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS $$ SELECT CASE WHEN documents ~ '^([^\\%_]|\\.)*$' THEN regexp_replace(documents, '\\(.)', '\1', 'g') END $$;
COMMENT ON FUNCTION ydoc.one_document(text) IS
    'The one name that a LIKE pattern matches; NULL if it has wildcards';

CREATE FUNCTION ydoc.sync(
    document text, client_state_vector bytea, known_epoch bigint DEFAULT 0,
    OUT epoch bigint, OUT seq bigint, OUT update bytea, OUT state_vector bytea)
    RETURNS SETOF record
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 1000 ROWS 1
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_sync';
COMMENT ON FUNCTION ydoc.sync(text, bytea, bigint) IS
    'What somebody at a state vector lacks of a document, the seq that brings him to, and the document''s own state vector; an empty update at seq 0 if there is no such document; YD001 if it is deleted, or the one he knows, at known_epoch, YD002 if it has moved';

CREATE FUNCTION ydoc.sync_slices(
    document text, client_state_vector bytea,
    slice_bytes integer DEFAULT 65536, max_bytes integer DEFAULT 2147483647, known_epoch bigint DEFAULT 0,
    OUT epoch bigint, OUT seq bigint, OUT update bytea, OUT state_vector bytea, OUT reached bytea)
    RETURNS SETOF record
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 1000 ROWS 10
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_sync_slices';
COMMENT ON FUNCTION ydoc.sync_slices(text, bytea, integer, integer, bigint) IS
    'The same as ydoc.sync in several updates of about slice_bytes, to be applied in order: none needs a later one; state_vector is in the first row; if max_bytes are reached before the end, reached in the last row is what to ask with for the rest';

CREATE FUNCTION ydoc.changes(
    document text, since bigint, known_epoch bigint DEFAULT 0, max_bytes integer DEFAULT 2147483647,
    OUT epoch bigint, OUT seq bigint, OUT update bytea, OUT state_vector bytea)
    RETURNS SETOF record
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 1000 ROWS 1
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_changes';
COMMENT ON FUNCTION ydoc.changes(text, bigint, bigint, integer) IS
    'The updates after a seq, merged into one, and the seq that they reach; the update is NULL if there are none, and if it were larger than max_bytes: then whoever has all up to the seq asks ydoc.sync_slices with state_vector; YD001 if the document is deleted, or the one known at known_epoch, YD002 if it has moved';

CREATE FUNCTION ydoc.changes_of(
    documents text[], since bigint[], known_epochs bigint[], max_bytes integer DEFAULT 2147483647,
    OUT ordinal integer, OUT epoch bigint, OUT seq bigint, OUT update bytea, OUT state_vector bytea)
    RETURNS SETOF record
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 1000 ROWS 10
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_changes_of';
COMMENT ON FUNCTION ydoc.changes_of(text[], bigint[], bigint[], integer) IS
    'ydoc.changes of several documents, a row each; what is an error for one of them is one for all';

CREATE FUNCTION ydoc.heads(
    documents text[],
    OUT document text, OUT epoch bigint, OUT seq bigint, OUT deleted_at timestamptz)
    RETURNS SETOF record
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 100 ROWS 10
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_heads';
COMMENT ON FUNCTION ydoc.heads(text[]) IS
    'Where the logs of these documents are, and since when those are deleted that are; documents that never existed are left out';

CREATE FUNCTION ydoc.state(document text)
    RETURNS @extschema@.ydoc
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_state';
COMMENT ON FUNCTION ydoc.state(text) IS
    'A stored document as a value; NULL if there is none of that name';

CREATE FUNCTION ydoc.json(document text, root text DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_json';
COMMENT ON FUNCTION ydoc.json(text, text) IS
    'A stored document''s root, or all of them, as jsonb; NULL if there is no such document or root';
