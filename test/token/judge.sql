-- ydoc.judge_token behind the questions that build/judge takes (judge.c).
CREATE FUNCTION pg_temp.bytes(question jsonb, name text) RETURNS bytea LANGUAGE sql AS $$ SELECT decode(question ->> name, 'hex') $$;
CREATE FUNCTION pg_temp.keys(question jsonb) RETURNS text[] LANGUAGE sql AS $$
    SELECT array_remove(ARRAY[
        convert_from(pg_temp.bytes(question, 'keys'), 'UTF8'),
        '{"kty": "oct", "k": "' || rtrim(translate(encode(pg_temp.bytes(question, 'secret'), 'base64'), E'+/\n', '-_'), '=') || '"}'], NULL)
$$;
CREATE FUNCTION pg_temp.judge(question jsonb) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    keys text[];
    token text;
    judged record;
BEGIN
    BEGIN
        keys := pg_temp.keys(question);
        PERFORM FROM ydoc.read_token_keys(keys);
    EXCEPTION WHEN OTHERS THEN
        RETURN json_build_object('problem', SQLERRM);
    END;
    BEGIN
        token := convert_from(pg_temp.bytes(question, 'token'), 'UTF8');
    EXCEPTION WHEN OTHERS THEN
        RETURN json_build_object('verdict', 'malformed'); -- no text: nobody can ask about it in SQL
    END;
    SELECT * INTO judged FROM ydoc.judge_token(
        token, keys, question ->> 'audience', question ->> 'issuer', coalesce((question ->> 'leeway')::integer, 0),
        coalesce((question ->> 'expires')::boolean, false), to_timestamp((question ->> 'now')::double precision));
    RETURN json_build_object(
        'verdict', judged.verdict, 'claims', judged.claims::text, 'subject', judged.claims ->> 'sub',
        'expires_at', coalesce(EXTRACT(EPOCH FROM judged.expires_at)::bigint, 9223372036854775807));
END
$$;
