
-- ---- history ----
--
-- The log is the history: who wrote what, when.  What compaction stores is made of it and does not shorten it; ydoc.thin
-- does, as ydoc_data.retention says.

CREATE FUNCTION ydoc.history(
    document text, gap interval DEFAULT '5 minutes',
    OUT seq_from bigint, OUT seq bigint, OUT began_at timestamptz, OUT ended_at timestamptz,
    OUT actor text, OUT source text, OUT log_rows bigint, OUT bytes bigint)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE COST 1000 ROWS 100
    SET search_path TO pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM ydoc.require_store();
    RETURN QUERY
    SELECT min(session.seq_from), max(session.seq), min(session.began), max(session.at),
           min(session.actor), min(session.source), count(*), sum(octet_length(session.update))
    FROM (
        SELECT row.*, count(*) FILTER (WHERE row.begins) OVER (ORDER BY row.seq) AS number
        FROM (
            SELECT l.*, coalesce(l.began_at, l.at) AS began,
                   lag(l.seq) OVER earlier IS NULL
                   OR lag(l.actor) OVER earlier IS DISTINCT FROM l.actor
                   OR lag(l.source) OVER earlier IS DISTINCT FROM l.source
                   OR lag(l.at) OVER earlier + history.gap < coalesce(l.began_at, l.at)
                   OR history.gap = '0' AS begins
            FROM ydoc_data.log l
            WHERE l.document = history.document
            WINDOW earlier AS (ORDER BY l.seq)) AS row) AS session
    GROUP BY session.number
    ORDER BY session.number;
END
$$;
COMMENT ON FUNCTION ydoc.history(text, interval) IS
    'Who wrote to a stored document when: rows of its log that one actor wrote with pauses of at most gap are one session; gap 0 shows each row';

CREATE FUNCTION ydoc.audit(
    documents text DEFAULT '%', since timestamptz DEFAULT '-infinity',
    OUT document text, OUT seq_from bigint, OUT seq bigint, OUT at timestamptz,
    OUT actor text, OUT source text, OUT bytes integer)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE COST 1000 ROWS 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    RETURN QUERY
    SELECT l.document, l.seq_from, l.seq, l.at, l.actor, l.source, octet_length(l.update)
    FROM ydoc_data.log l
    WHERE l.document LIKE audit.documents AND l.at >= audit.since
    ORDER BY l.at, l.document, l.seq;
END
$$;
COMMENT ON FUNCTION ydoc.audit(text, timestamptz) IS
    'Every row of the log of documents whose names match a LIKE pattern: who, when, from where, how much';

CREATE FUNCTION ydoc.seq_at(document text, at timestamptz)
    RETURNS bigint
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    reached bigint;
    first record;
BEGIN
    PERFORM FROM ydoc_data.document d WHERE d.name = seq_at.document AND d.deleted_at IS NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT max(l.seq) INTO reached FROM ydoc_data.log l WHERE l.document = seq_at.document AND l.at <= seq_at.at;
    IF reached IS NULL THEN
        -- not empty then, but nobody knows any more what it was
        SELECT l.seq, l.at INTO first FROM (
            SELECT * FROM ydoc_data.log l WHERE l.document = seq_at.document ORDER BY l.seq LIMIT 1) AS l
        WHERE l.began_at <= seq_at.at;
        IF FOUND THEN
            RAISE EXCEPTION 'the history of document "%" begins at %', document, first.at USING
                ERRCODE = 'object_not_in_prerequisite_state',
                DETAIL = format('ydoc.thin has merged what was written until then, up to seq %s.', first.seq);
        END IF;
    END IF;
    RETURN coalesce(reached, 0);
END
$$;
COMMENT ON FUNCTION ydoc.seq_at(text, timestamptz) IS
    'The seq that a stored document had at a time; 0 before its first update, NULL if there is no such document; 55000 if retention has let that part of the history go';

CREATE FUNCTION ydoc.state_at(document text, seq bigint)
    RETURNS @extschema@.ydoc
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_state_at';
COMMENT ON FUNCTION ydoc.state_at(text, bigint) IS
    'A stored document as it was after a seq, 0 for empty; NULL if there is no such document; 22023 if the seq is not at the end of a log row';

CREATE FUNCTION ydoc.state_at(document text, at timestamptz)
    RETURNS @extschema@.ydoc
    LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS $$ SELECT ydoc.state_at(document, ydoc.seq_at(document, at)) $$;
COMMENT ON FUNCTION ydoc.state_at(text, timestamptz) IS
    'A stored document as it was at a time; NULL if there is no such document; 55000 if retention has let that part of the history go';

CREATE FUNCTION ydoc.blame(
    document text, root text, gap interval DEFAULT '5 minutes',
    OUT path text[], OUT index bigint, OUT length bigint, OUT text text,
    OUT actor text, OUT at timestamptz, OUT seq bigint)
    RETURNS SETOF record
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 10000 ROWS 100
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_blame';
COMMENT ON FUNCTION ydoc.blame(text, text, interval) IS
    'Who wrote what is in a root of a stored document now, in order: runs of text or elements (path of their type, index and length in UTF-16 units or elements) and values of keys (path, no index) with the actor, time and seq that brought them; what one actor wrote with pauses of at most gap is one run';

-- ---- taking back ----

CREATE FUNCTION ydoc.undo(
    document text, actor text, seq_from bigint, seq bigint DEFAULT NULL)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_store_undo';
COMMENT ON FUNCTION ydoc.undo(text, text, bigint, bigint) IS
    'Takes back what an actor (NULL: everybody) wrote to a stored document in the log rows from seq_from to seq (NULL: the last), as an edit that leaves what others wrote; returns the seq that holds it';

CREATE FUNCTION ydoc.undo(
    document text, actor text, since timestamptz, until timestamptz DEFAULT 'infinity')
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    first bigint;
    last bigint;
    merged record;
BEGIN
    PERFORM ydoc.require_store();
    IF since IS NULL OR until IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT l.began_at, l.at, l.seq_from, l.seq INTO merged FROM ydoc_data.log l
    WHERE l.document = undo.document AND (undo.actor IS NULL OR l.actor = undo.actor)
      AND (l.began_at < undo.since AND undo.since <= l.at OR l.began_at <= undo.until AND undo.until < l.at)
    ORDER BY l.seq LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'what was written to document "%" from % to % can only be taken back together', document, merged.began_at, merged.at USING
            ERRCODE = 'invalid_parameter_value',
            DETAIL = format('ydoc.thin has merged the updates %s to %s.', merged.seq_from, merged.seq),
            HINT = 'Take times that are not between these.';
    END IF;
    SELECT min(l.seq_from), max(l.seq) INTO first, last FROM ydoc_data.log l
    WHERE l.document = undo.document AND l.at BETWEEN undo.since AND undo.until;
    IF first IS NULL THEN
        SELECT d.seq INTO last FROM ydoc_data.document d WHERE d.name = undo.document AND d.deleted_at IS NULL;
        IF NOT FOUND THEN
            PERFORM ydoc.changes(document, 0); -- deleted or moved? that says so
            RAISE EXCEPTION 'there is no document "%"', document USING ERRCODE = 'undefined_object';
        END IF;
        RETURN last;
    END IF;
    RETURN ydoc.undo(document, actor, first, last);
END
$$;
COMMENT ON FUNCTION ydoc.undo(text, text, timestamptz, timestamptz) IS
    'Takes back what an actor (NULL: everybody) wrote to a stored document between two times; returns the seq that holds it; 22023 if ydoc.thin has merged it with what was written before or after';

CREATE FUNCTION ydoc.restore(document text, seq bigint)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    PERFORM FROM ydoc_data.document d WHERE d.name = restore.document;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no document "%"', document USING ERRCODE = 'undefined_object';
    END IF;
    PERFORM ydoc.state_at(document, seq); -- is there such a seq, and can it be read?
    RETURN ydoc.undo(document, NULL, seq + 1);
END
$$;
COMMENT ON FUNCTION ydoc.restore(text, bigint) IS
    'Makes a stored document what it was after a seq, by an edit that open editors see like any other; what was written since stays in the history; returns the seq that holds it';

CREATE FUNCTION ydoc.restore(document text, at timestamptz)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    seq bigint := ydoc.seq_at(document, at);
BEGIN
    IF seq IS NULL THEN
        RAISE EXCEPTION 'there is no document "%"', document USING ERRCODE = 'undefined_object';
    END IF;
    RETURN ydoc.restore(document, seq);
END
$$;
COMMENT ON FUNCTION ydoc.restore(text, timestamptz) IS
    'Makes a stored document what it was at a time, by an edit; returns the seq that holds it; 55000 if retention has let that part of the history go';

-- ---- named versions ----

CREATE FUNCTION ydoc.create_version(document text, label text, note text DEFAULT NULL)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    present bigint;
BEGIN
    PERFORM ydoc.require_store();
    IF document IS NULL OR label IS NULL THEN
        RAISE EXCEPTION 'the name of the document and the label must not be null' USING ERRCODE = 'null_value_not_allowed';
    ELSIF octet_length(label) NOT BETWEEN 1 AND 1024 THEN
        RAISE EXCEPTION 'a label has 1 to 1024 bytes, not %', octet_length(label) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- what this transaction has edited belongs to the version: an update that adds nothing has it written first
    PERFORM ydoc.apply(document, ARRAY['\x0000'::bytea]);
    SELECT d.seq INTO present FROM ydoc_data.document d WHERE d.name = create_version.document FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no document "%"', document USING ERRCODE = 'undefined_object';
    END IF;
    INSERT INTO ydoc_data.version (document, label, seq, actor, note)
    VALUES (document, label, present, ydoc.current_actor(), note);
    RETURN present;
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION 'document "%" has a version "%" already', document, label USING
        ERRCODE = 'duplicate_object', HINT = 'ydoc.drop_version removes it.';
END
$$;
COMMENT ON FUNCTION ydoc.create_version(text, text, text) IS
    'Gives the present state of a stored document a label, under which it can be read and restored for as long as the version is kept, whatever becomes of the history; returns its seq';

CREATE FUNCTION ydoc.drop_version(document text, label text)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    DELETE FROM ydoc_data.version v WHERE v.document = drop_version.document AND v.label = drop_version.label;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION ydoc.drop_version(text, text) IS
    'Removes a label of a stored document, nothing else; false if there is none';

CREATE FUNCTION ydoc.versions(
    document text,
    OUT label text, OUT seq bigint, OUT at timestamptz, OUT actor text, OUT note text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE COST 1000 ROWS 10
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    RETURN QUERY SELECT v.label, v.seq, v.at, v.actor, v.note FROM ydoc_data.version v
    WHERE v.document = versions.document ORDER BY v.seq, v.at, v.label;
END
$$;
COMMENT ON FUNCTION ydoc.versions(text) IS 'The labels of a stored document, oldest state first';

CREATE FUNCTION ydoc.version_state(document text, label text)
    RETURNS @extschema@.ydoc
    LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    version record;
BEGIN
    PERFORM ydoc.require_store();
    SELECT v.seq, v.state INTO version FROM ydoc_data.version v
    JOIN ydoc_data.document d ON d.name = v.document AND d.deleted_at IS NULL
    WHERE v.document = version_state.document AND v.label = version_state.label;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    RETURN coalesce(version.state, ydoc.state_at(document, version.seq));
END
$$;
COMMENT ON FUNCTION ydoc.version_state(text, text) IS
    'A stored document as it was when the label was given; NULL if there is no such version';

CREATE FUNCTION ydoc.restore_version(document text, label text)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    version record;
BEGIN
    PERFORM ydoc.require_store();
    SELECT v.seq, v.state IS NOT NULL AS is_apart INTO version FROM ydoc_data.version v
    WHERE v.document = restore_version.document AND v.label = restore_version.label;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'document "%" has no version "%"', document, label USING ERRCODE = 'undefined_object';
    ELSIF version.is_apart THEN
        RAISE EXCEPTION 'the history of document "%" begins after version "%"', document, label USING
            ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'ydoc.version_state reads it, and ydoc.create makes a new document of that.';
    END IF;
    RETURN ydoc.restore(document, version.seq);
END
$$;
COMMENT ON FUNCTION ydoc.restore_version(text, text) IS
    'Makes a stored document what it was when the label was given, by an edit; returns the seq that holds it; 55000 if retention has let that part of the history go';

-- ---- how long history is kept ----

CREATE FUNCTION ydoc.set_retention(documents text, keep interval DEFAULT NULL, gap interval DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    IF documents IS NULL THEN
        RAISE EXCEPTION 'the pattern of documents must not be null' USING ERRCODE = 'null_value_not_allowed';
    ELSIF keep < '0' OR gap < '0' THEN
        RAISE EXCEPTION 'a retention must not be negative' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM ydoc.require_pattern(documents);
    INSERT INTO ydoc_data.retention AS r (documents, keep, gap) VALUES (documents, keep, gap)
    ON CONFLICT ON CONSTRAINT retention_pkey DO UPDATE SET keep = EXCLUDED.keep, gap = EXCLUDED.gap;
END
$$;
COMMENT ON FUNCTION ydoc.set_retention(text, interval, interval) IS
    'For documents whose names match a LIKE pattern (the one with the most characters that are no wildcards counts): history older than keep goes (NULL: none does), and what one actor wrote with pauses of at most gap becomes one row (NULL: every row stays); ydoc.thin does it';

CREATE FUNCTION ydoc.drop_retention(documents text)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    DELETE FROM ydoc_data.retention r WHERE r.documents = drop_retention.documents;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION ydoc.drop_retention(text) IS
    'Forgets what was set for a pattern; false if nothing was';

-- Replaces the log rows of a document from seq_from to seq by one.  Made before the document is locked, so that people
-- type on; whoever thinned the same rows meanwhile wins.
CREATE FUNCTION ydoc.replace_log_rows(
    document text, seq_from bigint, seq bigint, row_count bigint, update bytea, actor text, source text,
    began_at timestamptz, at timestamptz)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM ydoc_data.document d WHERE d.name = replace_log_rows.document FOR NO KEY UPDATE;
    PERFORM FROM ydoc_data.log l WHERE l.document = replace_log_rows.document
        AND l.seq BETWEEN replace_log_rows.seq_from AND replace_log_rows.seq
    HAVING count(*) = row_count AND min(l.seq_from) = replace_log_rows.seq_from AND max(l.seq) = replace_log_rows.seq;
    IF NOT FOUND OR update IS NULL THEN -- thinned or deleted meanwhile
        RETURN false;
    END IF;
    DELETE FROM ydoc_data.log l WHERE l.document = replace_log_rows.document
        AND l.seq BETWEEN replace_log_rows.seq_from AND replace_log_rows.seq;
    INSERT INTO ydoc_data.log (document, seq_from, seq, update, began_at, at, actor, source)
    VALUES (document, seq_from, seq, update, began_at, at, actor, source);
    RETURN true;
END
$$;
COMMENT ON FUNCTION ydoc.replace_log_rows(text, bigint, bigint, bigint, bytea, text, text, timestamptz, timestamptz) IS
    'Puts one row in the place of row_count rows of a document''s log, for ydoc.thin; false if they are not there as given';

CREATE FUNCTION ydoc.thin(document text, OUT rows_before bigint, OUT rows_after bigint)
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 100000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    rule record;
    run record;
BEGIN
    PERFORM ydoc.require_store();
    SELECT count(*) INTO rows_before FROM ydoc_data.log l WHERE l.document = thin.document;
    rows_after := rows_before;
    PERFORM FROM ydoc_data.document d WHERE d.name = thin.document AND d.deleted_at IS NULL;
    IF NOT FOUND THEN
        RETURN; -- a deleted document is kept as it is
    END IF;
    SELECT r.keep, r.gap INTO rule FROM ydoc_data.retention r
    WHERE thin.document LIKE r.documents
    ORDER BY length(translate(r.documents, '%_', '')) DESC, r.documents LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    -- what is too old becomes the state that it led to; versions from before then keep their own
    -- No row is older than one before it.  A time that has not come yet is of a clock that was wrong, and says nothing.
    SELECT min(l.seq_from) AS seq_from, max(l.seq) AS seq, max(l.reached) AS at,
           least(min(coalesce(l.began_at, l.at)), max(l.reached)) AS began_at, count(*) AS row_count INTO run
    FROM (
        SELECT l.*, coalesce(max(l.at) FILTER (WHERE l.at <= now()) OVER (ORDER BY l.seq),
                             min(l.at) FILTER (WHERE l.at <= now()) OVER ()) AS reached
        FROM ydoc_data.log l WHERE l.document = thin.document AND rule.keep IS NOT NULL) AS l
    WHERE l.reached < now() - rule.keep;
    IF run.row_count > 1 THEN
        UPDATE ydoc_data.version v SET state = ydoc.state_at(v.document, v.seq)
        WHERE v.document = thin.document AND v.seq < run.seq AND v.state IS NULL;
        IF ydoc.replace_log_rows(document, run.seq_from, run.seq, run.row_count,
                                 ydoc.state_at(document, run.seq)::bytea, NULL, NULL, run.began_at, run.at) THEN
            rows_after := rows_after - run.row_count + 1;
        END IF;
    END IF;

    -- sessions that are over become one row each; a version's seq stays the end of a row
    FOR run IN
        SELECT min(session.seq_from) AS seq_from, max(session.seq) AS seq, min(session.began) AS began_at,
               max(session.at) AS at, min(session.actor) AS actor,
               min(session.source) AS source, count(*) AS row_count, array_agg(session.update ORDER BY session.seq) AS updates
        FROM (
            SELECT row.*, count(*) FILTER (WHERE row.begins) OVER (ORDER BY row.seq) AS number
            FROM (
                SELECT l.*, coalesce(l.began_at, l.at) AS began,
                       lag(l.seq) OVER earlier IS NULL
                       OR lag(l.actor) OVER earlier IS DISTINCT FROM l.actor
                       OR lag(l.source) OVER earlier IS DISTINCT FROM l.source
                       OR lag(l.at) OVER earlier + rule.gap < coalesce(l.began_at, l.at)
                       OR EXISTS (SELECT FROM ydoc_data.version v WHERE v.document = l.document AND v.seq = l.seq_from - 1) AS begins
                FROM ydoc_data.log l
                WHERE l.document = thin.document
                WINDOW earlier AS (ORDER BY l.seq)) AS row) AS session
        WHERE rule.gap IS NOT NULL
        GROUP BY session.number
        HAVING count(*) > 1 AND max(session.at) < now() - rule.gap
        ORDER BY session.number
    LOOP
        IF ydoc.replace_log_rows(document, run.seq_from, run.seq, run.row_count,
                                 @extschema@.yupdate_merge(run.updates), run.actor, run.source, run.began_at, run.at) THEN
            rows_after := rows_after - run.row_count + 1;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION ydoc.thin(text) IS
    'Thins the history of a stored document as ydoc_data.retention says; what the document is does not change, nor any seq that is left';

CREATE PROCEDURE ydoc.thin_all(documents text DEFAULT '%')
    LANGUAGE plpgsql
AS $$
DECLARE
    document text := '';
BEGIN
    -- without SET search_path, which forbids COMMIT: so each name says where it is from
    LOOP
        SELECT pg_catalog.min(d.name) INTO document FROM ydoc_data.document d
        WHERE d.name OPERATOR(pg_catalog.>) document AND d.name OPERATOR(pg_catalog.~~) documents
          AND d.deleted_at IS NULL
          AND EXISTS (SELECT FROM ydoc_data.retention r WHERE d.name OPERATOR(pg_catalog.~~) r.documents);
        EXIT WHEN document IS NULL;
        BEGIN
            PERFORM ydoc.thin(document);
        EXCEPTION WHEN OTHERS THEN -- one that cannot be read, say: the others are thinned
            RAISE WARNING 'the history of document "%" was not thinned: %', document, SQLERRM USING ERRCODE = SQLSTATE;
        END;
        COMMIT;
    END LOOP;
END
$$;
COMMENT ON PROCEDURE ydoc.thin_all(text) IS
    'Thins the history of all documents that match a LIKE pattern and have a retention, each in a transaction of its own; for cron';
