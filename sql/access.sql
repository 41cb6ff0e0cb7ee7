-- Who may do what: one rule, by claims, for relays, row security and direct SQL.
SELECT ydoc.text_append('team/plan', 't', 'plan'), ydoc.text_append('team/draft', 't', 'draft'), ydoc.text_append('home', 't', 'home');
CREATE FUNCTION level_of(document text, claims jsonb) RETURNS ydoc.level LANGUAGE sql AS $$ SELECT ydoc.access_level(document, claims) $$;
-- nobody may do anything before somebody says so
SELECT level_of('home', '{}'), level_of('home', '{"sub": "ann"}'), level_of('home', NULL);
SELECT ydoc.grant_access('home', 'public', 'read');
SELECT ydoc.grant_access('team/%', 'group:team', 'write');
SELECT ydoc.grant_access('team/plan', 'user:ben', 'admin');
SELECT ydoc.grant_access('%', 'authenticated', 'comment', now() + interval '1 hour');
SELECT ydoc.grant_access('%', 'role:auditor', 'read');
SELECT document, claims, level_of(document, claims) FROM (VALUES
    ('home', '{}'::jsonb), ('team/plan', '{}'), ('home', '{"sub": "ann"}'), ('team/plan', '{"sub": "ann", "groups": ["team"]}'),
    ('team/plan', '{"sub": "ben"}'), ('team/draft', '{"sub": "ben"}'), ('home', '{"groups": ["team"]}'),
    ('team/plan', '{"roles": ["x", "auditor"]}'), ('team/plan', '{"role": "auditor"}'), ('nowhere', '{"sub": "ann"}'),
    ('team/plan', '{"groups": "team"}'), ('team/plan', '[]'), ('team/plan', '{"sub": null}'), ('team/plan', '{"sub": ""}')) AS v (document, claims);
UPDATE ydoc_data.access SET expires_at = now() - interval '1 second' WHERE subject = 'authenticated';
SELECT level_of('nowhere', '{"sub": "ann"}') AS expired;
SELECT ydoc.revoke_access('team/plan', 'user:ben'), ydoc.revoke_access('team/plan', 'user:ben') AS again;
SELECT level_of('team/plan', '{"sub": "ben"}') AS revoked;
SELECT ydoc.grant_access('home', 'everybody', 'read');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.grant_access('home', 'public', NULL);
\echo :LAST_ERROR_SQLSTATE
-- a pattern that cannot be compared would take everybody's rights, for asking would fail
SELECT ydoc.grant_access('team/\', 'public', 'read');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.set_comment_roots('\', '{notes}');
SELECT ydoc.set_retention('%\\\', '1 day');
\set VERBOSITY terse
INSERT INTO ydoc_data.access (documents, subject, level) VALUES ('%\', 'public', 'read');
\set VERBOSITY default
SELECT pattern, ydoc.one_document(pattern) FROM unnest('{team/plan,my\\_plan,my_plan,50\\%\\\\,%,"",a\\}'::text[]) AS pattern;
-- links: a secret for one document, of which the hash is kept
SELECT ydoc.create_link('team/plan', 'write', now() + interval '1 day') AS secret \gset
SELECT length(:'secret'), count(*) FROM ydoc_data.link WHERE strpos(link::text, :'secret') > 0 GROUP BY 1;
SELECT level_of('team/plan', jsonb_build_object('link', :'secret')), level_of('team/draft', jsonb_build_object('link', :'secret')) AS other,
       level_of('team/plan', '{"link": "guess"}') AS guess;
UPDATE ydoc_data.link SET expires_at = now() - interval '1 second';
SELECT level_of('team/plan', jsonb_build_object('link', :'secret')) AS expired;
UPDATE ydoc_data.link SET expires_at = 'infinity';
SELECT level_of('team/plan', jsonb_build_object('link', :'secret')) AS for_ever;
SELECT ydoc.create_link('nowhere', 'read', 'infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.create_link('team/plan', 'none', 'infinity');
SELECT ydoc.create_link('team/plan', 'write', '-infinity');
-- it is whole claims, too
SELECT :'secret' ~ '^ydoc_link_[0-9a-f]{64}$' AS secret, ydoc.claims_of(:'secret') = jsonb_build_object('link', :'secret') AS claims,
       ydoc.claims_of('ydoc_link_' || repeat('0', 64)) IS NULL AS guess;
SELECT ydoc.require_level('team/plan', :'secret', 'write');
SELECT ydoc.require_level('team/draft', :'secret', 'read');
SELECT ydoc.revoke_link(:'secret'), ydoc.revoke_link(:'secret') AS again;
SELECT level_of('team/plan', jsonb_build_object('link', :'secret')) AS revoked;
SELECT operation, documents, subject, level_before, level_after FROM ydoc_data.access_audit ORDER BY at;

-- ---- a relay: nobody himself, it shows the claims of each user ----
-- what is asked for must be said
SELECT ydoc.require_level('home', '{}', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.require_level(NULL, '{}', 'read');
SELECT ydoc.require_level('home', '{}', 'own');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.require_level('home', '{}', 'unknown');
-- nobody else may call what is for relays
SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'ydoc_data'::regnamespace AND p.proname LIKE 'relay\_%'
    AND has_function_privilege('public', p.oid, 'EXECUTE');
-- what works with the owner's rights and is for everybody: what row security asks
SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'ydoc_data'::regnamespace AND p.prosecdef
    AND has_function_privilege('public', p.oid, 'EXECUTE') ORDER BY p.proname;
CREATE ROLE regress_ydoc_relay;
SELECT ydoc.grant_relay('regress_ydoc_relay');
SET ROLE regress_ydoc_relay;
-- nobody writes the audit, by a table of his own, either
CREATE TEMPORARY TABLE forged (documents text, subject text, level ydoc.level, expires_at timestamptz);
CREATE TRIGGER forge AFTER INSERT ON forged FOR EACH ROW EXECUTE FUNCTION ydoc_data.access_changed();
\echo :LAST_ERROR_SQLSTATE
DROP TABLE forged;
SELECT ordinal, seq, sqlstate, message FROM ydoc_data.relay_apply(ARRAY['team/draft', 'home', 'nowhere', 'team/draft', 'team/plan'],
    ARRAY['\x0101020004010174017800'::bytea, '\x0101020004010174017800', '\x0101020004010174017800', '\x01', '\x0101020004010174017800'],
    ARRAY['{"sub": "ann", "groups": ["team"]}', '{"sub": "ann"}', '{"sub": "ann"}', '{"sub": "ann", "groups": ["team"]}', NULL], '{}');
SELECT seq, update IS NOT NULL AS update FROM ydoc_data.relay_sync('{"sub": "ann", "groups": ["team"]}', 'team/plan', '\x00', 0);
SELECT seq, update IS NOT NULL AS update FROM ydoc_data.relay_sync('{"sub": "eve"}', 'team/plan', '\x00', 0);
\echo :LAST_ERROR_SQLSTATE
SELECT seq FROM ydoc_data.relay_sync(NULL, 'team/plan', '\x00', 0);
SELECT seq FROM ydoc_data.relay_sync('{}', NULL, '\x00', 0);
SELECT seq FROM ydoc_data.relay_changes('{"groups": ["team"]}', 'team/draft', 1, 0, 1000);
SELECT seq FROM ydoc_data.relay_changes('{}', 'team/draft', 1, 0, 1000);
SELECT ordinal, seq FROM ydoc_data.relay_changes_of(ARRAY['{"groups": ["team"]}', '{"sub": "ann", "groups": ["team"]}'],
    ARRAY['team/draft', 'team/plan'], ARRAY[1, 0], ARRAY[0, 0], 1000);
SELECT ordinal, seq FROM ydoc_data.relay_changes_of(ARRAY['{"groups": ["team"]}', '{}'],
    ARRAY['team/draft', 'team/plan'], ARRAY[1, 0], ARRAY[0, 0], 1000);
-- who asks for more documents than he says for whom, asks for nobody
SELECT ordinal, seq FROM ydoc_data.relay_changes_of(ARRAY['{"groups": ["team"]}'],
    ARRAY['team/draft', 'team/plan'], ARRAY[1, 0], ARRAY[0, 0], 1000);
-- whether all that a reader has is there
SELECT ydoc_data.relay_includes('{"groups": ["team"]}', 'team/draft', '\x0101020004010174017800') AS all_of_it,
       ydoc_data.relay_includes('{"groups": ["team"]}', 'team/draft', '\x0101030004010174017800') AS more,
       ydoc_data.relay_includes('{"groups": ["team"]}', 'team/none', '\x0000') AS of_no_document;
SELECT ydoc_data.relay_includes('{}', 'team/draft', '\x0000');
SELECT seq FROM ydoc_data.relay_sync_slices('{"groups": ["team"]}', 'team/draft', '\x00', 1024, 1024, 0);
SELECT seq FROM ydoc_data.relay_sync_slices('{}', 'team/draft', '\x00', 1024, 1024, 0);
SELECT * FROM ydoc_data.relay_levels(ARRAY['home', 'team/plan', 'team/plan'], ARRAY['{}', '{}', '{"groups": ["team"]}']);
SELECT document, seq FROM ydoc_data.relay_heads(ARRAY['home', 'team/plan', 'team/draft'], ARRAY['{}', '{}', '{"groups": ["team"]}']) ORDER BY document;
-- an array may begin anywhere: what is asked about is what is told
SELECT document FROM ydoc_data.relay_heads('[0:1]={home,team/plan}', '{"{}","{}"}');
SELECT seq, convert_from(content, 'UTF8') AS content FROM ydoc_data.relay_content('{"groups": ["team"]}', 'team/plan', 'text', NULL, NULL, NULL, 0, 0);
SELECT seq FROM ydoc_data.relay_content('{}', 'team/plan', 'text', NULL, NULL, NULL, 0, 0);
\echo :LAST_ERROR_SQLSTATE
SELECT document, level FROM ydoc_data.relay_documents('{"groups": ["team"]}', 'h', '', 1);
SELECT document, level FROM ydoc_data.relay_documents('{"groups": ["team"]}', 'home', 'team/', 1);
SELECT document, level FROM ydoc_data.relay_documents('{}', 'h', 'h', 100);
SELECT count(*) FROM ydoc_data.relay_versions('{"groups": ["team"]}', 'team/plan');
SELECT count(*) FROM ydoc_data.relay_versions('{}', 'team/plan');
\echo :LAST_ERROR_SQLSTATE
-- and without claims, whatever it calls, it gets nothing
SELECT * FROM ydoc_data.document;
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.text('home', 't');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM ydoc.apply_batch_as(ARRAY['home'], ARRAY['\x0101020004010174017800'::bytea], ARRAY['{"sub": "ann"}']);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.apply('home', ARRAY['\x0101020004010174017800'::bytea]);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.access_level('home', '{}'), ydoc.create_link('home', 'write', 'infinity');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT document, seq, actor FROM ydoc_data.log WHERE document = 'team/draft' ORDER BY seq;
DROP OWNED BY regress_ydoc_relay;
DROP ROLE regress_ydoc_relay;

-- ---- comments: some roots of a document, for those whose level is comment ----
SELECT ydoc.comment_roots('team/plan') AS none_yet;
SELECT ydoc.set_comment_roots('%', '{comments}'), ydoc.set_comment_roots('team/%', '{notes,answers,cards}'), ydoc.set_comment_roots('team/closed', '{}');
SELECT ydoc.comment_roots('home'), ydoc.comment_roots('team/plan') AS plan, ydoc.comment_roots('team/closed') AS closed;
SELECT ydoc.set_comment_roots('team/closed', NULL);
SELECT ydoc.comment_roots('team/closed') AS forgotten;
SELECT ydoc.set_comment_roots(NULL, '{a}');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.set_comment_roots('%', '{a,NULL}');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.set_comment_roots('%', array_fill('a'::text, ARRAY[101]));
\echo :LAST_ERROR_SQLSTATE
SELECT operation, documents, subject, roots_before, roots_after FROM ydoc_data.access_audit WHERE subject = 'comments:' ORDER BY at;
SELECT ydoc.grant_access('team/plan', 'user:carl', 'comment');
-- under root "notes", under root "t", under "answers": each is answered alone
SELECT ordinal, seq, sqlstate, message FROM ydoc.apply_batch_as(array_fill('team/plan'::text, ARRAY[3]),
    ARRAY['\x010107000401056e6f74657302787800', '\x0101080004010174017800', '\x010109000401 07 616e7377657273 017800']::bytea[],
    array_fill('{"sub": "carl"}'::text, ARRAY[3]));
SELECT ydoc.text('team/plan', 'notes') AS notes, ydoc.text('team/plan', 't') AS t, ydoc.text('team/plan', 'answers') AS answers;
SELECT actor FROM ydoc_data.log WHERE document = 'team/plan' ORDER BY seq;

-- ---- row security from the same rule ----
SELECT ydoc.enable_row_security();
CREATE ROLE regress_ydoc_web;
CREATE ROLE regress_ydoc_auditor;
GRANT USAGE ON SCHEMA ydoc_data TO regress_ydoc_web, regress_ydoc_auditor;
GRANT SELECT, INSERT, UPDATE, DELETE ON ydoc_data.document, ydoc_data.log, ydoc_data.state, ydoc_data.client, ydoc_data.version TO regress_ydoc_web, regress_ydoc_auditor;
SELECT ydoc.grant_access('%', 'role:regress_ydoc_auditor', 'read');
-- claims that somebody sets himself do not count
SET SESSION AUTHORIZATION regress_ydoc_web;
SET request.jwt.claims = '{"sub": "ann", "groups": ["team"]}';
SELECT ydoc.current_actor() AS nobody;
SELECT ydoc.claims() -> 'roles' ? 'regress_ydoc_web' AS his_own_roles, ydoc.claims() ? 'sub' AS believed;
SELECT name FROM ydoc_data.document WHERE name IN ('home', 'team/plan', 'team/draft') ORDER BY name;
RESET SESSION AUTHORIZATION;
SELECT ydoc.trust_claims('regress_ydoc_web');
SET SESSION AUTHORIZATION regress_ydoc_web;
SELECT name FROM ydoc_data.document WHERE name IN ('home', 'team/plan', 'team/draft') ORDER BY name;
SELECT ydoc.text('team/plan', 't'), ydoc.text('home', 't');
SELECT ydoc.text_append('team/plan', 't', '!');
SELECT ydoc.apply('team/draft', ARRAY['\x01010100040101740568656c6c6f00'::bytea]);
-- whoever is spoken for is the actor, unless another one is named
SELECT ydoc.current_actor();
BEGIN;
SET LOCAL ydoc.actor = 'robot';
SELECT ydoc.text_append('team/draft', 't', '?') > 0 AS edited, ydoc.current_actor();
COMMIT;
SELECT ydoc.delete('team/draft');
SELECT deleted_by FROM ydoc_data.document WHERE name = 'team/draft';
SELECT ydoc.undelete('team/draft'), ydoc.create_version('team/draft', 'here') > 0 AS version;
SELECT (SELECT actor FROM ydoc_data.log WHERE document = 'team/plan' ORDER BY seq DESC LIMIT 1) AS plan,
       (SELECT actor FROM ydoc_data.log WHERE document = 'team/draft' ORDER BY seq DESC LIMIT 1) AS draft,
       (SELECT actor FROM ydoc_data.version WHERE document = 'team/draft') AS version;
RESET SESSION AUTHORIZATION;
SELECT ydoc.grant_access('team/draft', 'user:ann', 'admin');
GRANT SELECT, INSERT, UPDATE ON ydoc_data.access, ydoc_data.access_audit TO regress_ydoc_web;
SET SESSION AUTHORIZATION regress_ydoc_web;
SELECT ydoc.grant_access('team/draft', 'user:zoe', 'read');
SELECT by, subject, level_after FROM ydoc_data.access_audit ORDER BY at DESC LIMIT 1;
RESET SESSION AUTHORIZATION;
SELECT ydoc.revoke_access('team/draft', 'user:ann'), ydoc.revoke_access('team/draft', 'user:zoe');
SET SESSION AUTHORIZATION regress_ydoc_web;
-- nor does one transaction make one of several people, though they have one name in the log
BEGIN;
SET LOCAL ydoc.actor = 'robot';
SELECT ydoc.text_append('team/plan', 't', '?') > 0 AS edited;
SET LOCAL request.jwt.claims = '{"roles": ["regress_ydoc_auditor"]}';
SELECT ydoc.my_level('team/plan'), ydoc.text('team/plan', 't');
SELECT ydoc.text_append('team/plan', 't', '!!');
ROLLBACK;
-- reading is not writing
SELECT ydoc.text_append('home', 't', '!');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.text_append('elsewhere', 't', '!');
\echo :LAST_ERROR_SQLSTATE
SELECT document FROM ydoc_data.log WHERE document IN ('home', 'team/plan', 'team/draft') GROUP BY document ORDER BY document;
SELECT ydoc.restore('home', 0);
\echo :LAST_ERROR_SQLSTATE
-- who may only comment does so with the functions that edit, and with nothing else
SET request.jwt.claims = '{"sub": "carl"}';
SELECT ydoc.my_level('team/plan'), ydoc.text_append('team/plan', 'notes', '!') > 0 AS edited;
SELECT ydoc.array_push('team/plan', 'cards', '[{"by": "carl"}]') > 0 AS edited, ydoc.edit('team/plan', '[{"op": "text_append", "path": "notes", "text": "?"}]') > 0 AS listed;
SELECT ydoc.text_append('team/plan', 't', '!');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.text_delete('team/plan', 't', 0, 1);
SELECT ydoc.apply('team/plan', ARRAY['\x0101140004010174017800'::bytea]);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.apply('team/plan', ARRAY['\x010114000401056e6f746573012e00'::bytea]) > 0 AS applied;
SELECT ordinal, sqlstate FROM ydoc.apply_batch(ARRAY['team/plan', 'team/plan'], ARRAY['\x0101150004010174017800'::bytea, '\x010116000401056e6f746573012e00'], NULL);
SELECT ydoc.restore('team/plan', 1);
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.text_append('nowhere', 'notes', '!');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO ydoc_data.log (document, seq, seq_from, update) VALUES ('team/plan', 1000, 1000, '\x0000');
\echo :LAST_ERROR_SQLSTATE
UPDATE ydoc_data.document SET seq = 1000 WHERE name = 'team/plan';
DELETE FROM ydoc_data.document WHERE name = 'team/plan';
-- not by an error in between, either
DO $$
BEGIN
    BEGIN
        PERFORM ydoc.text_append('team/plan', 't', '!');
    EXCEPTION WHEN insufficient_privilege THEN
        RAISE NOTICE '%', SQLERRM;
    END;
    INSERT INTO ydoc_data.log (document, seq, seq_from, update) VALUES ('team/plan', 1000, 1000, '\x0000');
END
$$;
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.text('team/plan', 't'), ydoc.is_commenting('team/plan');
-- two edits of one transaction
BEGIN;
SELECT ydoc.text_append('team/plan', 'notes', '1') > 0 AS edited;
SAVEPOINT s;
SELECT ydoc.text_append('team/plan', 't', '2');
ROLLBACK TO s;
SELECT ydoc.text_append('team/plan', 'notes', '3') > 0 AS edited;
COMMIT;
RESET SESSION AUTHORIZATION;
SELECT ydoc.text('team/plan', 't'), translate(ydoc.text('team/plan', 'notes'), '.', '') AS notes, ydoc.json('team/plan', 'cards');
SET SESSION AUTHORIZATION regress_ydoc_web;
SET request.jwt.claims = '';
SELECT name FROM ydoc_data.document WHERE name IN ('home', 'team/plan', 'team/draft') ORDER BY name;
SELECT ydoc.text('team/plan', 't') IS NULL AS hidden, ydoc.text('home', 't');
SET request.jwt.claims = 'no json';
SELECT name FROM ydoc_data.document;
\echo :LAST_ERROR_SQLSTATE
RESET request.jwt.claims;
SET SESSION AUTHORIZATION regress_ydoc_auditor;
SELECT ydoc.text('team/plan', 't');
SELECT ydoc.text_append('team/plan', 't', '!');
SELECT * FROM ydoc_data.access;
SELECT ydoc.grant_access('%', 'role:regress_ydoc_auditor', 'admin');
\echo :LAST_ERROR_SQLSTATE
RESET SESSION AUTHORIZATION;
-- whoever may write all tables gives no rights but those to documents that are his to administer
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ydoc_data TO regress_ydoc_auditor;
SELECT ydoc.grant_access('team/draft', 'role:regress_ydoc_auditor', 'admin');
SELECT ydoc.grant_access('my\_home', 'role:regress_ydoc_auditor', 'admin');
SET SESSION AUTHORIZATION regress_ydoc_auditor;
SELECT ydoc.grant_access('%', 'role:regress_ydoc_auditor', 'admin');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.grant_access('home', 'role:regress_ydoc_auditor', 'write');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.create_link('home', 'write', 'infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.set_comment_roots('%', '{t}');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.set_retention('home', '0');
\echo :LAST_ERROR_SQLSTATE
RESET SESSION AUTHORIZATION;
SELECT ydoc.set_retention('hidden', '1 day'), ydoc.set_retention('team/draft', '1 day'), ydoc.set_retention('all/%', '1 day'), ydoc.revoke_access('%', 'role:regress_ydoc_auditor');
SET SESSION AUTHORIZATION regress_ydoc_auditor;
SELECT documents FROM ydoc_data.retention WHERE documents IN ('hidden', 'team/draft', 'all/%') ORDER BY documents;
SELECT ydoc.drop_retention('all/%') AS all, ydoc.drop_retention('team/draft') AS his;
RESET SESSION AUTHORIZATION;
SELECT ydoc.drop_retention('all/%'), ydoc.drop_retention('hidden');
SET SESSION AUTHORIZATION regress_ydoc_auditor;
SELECT ydoc.trust_claims('regress_ydoc_auditor');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO ydoc_data.access_audit (operation, documents, subject) VALUES ('INSERT', 'home', 'public');
\echo :LAST_ERROR_SQLSTATE
DELETE FROM ydoc_data.access_audit;
UPDATE ydoc_data.access SET level = 'none' WHERE documents <> 'team/draft' AND documents NOT LIKE 'my%';
SELECT documents, subject FROM ydoc_data.access ORDER BY documents;
SELECT ydoc.grant_access('team/draft', 'public', 'read'), ydoc.grant_access('my\_home', 'public', 'read'),
       ydoc.revoke_access('team/%', 'group:team') AS not_his, length(ydoc.create_link('team/draft', 'read', 'infinity'));
SELECT operation, documents, subject, level_after FROM ydoc_data.access_audit WHERE by = 'regress_ydoc_auditor' ORDER BY at;
SELECT count(*) FROM ydoc_data.access_audit WHERE documents NOT IN ('team/draft', 'my\_home');
RESET SESSION AUTHORIZATION;
-- all rules at once are taken back with a note of each
CREATE TEMP TABLE kept AS TABLE ydoc_data.access;
CREATE TEMP TABLE noted AS SELECT clock_timestamp() AS at;
TRUNCATE ydoc_data.access;
SELECT count(*) = (SELECT count(*) FROM kept) AS each, count(*) > 5 AS several, min(a.by) = session_user AS by_whom,
       count(*) FILTER (WHERE a.operation = 'TRUNCATE' AND a.level_before IS NOT NULL AND a.level_after IS NULL) = count(*) AS how
FROM ydoc_data.access_audit a, noted n WHERE a.at > n.at;
INSERT INTO ydoc_data.access SELECT * FROM kept;
DROP TABLE kept, noted;
-- a store of a release whose relay_apply took no sources has one function, and who could call it can
DO $$
BEGIN
    EXECUTE replace(replace(pg_get_functiondef('ydoc_data.relay_apply'::regproc),
                            ', sources text[] DEFAULT ''{}''::text[]', ''), ', sources', '');
    DROP FUNCTION ydoc_data.relay_apply(text[], bytea[], text[], bigint[], text[]);
    GRANT EXECUTE ON FUNCTION ydoc_data.relay_apply TO regress_ydoc_auditor;
END
$$;
SELECT p.oid::regprocedure AS of_before FROM pg_proc p WHERE p.proname = 'relay_apply';
SELECT ydoc.upgrade_store();
SELECT p.oid::regprocedure AS of_now, has_function_privilege('regress_ydoc_auditor', p.oid, 'EXECUTE') FROM pg_proc p WHERE p.proname = 'relay_apply';
REVOKE EXECUTE ON FUNCTION ydoc_data.relay_apply FROM regress_ydoc_auditor;
-- nor does he see what is in tables that are made later
SELECT ydoc.create_search();
SELECT ydoc.grant_access('%', 'role:regress_ydoc_auditor', 'none');
INSERT INTO ydoc_data.search SELECT name, epoch, seq, 'word' FROM ydoc_data.document WHERE name IN ('home', 'team/plan', 'team/draft');
GRANT SELECT ON ALL TABLES IN SCHEMA ydoc_data TO regress_ydoc_auditor;
SELECT c.relname AS unprotected FROM pg_class c
WHERE c.relnamespace = 'ydoc_data'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity;
SET SESSION AUTHORIZATION regress_ydoc_auditor;
SELECT document FROM ydoc_data.search WHERE document IN ('home', 'team/plan', 'team/draft') ORDER BY document;
SELECT config FROM ydoc_data.search_config;
RESET SESSION AUTHORIZATION;
DROP TABLE ydoc_data.search, ydoc_data.search_config;
-- what may be read and not locked is not left out of a table that follows documents without a word
GRANT CREATE ON SCHEMA ydoc_data TO regress_ydoc_auditor;
GRANT TRIGGER ON ydoc_data.document TO regress_ydoc_auditor;
CREATE SCHEMA regress_follow AUTHORIZATION regress_ydoc_auditor;
SET SESSION AUTHORIZATION regress_ydoc_auditor;
CREATE TABLE regress_follow.home (document text PRIMARY KEY, t text);
SELECT ydoc.create_projection('regress_follow.home', 'home', '{"t": {"path": "t", "as": "text"}}');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc.create_projection('regress_follow.home', 'home', '{"t": {"path": "t", "as": "text"}}', with_data => false);
RESET SESSION AUTHORIZATION;
SELECT ydoc.text_append('home', 't', ' again') > 0 AS edited;
SELECT document, t FROM regress_follow.home;
SELECT ydoc.drop_projection('regress_follow.home');
-- the rule is the owner's to replace
CREATE OR REPLACE FUNCTION ydoc_data.access_level(document text, claims jsonb) RETURNS ydoc.level LANGUAGE sql STABLE
    AS $$ SELECT CASE WHEN document = claims ->> 'sub' THEN 'admin' ELSE NULL END::ydoc.level $$;
SELECT ydoc.upgrade_store();
SELECT level_of('ann', '{"sub": "ann"}'), level_of('home', '{"sub": "ann"}');
DROP FUNCTION ydoc_data.access_level;
SELECT ydoc.upgrade_store();
SELECT level_of('home', '{}') AS the_standard_rule_again;
DROP OWNED BY regress_ydoc_web, regress_ydoc_auditor;
DROP ROLE regress_ydoc_web, regress_ydoc_auditor;
DROP FUNCTION level_of;
DO $$ BEGIN
    EXECUTE (SELECT string_agg(format('DROP POLICY %I ON ydoc_data.%I; ALTER TABLE ydoc_data.%I DISABLE ROW LEVEL SECURITY', policyname, tablename, tablename), '; ')
             FROM pg_policies WHERE schemaname = 'ydoc_data' AND policyname LIKE 'ydoc\_%');
END $$;
