-- Who is here: what relays report, what callers see.
SELECT ydoc.report_presence('relay-1', 60000, true, ARRAY['regress/p1', 'regress/p2', 'regress/p2'],
                            ARRAY[11, 12, 9007199254740991], ARRAY['Ann', 'Ben', '']);
SELECT ydoc.report_presence('relay-2', 60000, true, ARRAY['regress/p1'], ARRAY[21], ARRAY['Carl']);
SELECT document, client, user_name, relay FROM ydoc.presence('regress/p%') ORDER BY client;
SELECT client FROM ydoc.presence('regress/p2') ORDER BY client;
-- somebody leaves, somebody comes, somebody gets another name
SELECT ydoc.report_presence('relay-1', 60000, false, ARRAY['regress/p1', 'regress/p1', 'regress/p2'],
                            ARRAY[11, 13, 12], ARRAY[NULL, 'Dora', 'Benjamin']);
SELECT document, client, user_name, relay FROM ydoc.presence('regress/p%') ORDER BY client;
-- nothing new but being alive
SELECT ydoc.report_presence('relay-1', 60000, false, '{}', '{}', '{}');
-- another relay's rows are not this one's to take back
SELECT ydoc.report_presence('relay-2', 60000, false, ARRAY['regress/p1'], ARRAY[13], ARRAY[NULL]);
SELECT count(*) FROM ydoc.presence('regress/p%');
-- whoever the database does not know has to report all
SELECT ydoc.report_presence('relay-3', 60000, false, '{}', '{}', '{}');
-- a relay that is silent for its lease is dead
UPDATE ydoc_data.relay SET renewed_at = now() - interval '61 seconds' WHERE relay = 'relay-1';
SELECT document, client, user_name, relay FROM ydoc.presence('regress/p%') ORDER BY client;
-- and after some more time whoever lives clears up
UPDATE ydoc_data.relay SET renewed_at = now() - interval '3 minutes' WHERE relay = 'relay-1';
SELECT ydoc.report_presence('relay-2', 60000, false, '{}', '{}', '{}');
SELECT relay FROM ydoc_data.relay ORDER BY relay;
SELECT relay, client FROM ydoc_data.presence ORDER BY client;
-- the last one goes, and so does the relay
SELECT ydoc.report_presence('relay-2', 0, false, ARRAY['regress/p1'], ARRAY[21], ARRAY[NULL]);
SELECT ydoc.report_presence('relay-3', 0, true, '{}', '{}', '{}');
SELECT (SELECT count(*) FROM ydoc_data.relay) AS relays, (SELECT count(*) FROM ydoc_data.presence) AS people;
-- nothing of this is written to the log of the database
SELECT relname, relpersistence FROM pg_class
WHERE relnamespace = 'ydoc_data'::regnamespace AND relname IN ('relay', 'presence') ORDER BY relname;
-- the relays' key is there once, and for nobody else; a relay's role needs no table
SELECT octet_length(ydoc_data.relay_presence_key()), (SELECT count(*) FROM ydoc_data.relay_key);
SELECT ydoc.upgrade_store();
SELECT count(*) FROM ydoc_data.relay_key WHERE key = ydoc_data.relay_presence_key();
\set VERBOSITY terse
CREATE ROLE regress_stranger;
SET ROLE regress_stranger;
SELECT ydoc_data.relay_presence_key();
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM ydoc.presence();
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT USAGE ON SCHEMA ydoc_data TO regress_stranger;
GRANT SELECT ON ALL TABLES IN SCHEMA ydoc_data TO regress_stranger;
SET ROLE regress_stranger;
SELECT count(*) FROM ydoc_data.relay_key;
SELECT ydoc_data.relay_presence_key();
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
REVOKE ALL ON ALL TABLES IN SCHEMA ydoc_data FROM regress_stranger;
SELECT ydoc.grant_relay('regress_stranger');
SET ROLE regress_stranger;
SELECT octet_length(ydoc_data.relay_presence_key());
SELECT ydoc_data.relay_report('relay-4', 60000, true, ARRAY['regress/p1'], ARRAY[41], ARRAY['Eve']);
SELECT count(*) FROM ydoc_data.presence;
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT document, client, user_name, relay FROM ydoc.presence('regress/p%');
SELECT ydoc_data.relay_report('relay-4', 0, true, '{}', '{}', '{}');
DROP OWNED BY regress_stranger;
DROP ROLE regress_stranger;
