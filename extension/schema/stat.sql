
-- ---- what was done, and how much there is ----

CREATE FUNCTION ydoc.stat_counters(
    OUT scope text, OUT since timestamptz,
    OUT updates_applied bigint, OUT updates_known bigint, OUT updates_refused bigint,
    OUT log_rows_written bigint, OUT log_bytes_written bigint, OUT notifications bigint,
    OUT cache_hits bigint, OUT cache_misses bigint, OUT cache_evictions bigint,
    OUT cached_documents bigint, OUT cached_bytes bigint)
    RETURNS record
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_stat_counters';
COMMENT ON FUNCTION ydoc.stat_counters() IS
    'What was counted since a time: by the server if pg_ydoc is among shared_preload_libraries, else by this session; cached documents are this session''s';

CREATE FUNCTION ydoc.stat_store(
    OUT documents bigint, OUT log_rows bigint, OUT log_bytes bigint, OUT state_bytes bigint,
    OUT connected bigint)
    RETURNS record
    LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    -- by the catalog: whoever may not use the schema may know how large it is all the same
    store oid := (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'ydoc_data');
    document oid := (SELECT c.oid FROM pg_class c WHERE c.relnamespace = store AND c.relname = 'document');
    log oid := (SELECT c.oid FROM pg_class c WHERE c.relnamespace = store AND c.relname = 'log');
BEGIN
    IF document IS NULL THEN
        RETURN;
    END IF;
    -- rows as the statistics have them: counting would read all of them
    documents := greatest(pg_stat_get_live_tuples(document),
                          (SELECT c.reltuples FROM pg_class c WHERE c.oid = document));
    SELECT sum(greatest(pg_stat_get_live_tuples(c.oid), c.reltuples, 0)), sum(pg_total_relation_size(c.oid))
    INTO log_rows, log_bytes
    FROM pg_class c
    WHERE c.relkind = 'r' AND (c.oid = log OR c.oid IN (SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = log));
    state_bytes := (SELECT pg_total_relation_size(c.oid) FROM pg_class c
                    WHERE c.relnamespace = store AND c.relname = 'state');
    IF has_schema_privilege(store, 'USAGE') AND NOT pg_is_in_recovery()
       AND (SELECT count(*) = 2 AND bool_and(has_table_privilege(c.oid, 'SELECT')) FROM pg_class c
            WHERE c.relnamespace = store AND c.relname IN ('presence', 'relay')) THEN
        connected := (SELECT count(*) FROM ydoc.presence());
    END IF;
END
$$;
COMMENT ON FUNCTION ydoc.stat_store() IS
    'How much the store of this database holds: documents, with names of those that are gone, and log rows as PostgreSQL estimates them, bytes on disk with indexes, clients that are connected; NULL where there is no store, or no right to know';

CREATE VIEW ydoc.stat AS
SELECT * FROM ydoc.stat_counters(), ydoc.stat_store();
COMMENT ON VIEW ydoc.stat IS
    'One row: what pg_ydoc did (ydoc.stat_counters) and how much its store holds (ydoc.stat_store)';
GRANT SELECT ON ydoc.stat TO PUBLIC;
