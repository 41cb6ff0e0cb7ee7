
-- ---- tokens that the database checks itself ----
--
-- Keys and policy are rows of tables that only the store's owner writes, and reads.  Whoever asks, asks through
-- ydoc_data.claims_of, which is the owner's.

CREATE FUNCTION ydoc.judge_token(
    token text, keys text[], audience text, issuer text, leeway integer, requires_expiry boolean, at timestamptz,
    OUT verdict text, OUT claims jsonb, OUT expires_at timestamptz)
    RETURNS record
    LANGUAGE c STABLE PARALLEL SAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_judge_token';
COMMENT ON FUNCTION ydoc.judge_token(text, text[], text, text, integer, boolean, timestamptz) IS
    'What there is to say of a token (JWT: HS256, RS256, PS256, ES256, EdDSA) at a time, with these keys (JWKS, JWK or PEM): valid, and its claims, or why not';

CREATE FUNCTION ydoc.read_token_keys(keys text[], OUT kid text, OUT algorithm text)
    RETURNS SETOF record
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 1000 ROWS 10
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_read_token_keys';
COMMENT ON FUNCTION ydoc.read_token_keys(text[]) IS
    'The keys in texts that are a JWKS, a JWK or public keys as PEM, each with the one algorithm that it is used with; 22023 if one of them is weak, private or broken';

CREATE FUNCTION ydoc.verify_token(token text)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    judged record;
BEGIN
    PERFORM ydoc.require_store();
    SELECT * INTO judged FROM ydoc_data.judge_token(token);
    IF judged.claims IS NULL THEN
        RAISE EXCEPTION 'token refused: %', judged.verdict USING ERRCODE = 'invalid_authorization_specification';
    END IF;
    RETURN judged.claims;
END
$$;
COMMENT ON FUNCTION ydoc.verify_token(text) IS
    'The claims of a token that is good by the keys of ydoc.set_token_keys and the policy of ydoc.set_token_policy; 28000 if it is not';

CREATE FUNCTION ydoc.claims_of(credential text)
    RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_claims_of';
COMMENT ON FUNCTION ydoc.claims_of(text) IS
    'Whom somebody speaks for who shows claims (JSON), a token, the access token of a session, or a link; NULL if that is not good, {} if he shows nothing; a session of the database keeps the answer for a second';

CREATE FUNCTION ydoc.set_token_keys(name text, keys text)
    RETURNS SETOF text
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE COST 1000 ROWS 10
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    IF name IS NULL THEN
        RAISE EXCEPTION 'the name of the keys must not be null' USING ERRCODE = 'null_value_not_allowed';
    ELSIF keys IS NULL THEN
        DELETE FROM ydoc_data.token_key k WHERE k.name = set_token_keys.name;
        RETURN;
    END IF;
    INSERT INTO ydoc_data.token_key AS k (name, keys) VALUES (name, keys)
    ON CONFLICT ON CONSTRAINT token_key_pkey DO UPDATE SET keys = EXCLUDED.keys, set_by = DEFAULT, set_at = DEFAULT;
    -- all together, for there is a limit to how many there are
    PERFORM FROM ydoc.read_token_keys((SELECT array_agg(k.keys) FROM ydoc_data.token_key k));
    RETURN QUERY SELECT concat_ws(' ', r.kid, r.algorithm) FROM ydoc.read_token_keys(ARRAY[keys]) AS r;
END
$$;
COMMENT ON FUNCTION ydoc.set_token_keys(text, text) IS
    'Keys that tokens are checked with in this database, under a name: a JWKS, a JWK (a secret: of kind "oct"), or public keys as PEM; NULL: forget those of that name; answers kid and algorithm of each';

CREATE FUNCTION ydoc.set_token_policy(
    audience text DEFAULT NULL, issuer text DEFAULT NULL, leeway interval DEFAULT '30 seconds',
    requires_expiry boolean DEFAULT true, only_tokens boolean DEFAULT false)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    IF leeway IS NULL OR requires_expiry IS NULL OR only_tokens IS NULL THEN
        RAISE EXCEPTION 'leeway, requires_expiry and only_tokens must not be null' USING ERRCODE = 'null_value_not_allowed';
    ELSIF leeway NOT BETWEEN '0' AND '10 minutes' THEN
        RAISE EXCEPTION 'a leeway is 0 to 10 minutes, not %', leeway USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO ydoc_data.token_policy AS p (audience, issuer, leeway, requires_expiry, only_tokens)
    VALUES (audience, issuer, leeway, requires_expiry, only_tokens)
    ON CONFLICT ON CONSTRAINT token_policy_pkey DO UPDATE
        SET audience = EXCLUDED.audience, issuer = EXCLUDED.issuer, leeway = EXCLUDED.leeway,
            requires_expiry = EXCLUDED.requires_expiry, only_tokens = EXCLUDED.only_tokens;
END
$$;
COMMENT ON FUNCTION ydoc.set_token_policy(text, text, interval, boolean, boolean) IS
    'How this database checks tokens: aud must name the audience (NULL: there must be none), iss be the issuer (NULL: any), clocks may differ by leeway, exp must be there; only_tokens: claims that a relay or PostgREST says it has checked count for nothing, it must show the token';
