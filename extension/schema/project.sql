
-- ---- tables that follow stored documents ----
--
-- Two triggers on ydoc_data.document tell of changes; their arguments say what is to be written
-- (projection.c).  They are constraint triggers because those have a FROM: they keep to the table when
-- it is renamed, go when it goes, and are dumped and restored.

CREATE FUNCTION ydoc.project(document text, columns jsonb)
    RETURNS jsonb
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_project';
COMMENT ON FUNCTION ydoc.project(text, jsonb) IS
    'Chosen places of a stored document as one object: {"title": ["meta", "title"], "body": {"path": "body", "as": "text"}}; what is not there is left out; NULL if there is no document of that name';

CREATE FUNCTION ydoc.projection_changed("table" oid, trigger name, old_name text, new_name text)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE COST 10
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_projection_changed';
COMMENT ON FUNCTION ydoc.projection_changed(oid, name, text, text) IS
    'Part of ydoc.create_projection: called by its trigger''s function';

CREATE FUNCTION ydoc.projections(
    OUT target regclass, OUT documents text, OUT columns jsonb, OUT key_column name,
    OUT on_error text, OUT owner regrole, OUT enabled boolean)
    RETURNS SETOF record
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 100 ROWS 10
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_projections';
COMMENT ON FUNCTION ydoc.projections() IS
    'The tables that follow stored documents, as ydoc.create_projection made them; rows are written with the rights of owner';

CREATE FUNCTION ydoc.refresh_projection(target regclass, documents text DEFAULT '%')
    RETURNS bigint
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE COST 100000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_refresh_projection';
COMMENT ON FUNCTION ydoc.refresh_projection(regclass, text) IS
    'Brings a table that follows documents up to date for those whose names match a LIKE pattern too, removes rows whose documents are gone, and returns how many documents there were; they are locked until the transaction ends';

CREATE FUNCTION ydoc.create_projection(
    target regclass, documents text, columns jsonb, key_column name DEFAULT 'document',
    on_error text DEFAULT 'record', with_data boolean DEFAULT true)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 100000
    SET search_path TO pg_catalog, pg_temp
AS $create$
DECLARE
    relation pg_class;
    key_number smallint;
    owner name;
    function_name name;
    settings text;
    arguments text := format('%L, %L, %L, %L', documents, columns, key_column, on_error);
BEGIN
    IF to_regclass('ydoc_data.projection_error') IS NULL THEN
        RAISE EXCEPTION 'this database has no store for documents' USING
            ERRCODE = 'undefined_table',
            HINT = 'SELECT ydoc.create_store() creates its tables, ydoc.upgrade_store() what is missing of them.';
    END IF;
    PERFORM ydoc.project('?', columns); -- are they understood?
    PERFORM ydoc.require_pattern(documents);
    IF on_error NOT IN ('record', 'raise') THEN
        RAISE EXCEPTION 'on_error is "record" or "raise", not "%"', on_error USING
            ERRCODE = 'invalid_parameter_value',
            HINT = 'With "record", a document that does not fit the table is stored all the same and listed in ydoc_data.projection_error; with "raise" its transaction fails.';
    END IF;

    -- the table
    SELECT c.* INTO relation FROM pg_class c WHERE c.oid = target;
    owner := pg_get_userbyid(relation.relowner);
    IF relation.relkind IS NULL OR relation.relkind NOT IN ('r', 'p') THEN
        RAISE EXCEPTION '% is not a table', target USING ERRCODE = 'wrong_object_type';
    END IF;
    IF NOT pg_has_role(current_user, relation.relowner, 'USAGE') THEN
        RAISE EXCEPTION 'must be owner of table %', target USING
            ERRCODE = 'insufficient_privilege',
            DETAIL = format('Its rows are written with the rights of its owner, %I.', owner);
    END IF;
    IF EXISTS (SELECT FROM ydoc.projections() p WHERE p.target = relation.oid) THEN
        RAISE EXCEPTION 'table % follows documents already', target USING
            ERRCODE = 'duplicate_object', HINT = 'ydoc.drop_projection ends that.';
    END IF;
    SELECT a.attnum INTO key_number FROM pg_attribute a
    WHERE a.attrelid = target AND a.attname = key_column AND a.attnum > 0 AND NOT a.attisdropped
      AND a.atttypid IN ('text'::regtype, 'varchar'::regtype) AND a.attgenerated = ''
      AND (SELECT l.collisdeterministic FROM pg_collation l WHERE l.oid = a.attcollation);
    IF key_number IS NULL THEN
        RAISE EXCEPTION 'table % has no column "%" for the names of documents', target, key_column USING
            ERRCODE = 'undefined_column', DETAIL = 'It must be of type text, with a deterministic collation.',
            HINT = 'Argument key_column names another one.';
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_index i WHERE i.indrelid = target AND i.indisunique AND i.indisvalid
          AND i.indimmediate AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = key_number)
    THEN
        RAISE EXCEPTION 'column "%" of table % is not unique', key_column, target USING
            ERRCODE = 'invalid_column_reference',
            HINT = format('ALTER TABLE %s ADD UNIQUE (%I)', target, key_column);
    END IF;
    IF columns ? key_column THEN
        RAISE EXCEPTION 'column "%" takes the names of documents, and nothing of their content', key_column USING
            ERRCODE = 'invalid_parameter_value';
    END IF;

    -- its owner
    IF NOT (has_schema_privilege(owner, 'ydoc_data', 'USAGE')
            AND has_table_privilege(owner, 'ydoc_data.document', 'SELECT')
            AND has_table_privilege(owner, 'ydoc_data.log', 'SELECT')
            AND has_table_privilege(owner, 'ydoc_data.state', 'SELECT')) THEN
        RAISE EXCEPTION 'the owner of table %, %, may not read the documents', target, owner USING
            ERRCODE = 'insufficient_privilege',
            HINT = format('GRANT USAGE ON SCHEMA ydoc_data TO %1$I; GRANT SELECT ON ydoc_data.document, ydoc_data.log, ydoc_data.state TO %1$I', owner);
    END IF;
    IF with_data AND NOT has_table_privilege('ydoc_data.document', 'UPDATE') THEN
        RAISE EXCEPTION 'to fill table % needs the right to lock documents', target USING
            ERRCODE = 'insufficient_privilege',
            HINT = format('GRANT UPDATE ON ydoc_data.document TO %I.  With with_data => false the table begins as it is.', current_user);
    END IF;
    IF with_data AND row_security_active('ydoc_data.document') AND EXISTS (
        SELECT FROM ydoc_data.document d
        WHERE d.name LIKE documents AND d.deleted_at IS NULL AND ydoc.my_level(d.name) < 'write') THEN
        -- row security would hide what may not be locked, and leave it out without a word
        RAISE EXCEPTION 'to fill table % needs the right to lock documents', target USING
            ERRCODE = 'insufficient_privilege',
            HINT = 'Under row security that is level write.  With with_data => false the table begins as it is.';
    END IF;
    IF owner <> current_user AND NOT has_schema_privilege(owner, 'ydoc_data', 'CREATE') THEN
        -- a superuser may give functions to whom he likes
        IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
            RAISE EXCEPTION 'the owner of table %, %, may have no function in schema ydoc_data', target, owner USING
                ERRCODE = 'insufficient_privilege', HINT = format('GRANT CREATE ON SCHEMA ydoc_data TO %I', owner);
        END IF;
    END IF;

    -- the function lends his rights to the triggers, and what its creator takes a time without zone for
    function_name := ydoc.projection_function_name(relation.relname);
    settings := format('SET search_path TO pg_catalog, pg_temp SET "TimeZone" TO %L SET "DateStyle" TO %L SET "IntervalStyle" TO %L',
        current_setting('TimeZone'), current_setting('DateStyle'), current_setting('IntervalStyle'));
    IF on_error = 'record' THEN
        -- who has the row locked must not keep all writers waiting
        settings := settings || ' SET lock_timeout TO ''500ms''';
    END IF;
    EXECUTE format($ddl$
        CREATE FUNCTION ydoc_data.%I() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER %s AS $body$
        BEGIN
            PERFORM ydoc.projection_changed(TG_RELID, TG_NAME, OLD.name, NEW.name);
            RETURN NULL;
        END
        $body$
        $ddl$, function_name, settings);
    EXECUTE format('REVOKE ALL ON FUNCTION ydoc_data.%I() FROM PUBLIC', function_name);
    EXECUTE format('COMMENT ON FUNCTION ydoc_data.%I() IS %L', function_name,
        format('Keeps table %s in step with documents (ydoc.create_projection): lends its owner''s rights, and its settings', target));
    EXECUTE format(
        'CREATE CONSTRAINT TRIGGER %I AFTER INSERT OR UPDATE OF name, epoch, seq, deleted_at ON ydoc_data.document'
        ' FROM %s FOR EACH ROW WHEN (NEW.name LIKE %L) EXECUTE FUNCTION ydoc_data.%I(%s)',
        function_name, target, documents, function_name, arguments);
    EXECUTE format(
        'CREATE CONSTRAINT TRIGGER %I AFTER DELETE OR UPDATE OF name ON ydoc_data.document'
        ' FROM %s FOR EACH ROW WHEN (OLD.name LIKE %L) EXECUTE FUNCTION ydoc_data.%I(%s)',
        function_name || '_gone', target, documents, function_name, arguments);
    IF owner <> current_user THEN
        EXECUTE format('ALTER FUNCTION ydoc_data.%I() OWNER TO %I', function_name, owner);
    END IF;
    -- no document has an empty name: then it is only checked
    RETURN ydoc.refresh_projection(target, CASE WHEN with_data THEN '%' ELSE '' END);
END
$create$;
COMMENT ON FUNCTION ydoc.create_projection(regclass, text, jsonb, name, text, boolean) IS
    'Keeps a table in step with the stored documents whose names match a LIKE pattern: a row each, with the name in key_column and chosen places of the document in other columns, written when the transaction that changes the document commits, with the rights of the table''s owner; returns how many documents there are now';

CREATE FUNCTION ydoc.projection_function_name(target name)
    RETURNS name
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    base text := 'project_' || left(target, 40);
    candidate text := base;
    found oid;
BEGIN
    FOR i IN 1..10000 LOOP
        found := to_regprocedure(format('ydoc_data.%I()', candidate));
        EXIT WHEN found IS NULL;
        -- a table that was dropped leaves its function behind
        IF NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgfoid = found)
           AND pg_has_role(current_user, (SELECT p.proowner FROM pg_proc p WHERE p.oid = found), 'USAGE') THEN
            EXECUTE format('DROP FUNCTION ydoc_data.%I()', candidate);
            EXIT;
        END IF;
        candidate := base || '_' || i;
    END LOOP;
    RETURN candidate;
END
$$;
COMMENT ON FUNCTION ydoc.projection_function_name(name) IS
    'Part of ydoc.create_projection: a name for its function';

CREATE FUNCTION ydoc.drop_projection(target regclass)
    RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
    SET client_min_messages TO warning
AS $$
DECLARE
    function regprocedure;
    dropped boolean := false;
BEGIN
    FOR function IN
        SELECT DISTINCT t.tgfoid FROM ydoc.projections() p
        JOIN pg_trigger t ON t.tgconstrrelid = p.target AND t.tgrelid = to_regclass('ydoc_data.document')
        WHERE p.target = drop_projection.target AND NOT t.tgisinternal AND t.tgnargs = 4
    LOOP
        EXECUTE format('DROP FUNCTION %s CASCADE', function);
        dropped := true;
    END LOOP;
    IF NOT dropped THEN
        RAISE EXCEPTION 'table % follows no documents', target USING
            ERRCODE = 'undefined_object', HINT = 'ydoc.projections() lists the tables that do.';
    END IF;
    IF has_table_privilege('ydoc_data.projection_error', 'DELETE') THEN
        DELETE FROM ydoc_data.projection_error e WHERE e.target = drop_projection.target;
    END IF;
END
$$;
COMMENT ON FUNCTION ydoc.drop_projection(regclass) IS
    'The table no longer follows documents; its rows stay';
