
-- ---- tables of tokens and sessions, and what is the owner's in them ----

CREATE FUNCTION ydoc.upgrade_session_store()
    RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
    SET client_min_messages TO warning
AS $upgrade$
DECLARE
    secret_table text;
BEGIN
    CREATE TABLE IF NOT EXISTS ydoc_data.token_key (
        name text COLLATE "C" PRIMARY KEY,
        keys text NOT NULL,
        set_by text NOT NULL DEFAULT session_user,
        set_at timestamptz NOT NULL DEFAULT now()
    );
    COMMENT ON TABLE ydoc_data.token_key IS 'Keys that tokens are checked with in this database: JWKS, JWK or PEM';
    CREATE TABLE IF NOT EXISTS ydoc_data.token_policy (
        only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
        audience text,
        issuer text,
        leeway interval NOT NULL DEFAULT '30 seconds',
        requires_expiry boolean NOT NULL DEFAULT true,
        only_tokens boolean NOT NULL DEFAULT false
    );
    COMMENT ON TABLE ydoc_data.token_policy IS 'How tokens are checked in this database, and whether claims count without one';
    INSERT INTO ydoc_data.token_policy DEFAULT VALUES ON CONFLICT DO NOTHING;

    CREATE TABLE IF NOT EXISTS ydoc_data.session (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        subject text COLLATE "C" NOT NULL,
        claims jsonb NOT NULL,
        device text,
        created_at timestamptz NOT NULL,
        seen_at timestamptz NOT NULL,
        idle_until timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        ended_at timestamptz,
        ended_why text
    );
    CREATE INDEX IF NOT EXISTS session_subject ON ydoc_data.session (subject);
    COMMENT ON TABLE ydoc_data.session IS 'Who is logged in, by ydoc.start_session';
    COMMENT ON COLUMN ydoc_data.session.seen_at IS 'When it was refreshed last';
    COMMENT ON COLUMN ydoc_data.session.idle_until IS 'When it expires if nobody refreshes it';
    CREATE TABLE IF NOT EXISTS ydoc_data.session_token (
        token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
        session uuid NOT NULL REFERENCES ydoc_data.session ON DELETE CASCADE,
        kind text NOT NULL CHECK (kind IN ('access', 'refresh')),
        expires_at timestamptz NOT NULL,
        used_at timestamptz,
        salt bytea
    );
    CREATE INDEX IF NOT EXISTS session_token_session ON ydoc_data.session_token (session);
    COMMENT ON TABLE ydoc_data.session_token IS 'SHA-256 of the tokens of sessions; refresh tokens that were used are kept to know them again';
    COMMENT ON COLUMN ydoc_data.session_token.salt IS 'With the used token itself, which nobody keeps, this gives the tokens that came after it';
    CREATE TABLE IF NOT EXISTS ydoc_data.session_assertion (
        assertion_hash bytea PRIMARY KEY CHECK (octet_length(assertion_hash) = 32),
        expires_at timestamptz NOT NULL
    );
    COMMENT ON TABLE ydoc_data.session_assertion IS 'Login assertions (claims iss and jti) that have started a session';
    CREATE TABLE IF NOT EXISTS ydoc_data.session_audit (
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        by text NOT NULL DEFAULT session_user,
        event text NOT NULL,
        session uuid,
        subject text NOT NULL
    );
    COMMENT ON TABLE ydoc_data.session_audit IS 'When sessions started and ended, and why';
    CREATE TABLE IF NOT EXISTS ydoc_data.session_policy (
        only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
        access_lifetime interval NOT NULL DEFAULT '10 minutes' CHECK (access_lifetime BETWEEN '1 second' AND '1 day'),
        idle_lifetime interval NOT NULL DEFAULT '7 days' CHECK (idle_lifetime >= '1 second'),
        lifetime interval NOT NULL DEFAULT '90 days' CHECK (lifetime >= '1 second'),
        grace interval NOT NULL DEFAULT '10 seconds' CHECK (grace BETWEEN '0' AND '1 minute'),
        max_per_user integer NOT NULL DEFAULT 20 CHECK (max_per_user BETWEEN 1 AND 1000)
    );
    COMMENT ON TABLE ydoc_data.session_policy IS 'How long sessions and their tokens are good, and how many one user has';
    INSERT INTO ydoc_data.session_policy DEFAULT VALUES ON CONFLICT DO NOTHING;
    CREATE TABLE IF NOT EXISTS ydoc_data.session_key (
        only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
        key bytea NOT NULL CHECK (octet_length(key) = 32)
    );
    COMMENT ON TABLE ydoc_data.session_key IS 'Secret that signs what connections show that were opened with an access token';
    INSERT INTO ydoc_data.session_key (key) VALUES (ydoc.random_bytes32()) ON CONFLICT DO NOTHING;

    -- who may read or write all tables does so with documents, but not here: the owner alone
    FOREACH secret_table IN ARRAY '{token_key,token_policy,session,session_token,session_assertion,session_audit,session_policy,session_key}'::text[] LOOP
        EXECUTE format('ALTER TABLE ydoc_data.%I ENABLE ROW LEVEL SECURITY', secret_table);
    END LOOP;

    CREATE OR REPLACE FUNCTION ydoc_data.judge_token(token text, OUT verdict text, OUT claims jsonb, OUT expires_at timestamptz)
        RETURNS record
        LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY DEFINER COST 1000
        SET search_path TO pg_catalog, pg_temp
        AS $gate$
            SELECT judged.* FROM ydoc_data.token_policy p, ydoc.judge_token(
                token, (SELECT coalesce(array_agg(k.keys ORDER BY k.name), '{}') FROM ydoc_data.token_key k),
                p.audience, p.issuer, EXTRACT(EPOCH FROM p.leeway)::integer, p.requires_expiry, clock_timestamp()) AS judged
        $gate$;
    COMMENT ON FUNCTION ydoc_data.judge_token(text) IS 'What there is to say of a token, by the keys and the policy of this database';
    CREATE OR REPLACE FUNCTION ydoc_data.only_tokens()
        RETURNS boolean
        LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER COST 100
        SET search_path TO pg_catalog, pg_temp
        AS 'SELECT p.only_tokens FROM ydoc_data.token_policy p';
    COMMENT ON FUNCTION ydoc_data.only_tokens() IS 'Do claims count for nothing without a token?';
    -- a connection that was let in by an access token goes on as long as the session does
    CREATE OR REPLACE FUNCTION ydoc_data.live_token(session uuid)
        RETURNS text
        LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY DEFINER COST 100
        SET search_path TO pg_catalog, pg_temp
        AS $gate$
            SELECT 'ydoc_live_' || session || '_' || encode(sha256(k.key || sha256(k.key || uuid_send(session))), 'hex')
            FROM ydoc_data.session_key k
        $gate$;
    COMMENT ON FUNCTION ydoc_data.live_token(uuid) IS
        'What a connection of a session shows after its access token was taken: good until the session ends; for nobody to call but functions here';
    REVOKE ALL ON FUNCTION ydoc_data.live_token(uuid) FROM PUBLIC;
    CREATE OR REPLACE FUNCTION ydoc_data.claims_of(credential text)
        RETURNS jsonb
        LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER COST 1000
        SET search_path TO pg_catalog, pg_temp
    AS $gate$
    DECLARE
        claims jsonb;
    BEGIN
        IF credential IS NULL THEN
            RETURN '{}';
        ELSIF starts_with(credential, 'ydoc_access_') THEN
            SELECT s.claims INTO claims FROM ydoc_data.session_token t JOIN ydoc_data.session s ON s.id = t.session
            WHERE t.token_hash = sha256(convert_to(credential, 'UTF8')) AND t.kind = 'access'
              AND t.expires_at > clock_timestamp() AND s.ended_at IS NULL AND s.expires_at > clock_timestamp();
            RETURN claims;
        ELSIF credential ~ '^ydoc_live_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}_[0-9a-f]{64}$' THEN
            -- hashes are compared: how far two secrets agree is nobody's to measure
            SELECT s.claims INTO claims FROM ydoc_data.session s
            WHERE s.id = substr(credential, 11, 36)::uuid
              AND sha256(convert_to(credential, 'UTF8')) = sha256(convert_to(ydoc_data.live_token(s.id), 'UTF8'))
              AND s.ended_at IS NULL AND s.idle_until > clock_timestamp() AND s.expires_at > clock_timestamp();
            RETURN claims;
        ELSIF starts_with(credential, 'ydoc_link_') THEN
            RETURN (SELECT jsonb_build_object('link', credential) FROM ydoc_data.link l
                    WHERE l.token_hash = sha256(convert_to(credential, 'UTF8')) AND l.expires_at > clock_timestamp());
        ELSIF credential ~ '^[A-Za-z0-9_-]+[.][A-Za-z0-9_-]+[.][A-Za-z0-9_-]*$' THEN
            RETURN (SELECT judged.claims FROM ydoc_data.judge_token(credential) AS judged);
        ELSIF credential !~ '^\s*[{[]' THEN
            RETURN NULL; -- some other secret: an error would show it
        END IF;
        claims := credential::jsonb;
        -- a link is its own proof
        IF ydoc_data.only_tokens() AND (jsonb_typeof(claims) <> 'object' OR claims - 'link' <> '{}') THEN
            RETURN NULL;
        END IF;
        RETURN claims;
    END
    $gate$;
    COMMENT ON FUNCTION ydoc_data.claims_of(text) IS
        'Whom somebody speaks for who shows claims (JSON), a token, the access token of a session, or a link; NULL if that is not good';

    -- for relays, and applications with a role of their own: what is shown is the proof
    CREATE OR REPLACE FUNCTION ydoc_data.relay_start_session(
        credential text, device text,
        OUT session uuid, OUT status text, OUT access_token text, OUT refresh_token text,
        OUT access_expires_at timestamptz, OUT refresh_expires_at timestamptz)
        RETURNS record
        LANGUAGE plpgsql VOLATILE SECURITY DEFINER COST 10000
        SET search_path TO pg_catalog, pg_temp
    AS $gate$
    DECLARE
        -- a session does not come of another one
        claims jsonb := CASE WHEN starts_with(credential, 'ydoc_') THEN NULL ELSE ydoc_data.claims_of(credential) END;
    BEGIN
        IF claims IS NULL OR jsonb_typeof(claims) <> 'object' OR coalesce(claims ->> 'sub', '') = '' THEN
            status := 'refused';
            RETURN;
        END IF;
        SELECT s.* INTO session, status, access_token, refresh_token, access_expires_at, refresh_expires_at
        FROM ydoc.start_session(claims, device) AS s;
    END
    $gate$;
    COMMENT ON FUNCTION ydoc_data.relay_start_session(text, text) IS
        'ydoc.start_session for a login assertion: a token, or claims if they count here; status refused if it is not good';
    CREATE OR REPLACE FUNCTION ydoc_data.relay_refresh_session(
        token text,
        OUT session uuid, OUT status text, OUT access_token text, OUT refresh_token text,
        OUT access_expires_at timestamptz, OUT refresh_expires_at timestamptz)
        RETURNS record
        LANGUAGE sql VOLATILE SECURITY DEFINER COST 10000
        SET search_path TO pg_catalog, pg_temp
        AS 'SELECT * FROM ydoc.refresh_session(token)';
    COMMENT ON FUNCTION ydoc_data.relay_refresh_session(text) IS 'ydoc.refresh_session, as the owner of the store';
    CREATE OR REPLACE FUNCTION ydoc_data.relay_end_session(token text)
        RETURNS boolean
        LANGUAGE sql VOLATILE SECURITY DEFINER COST 1000
        SET search_path TO pg_catalog, pg_temp
        AS 'SELECT ydoc.end_session(token)';
    COMMENT ON FUNCTION ydoc_data.relay_end_session(text) IS 'ydoc.end_session, as the owner of the store';
    CREATE OR REPLACE FUNCTION ydoc_data.relay_end_sessions(token text)
        RETURNS bigint
        LANGUAGE sql VOLATILE SECURITY DEFINER COST 1000
        SET search_path TO pg_catalog, pg_temp
        AS $gate$
            SELECT coalesce((SELECT ydoc.end_sessions(s.subject) FROM ydoc_data.session s WHERE s.id = ydoc.find_session(token)), 0)
        $gate$;
    COMMENT ON FUNCTION ydoc_data.relay_end_sessions(text) IS
        'Logs out everywhere whoever has this token of a session; returns how many sessions that ended';
    CREATE OR REPLACE FUNCTION ydoc_data.relay_sessions(
        token text,
        OUT session uuid, OUT device text, OUT created_at timestamptz, OUT seen_at timestamptz, OUT expires_at timestamptz,
        OUT is_this boolean)
        RETURNS SETOF record
        LANGUAGE sql STABLE SECURITY DEFINER COST 1000 ROWS 10
        SET search_path TO pg_catalog, pg_temp
        AS $gate$
            SELECT l.*, l.session = s.id FROM ydoc_data.session s, ydoc.sessions(s.subject) AS l
            WHERE s.id = ydoc.find_session(token)
        $gate$;
    COMMENT ON FUNCTION ydoc_data.relay_sessions(text) IS 'The sessions of whoever has this token of one of them';
END
$upgrade$;
COMMENT ON FUNCTION ydoc.upgrade_session_store() IS
    'For ydoc.upgrade_store: makes what is missing of the tables of tokens and sessions';
