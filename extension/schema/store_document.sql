
-- ---- making, copying, taking in and out ----

CREATE FUNCTION ydoc."create"(document text, state @extschema@.ydoc DEFAULT @extschema@.ydoc())
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_create';
COMMENT ON FUNCTION ydoc."create"(text, @extschema@.ydoc) IS
    'Makes a stored document, empty or with this content, and returns its seq; 42710 if there is one of that name, YD001 if that one is deleted and not purged';

CREATE FUNCTION ydoc.copy(document text, new_name text)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 2000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    content @extschema@.ydoc := ydoc.state(document);
BEGIN
    IF content IS NULL THEN
        PERFORM ydoc.changes(document, 0); -- deleted or moved? that says so
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
    LANGUAGE sql VOLATILE PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS $$ SELECT ydoc.apply(document, ARRAY[@extschema@.yupdate_convert(update, format, 1)],
                            ydoc.current_actor()) $$;
COMMENT ON FUNCTION ydoc.import(text, bytea, integer) IS
    'Merges a Yjs update in format 1 or 2 into a stored document, made if need be, and returns its seq';

-- ---- deleting, renaming ----

CREATE FUNCTION ydoc.delete(document text)
    RETURNS boolean
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_delete';
COMMENT ON FUNCTION ydoc.delete(text) IS
    'Deletes a stored document: nobody can read or write it any more, and who has it open is told, but its content is kept for ydoc.undelete; false if there is none of that name';

CREATE FUNCTION ydoc.undelete(document text)
    RETURNS boolean
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_undelete';
COMMENT ON FUNCTION ydoc.undelete(text) IS
    'Brings a deleted document back as it was; false if it is not deleted, YD001 if it was purged, YD002 if it has moved';

CREATE FUNCTION ydoc.purge(document text, forget boolean DEFAULT false)
    RETURNS boolean
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_purge';
COMMENT ON FUNCTION ydoc.purge(text, boolean) IS
    'Removes a document, deleted or not, for good: content, log and all rows that refer to it; its name stays known as deleted, so that no late writer makes it anew, unless that is to be forgotten too; false if there was nothing to remove';

CREATE FUNCTION ydoc.purge_deleted(
    older_than interval, at_most integer DEFAULT 1000, forget boolean DEFAULT false)
    RETURNS integer
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    expired text;
    purged integer := 0;
BEGIN
    PERFORM ydoc.require_store();
    FOR expired IN
        SELECT d.name FROM ydoc_data.document d
        WHERE d.deleted_at < now() - older_than
          AND (forget OR d.buried IS NULL OR d.buried < d.epoch)
        ORDER BY d.deleted_at LIMIT at_most FOR UPDATE SKIP LOCKED
    LOOP
        purged := purged + ydoc.purge(expired, forget)::integer;
    END LOOP;
    RETURN purged;
END
$$;
COMMENT ON FUNCTION ydoc.purge_deleted(interval, integer, boolean) IS
    'Removes for good at most so many of the documents that were deleted longer ago than this, leaving out those that somebody works on, and returns how many; with forget, their names too, and those of documents purged or renamed before';

CREATE FUNCTION ydoc.rename(document text, new_name text)
    RETURNS bigint
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_rename';
COMMENT ON FUNCTION ydoc.rename(text, text) IS
    'Gives a stored document, with its history and all rows that refer to it, another name, and returns its seq; whoever has it open, or comes by the old name, is told the new one; 42710 if that name is taken';
