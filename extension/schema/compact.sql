
-- ---- compaction ----
--
-- Reading a document costs the rows and bytes that it is stored in, so its log is merged now and then: rows into
-- segments, and all of it into the stored state.  The log stays; what the document is does not change.

CREATE FUNCTION ydoc.compact(
    document text, force boolean DEFAULT false,
    OUT did text, OUT seq bigint, OUT log_rows bigint, OUT bytes bigint)
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE COST 100000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_compact';
COMMENT ON FUNCTION ydoc.compact(text, boolean) IS
    'Compacts a stored document if that is due, or moves its stored state forward (force); says what it did (nothing, folded, stored, or fenced if the document cannot be decoded), up to which seq, of how many log rows, to how many bytes; waits for who is writing the document, and keeps it locked until the transaction ends';

CREATE FUNCTION ydoc.compact_due(at_most integer DEFAULT 100)
    RETURNS integer
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE COST 1000000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_compact_due';
COMMENT ON FUNCTION ydoc.compact_due(integer) IS
    'Compacts at most so many of the documents for which it is due, as long as the results fit into maintenance_work_mem, and returns how many; passes over those that somebody is writing; for cron';

CREATE PROCEDURE ydoc.compact_all(
    at_most integer DEFAULT NULL, force boolean DEFAULT false, INOUT compacted integer DEFAULT NULL)
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'ydoc_store_compact_all';
COMMENT ON PROCEDURE ydoc.compact_all(integer, boolean, integer) IS
    'Looks at all documents and compacts those for which that is due, or which have a log behind their stored state (force), each in a transaction of its own; for cron';

-- ---- documents that cannot be decoded ----

CREATE FUNCTION ydoc.fenced(
    OUT document text, OUT seq bigint, OUT problem text, OUT sqlstate text, OUT at timestamptz)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE COST 1000 ROWS 10
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    RETURN QUERY SELECT f.document, f.seq, f.problem, f.sqlstate, f.at FROM ydoc_data.fence f
    WHERE EXISTS (SELECT FROM ydoc_data.document d WHERE d.name = f.document AND d.deleted_at IS NULL)
    ORDER BY f.document;
END
$$;
COMMENT ON FUNCTION ydoc.fenced() IS
    'Stored documents that could not be decoded when ydoc.apply_batch, compaction or ydoc.update_search came to them: compaction passes over them from then on';

CREATE FUNCTION ydoc.unfence(document text)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    DELETE FROM ydoc_data.fence f WHERE f.document = unfence.document;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO ydoc_data.due (document) VALUES (document) ON CONFLICT DO NOTHING;
    RETURN true;
END
$$;
COMMENT ON FUNCTION ydoc.unfence(text) IS
    'Has a document that was fenced, and repaired since, tried again; false if it was not';
