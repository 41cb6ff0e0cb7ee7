
-- ---- editing stored documents ----
--
-- The same verbs as on values, by the document's name.  A document that is not there is made.

CREATE FUNCTION ydoc.edit(document text, operations jsonb)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_edit';
COMMENT ON FUNCTION ydoc.edit(text, jsonb) IS
    'Does a list of operations, all or none, to a stored document, as ydoc_edit does to a value; returns the seq that holds them';

CREATE FUNCTION ydoc.patch(document text, patch jsonb)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_patch';
COMMENT ON FUNCTION ydoc.patch(text, jsonb) IS
    'Applies a JSON Patch or a JSON Merge Patch to a stored document, as ydoc_patch does to a value; returns the seq that holds it';

DO $edit$
DECLARE
    verb record;
BEGIN
    FOR verb IN
        -- each function on values that edits at a place has a twin
        SELECT pg_catalog.substr(p.proname, 6) AS name,
               pg_catalog.substr(pg_catalog.pg_get_function_arguments(p.oid), pg_catalog.strpos(pg_catalog.pg_get_function_arguments(p.oid), ',') + 2) AS arguments,
               pg_catalog.replace(pg_catalog.obj_description(p.oid, 'pg_proc'), '; returns the document', '; in a stored document; returns the seq that holds it') AS comment
        FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = '@extschema@'::pg_catalog.regnamespace
          AND p.proname ~ '^ydoc_((text|array|map|xml)_|set$|unset$)'
          AND p.prosrc = p.proname AND p.provolatile = 'v'
          AND p.proargnames[2] IN ('root', 'path')
        ORDER BY p.oid
    LOOP
        EXECUTE format(
            'CREATE FUNCTION ydoc.%1$s(document text, %2$s) RETURNS bigint'
            ' LANGUAGE c VOLATILE PARALLEL UNSAFE COST 1000'
            ' SET search_path TO pg_catalog, pg_temp AS ''MODULE_PATHNAME'', ''ydoc_store_%1$s''',
            verb.name, verb.arguments);
        EXECUTE format(
            'COMMENT ON FUNCTION ydoc.%1$s(text, %2$s) IS %3$L', verb.name,
            regexp_replace(verb.arguments, ' DEFAULT [^,]*', '', 'g'), verb.comment);
    END LOOP;
END
$edit$;
