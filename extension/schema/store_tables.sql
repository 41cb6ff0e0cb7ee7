
-- ---- the store's tables: ordinary ones of the caller's ----
--
-- Every step makes what is missing and leaves what is there, so a store that an older release made is
-- brought up by the same statements that make a new one.

CREATE FUNCTION ydoc.become_store_owner()
    RETURNS text
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 1000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    owner text := (SELECT pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.oid = to_regclass('ydoc_data.document'));
    before text := current_setting('role');
BEGIN
    IF owner <> current_user THEN
        PERFORM set_config('role', owner, true);
    END IF;
    RETURN before;
END
$$;
COMMENT ON FUNCTION ydoc.become_store_owner() IS
    'For functions that make tables of the store: from here on, in this transaction, they are made by who owns it, and not by a superuser who calls; returns what setting role was';

CREATE FUNCTION ydoc.upgrade_store()
    RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
    SET client_min_messages TO warning
AS $upgrade$
DECLARE
    gate record;
    role_before text;
BEGIN
    IF to_regnamespace('ydoc_data') IS NULL THEN
        RAISE EXCEPTION 'this database has no store for documents' USING
            ERRCODE = 'undefined_table', HINT = 'SELECT ydoc.create_store() creates its tables.';
    END IF;
    role_before := ydoc.become_store_owner();

    -- DROP EXTENSION ... CASCADE leaves the tables without the columns of its types
    IF EXISTS (SELECT FROM pg_class c WHERE c.oid = to_regclass('ydoc_data.state')
               AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'state' AND NOT a.attisdropped)) THEN
        TRUNCATE ydoc_data.state, ydoc_data.segment; -- the log has what is in them
        UPDATE ydoc_data.document d SET state_seq = 0, segment_seq = 0, (tail_rows, tail_bytes) = (
            SELECT count(*), coalesce(sum(octet_length(l.update)), 0) FROM ydoc_data.log l WHERE l.document = d.name);
        ALTER TABLE ydoc_data.state ADD COLUMN state @extschema@.ydoc NOT NULL;
        ALTER TABLE ydoc_data.version ADD COLUMN state @extschema@.ydoc;
        ALTER TABLE ydoc_data.access_audit ADD COLUMN level_before ydoc.level, ADD COLUMN level_after ydoc.level;
        DELETE FROM ydoc_data.access;
        ALTER TABLE ydoc_data.access ADD COLUMN level ydoc.level NOT NULL;
        DELETE FROM ydoc_data.link;
        ALTER TABLE ydoc_data.link ADD COLUMN level ydoc.level NOT NULL;
        RAISE WARNING 'the store had lost what is of the extension''s types' USING
            DETAIL = 'Documents are whole, their log has them.  What rights and links there were is gone, and so are policies and projections.',
            HINT = 'Without CASCADE, DROP EXTENSION would have refused.  Give rights anew, call ydoc.enable_row_security and ydoc.create_projection if they were in use.';
    END IF;

    -- a document's lock, seq and counters: narrow and without further index, so updates of it are HOT
    CREATE TABLE IF NOT EXISTS ydoc_data.document (
        name text COLLATE "C" PRIMARY KEY
            CHECK (octet_length(name) BETWEEN 1 AND 1024),
        epoch bigint NOT NULL DEFAULT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint,
        seq bigint NOT NULL DEFAULT 0,
        state_seq bigint NOT NULL DEFAULT 0,
        segment_seq bigint NOT NULL DEFAULT 0,
        tail_rows bigint NOT NULL DEFAULT 0,
        tail_bytes bigint NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL DEFAULT now()
    ) WITH (fillfactor = 50);
    ALTER TABLE ydoc_data.document ADD COLUMN IF NOT EXISTS segment_seq bigint NOT NULL DEFAULT 0;
    COMMENT ON TABLE ydoc_data.document IS
        'A narrow row for each document; its lock orders the document''s updates';
    COMMENT ON COLUMN ydoc_data.document.epoch IS
        'When the document was made, in microseconds: one that is deleted and made anew has another epoch.  Functions answer it mixed with the server''s system identifier and timeline, the database and the table, for a seq means the same only in one line of history';
    COMMENT ON COLUMN ydoc_data.document.seq IS 'Number of the last update in the log';
    COMMENT ON COLUMN ydoc_data.document.state_seq IS
        'Number of the last update that the stored state holds';
    COMMENT ON COLUMN ydoc_data.document.segment_seq IS
        'Number of the last update that a segment holds; not above state_seq: there are none';
    COMMENT ON COLUMN ydoc_data.document.tail_rows IS
        'Log rows that neither the stored state nor a segment holds';
    COMMENT ON COLUMN ydoc_data.document.tail_bytes IS 'Bytes in those, and in the segments behind the stored state';

    -- a document that is deleted or renamed leaves its row behind: NULL in all others, which stay narrow
    ALTER TABLE ydoc_data.document
        ADD COLUMN IF NOT EXISTS deleted_at timestamptz,
        ADD COLUMN IF NOT EXISTS deleted_by text,
        ADD COLUMN IF NOT EXISTS moved_to text COLLATE "C",
        ADD COLUMN IF NOT EXISTS buried bigint;
    CREATE INDEX IF NOT EXISTS document_deleted_at ON ydoc_data.document (deleted_at)
        WHERE deleted_at IS NOT NULL;
    COMMENT ON COLUMN ydoc_data.document.deleted_at IS
        'When the document was deleted or renamed; NULL: it is there';
    COMMENT ON COLUMN ydoc_data.document.deleted_by IS 'Who is answerable for that';
    COMMENT ON COLUMN ydoc_data.document.moved_to IS 'The name that the document was given instead';
    COMMENT ON COLUMN ydoc_data.document.buried IS
        'Up to this epoch, documents of this name are gone for good, purged or renamed: what is meant for one of them is not for their successor';

    -- the truth
    CREATE TABLE IF NOT EXISTS ydoc_data.log (
        document text COLLATE "C" NOT NULL
            REFERENCES ydoc_data.document ON UPDATE CASCADE ON DELETE CASCADE,
        seq bigint NOT NULL,
        seq_from bigint NOT NULL,
        update bytea NOT NULL,
        at timestamptz NOT NULL DEFAULT now(),
        actor text,
        source text,
        began_at timestamptz,
        PRIMARY KEY (document, seq)
    );
    ALTER TABLE ydoc_data.log
        ADD COLUMN IF NOT EXISTS source text,
        ADD COLUMN IF NOT EXISTS began_at timestamptz;
    COMMENT ON TABLE ydoc_data.log IS
        'Every update that was accepted; a row holds the updates seq_from to seq, merged';
    COMMENT ON COLUMN ydoc_data.log.update IS 'A Yjs update, format V1';
    COMMENT ON COLUMN ydoc_data.log.actor IS 'Who is answerable for the update';
    COMMENT ON COLUMN ydoc_data.log.source IS 'From where it came: what apply_batch was told, or setting ydoc.source of the session that wrote it';
    COMMENT ON COLUMN ydoc_data.log.began_at IS
        'When the first of the updates came that ydoc.thin has merged into this row; NULL: it has merged none';

    -- where decoding begins; derived from the log
    CREATE TABLE IF NOT EXISTS ydoc_data.state (
        document text COLLATE "C" PRIMARY KEY
            REFERENCES ydoc_data.document ON UPDATE CASCADE ON DELETE CASCADE,
        seq bigint NOT NULL,
        state @extschema@.ydoc NOT NULL
    );
    COMMENT ON TABLE ydoc_data.state IS
        'The merged document up to seq: where decoding begins; segments and the log go on from there';

    -- between the two; derived from the log as well
    CREATE TABLE IF NOT EXISTS ydoc_data.segment (
        document text COLLATE "C" NOT NULL
            REFERENCES ydoc_data.document ON UPDATE CASCADE ON DELETE CASCADE,
        seq bigint NOT NULL,
        seq_from bigint NOT NULL,
        update bytea NOT NULL,
        PRIMARY KEY (document, seq)
    );
    COMMENT ON TABLE ydoc_data.segment IS
        'Log rows seq_from to seq behind the stored state, merged into one: fewer rows to read; the log keeps them';

    -- books that are kept of documents, by whoever writes them, with the rights of these tables' owner
    CREATE TABLE IF NOT EXISTS ydoc_data.due (
        document text COLLATE "C" PRIMARY KEY
            REFERENCES ydoc_data.document ON UPDATE CASCADE ON DELETE CASCADE,
        at timestamptz NOT NULL DEFAULT now()
    );
    COMMENT ON TABLE ydoc_data.due IS 'Documents that compaction is to look at';
    COMMENT ON COLUMN ydoc_data.due.at IS 'When the document came here; not before, if compacting it failed';
    CREATE TABLE IF NOT EXISTS ydoc_data.waiting (
        document text COLLATE "C" NOT NULL
            REFERENCES ydoc_data.document ON UPDATE CASCADE ON DELETE CASCADE,
        client bigint NOT NULL,
        since timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (document, client)
    );
    COMMENT ON TABLE ydoc_data.waiting IS
        'Documents that hold updates which wait for others, of this Yjs client: ydoc.waiting() shows more';
    CREATE TABLE IF NOT EXISTS ydoc_data.fence (
        document text COLLATE "C" PRIMARY KEY
            REFERENCES ydoc_data.document ON UPDATE CASCADE ON DELETE CASCADE,
        seq bigint NOT NULL,
        problem text NOT NULL,
        sqlstate text NOT NULL,
        at timestamptz NOT NULL DEFAULT now()
    );
    COMMENT ON TABLE ydoc_data.fence IS 'Documents that cannot be decoded as of seq, and are passed over';

    CREATE UNLOGGED TABLE IF NOT EXISTS ydoc_data.client (
        document text COLLATE "C" PRIMARY KEY
            REFERENCES ydoc_data.document ON UPDATE CASCADE ON DELETE CASCADE,
        epoch bigint NOT NULL,
        node text NOT NULL,
        client bigint NOT NULL
    );
    COMMENT ON TABLE ydoc_data.client IS
        'The Yjs client id that edits in SQL have; unlogged, because no other node may have it';

    -- labels of states, and how long history is kept
    CREATE TABLE IF NOT EXISTS ydoc_data.version (
        document text COLLATE "C" NOT NULL
            REFERENCES ydoc_data.document ON UPDATE CASCADE ON DELETE CASCADE,
        label text NOT NULL,
        seq bigint NOT NULL,
        at timestamptz NOT NULL DEFAULT now(),
        actor text,
        note text,
        state @extschema@.ydoc,
        PRIMARY KEY (document, label)
    );
    COMMENT ON TABLE ydoc_data.version IS 'States of documents that somebody gave a name';
    COMMENT ON COLUMN ydoc_data.version.state IS
        'The document as of seq, once the history does not reach back that far; NULL: the log has it';
    CREATE TABLE IF NOT EXISTS ydoc_data.retention (
        documents text COLLATE "C" PRIMARY KEY CHECK (documents ~ '^([^\\]|\\.)*$'),
        keep interval,
        gap interval
    );
    COMMENT ON TABLE ydoc_data.retention IS
        'How long history is kept, for documents whose names match a LIKE pattern; the one with the most characters that are no wildcards counts';
    COMMENT ON COLUMN ydoc_data.retention.keep IS 'What is older goes; NULL: nothing does';
    COMMENT ON COLUMN ydoc_data.retention.gap IS
        'What one actor wrote with pauses of at most this becomes one row; NULL: every row stays';

    -- what tables that follow documents could not take
    CREATE TABLE IF NOT EXISTS ydoc_data.projection_error (
        document text COLLATE "C" NOT NULL,
        target regclass NOT NULL,
        sqlstate text NOT NULL,
        message text NOT NULL,
        detail text,
        at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (document, target)
    );
    COMMENT ON TABLE ydoc_data.projection_error IS
        'Documents whose rows in tables that follow documents are not up to date, and why; ydoc.refresh_projection tries them again';

    -- who is here (ydoc.presence): rows count while their relay renews its own
    CREATE UNLOGGED TABLE IF NOT EXISTS ydoc_data.relay (
        relay text COLLATE "C" PRIMARY KEY,
        renewed_at timestamptz NOT NULL,
        lease interval NOT NULL
    ) WITH (fillfactor = 50);
    COMMENT ON TABLE ydoc_data.relay IS
        'Relays that somebody is connected to; one that has not renewed its row for the time of its lease is dead';
    CREATE UNLOGGED TABLE IF NOT EXISTS ydoc_data.presence (
        document text COLLATE "C" NOT NULL,
        client bigint NOT NULL,
        relay text COLLATE "C" NOT NULL,
        user_name text,
        since timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT presence_pkey PRIMARY KEY (document, client, relay)
    );
    COMMENT ON TABLE ydoc_data.presence IS
        'Who is connected to which document, as relays report it; ydoc.presence() leaves out what dead relays left';
    COMMENT ON COLUMN ydoc_data.presence.client IS 'A Yjs client id';
    COMMENT ON COLUMN ydoc_data.presence.user_name IS
        'Who it is, by his token; of a relay without keys what the client calls itself, which nobody has checked';
    CREATE TABLE IF NOT EXISTS ydoc_data.relay_key (
        only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
        key bytea NOT NULL CHECK (octet_length(key) = 32)
    );
    COMMENT ON TABLE ydoc_data.relay_key IS
        'Secret of the relays: under it they tell each other who is here, on a channel that everybody can hear';
    INSERT INTO ydoc_data.relay_key (key)
    VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
                   || uuid_send(gen_random_uuid())))
    ON CONFLICT DO NOTHING;
    -- who may read all tables reads documents' rows, but not this
    ALTER TABLE ydoc_data.relay_key ENABLE ROW LEVEL SECURITY;

    -- who may do what
    CREATE TABLE IF NOT EXISTS ydoc_data.access (
        -- no backslash at the end: comparing with such a pattern fails, and with it all that asks the rule
        documents text COLLATE "C" NOT NULL CHECK (documents ~ '^([^\\]|\\.)*$'),
        subject text COLLATE "C" NOT NULL,
        level ydoc.level NOT NULL,
        expires_at timestamptz,
        granted_by text NOT NULL DEFAULT session_user,
        granted_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (subject, documents)
    );
    COMMENT ON TABLE ydoc_data.access IS
        'What subjects (public, authenticated, user:NAME, group:NAME, role:NAME) may do with documents whose names match a LIKE pattern';
    CREATE TABLE IF NOT EXISTS ydoc_data.link (
        token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
        document text COLLATE "C" NOT NULL
            REFERENCES ydoc_data.document ON UPDATE CASCADE ON DELETE CASCADE,
        level ydoc.level NOT NULL,
        expires_at timestamptz NOT NULL,
        created_by text NOT NULL DEFAULT session_user,
        created_at timestamptz NOT NULL DEFAULT now()
    );
    COMMENT ON TABLE ydoc_data.link IS 'Links that were shared: SHA-256 of the secret, and what it opens';
    CREATE TABLE IF NOT EXISTS ydoc_data.comment_root (
        documents text COLLATE "C" PRIMARY KEY CHECK (documents ~ '^([^\\]|\\.)*$'),
        roots text[] NOT NULL
    );
    COMMENT ON TABLE ydoc_data.comment_root IS
        'The root types under which somebody may write whose level is comment, in documents whose names match a LIKE pattern; the one with the most characters that are no wildcards counts';
    CREATE TABLE IF NOT EXISTS ydoc_data.speaker (role name PRIMARY KEY);
    COMMENT ON TABLE ydoc_data.speaker IS 'Login roles whose word counts on whom they speak for (request.jwt.claims)';
    CREATE TABLE IF NOT EXISTS ydoc_data.access_audit (
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        by text NOT NULL DEFAULT session_user,
        operation text NOT NULL,
        documents text NOT NULL,
        subject text NOT NULL,
        level_before ydoc.level,
        level_after ydoc.level,
        expires_at timestamptz,
        roots_before text[],
        roots_after text[]
    );
    ALTER TABLE ydoc_data.access_audit
        ADD COLUMN IF NOT EXISTS roots_before text[],
        ADD COLUMN IF NOT EXISTS roots_after text[];
    COMMENT ON TABLE ydoc_data.access_audit IS
        'Every change of ydoc_data.access, ydoc_data.link (subject link:) and ydoc_data.comment_root (subject comments:)';
    GRANT SELECT ON ydoc_data.speaker TO PUBLIC;

    IF to_regprocedure('ydoc_data.access_level(text, jsonb)') IS NULL THEN
        CREATE FUNCTION ydoc_data.access_level(document text, claims jsonb)
            RETURNS ydoc.level
            LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SECURITY DEFINER COST 1000
            SET search_path TO pg_catalog, pg_temp
        AS $rule$
        DECLARE
            subjects text[] := ARRAY['public'];
        BEGIN
            IF claims ->> 'sub' <> '' THEN
                subjects := subjects || ARRAY['authenticated', 'user:' || (claims ->> 'sub')];
            END IF;
            IF jsonb_typeof(claims -> 'groups') = 'array' THEN
                subjects := subjects || (SELECT coalesce(array_agg('group:' || g), '{}') FROM jsonb_array_elements_text(claims -> 'groups') AS g);
            END IF;
            IF jsonb_typeof(claims -> 'roles') = 'array' THEN
                subjects := subjects || (SELECT coalesce(array_agg('role:' || r), '{}') FROM jsonb_array_elements_text(claims -> 'roles') AS r);
            END IF;
            IF claims ->> 'role' <> '' THEN
                subjects := subjects || ('role:' || (claims ->> 'role'));
            END IF;
            RETURN greatest(
                'none',
                (SELECT max(a.level) FROM ydoc_data.access a
                 WHERE a.subject = ANY (subjects) AND document LIKE a.documents
                   AND (a.expires_at IS NULL OR a.expires_at > now())),
                (SELECT l.level FROM ydoc_data.link l
                 WHERE l.token_hash = sha256(convert_to(claims ->> 'link', 'UTF8'))
                   AND l.document = access_level.document AND l.expires_at > now()));
        END
        $rule$;
        COMMENT ON FUNCTION ydoc_data.access_level(text, jsonb) IS
            'The rule that decides what somebody with these claims may do with a document; yours to replace';
    END IF;

    IF to_regprocedure('ydoc_data.comment_roots(text)') IS NULL THEN
        CREATE FUNCTION ydoc_data.comment_roots(document text)
            RETURNS text[]
            LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY DEFINER COST 100
            SET search_path TO pg_catalog, pg_temp
        AS $rule$
            SELECT r.roots FROM ydoc_data.comment_root r WHERE document LIKE r.documents
            ORDER BY length(translate(r.documents, '%_', '')) DESC, r.documents LIMIT 1
        $rule$;
        COMMENT ON FUNCTION ydoc_data.comment_roots(text) IS
            'The root types of a document under which somebody may write whose level is comment; yours to replace';
    END IF;

    -- what changes rights is kept, and told to relays
    CREATE OR REPLACE FUNCTION ydoc_data.access_changed()
        RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER
        SET search_path TO pg_catalog, pg_temp
    AS $changed$
    DECLARE
        before jsonb := CASE TG_OP WHEN 'INSERT' THEN NULL ELSE to_jsonb(OLD) END;
        after jsonb := CASE TG_OP WHEN 'DELETE' THEN NULL ELSE to_jsonb(NEW) END;
        one jsonb := coalesce(after, before);
    BEGIN
        INSERT INTO ydoc_data.access_audit (
            by, operation, documents, subject, level_before, level_after, expires_at, roots_before, roots_after)
        VALUES (concat_ws(' for ', session_user, ydoc.claims() ->> 'sub'), TG_OP, one ->> CASE TG_TABLE_NAME WHEN 'link' THEN 'document' ELSE 'documents' END,
                CASE TG_TABLE_NAME WHEN 'link' THEN 'link:' WHEN 'comment_root' THEN 'comments:' ELSE one ->> 'subject' END,
                (before ->> 'level')::ydoc.level, (after ->> 'level')::ydoc.level, (one ->> 'expires_at')::timestamptz,
                CASE WHEN before ? 'roots' THEN ARRAY(SELECT jsonb_array_elements_text(before -> 'roots')) END,
                CASE WHEN after ? 'roots' THEN ARRAY(SELECT jsonb_array_elements_text(after -> 'roots')) END);
        PERFORM pg_notify('ydoc_access', '');
        RETURN NULL;
    END
    $changed$;
    COMMENT ON FUNCTION ydoc_data.access_changed() IS 'Keeps what changes rights in ydoc_data.access_audit, and tells relays';
    -- on a table of his own anybody might have the audit say what never was
    REVOKE ALL ON FUNCTION ydoc_data.access_changed() FROM PUBLIC;
    CREATE OR REPLACE TRIGGER access_changed AFTER INSERT OR UPDATE OR DELETE ON ydoc_data.access
        FOR EACH ROW EXECUTE FUNCTION ydoc_data.access_changed();
    CREATE OR REPLACE TRIGGER access_changed AFTER INSERT OR UPDATE OR DELETE ON ydoc_data.link
        FOR EACH ROW EXECUTE FUNCTION ydoc_data.access_changed();
    CREATE OR REPLACE TRIGGER access_changed AFTER INSERT OR UPDATE OR DELETE ON ydoc_data.comment_root
        FOR EACH ROW EXECUTE FUNCTION ydoc_data.access_changed();

    -- which fires no trigger for rows
    CREATE OR REPLACE FUNCTION ydoc_data.access_emptied()
        RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER
        SET search_path TO pg_catalog, pg_temp
    AS $emptied$
    BEGIN
        INSERT INTO ydoc_data.access_audit (by, operation, documents, subject, level_before, expires_at, roots_before)
        SELECT concat_ws(' for ', session_user, ydoc.claims() ->> 'sub'), TG_OP, gone.*
        FROM (SELECT a.documents, a.subject, a.level, a.expires_at, NULL::text[] FROM ydoc_data.access a WHERE TG_TABLE_NAME = 'access'
              UNION ALL
              SELECT l.document, 'link:', l.level, l.expires_at, NULL FROM ydoc_data.link l WHERE TG_TABLE_NAME = 'link'
              UNION ALL
              SELECT c.documents, 'comments:', NULL, NULL, c.roots FROM ydoc_data.comment_root c WHERE TG_TABLE_NAME = 'comment_root') AS gone;
        PERFORM pg_notify('ydoc_access', '');
        RETURN NULL;
    END
    $emptied$;
    COMMENT ON FUNCTION ydoc_data.access_emptied() IS 'Likewise, when one of these tables is truncated';
    REVOKE ALL ON FUNCTION ydoc_data.access_emptied() FROM PUBLIC;
    CREATE OR REPLACE TRIGGER access_emptied BEFORE TRUNCATE ON ydoc_data.access
        FOR EACH STATEMENT EXECUTE FUNCTION ydoc_data.access_emptied();
    CREATE OR REPLACE TRIGGER access_emptied BEFORE TRUNCATE ON ydoc_data.link
        FOR EACH STATEMENT EXECUTE FUNCTION ydoc_data.access_emptied();
    CREATE OR REPLACE TRIGGER access_emptied BEFORE TRUNCATE ON ydoc_data.comment_root
        FOR EACH STATEMENT EXECUTE FUNCTION ydoc_data.access_emptied();

    PERFORM ydoc.upgrade_session_store();

    -- what a relay may call, who is nobody himself: each checks the claims of a user
    CREATE OR REPLACE FUNCTION ydoc_data.relay_apply(
        documents text[], updates bytea[], claims text[], known_epochs bigint[], sources text[] DEFAULT '{}',
        OUT ordinal integer, OUT epoch bigint, OUT seq bigint,
        OUT logged_from bigint, OUT logged bytea, OUT sqlstate text, OUT message text)
        RETURNS SETOF record
        LANGUAGE sql VOLATILE SECURITY DEFINER COST 10000 ROWS 100
        SET search_path TO pg_catalog, pg_temp
        AS 'SELECT * FROM ydoc.apply_batch_as(documents, updates, claims, known_epochs, sources)';
    COMMENT ON FUNCTION ydoc_data.relay_apply(text[], bytea[], text[], bigint[], text[]) IS
        'ydoc.apply_batch for users with these claims, as the owner of the store';
    -- beside the one of a release without sources, a call without them could mean either
    FOR gate IN
        SELECT a.grantee::regrole AS caller FROM pg_proc p, aclexplode(p.proacl) a
        WHERE p.oid = to_regprocedure('ydoc_data.relay_apply(text[], bytea[], text[], bigint[])') AND a.grantee NOT IN (0, p.proowner)
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION ydoc_data.relay_apply(text[], bytea[], text[], bigint[], text[]) TO %s', gate.caller);
    END LOOP;
    DROP FUNCTION IF EXISTS ydoc_data.relay_apply(text[], bytea[], text[], bigint[]);
    CREATE OR REPLACE FUNCTION ydoc_data.relay_sync(
        claims text, document text, client_state_vector bytea, known_epoch bigint,
        OUT epoch bigint, OUT seq bigint, OUT update bytea, OUT state_vector bytea)
        RETURNS SETOF record
        LANGUAGE sql STABLE SECURITY DEFINER COST 1000 ROWS 1
        SET search_path TO pg_catalog, pg_temp
        AS $gate$
            SELECT ydoc.require_level(document, claims, 'read');
            SELECT * FROM ydoc.sync(document, client_state_vector, known_epoch);
        $gate$;
    COMMENT ON FUNCTION ydoc_data.relay_sync(text, text, bytea, bigint) IS
        'ydoc.sync for a user with these claims, as the owner of the store';
    CREATE OR REPLACE FUNCTION ydoc_data.relay_sync_slices(
        claims text, document text, client_state_vector bytea, slice_bytes integer, max_bytes integer, known_epoch bigint,
        OUT epoch bigint, OUT seq bigint, OUT update bytea, OUT state_vector bytea, OUT reached bytea)
        RETURNS SETOF record
        LANGUAGE sql STABLE SECURITY DEFINER COST 1000 ROWS 10
        SET search_path TO pg_catalog, pg_temp
        AS $gate$
            SELECT ydoc.require_level(document, claims, 'read');
            SELECT * FROM ydoc.sync_slices(document, client_state_vector, slice_bytes, max_bytes, known_epoch);
        $gate$;
    COMMENT ON FUNCTION ydoc_data.relay_sync_slices(text, text, bytea, integer, integer, bigint) IS
        'ydoc.sync_slices for a user with these claims, as the owner of the store';
    CREATE OR REPLACE FUNCTION ydoc_data.relay_changes(
        claims text, document text, since bigint, known_epoch bigint, max_bytes integer,
        OUT epoch bigint, OUT seq bigint, OUT update bytea, OUT state_vector bytea)
        RETURNS SETOF record
        LANGUAGE sql STABLE SECURITY DEFINER COST 1000 ROWS 1
        SET search_path TO pg_catalog, pg_temp
        AS $gate$
            SELECT ydoc.require_level(document, claims, 'read');
            SELECT * FROM ydoc.changes(document, since, known_epoch, max_bytes);
        $gate$;
    COMMENT ON FUNCTION ydoc_data.relay_changes(text, text, bigint, bigint, integer) IS
        'ydoc.changes for a user with these claims, as the owner of the store';
    CREATE OR REPLACE FUNCTION ydoc_data.relay_changes_of(
        claims text[], documents text[], since bigint[], known_epochs bigint[], max_bytes integer,
        OUT ordinal integer, OUT epoch bigint, OUT seq bigint, OUT update bytea, OUT state_vector bytea)
        RETURNS SETOF record
        LANGUAGE sql STABLE SECURITY DEFINER COST 1000 ROWS 10
        SET search_path TO pg_catalog, pg_temp
        AS $gate$
            SELECT ydoc.require_level(asked.document, asked.claims, 'read')
            FROM ROWS FROM (unnest(documents), unnest(claims)) AS asked (document, claims);
            SELECT * FROM ydoc.changes_of(documents, since, known_epochs, max_bytes);
        $gate$;
    COMMENT ON FUNCTION ydoc_data.relay_changes_of(text[], text[], bigint[], bigint[], integer) IS
        'ydoc.changes_of for users with these claims, document i for user i, as the owner of the store';
    CREATE OR REPLACE FUNCTION ydoc_data.relay_includes(claims text, document text, update bytea)
        RETURNS boolean
        LANGUAGE sql STABLE SECURITY DEFINER COST 10000
        SET search_path TO pg_catalog, pg_temp
        AS $gate$
            SELECT ydoc.require_level(document, claims, 'read');
            SELECT coalesce((
                SELECT @extschema@.ydoc_apply(stored.state, update) OPERATOR(@extschema@.=) stored.state
                FROM ydoc.state(document) AS stored (state)), false);
        $gate$;
    COMMENT ON FUNCTION ydoc_data.relay_includes(text, text, bytea) IS
        'Whether a document has all of an update, for a user with these claims who may only read it';
    CREATE OR REPLACE FUNCTION ydoc_data.relay_levels(
        documents text[], claims text[], OUT ordinal bigint, OUT level text, OUT is_known boolean, OUT live text,
        OUT user_name text)
        RETURNS SETOF record
        LANGUAGE sql STABLE SECURITY DEFINER COST 1000 ROWS 10
        SET search_path TO pg_catalog, pg_temp
        AS $gate$
            SELECT asked.ordinal,
                   CASE WHEN known.claims IS NULL THEN 'none' ELSE ydoc.access_level(asked.document, known.claims)::text END,
                   known.claims IS NOT NULL,
                   CASE WHEN known.claims IS NOT NULL AND starts_with(asked.claims, 'ydoc_access_') THEN (
                       SELECT ydoc_data.live_token(t.session) FROM ydoc_data.session_token t
                       WHERE t.token_hash = sha256(convert_to(asked.claims, 'UTF8'))) END,
                   left(coalesce(nullif(known.claims ->> 'name', ''), nullif(known.claims ->> 'sub', '')), 100)
            FROM ROWS FROM (unnest(documents), unnest(claims)) WITH ORDINALITY AS asked (document, claims, ordinal),
                 LATERAL (SELECT ydoc_data.claims_of(asked.claims) OFFSET 0) AS known (claims)
            ORDER BY asked.ordinal;
        $gate$;
    COMMENT ON FUNCTION ydoc_data.relay_levels(text[], text[]) IS
        'What user i may do with document i, as of now, and whether what he shows is good at all; live: what his connection is to show from now on, instead of an access token; what he is called: claim name, or sub';
    CREATE OR REPLACE FUNCTION ydoc_data.relay_heads(
        documents text[], claims text[],
        OUT document text, OUT epoch bigint, OUT seq bigint, OUT deleted_at timestamptz)
        RETURNS SETOF record
        LANGUAGE sql STABLE SECURITY DEFINER COST 1000 ROWS 10
        SET search_path TO pg_catalog, pg_temp
        AS $gate$
            -- by position and not by subscript: an array may begin at another one than 1
            SELECT head.* FROM ydoc.heads((
                SELECT coalesce(array_agg(asked.document ORDER BY asked.ordinal), '{}')
                FROM unnest(documents) WITH ORDINALITY AS asked (document, ordinal)
                JOIN ydoc_data.relay_levels(documents, claims) AS may ON may.ordinal = asked.ordinal
                WHERE may.level::ydoc.level >= 'read')) AS head;
        $gate$;
    COMMENT ON FUNCTION ydoc_data.relay_heads(text[], text[]) IS
        'ydoc.heads of those documents that user i may read';
    CREATE OR REPLACE FUNCTION ydoc_data.relay_content(
        claims text, document text, kind text, root text, version text, state_vector bytea, known_epoch bigint, known_seq bigint,
        OUT epoch bigint, OUT seq bigint, OUT content bytea)
        RETURNS SETOF record
        LANGUAGE sql STABLE SECURITY DEFINER COST 1000 ROWS 1
        SET search_path TO pg_catalog, pg_temp
        AS $gate$
            SELECT ydoc.require_level(document, claims, 'read');
            SELECT * FROM ydoc.content(document, kind, root, version, state_vector, known_epoch, known_seq);
        $gate$;
    COMMENT ON FUNCTION ydoc_data.relay_content(text, text, text, text, text, bytea, bigint, bigint) IS
        'ydoc.content for a user with these claims, as the owner of the store';
    CREATE OR REPLACE FUNCTION ydoc_data.relay_documents(
        claims text, after text, prefix text, at_most integer,
        OUT document text, OUT epoch bigint, OUT seq bigint, OUT created_at timestamptz, OUT level text)
        RETURNS SETOF record
        LANGUAGE plpgsql STABLE SECURITY DEFINER COST 10000 ROWS 100
        SET search_path TO pg_catalog, pg_temp
        AS $gate$
        DECLARE
            known jsonb := ydoc.claims_of(claims);
            candidate record;
            left_to_give integer := at_most;
            looked_at integer := 0;
        BEGIN
            IF known IS NULL THEN
                RAISE EXCEPTION 'the token is not valid' USING ERRCODE = 'invalid_authorization_specification';
            END IF;
            -- so that who may see little does not have all looked at in one question
            FOR candidate IN SELECT * FROM ydoc.documents(after, prefix, 1000) LOOP
                EXIT WHEN left_to_give <= 0;
                looked_at := looked_at + 1;
                document := candidate.document;
                level := ydoc.access_level(document, known);
                CONTINUE WHEN level::ydoc.level < 'read';
                epoch := candidate.epoch;
                seq := candidate.seq;
                created_at := candidate.created_at;
                left_to_give := left_to_give - 1;
                RETURN NEXT;
            END LOOP;
            IF looked_at = 1000 AND left_to_give > 0 THEN
                level := NULL;
                RETURN NEXT;
            END IF;
        END
        $gate$;
    COMMENT ON FUNCTION ydoc_data.relay_documents(text, text, text, integer) IS
        'ydoc.documents that a user with these claims may read; a last row without level: none of those up to there, but there are more';
    CREATE OR REPLACE FUNCTION ydoc_data.relay_versions(
        claims text, document text,
        OUT label text, OUT seq bigint, OUT at timestamptz, OUT actor text, OUT note text)
        RETURNS SETOF record
        LANGUAGE sql STABLE SECURITY DEFINER COST 1000 ROWS 10
        SET search_path TO pg_catalog, pg_temp
        AS $gate$
            SELECT ydoc.require_level(document, claims, 'read');
            SELECT * FROM ydoc.versions(document);
        $gate$;
    COMMENT ON FUNCTION ydoc_data.relay_versions(text, text) IS
        'ydoc.versions for a user with these claims, as the owner of the store';
    CREATE OR REPLACE FUNCTION ydoc_data.relay_report(
        relay text, lease_ms bigint, anew boolean,
        documents text[], clients bigint[], user_names text[])
        RETURNS boolean
        LANGUAGE sql VOLATILE SECURITY DEFINER COST 10000
        SET search_path TO pg_catalog, pg_temp
        AS 'SELECT ydoc.report_presence(relay, lease_ms, anew, documents, clients, user_names)';
    COMMENT ON FUNCTION ydoc_data.relay_report(text, bigint, boolean, text[], bigint[], text[]) IS
        'ydoc.report_presence, as the owner of the store';
    CREATE OR REPLACE FUNCTION ydoc_data.relay_presence_key()
        RETURNS bytea
        LANGUAGE sql STABLE SECURITY DEFINER
        SET search_path TO pg_catalog, pg_temp
        AS 'SELECT k.key FROM ydoc_data.relay_key k';
    COMMENT ON FUNCTION ydoc_data.relay_presence_key() IS
        'The key under which relays tell each other who is here, on a channel that everybody can hear';
    FOR gate IN
        SELECT p.oid::regprocedure AS name FROM pg_proc p
        WHERE p.pronamespace = 'ydoc_data'::regnamespace AND p.proname ~ '^relay_' AND p.prosecdef
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', gate.name);
    END LOOP;

    IF 'lz4' = ANY ((SELECT s.enumvals FROM pg_settings s
                     WHERE s.name = 'default_toast_compression')::text[]) THEN
        ALTER TABLE ydoc_data.log ALTER COLUMN update SET COMPRESSION lz4;
        ALTER TABLE ydoc_data.state ALTER COLUMN state SET COMPRESSION lz4;
        ALTER TABLE ydoc_data.version ALTER COLUMN state SET COMPRESSION lz4;
        ALTER TABLE ydoc_data.segment ALTER COLUMN update SET COMPRESSION lz4;
    END IF;
    PERFORM set_config('role', role_before, true);
END
$upgrade$;
COMMENT ON FUNCTION ydoc.upgrade_store() IS
    'Makes what a store lacks that an older release created, as its owner; changes nothing that is there';

CREATE FUNCTION ydoc.partition_log(partitions integer)
    RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 100000
    SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    obstacle text;
    grantee record;
    role_before text;
BEGIN
    PERFORM ydoc.require_store();
    role_before := ydoc.become_store_owner();
    IF partitions NOT BETWEEN 1 AND 1024 THEN
        RAISE EXCEPTION 'a log has 1 to 1024 partitions, not %', partitions USING ERRCODE = 'invalid_parameter_value';
    ELSIF (SELECT c.relkind FROM pg_class c WHERE c.oid = 'ydoc_data.log'::regclass) = 'p' THEN
        RAISE EXCEPTION 'the log is partitioned already' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    LOCK TABLE ydoc_data.log IN ACCESS EXCLUSIVE MODE;
    -- what is the DBA's own is for the DBA to make again: nothing of it gets lost silently
    SELECT string_agg(found.name, ', ') INTO obstacle FROM (
        SELECT format('policy %I', p.polname) AS name FROM pg_policy p WHERE p.polrelid = 'ydoc_data.log'::regclass
        UNION ALL
        SELECT format('trigger %I', t.tgname) FROM pg_trigger t WHERE t.tgrelid = 'ydoc_data.log'::regclass AND NOT t.tgisinternal
        UNION ALL
        SELECT 'row security' FROM pg_class c WHERE c.oid = 'ydoc_data.log'::regclass AND c.relrowsecurity
        UNION ALL
        SELECT format('index %I', c.relname) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = 'ydoc_data.log'::regclass AND NOT i.indisprimary
        UNION ALL
        SELECT format('foreign key %I', k.conname) FROM pg_constraint k
        WHERE k.conrelid = 'ydoc_data.log'::regclass AND k.contype = 'f' AND k.confrelid <> 'ydoc_data.document'::regclass
        UNION ALL
        SELECT format('foreign key %I of %s', k.conname, k.conrelid::regclass) FROM pg_constraint k
        WHERE k.confrelid = 'ydoc_data.log'::regclass
        UNION ALL
        SELECT format('publication %I', p.pubname) FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
        WHERE r.prrelid = 'ydoc_data.log'::regclass
        UNION ALL
        SELECT format('statistics %I', s.stxname) FROM pg_statistic_ext s WHERE s.stxrelid = 'ydoc_data.log'::regclass
        UNION ALL
        SELECT format('rule %I', r.rulename) FROM pg_rewrite r WHERE r.ev_class = 'ydoc_data.log'::regclass
        UNION ALL
        SELECT format('rights to column %I', a.attname) FROM pg_attribute a
        WHERE a.attrelid = 'ydoc_data.log'::regclass AND a.attacl IS NOT NULL AND NOT a.attisdropped
        UNION ALL
        SELECT 'storage parameters' FROM pg_class c WHERE c.oid = 'ydoc_data.log'::regclass AND c.reloptions IS NOT NULL
        UNION ALL
        SELECT 'a replica identity' FROM pg_class c WHERE c.oid = 'ydoc_data.log'::regclass AND c.relreplident <> 'd') AS found;
    IF obstacle IS NOT NULL THEN
        RAISE EXCEPTION 'table ydoc_data.log has %', obstacle USING
            ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Drop these before, and make them again for the partitioned table.';
    END IF;

    ALTER TABLE ydoc_data.log RENAME TO log_unpartitioned;
    ALTER INDEX ydoc_data.log_pkey RENAME TO log_unpartitioned_pkey;
    CREATE TABLE ydoc_data.log (
        LIKE ydoc_data.log_unpartitioned INCLUDING ALL EXCLUDING INDEXES EXCLUDING STATISTICS,
        PRIMARY KEY (document, seq),
        FOREIGN KEY (document) REFERENCES ydoc_data.document ON UPDATE CASCADE ON DELETE CASCADE
    ) PARTITION BY HASH (document);
    COMMENT ON TABLE ydoc_data.log IS
        'Every update that was accepted; a row holds the updates seq_from to seq, merged';
    FOR remainder IN 0 .. partitions - 1 LOOP
        EXECUTE format('CREATE TABLE ydoc_data.log_%s PARTITION OF ydoc_data.log FOR VALUES WITH (MODULUS %s, REMAINDER %s)',
                       remainder, partitions, remainder);
    END LOOP;
    FOR grantee IN
        SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS name, a.privilege_type,
               CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS option
        FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.oid = 'ydoc_data.log_unpartitioned'::regclass AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('GRANT %s ON ydoc_data.log TO %s%s', grantee.privilege_type, grantee.name, grantee.option);
    END LOOP;
    INSERT INTO ydoc_data.log SELECT * FROM ydoc_data.log_unpartitioned;
    DROP TABLE ydoc_data.log_unpartitioned;
    PERFORM set_config('role', role_before, true);
END
$$;
COMMENT ON FUNCTION ydoc.partition_log(integer) IS
    'Makes ydoc_data.log a table of hash partitions by document, copying what is there while nobody may write; 55000 if it has policies, triggers, indexes, publications or the like of yours';

CREATE FUNCTION ydoc.create_store(log_partitions integer DEFAULT 0)
    RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 10000
    SET search_path TO pg_catalog, pg_temp
AS $$
BEGIN
    IF to_regclass('ydoc_data.document') IS NOT NULL THEN
        RAISE EXCEPTION 'the store of this database exists already' USING
            ERRCODE = 'duplicate_table', DETAIL = 'Its tables are in schema ydoc_data.',
            HINT = 'After an upgrade of the extension, ydoc.upgrade_store() makes what is new.';
    END IF;
    CREATE SCHEMA ydoc_data;
    COMMENT ON SCHEMA ydoc_data IS 'Documents kept by pg_ydoc';
    PERFORM ydoc.upgrade_store();
    IF log_partitions <> 0 THEN
        PERFORM ydoc.partition_log(log_partitions);
    END IF;
END
$$;
COMMENT ON FUNCTION ydoc.create_store(integer) IS
    'Creates the tables for documents in schema ydoc_data, as ordinary tables owned by the caller; the log in so many hash partitions, 0 for none';
