
-- ---- reading stored documents ----
--
-- The functions that read a value at a place, by the document's name.

DO $read$
DECLARE
    reader record;
BEGIN
    FOR reader IN
        SELECT pg_catalog.substr(p.proname, 6) AS name,
               pg_catalog.substr(p.prosrc, 6) AS symbol,
               p.proargnames[2] AS place,
               pg_catalog.format_type(p.proargtypes[1], NULL) AS place_type,
               pg_catalog.format_type(p.prorettype, NULL) AS result,
               pg_catalog.obj_description(p.oid, 'pg_proc') AS comment
        FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = '@extschema@'::pg_catalog.regnamespace
          AND p.prosrc ~ '^ydoc_(text|json_at|json_text_at|delta|xml|prosemirror|html|markdown)$'
          AND p.proargnames[1] = 'doc' AND p.pronargs = 2
        ORDER BY p.oid
    LOOP
        EXECUTE pg_catalog.format(
            'CREATE FUNCTION ydoc.%I(document text, %s %s) RETURNS %s'
            ' LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 1000'
            ' SET search_path TO pg_catalog, pg_temp AS ''MODULE_PATHNAME'', ''ydoc_store_%s''',
            reader.name, reader.place, reader.place_type, reader.result, reader.symbol);
        EXECUTE pg_catalog.format(
            'COMMENT ON FUNCTION ydoc.%I(text, %s) IS %L', reader.name, reader.place_type,
            'In a stored document, NULL if there is none of that name: ' || reader.comment);
    END LOOP;
END
$read$;
