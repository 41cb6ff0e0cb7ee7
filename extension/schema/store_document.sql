
-- ---- making, copying, taking in and out ----

CREATE FUNCTION ydoc."create"(document text, state @extschema@.ydoc DEFAULT @extschema@.ydoc())
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.apply(document, ARRAY['\x0000'::bytea]); -- may it be called that?
    INSERT INTO ydoc_data.document (name) VALUES (document) ON CONFLICT (name) DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'document "%" exists already', document USING
            ERRCODE = 'duplicate_object', HINT = 'ydoc.import merges into a document that is there.';
    END IF;
    RETURN ydoc.apply(document, ARRAY[state::bytea], nullif(current_setting('ydoc.actor'), ''));
END
$$;
COMMENT ON FUNCTION ydoc."create"(text, @extschema@.ydoc) IS
    'Makes a stored document, empty or with this content, and returns its seq; 42710 if there is one of that name';

CREATE FUNCTION ydoc.copy(document text, new_name text)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 2000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    content @extschema@.ydoc := ydoc.state(document);
BEGIN
    IF content IS NULL THEN
        RAISE EXCEPTION 'there is no document "%"', document USING ERRCODE = 'undefined_object';
    END IF;
    RETURN ydoc."create"(new_name, content);
END
$$;
COMMENT ON FUNCTION ydoc.copy(text, text) IS
    'Makes a stored document of another one''s present content, without its history, and returns its seq; both may be merged later';

CREATE FUNCTION ydoc.export(document text, format integer DEFAULT 1)
    RETURNS bytea
    LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS $$ SELECT @extschema@.yupdate_convert(ydoc.state(document)::bytea, 1, format) $$;
COMMENT ON FUNCTION ydoc.export(text, integer) IS
    'A stored document as a Yjs update in format 1 or 2, as encodeStateAsUpdate gives it; NULL if there is none of that name';

CREATE FUNCTION ydoc.import(document text, update bytea, format integer DEFAULT 1)
    RETURNS bigint
    LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS $$ SELECT ydoc.apply(document, ARRAY[@extschema@.yupdate_convert(update, format, 1)],
                            nullif(pg_catalog.current_setting('ydoc.actor'), '')) $$;
COMMENT ON FUNCTION ydoc.import(text, bytea, integer) IS
    'Merges a Yjs update in format 1 or 2 into a stored document, made if need be, and returns its seq';
