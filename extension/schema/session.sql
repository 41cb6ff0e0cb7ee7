
-- ---- sessions: for applications that have no server of their own for logging in ----
--
-- Somebody who has proved who he is gets a pair of secrets: an access token, good for minutes, that is shown with each
-- request, and a refresh token that is good once, for the next pair.  Only their hashes are kept (SHA-256: there is nothing
-- to guess in 256 random bits).
--
--     refresh 1 ──> access 1            used: kept, so that whoever shows it again is noticed
--         └─> refresh 2 ──> access 2    = sha256(salt of refresh 1, refresh 1): two tabs that refresh at once get the same
--                └─> ...                  pair, for a short while (grace); who comes later with a used one is a thief, or
--                                         was robbed: the session ends, whichever of the two he is

CREATE FUNCTION ydoc.session_secret(kind text, salt bytea, parent bytea)
    RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS $$
        SELECT 'ydoc_' || kind || '_' || rtrim(translate(
            encode(sha256(salt || parent || convert_to(kind, 'UTF8')), 'base64'), '+/', '-_'), '=')
    $$;
COMMENT ON FUNCTION ydoc.session_secret(text, bytea, bytea) IS
    'The secret of a kind (access, refresh) that follows from 32 random bytes and the hash or secret before it';

CREATE FUNCTION ydoc.random_bytes32()
    RETURNS bytea
    LANGUAGE sql VOLATILE PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS $$ SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) $$;
COMMENT ON FUNCTION ydoc.random_bytes32() IS '32 bytes that hold 256 random bits of the server''s strong generator';

-- Makes the pair that follows from a secret and the salt kept beside its hash; the same pair each time.
CREATE FUNCTION ydoc.issue_session_tokens(
    session uuid, salt bytea, parent bytea, access_expires_at timestamptz, refresh_expires_at timestamptz,
    OUT access_token text, OUT refresh_token text)
    RETURNS record
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    access_token := ydoc.session_secret('access', salt, parent);
    refresh_token := ydoc.session_secret('refresh', salt, parent);
    INSERT INTO ydoc_data.session_token (token_hash, session, kind, expires_at)
    VALUES (sha256(convert_to(access_token, 'UTF8')), session, 'access', access_expires_at),
           (sha256(convert_to(refresh_token, 'UTF8')), session, 'refresh', refresh_expires_at)
    ON CONFLICT (token_hash) DO NOTHING;
END
$$;
COMMENT ON FUNCTION ydoc.issue_session_tokens(uuid, bytea, bytea, timestamptz, timestamptz) IS
    'For ydoc.start_session and ydoc.refresh_session: the next two tokens of a session';

CREATE FUNCTION ydoc.finish_session(session uuid, why text)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    whose text;
BEGIN
    UPDATE ydoc_data.session s SET ended_at = clock_timestamp(), ended_why = why
    WHERE s.id = session AND s.ended_at IS NULL RETURNING s.subject INTO whose;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM ydoc_data.session_token t WHERE t.session = finish_session.session AND t.kind = 'access';
    INSERT INTO ydoc_data.session_audit (event, session, subject) VALUES (why, session, whose);
    PERFORM pg_notify('ydoc_access', 'session ' || session); -- relays ask again about its connections
    RETURN true;
END
$$;
COMMENT ON FUNCTION ydoc.finish_session(uuid, text) IS
    'Ends a session for a reason (logout, logout everywhere, replayed, expired, too many); its tokens are good for nothing more, and relays close its connections; false if it had ended';

-- Rows, and no advisory lock: that could be held by anybody who may log in to the database, and nobody else could.
CREATE FUNCTION ydoc.lock_sessions(subject text)
    RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM ydoc_data.session s
    WHERE s.subject = lock_sessions.subject AND s.ended_at IS NULL ORDER BY s.id FOR NO KEY UPDATE;
END
$$;
COMMENT ON FUNCTION ydoc.lock_sessions(text) IS
    'For ydoc.start_session and ydoc.end_sessions: waits for others that are at the sessions of the same user, if he has any';

CREATE FUNCTION ydoc.start_session(
    claims jsonb, device text DEFAULT NULL,
    OUT session uuid, OUT status text, OUT access_token text, OUT refresh_token text,
    OUT access_expires_at timestamptz, OUT refresh_expires_at timestamptz)
    RETURNS record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    policy record;
    whose text := claims ->> 'sub';
    started timestamptz := clock_timestamp();
    ends timestamptz;
    surplus uuid;
BEGIN
    PERFORM ydoc.require_store();
    IF whose IS NULL OR whose = '' THEN
        RAISE EXCEPTION 'a session needs a claim "sub"' USING ERRCODE = 'invalid_parameter_value';
    ELSIF octet_length(claims::text) > 8192 OR octet_length(device) > 500 THEN
        RAISE EXCEPTION 'claims have at most 8192 bytes, a device 500' USING ERRCODE = 'program_limit_exceeded';
    END IF;
    SELECT * INTO policy FROM ydoc_data.session_policy;
    PERFORM ydoc.lock_sessions(whose); -- one at a time, for each user
    -- a login assertion that has a name is good once
    IF claims ->> 'jti' IS NOT NULL THEN
        INSERT INTO ydoc_data.session_assertion (assertion_hash, expires_at)
        VALUES (sha256(convert_to(concat_ws(E'\n', claims ->> 'iss', claims ->> 'jti'), 'UTF8')),
                coalesce(to_timestamp(least((claims ->> 'exp')::double precision, 253402300799)), 'infinity') + interval '1 hour')
        ON CONFLICT (assertion_hash) DO NOTHING;
        IF NOT FOUND THEN
            INSERT INTO ydoc_data.session_audit (event, subject) VALUES ('assertion replayed', whose);
            status := 'replayed';
            RETURN;
        END IF;
    END IF;
    FOR surplus IN
        SELECT s.id FROM ydoc_data.session s WHERE s.subject = whose AND s.ended_at IS NULL
        ORDER BY s.seen_at DESC OFFSET policy.max_per_user - 1
    LOOP
        PERFORM ydoc.finish_session(surplus, 'too many');
    END LOOP;
    DELETE FROM ydoc_data.session s
    WHERE s.id IN (SELECT o.id FROM ydoc_data.session o WHERE o.subject = whose AND o.ended_at IS NOT NULL
                   ORDER BY o.ended_at DESC OFFSET policy.max_per_user);

    ends := started + policy.lifetime;
    INSERT INTO ydoc_data.session (subject, claims, device, created_at, seen_at, idle_until, expires_at)
    VALUES (whose, claims - '{exp,nbf,iat,aud,jti}'::text[], device, started, started, least(started + policy.idle_lifetime, ends), ends)
    RETURNING id, idle_until INTO session, refresh_expires_at;
    INSERT INTO ydoc_data.session_audit (event, session, subject) VALUES ('started', session, whose);
    access_expires_at := least(started + policy.access_lifetime, ends);
    SELECT i.access_token, i.refresh_token INTO access_token, refresh_token
    FROM ydoc.issue_session_tokens(session, ydoc.random_bytes32(), ydoc.random_bytes32(), access_expires_at, refresh_expires_at) AS i;
    status := 'ok';
END
$$;
COMMENT ON FUNCTION ydoc.start_session(jsonb, text) IS
    'Starts a session for somebody whose claims were verified, by whoever calls or by ydoc.verify_token; a claim "jti" is good once: then status is replayed, else ok';

CREATE FUNCTION ydoc.refresh_session(
    token text,
    OUT session uuid, OUT status text, OUT access_token text, OUT refresh_token text,
    OUT access_expires_at timestamptz, OUT refresh_expires_at timestamptz)
    RETURNS record
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    policy record;
    hash bytea := sha256(convert_to(token, 'UTF8'));
    shown record;
    found_session record;
    at timestamptz;
    is_first boolean;
    next_hash bytea;
BEGIN
    PERFORM ydoc.require_store();
    status := 'unknown';
    SELECT * INTO policy FROM ydoc_data.session_policy;
    SELECT t.session INTO session FROM ydoc_data.session_token t WHERE t.token_hash = hash AND t.kind = 'refresh';
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- who comes at the same time waits here, and then sees what became of the token
    SELECT * INTO found_session FROM ydoc_data.session s WHERE s.id = session FOR UPDATE;
    SELECT * INTO shown FROM ydoc_data.session_token t WHERE t.token_hash = hash FOR UPDATE;
    IF found_session.id IS NULL OR shown.token_hash IS NULL THEN
        RETURN;
    END IF;
    at := clock_timestamp();
    IF found_session.ended_at IS NOT NULL THEN
        status := 'ended';
        RETURN;
    ELSIF at >= found_session.idle_until OR at >= found_session.expires_at THEN
        PERFORM ydoc.finish_session(session, 'expired');
        status := 'expired';
        RETURN;
    END IF;
    is_first := shown.used_at IS NULL;
    IF is_first THEN
        UPDATE ydoc_data.session_token t SET used_at = at, salt = ydoc.random_bytes32()
        WHERE t.token_hash = hash RETURNING t.salt INTO shown.salt;
        UPDATE ydoc_data.session s SET seen_at = at, idle_until = least(at + policy.idle_lifetime, s.expires_at)
        WHERE s.id = session RETURNING * INTO found_session;
    ELSE
        next_hash := sha256(convert_to(ydoc.session_secret('refresh', shown.salt, convert_to(token, 'UTF8')), 'UTF8'));
        IF at > shown.used_at + policy.grace
           OR NOT EXISTS (SELECT FROM ydoc_data.session_token t WHERE t.token_hash = next_hash AND t.used_at IS NULL) THEN
            PERFORM ydoc.finish_session(session, 'replayed');
            status := 'replayed';
            RETURN;
        END IF;
    END IF;
    access_expires_at := least(coalesce(shown.used_at, at) + policy.access_lifetime, found_session.expires_at);
    refresh_expires_at := found_session.idle_until;
    SELECT i.access_token, i.refresh_token INTO access_token, refresh_token
    FROM ydoc.issue_session_tokens(session, shown.salt, convert_to(token, 'UTF8'), access_expires_at, refresh_expires_at) AS i;
    IF is_first THEN -- what a session keeps is bounded
        DELETE FROM ydoc_data.session_token t
        WHERE t.session = refresh_session.session
          AND (t.kind = 'access' AND t.expires_at < at
               OR t.token_hash IN (SELECT o.token_hash FROM ydoc_data.session_token o
                                   WHERE o.session = refresh_session.session AND o.used_at IS NOT NULL
                                   ORDER BY o.used_at DESC OFFSET 100)
               OR t.token_hash IN (SELECT o.token_hash FROM ydoc_data.session_token o
                                   WHERE o.session = refresh_session.session AND o.kind = 'access'
                                   ORDER BY o.expires_at DESC OFFSET 20));
    END IF;
    status := 'ok';
END
$$;
COMMENT ON FUNCTION ydoc.refresh_session(text) IS
    'The next two tokens of a session for its refresh token, which is good once: shown again within the grace of the policy, it gives the same two; later, it ends the session; status is ok, unknown, ended, expired or replayed';

CREATE FUNCTION ydoc.find_session(token text)
    RETURNS uuid
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT s.id FROM ydoc_data.session_token t JOIN ydoc_data.session s ON s.id = t.session
        WHERE t.token_hash = sha256(convert_to(token, 'UTF8')) AND t.expires_at > statement_timestamp() AND t.used_at IS NULL
          AND s.ended_at IS NULL AND s.expires_at > statement_timestamp());
END
$$;
COMMENT ON FUNCTION ydoc.find_session(text) IS 'The session that a token of either kind is good for; NULL: none';

CREATE FUNCTION ydoc.end_session(token text)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    RETURN coalesce(ydoc.finish_session(ydoc.find_session(token), 'logout'), false);
END
$$;
COMMENT ON FUNCTION ydoc.end_session(text) IS
    'Logs out: ends the session that has this access or refresh token; false if there is none';

CREATE FUNCTION ydoc.end_sessions(subject text)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    PERFORM ydoc.lock_sessions(subject); -- one that is being started meanwhile is seen then
    RETURN (
        SELECT count(*) FILTER (WHERE ydoc.finish_session(live.id, 'logout everywhere'))
        FROM (SELECT s.id FROM ydoc_data.session s
              WHERE s.subject = end_sessions.subject AND s.ended_at IS NULL ORDER BY s.id FOR UPDATE) AS live);
END
$$;
COMMENT ON FUNCTION ydoc.end_sessions(text) IS 'Logs somebody (claim "sub") out everywhere; returns how many sessions that ended';

CREATE FUNCTION ydoc.sessions(
    subject text,
    OUT session uuid, OUT device text, OUT created_at timestamptz, OUT seen_at timestamptz, OUT expires_at timestamptz)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE COST 1000 ROWS 10
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    RETURN QUERY
    SELECT s.id, s.device, s.created_at, s.seen_at, s.idle_until FROM ydoc_data.session s
    WHERE s.subject = sessions.subject AND s.ended_at IS NULL AND s.idle_until > statement_timestamp()
    ORDER BY s.seen_at DESC, s.id;
END
$$;
COMMENT ON FUNCTION ydoc.sessions(text) IS
    'The sessions of somebody (claim "sub") that have not ended: since when, last refreshed, until when if he does nothing';

CREATE FUNCTION ydoc.purge_sessions(keep interval DEFAULT '30 days')
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    purged bigint;
BEGIN
    PERFORM ydoc.require_store();
    DELETE FROM ydoc_data.session_assertion a WHERE a.expires_at < now();
    DELETE FROM ydoc_data.session_audit a WHERE a.at < now() - keep;
    DELETE FROM ydoc_data.session_token t WHERE t.kind = 'access' AND t.expires_at < now();
    DELETE FROM ydoc_data.session s WHERE least(s.idle_until, s.ended_at) < now() - keep;
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN purged;
END
$$;
COMMENT ON FUNCTION ydoc.purge_sessions(interval) IS
    'Forgets sessions that ended, or expired, longer ago than that, what was noted of sessions then, and login assertions that have expired; returns how many sessions; for cron';

CREATE FUNCTION ydoc.set_session_policy(
    access_lifetime interval DEFAULT '10 minutes', idle_lifetime interval DEFAULT '7 days', lifetime interval DEFAULT '90 days',
    grace interval DEFAULT '10 seconds', max_per_user integer DEFAULT 20)
    RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    IF access_lifetime NOT BETWEEN '1 second' AND '1 day' THEN
        RAISE EXCEPTION 'an access token is good for 1 second to 1 day, not %', access_lifetime USING ERRCODE = 'invalid_parameter_value';
    ELSIF least(idle_lifetime, lifetime) < '1 second' THEN
        RAISE EXCEPTION 'a session lasts a second at least' USING ERRCODE = 'invalid_parameter_value';
    ELSIF grace NOT BETWEEN '0' AND '1 minute' THEN
        RAISE EXCEPTION 'a grace is 0 to 1 minute, not %', grace USING ERRCODE = 'invalid_parameter_value';
    ELSIF max_per_user NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'a user has 1 to 1000 sessions, not %', max_per_user USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE ydoc_data.session_policy p
    SET access_lifetime = set_session_policy.access_lifetime, idle_lifetime = set_session_policy.idle_lifetime,
        lifetime = set_session_policy.lifetime, grace = set_session_policy.grace, max_per_user = set_session_policy.max_per_user;
END
$$;
COMMENT ON FUNCTION ydoc.set_session_policy(interval, interval, interval, interval, integer) IS
    'How long an access token is good, a session nobody refreshes, and any session; for how long a refresh token that was used gives the same answer; how many sessions one user has, beyond which the one longest unused ends';
