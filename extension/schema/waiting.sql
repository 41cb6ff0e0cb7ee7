
-- ---- what waits for updates that have not come ----

CREATE FUNCTION ydoc.awaited(
    document text,
    OUT client bigint, OUT clock_from bigint, OUT clock_to bigint, OUT bytes bigint)
    RETURNS SETOF record
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 1000 ROWS 1
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_awaited';
COMMENT ON FUNCTION ydoc.awaited(text) IS
    'What updates a stored document waits for: the first clock of a Yjs client that is missing, one that is known to be needed, and how many bytes wait in the document, 16 more for each struct and 64 for each deleted range; of all that a struct lacks, Yjs notes one';

CREATE FUNCTION ydoc.waiting(
    OUT document text, OUT client bigint, OUT clock_from bigint, OUT clock_to bigint,
    OUT bytes bigint, OUT since timestamptz)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE STRICT PARALLEL UNSAFE COST 10000 ROWS 10
    SET search_path TO pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM ydoc.require_store();
    IF to_regclass('ydoc_data.waiting') IS NULL THEN
        RAISE EXCEPTION 'the store of this database was made by an older release' USING
            ERRCODE = 'undefined_table', HINT = 'SELECT ydoc.upgrade_store() makes what is new.';
    END IF;
    FOR document IN
        SELECT DISTINCT w.document FROM ydoc_data.waiting w ORDER BY w.document
    LOOP
        BEGIN
            FOR client, clock_from, clock_to, bytes, since IN
                SELECT a.client, a.clock_from, a.clock_to, a.bytes, w.since
                FROM ydoc.awaited(waiting.document) a
                LEFT JOIN ydoc_data.waiting w ON w.document = waiting.document AND w.client = a.client
                ORDER BY a.client
            LOOP
                RETURN NEXT;
            END LOOP;
        EXCEPTION WHEN data_corrupted THEN
            NULL; -- ydoc.fenced lists it
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION ydoc.waiting() IS
    'Stored documents that hold updates which wait for others: for which (ydoc.awaited), and since when; no time is noted of more than 32 clients of a document';
