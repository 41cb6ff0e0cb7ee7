
-- ---- searching stored documents ----
--
-- The vectors stand in a table of their own and are made anew afterwards, by whoever calls
-- ydoc.update_search(): typing costs nothing more, and a search may be some updates behind.

CREATE FUNCTION ydoc.create_search(config regconfig DEFAULT 'pg_catalog.simple')
    RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    IF to_regclass('ydoc_data.search_config') IS NOT NULL THEN
        RAISE EXCEPTION 'stored documents have search tables already' USING
            ERRCODE = 'duplicate_table',
            HINT = 'For another configuration, drop ydoc_data.search and ydoc_data.search_config before.';
    END IF;
    CREATE TABLE ydoc_data.search_config (config regconfig NOT NULL);
    CREATE TABLE ydoc_data.search (
        document text COLLATE "C" PRIMARY KEY
            REFERENCES ydoc_data.document ON UPDATE CASCADE ON DELETE CASCADE,
        epoch bigint NOT NULL,
        seq bigint NOT NULL,
        words tsvector NOT NULL);
    CREATE INDEX ON ydoc_data.search USING gin (words);
    COMMENT ON TABLE ydoc_data.search IS 'The words of documents as of seq, for full-text search';
    COMMENT ON TABLE ydoc_data.search_config IS 'The text search configuration of ydoc_data.search, one row';
    INSERT INTO ydoc_data.search_config VALUES (config);
    IF (SELECT c.relrowsecurity FROM pg_class c WHERE c.oid = 'ydoc_data.document'::regclass) THEN
        PERFORM ydoc.protect_table('search'), ydoc.protect_table('search_config');
    END IF;
END
$$;
COMMENT ON FUNCTION ydoc.create_search(regconfig) IS
    'Creates the tables for full-text search over stored documents, owned by the caller; ydoc.update_search fills them';

CREATE FUNCTION ydoc.update_search(at_most integer DEFAULT 1000)
    RETURNS integer
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    config regconfig;
    behind record;
    found_words tsvector;
    done integer := 0;
BEGIN
    IF to_regclass('ydoc_data.search') IS NULL THEN
        RAISE EXCEPTION 'stored documents have no search tables' USING
            ERRCODE = 'undefined_table', HINT = 'SELECT ydoc.create_search(''english'') creates them.';
    END IF;
    DELETE FROM ydoc_data.search s USING ydoc_data.document d
    WHERE d.name = s.document AND d.deleted_at IS NOT NULL;
    config := (SELECT c.config FROM ydoc_data.search_config c);
    FOR behind IN
        SELECT d.name, d.epoch, d.seq FROM ydoc_data.document d
        LEFT JOIN ydoc_data.search s ON s.document = d.name
        WHERE d.deleted_at IS NULL
          AND (s.document IS NULL OR s.epoch <> d.epoch OR s.seq <> d.seq)
        LIMIT at_most
    LOOP
        BEGIN
            found_words := @extschema@.ydoc_tsvector(config, ydoc.state(behind.name));
        EXCEPTION WHEN data_corrupted THEN
            found_words := ''; -- a document that cannot be decoded stops no other
            IF has_table_privilege('ydoc_data.fence', 'INSERT') AND has_table_privilege('ydoc_data.fence', 'UPDATE') THEN
                INSERT INTO ydoc_data.fence (document, seq, problem, sqlstate)
                VALUES (behind.name, behind.seq, SQLERRM, SQLSTATE)
                ON CONFLICT ON CONSTRAINT fence_pkey DO UPDATE
                    SET seq = EXCLUDED.seq, problem = EXCLUDED.problem, sqlstate = EXCLUDED.sqlstate, at = DEFAULT;
            END IF;
        END;
        INSERT INTO ydoc_data.search AS s (document, epoch, seq, words)
        VALUES (behind.name, behind.epoch, behind.seq, coalesce(found_words, ''))
        ON CONFLICT (document) DO UPDATE
            SET epoch = EXCLUDED.epoch, seq = EXCLUDED.seq, words = EXCLUDED.words;
        done := done + 1;
    END LOOP;
    RETURN done;
END
$$;
COMMENT ON FUNCTION ydoc.update_search(integer) IS
    'Brings the words of at most so many documents up to date, and returns how many it did; for cron, or a loop of one''s own';

CREATE FUNCTION ydoc.search(query text, OUT document text, OUT rank real)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE COST 1000 ROWS 100
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    parsed tsquery;
BEGIN
    IF to_regclass('ydoc_data.search') IS NULL THEN
        RAISE EXCEPTION 'stored documents have no search tables' USING
            ERRCODE = 'undefined_table', HINT = 'SELECT ydoc.create_search(''english'') creates them.';
    END IF;
    parsed := (SELECT websearch_to_tsquery(c.config, query) FROM ydoc_data.search_config c);
    RETURN QUERY SELECT s.document, ts_rank(s.words, parsed) FROM ydoc_data.search s
    WHERE s.words @@ parsed
      AND EXISTS (SELECT FROM ydoc_data.document d
                  WHERE d.name = s.document AND d.deleted_at IS NULL)
    ORDER BY 2 DESC, 1;
END
$$;
COMMENT ON FUNCTION ydoc.search(text) IS
    'Stored documents that match a query as people type it into search engines, best first, as of the last ydoc.update_search; those that are deleted, or that row security hides, are left out';

-- ---- change events of tables of one's own ----

CREATE FUNCTION ydoc.notify_trigger()
    RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    changed record := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    key text;
BEGIN
    -- NULL, which such a trigger returns, would make a row that is still to be written none
    IF TG_WHEN <> 'AFTER' OR TG_LEVEL <> 'ROW' THEN
        RAISE EXCEPTION 'trigger % must be one AFTER ... FOR EACH ROW', TG_NAME
            USING ERRCODE = 'trigger_protocol_violated',
                  DETAIL = format('It is one %s ... FOR EACH %s.', TG_WHEN, TG_LEVEL);
    END IF;
    IF TG_NARGS <> 1 THEN
        RAISE EXCEPTION 'trigger % needs the name of the key column', TG_NAME
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'EXECUTE FUNCTION ydoc.notify_trigger(''id'')';
    END IF;
    EXECUTE format('SELECT ($1).%I::text', TG_ARGV[0]) INTO key USING changed;
    PERFORM pg_notify('ydoc_table', json_build_object(
        'schema', TG_TABLE_SCHEMA, 'table', TG_TABLE_NAME, 'operation', TG_OP, 'key', key)::text);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION ydoc.notify_trigger() IS
    'Trigger AFTER ... FOR EACH ROW for tables with documents: tells channel ydoc_table which row changed, never what is in it; its argument is the key column';
