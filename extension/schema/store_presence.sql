
-- ---- who is here: what relays report, and what they need to tell each other ----
--
-- Rows say who and where, never what anybody's awareness state holds.  They are unlogged: no flush,
-- gone after a crash, and then relays report anew.  A row counts as long as its relay renews the
-- relay's own row, so nobody has to clean up at once after a relay that died.

CREATE FUNCTION ydoc.presence(
    documents text DEFAULT '%',
    OUT document text, OUT client bigint, OUT user_name text, OUT since timestamptz, OUT relay text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED COST 1000 ROWS 100
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    IF pg_is_in_recovery() THEN
        RAISE EXCEPTION 'who is here is known on the primary server only' USING
            ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN QUERY
    SELECT p.document, p.client, p.user_name, p.since, p.relay
    FROM ydoc_data.presence p JOIN ydoc_data.relay r ON r.relay = p.relay
    WHERE p.document LIKE presence.documents
      AND r.renewed_at + r.lease > statement_timestamp()
      -- whoever may not see a document may not see its people
      AND (NOT row_security_active('ydoc_data.document')
           OR EXISTS (SELECT FROM ydoc_data.document d WHERE d.name = p.document))
    ORDER BY p.document, p.since, p.client;
END
$$;
COMMENT ON FUNCTION ydoc.presence(text) IS
    'Who is connected to documents whose names match a LIKE pattern, on every relay: Yjs client, the user''s name (claim name or sub of his token; of a relay without keys what his awareness state says), since when; some seconds old at most';

CREATE FUNCTION ydoc.report_presence(
    relay text, lease_ms bigint, anew boolean,
    documents text[], clients bigint[], user_names text[])
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    is_known boolean := true;
BEGIN
    IF anew THEN
        DELETE FROM ydoc_data.presence p WHERE p.relay = report_presence.relay;
    END IF;
    IF lease_ms <= 0 THEN
        DELETE FROM ydoc_data.relay r WHERE r.relay = report_presence.relay;
    ELSE
        UPDATE ydoc_data.relay r
        SET renewed_at = clock_timestamp(), lease = lease_ms * interval '1 millisecond'
        WHERE r.relay = report_presence.relay;
        IF NOT FOUND THEN
            INSERT INTO ydoc_data.relay (relay, renewed_at, lease)
            VALUES (report_presence.relay, clock_timestamp(), lease_ms * interval '1 millisecond');
            is_known := anew;
        END IF;
    END IF;

    DELETE FROM ydoc_data.presence p
    USING unnest(documents, clients, user_names) AS gone (document, client, user_name)
    WHERE gone.user_name IS NULL AND p.document = gone.document COLLATE "C"
      AND p.client = gone.client AND p.relay = report_presence.relay;
    INSERT INTO ydoc_data.presence AS p (document, client, relay, user_name)
    SELECT here.document, here.client, report_presence.relay, nullif(here.user_name, '')
    FROM unnest(documents, clients, user_names) AS here (document, client, user_name)
    WHERE here.user_name IS NOT NULL
    ON CONFLICT ON CONSTRAINT presence_pkey DO UPDATE SET user_name = EXCLUDED.user_name;

    -- what relays left that are long dead; whoever comes first does it
    WITH dead AS (
        SELECT r.relay FROM ydoc_data.relay r
        WHERE r.renewed_at + r.lease < clock_timestamp() - interval '1 minute'
        FOR UPDATE SKIP LOCKED),
    left_behind AS (
        DELETE FROM ydoc_data.presence p USING dead WHERE p.relay = dead.relay)
    DELETE FROM ydoc_data.relay r USING dead WHERE r.relay = dead.relay;
    RETURN is_known;
END
$$;
COMMENT ON FUNCTION ydoc.report_presence(text, bigint, boolean, text[], bigint[], text[]) IS
    'For relays: clients that came to documents, with their names, or left them (name NULL), anew or beside those reported before; false: none are known, report all anew';
