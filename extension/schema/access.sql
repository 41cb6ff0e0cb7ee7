
-- ---- who may do what ----
--
-- One rule: ydoc.access_level(document, claims).  It asks ydoc_data.access_level, an ordinary function of the store's owner's,
-- who may replace it, and which pg_dump keeps.  Row security, direct SQL, PostgREST and relays all go by it.

CREATE TYPE ydoc.level AS ENUM ('none', 'read', 'comment', 'write', 'admin');
COMMENT ON TYPE ydoc.level IS
    'What somebody may do with a document: nothing; read it and show where he is; comment: also write under the root types that are for comments (ydoc.set_comment_roots); write; give rights to others';

CREATE FUNCTION ydoc.access_level(document text, claims jsonb)
    RETURNS ydoc.level
    LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    RETURN coalesce(ydoc_data.access_level(document, coalesce(claims, '{}')), 'none');
END
$$;
COMMENT ON FUNCTION ydoc.access_level(text, jsonb) IS
    'What somebody with these claims may do with a document, as ydoc_data.access_level has it, which the owner of the store may replace';

CREATE FUNCTION ydoc.claims()
    RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM ydoc_data.speaker s WHERE s.role = session_user) THEN
        IF ydoc_data.only_tokens() THEN
            RETURN coalesce(ydoc.claims_of(coalesce(
                nullif(current_setting('request.jwt.token', true), ''),
                substring(nullif(current_setting('request.headers', true), '')::jsonb ->> 'authorization' FROM '^[Bb]earer +(.*)$'))), '{}');
        END IF;
        RETURN coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{}')::jsonb;
    END IF;
    RETURN jsonb_build_object('roles', (
        SELECT jsonb_agg(r.rolname ORDER BY r.rolname) FROM pg_roles r WHERE pg_has_role(current_user, r.oid, 'MEMBER')));
END
$$;
COMMENT ON FUNCTION ydoc.claims() IS
    'Who asks: the claims that PostgREST sets (request.jwt.claims; where only tokens count, those of the token in request.headers, or request.jwt.token), if the session''s role is one of ydoc_data.speaker, whose word counts; else the roles that the current role is a member of';

CREATE FUNCTION ydoc.current_actor()
    RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_current_actor';
COMMENT ON FUNCTION ydoc.current_actor() IS
    'Who is answerable for what this session edits: setting ydoc.actor, else claim "sub" of whom it speaks for (ydoc.claims); NULL: nobody is named';

CREATE FUNCTION ydoc.my_level(document text)
    RETURNS ydoc.level
    LANGUAGE sql STABLE STRICT PARALLEL SAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS $$ SELECT ydoc.access_level(document, ydoc.claims()) $$;
COMMENT ON FUNCTION ydoc.my_level(text) IS 'What whoever asks may do with a document';

CREATE FUNCTION ydoc.require_level(document text, claims text, level text)
    RETURNS void
    LANGUAGE c STABLE PARALLEL RESTRICTED COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_require_level';
COMMENT ON FUNCTION ydoc.require_level(text, text, text) IS
    'An error (42501) unless somebody who shows this (claims, as JSON, or what else ydoc.claims_of takes) may do that much with a document; a session keeps the answer for a second';

CREATE FUNCTION ydoc.grant_relay(role regrole)
    RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    gate record;
BEGIN
    PERFORM ydoc.require_store();
    EXECUTE format('GRANT USAGE ON SCHEMA ydoc_data TO %s', role);
    FOR gate IN
        SELECT p.oid::regprocedure AS name FROM pg_proc p
        WHERE p.pronamespace = 'ydoc_data'::regnamespace AND p.proname ~ '^relay_' AND p.prosecdef
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', gate.name, role);
    END LOOP;
END
$$;
COMMENT ON FUNCTION ydoc.grant_relay(regrole) IS
    'Lets a relay log in as this role: it may call the functions ydoc_data.relay_*, which check the claims of each user, and read no table';

-- ---- giving rights ----

CREATE FUNCTION ydoc.grant_access(
    documents text, subject text, level ydoc.level, expires_at timestamptz DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    IF documents IS NULL OR subject IS NULL OR level IS NULL THEN
        RAISE EXCEPTION 'documents, subject and level must not be null' USING ERRCODE = 'null_value_not_allowed';
    ELSIF subject !~ '^(public|authenticated|(user|group|role):.+)$' THEN
        RAISE EXCEPTION 'there is no subject "%"', subject USING
            ERRCODE = 'invalid_parameter_value',
            HINT = 'A subject is public, authenticated, user:NAME, group:NAME or role:NAME.';
    END IF;
    PERFORM ydoc.require_pattern(documents);
    INSERT INTO ydoc_data.access AS a (documents, subject, level, expires_at)
    VALUES (documents, subject, level, expires_at)
    ON CONFLICT ON CONSTRAINT access_pkey DO UPDATE
        SET level = EXCLUDED.level, expires_at = EXCLUDED.expires_at, granted_by = DEFAULT, granted_at = DEFAULT;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'no right to give rights to documents "%"', documents USING
        ERRCODE = 'insufficient_privilege', DETAIL = SQLERRM || '.',
        HINT = CASE WHEN row_security_active('ydoc_data.access')
            THEN 'Who has level admin of a document gives rights to it by its name, with a backslash before each % and _; the owner of the store to others.'
            ELSE 'The owner of the store may do it.' END;
END
$$;
COMMENT ON FUNCTION ydoc.grant_access(text, text, ydoc.level, timestamptz) IS
    'Lets a subject (public, authenticated, user:NAME, group:NAME, role:NAME) do that much with the documents whose names match a LIKE pattern, until a time or for good; of several grants the highest counts';

CREATE FUNCTION ydoc.revoke_access(documents text, subject text)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    DELETE FROM ydoc_data.access a
    WHERE a.documents = revoke_access.documents AND a.subject = revoke_access.subject;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION ydoc.revoke_access(text, text) IS
    'Takes a grant back, given as it was made; false if there is none';

-- ---- where comments are ----

CREATE FUNCTION ydoc.comment_roots(document text)
    RETURNS text[]
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    RETURN coalesce(ydoc_data.comment_roots(document), '{}');
END
$$;
COMMENT ON FUNCTION ydoc.comment_roots(text) IS
    'The root types of a document under which somebody may write whose level is comment, as ydoc_data.comment_roots has it, which the owner of the store may replace';

CREATE FUNCTION ydoc.set_comment_roots(documents text, roots text[])
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    IF documents IS NULL THEN
        RAISE EXCEPTION 'the pattern of documents must not be null' USING ERRCODE = 'null_value_not_allowed';
    ELSIF array_position(roots, NULL) IS NOT NULL OR array_ndims(roots) > 1 THEN
        RAISE EXCEPTION 'roots must be a list of names' USING ERRCODE = 'invalid_parameter_value';
    ELSIF cardinality(roots) > 100 THEN
        RAISE EXCEPTION 'a document has at most 100 root types for comments, not %', cardinality(roots) USING
            ERRCODE = 'program_limit_exceeded';
    ELSIF roots IS NULL THEN
        DELETE FROM ydoc_data.comment_root c WHERE c.documents = set_comment_roots.documents;
        RETURN;
    END IF;
    PERFORM ydoc.require_pattern(documents);
    INSERT INTO ydoc_data.comment_root AS c (documents, roots) VALUES (documents, roots)
    ON CONFLICT ON CONSTRAINT comment_root_pkey DO UPDATE SET roots = EXCLUDED.roots;
END
$$;
COMMENT ON FUNCTION ydoc.set_comment_roots(text, text[]) IS
    'In documents whose names match a LIKE pattern (the one with the most characters that are no wildcards counts), who has level comment may write under these root types; NULL: forget what was set for the pattern';

CREATE FUNCTION ydoc.create_link(document text, level ydoc.level, expires_at timestamptz)
    RETURNS text
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    -- 244 random bits, of which only the hash is kept
    token text := 'ydoc_link_' || replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
BEGIN
    PERFORM ydoc.require_store();
    IF document IS NULL OR level IS NULL OR expires_at IS NULL THEN
        RAISE EXCEPTION 'document, level and expires_at must not be null' USING
            ERRCODE = 'null_value_not_allowed', HINT = 'expires_at may be ''infinity''.';
    ELSIF level = 'none' OR expires_at <= now() THEN
        RAISE EXCEPTION 'this link would open nothing' USING
            ERRCODE = 'invalid_parameter_value', DETAIL = format('Its level is %s, and it expires at %s.', level, expires_at);
    END IF;
    INSERT INTO ydoc_data.link (token_hash, document, level, expires_at)
    VALUES (sha256(convert_to(token, 'UTF8')), document, level, expires_at);
    RETURN token;
EXCEPTION WHEN foreign_key_violation THEN
    RAISE EXCEPTION 'there is no document "%"', document USING ERRCODE = 'undefined_object';
END
$$;
COMMENT ON FUNCTION ydoc.create_link(text, ydoc.level, timestamptz) IS
    'A secret that lets whoever shows it (as his token, or as claim "link" of one) do that much with a document until a time; only its hash is stored';

CREATE FUNCTION ydoc.revoke_link(token text)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    DELETE FROM ydoc_data.link l WHERE l.token_hash = sha256(convert_to(token, 'UTF8'));
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION ydoc.revoke_link(text) IS 'Takes a link back; false if there is none';

CREATE FUNCTION ydoc.trust_claims(role regrole, trusted boolean DEFAULT true)
    RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    DELETE FROM ydoc_data.speaker s WHERE s.role = (SELECT r.rolname FROM pg_roles r WHERE r.oid = trust_claims.role);
    IF trusted THEN
        INSERT INTO ydoc_data.speaker (role) SELECT r.rolname FROM pg_roles r WHERE r.oid = trust_claims.role;
        IF NOT (SELECT r.rolcanlogin FROM pg_roles r WHERE r.oid = trust_claims.role) THEN
            RAISE WARNING 'role % cannot log in', role USING
                DETAIL = 'Claims count in sessions of a role that has logged in, whichever role it has taken on since.',
                HINT = 'Of PostgREST that is the role of db-uri, not those that tokens name.';
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION ydoc.trust_claims(regrole, boolean) IS
    'Sessions that log in as this role (PostgREST''s authenticator) say truly whom they speak for, in request.jwt.claims; nobody else''s claims count';

CREATE FUNCTION ydoc.is_commenting(document text)
    RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'ydoc_is_commenting';
COMMENT ON FUNCTION ydoc.is_commenting(text) IS
    'For row security: is this row written by a function of ours, for somebody who may only comment, and whose comment it has checked?';

CREATE FUNCTION ydoc.protect_table(name name)
    RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
    SET client_min_messages TO warning
AS $$
DECLARE
    key text := CASE name WHEN 'document' THEN 'name' ELSE 'document' END;
BEGIN
    EXECUTE format('DROP POLICY IF EXISTS ydoc_read ON ydoc_data.%I', name);
    EXECUTE format('DROP POLICY IF EXISTS ydoc_write ON ydoc_data.%I', name);
    EXECUTE format('DROP POLICY IF EXISTS ydoc_admin ON ydoc_data.%I', name);
    IF name IN ('relay', 'search_config', 'speaker') THEN
        -- of no document
        EXECUTE format('CREATE POLICY ydoc_read ON ydoc_data.%I FOR SELECT USING (true)', name);
    ELSIF name = 'retention' THEN
        -- whoever thins a document's history needs its rule; that it is there is told to nobody else
        CREATE POLICY ydoc_read ON ydoc_data.retention FOR SELECT
            USING (coalesce(ydoc.my_level(ydoc.one_document(documents)), 'read') >= 'read');
    END IF;
    IF name IN ('access', 'access_audit', 'comment_root', 'link', 'retention') THEN
        -- rules for one document are made by whoever may give rights to it, rules for more by the owner alone
        EXECUTE format('CREATE POLICY ydoc_admin ON ydoc_data.%I FOR %s USING (ydoc.my_level(%s) >= ''admin'')', name,
                       CASE name WHEN 'access_audit' THEN 'SELECT' ELSE 'ALL' END,
                       CASE name WHEN 'link' THEN 'document' ELSE 'ydoc.one_document(documents)' END);
    ELSIF name NOT IN ('relay', 'search_config', 'speaker') THEN
        EXECUTE format('CREATE POLICY ydoc_read ON ydoc_data.%I FOR SELECT USING (ydoc.my_level(%I) >= ''read'')', name, key);
        EXECUTE format('CREATE POLICY ydoc_write ON ydoc_data.%I USING (ydoc.my_level(%I) >= ''write'' OR ydoc.is_commenting(%I))',
                       name, key, key);
    END IF;
    EXECUTE format('ALTER TABLE ydoc_data.%I ENABLE ROW LEVEL SECURITY', name);
END
$$;
COMMENT ON FUNCTION ydoc.protect_table(name) IS
    'For ydoc.enable_row_security, and for tables of the store that are made later: the policies of one table';

CREATE FUNCTION ydoc.enable_row_security()
    RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM ydoc.require_store();
    -- partitions, too: who asks one by its own name is not asked for the policies of the whole
    PERFORM ydoc.protect_table(c.relname) FROM pg_class c
    WHERE c.relnamespace = 'ydoc_data'::regnamespace AND c.relkind IN ('r', 'p')
      AND (c.relname IN ('access', 'access_audit', 'comment_root', 'document', 'relay', 'retention', 'search_config', 'speaker')
           OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'document'));
END
$$;
COMMENT ON FUNCTION ydoc.enable_row_security() IS
    'Puts the rule of ydoc.access_level on the store''s tables as row security: who reads or writes them in SQL sees and changes the documents that he may, and gives rights to those of which he has level admin; who may only comment by the functions that edit alone; their owner sees all';
