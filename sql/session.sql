-- Tokens that the database checks itself, and sessions.
-- HMAC with SHA-256, and tokens signed with it
CREATE FUNCTION pad(key bytea, with_byte integer) RETURNS bytea LANGUAGE sql AS $$
    SELECT string_agg(set_byte('\x00', 0, with_byte # CASE WHEN i < length(key) THEN get_byte(key, i) ELSE 0 END), '' ORDER BY i) FROM generate_series(0, 63) AS i
$$;
CREATE FUNCTION hmac(key bytea, message bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT sha256(pad(key, 92) || sha256(pad(key, 54) || message)) $$;
CREATE FUNCTION base64url(bytes bytea) RETURNS text LANGUAGE sql AS $$ SELECT rtrim(translate(encode(bytes, 'base64'), E'+/\n', '-_'), '=') $$;
CREATE FUNCTION base64url(plain text) RETURNS text LANGUAGE sql AS $$ SELECT base64url(convert_to(plain, 'UTF8')) $$;
CREATE FUNCTION token(claims jsonb, header text DEFAULT '{"alg":"HS256"}', secret text DEFAULT repeat('k', 32)) RETURNS text LANGUAGE sql AS $$
    SELECT text || '.' || base64url(hmac(secret::bytea, text::bytea)) FROM (SELECT base64url(header) || '.' || base64url(claims::text)) AS t (text)
$$;
CREATE FUNCTION overwrite(text, integer) RETURNS text LANGUAGE sql AS $$ SELECT overlay($1 PLACING CASE substr($1, $2 + 1, 1) WHEN '0' THEN '1' ELSE '0' END FROM $2 + 1) $$;
SELECT encode(hmac('Jefe', 'what do ya want for nothing?'), 'hex') AS rfc_4231;

-- ---- keys and policy ----
SELECT ydoc.verify_token(token('{"sub": "ann"}'));
\echo :LAST_ERROR_SQLSTATE
SELECT jsonb_build_object('kty', 'oct', 'k', base64url(repeat('k', 32)))::text AS jwk \gset
SELECT * FROM ydoc.set_token_keys('own', :'jwk');
SELECT * FROM ydoc.set_token_keys('issuer', '{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "e", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}');
SELECT * FROM ydoc.set_token_keys('weak', '{"kty": "oct", "k": "AAAA"}');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM ydoc.set_token_keys('none', 'no keys at all');
SELECT * FROM ydoc.set_token_keys('empty', '{"keys": []}');
SELECT * FROM ydoc.set_token_keys('private', '{"kty": "OKP", "crv": "Ed25519", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}');
SELECT * FROM ydoc.set_token_keys(NULL, NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT name FROM ydoc_data.token_key ORDER BY name;
SELECT ydoc.verify_token(token('{"sub": "ann"}')); -- no exp
SELECT ydoc.set_token_policy(leeway => '1 hour');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.set_token_policy(audience => 'notes', leeway => '0');
SELECT ydoc.verify_token(token('{"sub": "ann", "aud": "notes", "exp": 4000000000}'));
-- an EdDSA token of RFC 8037, of which the claims are no object
SELECT (ydoc.judge_token('eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg',
    ARRAY['{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'], NULL, NULL, 0, false, now())).verdict;
SELECT what, (ydoc_data.judge_token(token)).verdict FROM (VALUES
    ('good', token('{"sub": "ann", "aud": ["x", "notes"], "exp": 4000000000}')),
    ('another audience', token('{"sub": "ann", "aud": "mail", "exp": 4000000000}')),
    ('expired', token('{"sub": "ann", "aud": "notes", "exp": 1000000000}')),
    ('not yet', token('{"sub": "ann", "aud": "notes", "exp": 4000000000, "nbf": 3999999999}')),
    ('another secret', token('{"sub": "ann", "aud": "notes", "exp": 4000000000}', secret => repeat('x', 32))),
    ('no algorithm', token('{"sub": "ann", "aud": "notes", "exp": 4000000000}', '{"alg":"none"}')),
    ('another algorithm', token('{"sub": "ann", "aud": "notes", "exp": 4000000000}', '{"alg":"EdDSA"}')),
    ('critical extension', token('{"sub": "ann", "aud": "notes", "exp": 4000000000}', '{"alg":"HS256","crit":["x"]}')),
    ('no token', 'a.b.c'), ('nothing', '')) AS t (what, token);
SELECT ydoc.judge_token(NULL, '{}', NULL, NULL, 0, false, now());
\echo :LAST_ERROR_SQLSTATE

-- ---- whom somebody speaks for ----
SELECT ydoc.claims_of(NULL), ydoc.claims_of('{}'), ydoc.claims_of('{"sub": "ann"}'), ydoc.claims_of('a.b.c') IS NULL AS bad,
       ydoc.claims_of(token('{"sub": "ann", "aud": "notes", "exp": 4000000000}')) ->> 'sub' AS token;
SELECT ydoc.claims_of('{"sub"');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.grant_access('session/%', 'user:ann', 'write'), ydoc.grant_access('session/open', 'public', 'read');
SELECT ydoc.text_append('session/1', 't', 'x'), ydoc.text_append('session/open', 't', 'x');
CREATE TEMP TABLE update AS SELECT '\x0101020004010174017800'::bytea AS bytes;
SELECT token('{"sub": "ann", "aud": "notes", "exp": 4000000000}') AS good, token('{"sub": "ann", "aud": "notes", "exp": 1}') AS old \gset
SELECT ordinal, seq, sqlstate, message FROM update, ydoc.apply_batch_as(array_fill('session/1'::text, ARRAY[3]), array_fill(bytes, ARRAY[3]), ARRAY[:'good', :'old', '{"sub": "ann"}']);
SELECT seq, actor FROM ydoc_data.log WHERE document = 'session/1' ORDER BY seq;
SELECT * FROM ydoc_data.relay_levels(array_fill('session/open'::text, ARRAY[5]), ARRAY[:'good', :'old', '{"sub": "ann"}', '{}', NULL]);
-- only tokens: what a relay claims to have checked counts for nothing
SELECT ydoc.set_token_policy(audience => 'notes', leeway => '0', only_tokens => true);
SELECT pg_sleep(1.1);
SELECT * FROM ydoc_data.relay_levels(array_fill('session/open'::text, ARRAY[6]), ARRAY[:'good', :'old', '{"sub": "ann"}', '{}', NULL, '{"link": "x"}']);
SELECT ordinal, sqlstate, message FROM update, ydoc.apply_batch_as(array_fill('session/1'::text, ARRAY[3]), array_fill(bytes, ARRAY[3]), ARRAY[:'good', :'old', '{"sub": "ann"}']);
SELECT seq FROM ydoc_data.relay_sync(:'good', 'session/1', '\x00', 0);
SELECT seq FROM ydoc_data.relay_sync('{"sub": "ann"}', 'session/1', '\x00', 0);
\echo :LAST_ERROR_SQLSTATE
SELECT seq FROM ydoc_data.relay_sync('{"sub": "ann"}', 'session/open', '\x00', 0);
-- and so for those who speak in request.jwt.claims
CREATE ROLE regress_ydoc_web;
SELECT ydoc.trust_claims('regress_ydoc_web');
GRANT USAGE ON SCHEMA ydoc_data TO regress_ydoc_web;
SET SESSION AUTHORIZATION regress_ydoc_web;
SET request.jwt.claims = '{"sub": "ann"}';
SELECT ydoc.my_level('session/1'), ydoc.my_level('session/open');
SELECT set_config('request.headers', json_build_object('authorization', 'Bearer ' || :'good')::text, false) <> '' AS set;
SELECT ydoc.my_level('session/1'), ydoc.my_level('session/open');
SELECT set_config('request.headers', json_build_object('authorization', 'Bearer ' || :'old')::text, false) <> '' AS set;
SELECT ydoc.my_level('session/1'), ydoc.my_level('session/open');
RESET request.headers;
SELECT set_config('request.jwt.token', :'good', false) <> '' AS set;
SELECT ydoc.my_level('session/1');
RESET request.jwt.token;
-- keys and sessions are the owner's
SELECT * FROM ydoc_data.token_key;
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.set_token_policy();
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.set_token_keys('mine', '{"kty": "oct", "k": "AAAA"}');
\echo :LAST_ERROR_SQLSTATE
RESET SESSION AUTHORIZATION;
GRANT pg_read_all_data TO regress_ydoc_web;
SET ROLE regress_ydoc_web;
SELECT (SELECT count(*) FROM ydoc_data.token_key) AS keys, (SELECT count(*) FROM ydoc_data.access) > 0 AS grants;
RESET ROLE;

-- ---- sessions ----
SELECT ydoc.set_token_policy(audience => 'notes', leeway => '0');
SELECT * FROM ydoc.start_session('{"name": "nobody"}');
\echo :LAST_ERROR_SQLSTATE
SELECT session, status, access_token, refresh_token, access_expires_at - clock_timestamp() > '9 minutes' AS minutes
FROM ydoc.start_session('{"sub": "ann", "name": "Ann", "exp": 4000000000, "aud": "notes", "groups": ["team"]}', 'a browser') \gset first_
SELECT :'first_status' AS status, :'first_minutes' AS minutes, length(:'first_access_token') AS access, length(:'first_refresh_token') AS refresh,
       :'first_access_token' ~ '^ydoc_access_[A-Za-z0-9_-]{43}$' AS is_access;
SELECT ydoc.claims_of(:'first_access_token'), ydoc.claims_of(:'first_refresh_token') IS NULL AS refresh, ydoc.claims_of('some secret') IS NULL AS other;
-- nothing that is kept opens anything
SELECT count(*) FILTER (WHERE strpos(t::text, substr(:'first_access_token', 13)) + strpos(t::text, substr(:'first_refresh_token', 14)) > 0) AS shown, count(*)
FROM (SELECT s::text FROM ydoc_data.session s UNION ALL SELECT t::text FROM ydoc_data.session_token t UNION ALL SELECT a::text FROM ydoc_data.session_audit a) AS t;
SELECT ordinal, seq, sqlstate FROM update, ydoc.apply_batch_as(ARRAY['session/1'], ARRAY['\x0101030004010174017800'::bytea], ARRAY[:'first_access_token']);
-- a connection goes on with what it gets for its access token, until the session ends
SELECT level, is_known, live AS live_token FROM ydoc_data.relay_levels(ARRAY['session/1'], ARRAY[:'first_access_token']) \gset
SELECT :'level' AS level, :'is_known' AS is_known, ydoc.claims_of(:'live_token') ->> 'sub' AS sub,
       ydoc.claims_of(overwrite(:'live_token', 10)) IS NULL AS changed, ydoc.claims_of(overwrite(:'live_token', 60)) IS NULL AS changed_too;
SELECT live IS NULL AS no_more FROM ydoc_data.relay_levels(ARRAY['session/1'], ARRAY[:'live_token']);
-- refreshed: the next two; two tabs at once get the same two
SELECT session, status, access_token, refresh_token FROM ydoc.refresh_session(:'first_refresh_token') \gset next_
SELECT session, status, access_token, refresh_token FROM ydoc.refresh_session(:'first_refresh_token') \gset tab_
SELECT :'next_status' AS status, :'next_session' = :'first_session' AS same_session, :'next_access_token' <> :'first_access_token' AS new,
       (:'next_access_token', :'next_refresh_token') = (:'tab_access_token', :'tab_refresh_token') AS same_pair;
SELECT ydoc.claims_of(:'next_access_token') ->> 'sub' AS next, ydoc.claims_of(:'first_access_token') ->> 'sub' AS still;
-- later, whoever shows the used one ends the session
UPDATE ydoc_data.session_token SET used_at = used_at - interval '1 minute' WHERE used_at IS NOT NULL;
SELECT status, access_token FROM ydoc.refresh_session(:'first_refresh_token');
SELECT status, access_token FROM ydoc.refresh_session(:'next_refresh_token') AS the_honest_one;
SELECT pg_sleep(1.1);
SELECT ydoc.claims_of(:'next_access_token') IS NULL AS gone, ydoc.claims_of(:'live_token') IS NULL AS gone_too;
SELECT ended_why FROM ydoc_data.session WHERE id = :'first_session';
SELECT event, subject FROM ydoc_data.session_audit ORDER BY at;
-- also within the grace, if the next one has been used
SELECT refresh_token AS one FROM ydoc.start_session('{"sub": "ann"}') \gset
SELECT refresh_token AS two FROM ydoc.refresh_session(:'one') \gset
SELECT status FROM ydoc.refresh_session(:'two');
SELECT status FROM ydoc.refresh_session(:'one');
SELECT status FROM ydoc.refresh_session('ydoc_refresh_unknown');
-- an access token refreshes nothing
SELECT session, access_token, refresh_token FROM ydoc.start_session('{"sub": "ann"}', 'a phone') \gset phone_
SELECT status FROM ydoc.refresh_session(:'phone_access_token');
-- logging out: here, everywhere
SELECT device, session = :'phone_session' AS phone FROM ydoc.sessions('ann');
SELECT ydoc.end_session(:'phone_access_token'), ydoc.end_session(:'phone_access_token') AS again, ydoc.end_session('guess') AS guess;
SELECT status FROM ydoc.refresh_session(:'phone_refresh_token');
SELECT count(*) FROM generate_series(1, 3) AS i, ydoc.start_session(jsonb_build_object('sub', 'ann', 'number', i));
SELECT access_token FROM ydoc.start_session('{"sub": "ben"}') \gset ben_
SELECT ydoc.end_sessions('ann'), ydoc.end_sessions('ann') AS again;
SELECT count(*) FROM ydoc.sessions('ann');
SELECT ydoc.claims_of(:'ben_access_token');
-- expiry: of whoever does nothing, and of all
SELECT session, refresh_token FROM ydoc.start_session('{"sub": "ann"}') \gset idle_
UPDATE ydoc_data.session SET idle_until = clock_timestamp() WHERE id = :'idle_session';
SELECT count(*) FROM ydoc.sessions('ann');
SELECT status FROM ydoc.refresh_session(:'idle_refresh_token');
SELECT ydoc.set_session_policy(lifetime => '1 hour', max_per_user => 3);
SELECT session, refresh_token, refresh_expires_at - clock_timestamp() <= '1 hour' AS bounded FROM ydoc.start_session('{"sub": "ann"}') \gset old_
SELECT :'old_bounded' AS bounded;
UPDATE ydoc_data.session SET expires_at = clock_timestamp(), idle_until = clock_timestamp() + interval '1 day' WHERE id = :'old_session';
SELECT status FROM ydoc.refresh_session(:'old_refresh_token');
SELECT ydoc.set_session_policy(max_per_user => 0);
SELECT ydoc.set_session_policy(lifetime => '-1 day');
SELECT ydoc.set_session_policy(access_lifetime => '2 days');
SELECT ydoc.set_session_policy(grace => '1 hour');
\echo :LAST_ERROR_SQLSTATE
-- how many one user has: the one that was unused longest goes
SELECT session FROM ydoc.start_session('{"sub": "carl"}') \gset carl_
SELECT count(*) FROM generate_series(1, 9) AS i, ydoc.start_session(jsonb_build_object('sub', 'carl', 'number', i));
SELECT count(*), bool_or(session = :'carl_session') AS first_one FROM ydoc.sessions('carl');
SELECT count(*) FILTER (WHERE ended_at IS NOT NULL) <= 4 AS few_that_ended FROM ydoc_data.session WHERE subject = 'carl';
-- what a session keeps is bounded
DO $$
DECLARE
    token text := (SELECT refresh_token FROM ydoc.start_session('{"sub": "dora"}'));
BEGIN
    FOR i IN 1 .. 150 LOOP
        SELECT refresh_token INTO token FROM ydoc.refresh_session(token);
    END LOOP;
END
$$;
SELECT count(*) FILTER (WHERE kind = 'refresh') AS refresh, count(*) FILTER (WHERE kind = 'access') AS access
FROM ydoc_data.session_token t JOIN ydoc_data.session s ON s.id = t.session WHERE s.subject = 'dora';
-- for relays: what is shown is the proof
CREATE ROLE regress_ydoc_relay;
SELECT ydoc.grant_relay('regress_ydoc_relay');
SET ROLE regress_ydoc_relay;
SELECT status FROM ydoc_data.relay_start_session(:'old', NULL);
SELECT status FROM ydoc_data.relay_start_session('{}', NULL);
SELECT status FROM ydoc_data.relay_start_session(NULL, NULL);
SELECT status FROM ydoc_data.relay_start_session(:'ben_access_token', 'a session of a session');
SELECT * FROM ydoc_data.relay_start_session(:'good', 'a relay''s') \gset relay_
SELECT :'relay_status' AS status;
SELECT device, is_this FROM ydoc_data.relay_sessions(:'relay_access_token');
SELECT device, is_this FROM ydoc_data.relay_sessions('guess');
SELECT status FROM ydoc_data.relay_refresh_session(:'relay_refresh_token');
SELECT ydoc_data.relay_end_session(:'relay_access_token'), ydoc_data.relay_end_sessions(:'relay_access_token') AS none_any_more, ydoc_data.relay_end_sessions('guess') AS guess;
SELECT * FROM ydoc_data.session;
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc_data.live_token(gen_random_uuid());
SELECT ydoc.start_session('{"sub": "ann"}');
\echo :LAST_ERROR_SQLSTATE
\set SHOW_CONTEXT never
SELECT ydoc.end_sessions('ben');
\echo :LAST_ERROR_SQLSTATE
\set SHOW_CONTEXT errors
RESET ROLE;
-- a login assertion with a name starts one session
SELECT token('{"sub": "ann", "jti": "1", "aud": "notes", "exp": 4000000000}') AS once \gset
SELECT status FROM ydoc_data.relay_start_session(:'once', NULL);
SELECT status FROM ydoc_data.relay_start_session(:'once', NULL) AS again;
-- forgetting
UPDATE ydoc_data.session SET ended_at = ended_at - interval '40 days', idle_until = idle_until - interval '40 days' WHERE ended_at IS NOT NULL;
SELECT ydoc.purge_sessions() > 0 AS purged, (SELECT count(*) FROM ydoc_data.session WHERE ended_at IS NOT NULL) > 0 AS before;
SELECT count(*) FILTER (WHERE ended_at IS NOT NULL) AS ended, count(*) > 0 AS live FROM ydoc_data.session;

SELECT ydoc.set_token_policy(), ydoc.set_session_policy(), (SELECT count(*) FROM ydoc.set_token_keys('own', NULL)), (SELECT count(*) FROM ydoc.set_token_keys('issuer', NULL));
DELETE FROM ydoc_data.session;
DELETE FROM ydoc_data.access WHERE documents LIKE 'session/%';
DROP OWNED BY regress_ydoc_web, regress_ydoc_relay;
DROP ROLE regress_ydoc_web, regress_ydoc_relay;
DELETE FROM ydoc_data.speaker WHERE role = 'regress_ydoc_web';
DROP FUNCTION overwrite, pad, hmac, base64url(bytea), base64url(text), token;
