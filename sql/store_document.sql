-- Whole stored documents: made, copied, taken in and out, deleted, brought back, removed for good, renamed.
\set hello '''\\x01010100040101740568656c6c6f00''::bytea'
\set world '''\\x010101058401040620776f726c6400''::bytea'
\set SHOW_CONTEXT never
-- ---- making, copying, taking in and out ----
SELECT ydoc.create('made/1') AS empty, ydoc.create('made/2', ydoc_from_text('content', 't')) AS full;
SELECT ydoc.create('made/2');
SELECT ydoc.create('made/none', NULL);
SELECT ydoc.create(NULL);
SELECT ydoc.import('made/none', NULL);
SELECT ydoc.create(E'made\t');
SELECT ydoc.copy('made/2', 'made/3');
SELECT ydoc.text_append('made/2', 't', ' two'), ydoc.text_append('made/3', 't', ' three');
SELECT ydoc.text('made/2', 't'), ydoc.text('made/3', 't'), length(ydoc_text(ydoc.state('made/2') || ydoc.state('made/3'), 't')) AS merged;
SELECT ydoc.copy('made/none', 'made/4');
SELECT ydoc.import('made/5', ydoc.export('made/2', 2), 2);
SELECT ydoc.export('made/5') = ydoc.export('made/2') AS same, ydoc.export('made/none') IS NULL AS none;
SELECT ydoc.import('made/5', '\x00ff');
SELECT ydoc.import('made/5', ydoc.export('made/2', 2));
SELECT document, seq, actor FROM ydoc_data.log WHERE document LIKE 'made/%' ORDER BY document, seq;

-- ---- deleting ----
SELECT ydoc.delete('made/none') AS none;
SELECT ydoc.delete(E'made\t');
-- what a name's row says, times and epochs left out
CREATE VIEW rows AS
SELECT name, CASE WHEN deleted_at IS NULL THEN 'there' WHEN moved_to IS NOT NULL THEN 'moved to ' || moved_to
                  WHEN buried = epoch THEN 'purged' ELSE 'deleted' END AS is,
       deleted_by, seq, state_seq, tail_rows, buried IS NOT NULL AS buried, buried >= epoch AS bare,
       (SELECT count(*) FROM ydoc_data.log l WHERE l.document = d.name) AS log_rows,
       (SELECT count(*) FROM ydoc_data.state s WHERE s.document = d.name) AS states
FROM ydoc_data.document d ORDER BY name COLLATE "C";
-- what the errors say, times left out
CREATE FUNCTION error_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    details text;
    hint text;
BEGIN
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS details = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN regexp_replace(concat_ws(E'\n', SQLSTATE || ': ' || SQLERRM, nullif(details, ''), nullif(hint, '')),
                          '\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[-+:0-9]+', 'TIME', 'g');
END $$;

SELECT ydoc.text_append('gone/1', 't', 'content');
SET ydoc.actor = 'ann';
SELECT ydoc.delete('gone/1') AS deleted, ydoc.delete('gone/1') AS again;
RESET ydoc.actor;
SELECT * FROM rows WHERE name LIKE 'gone/%';
-- for readers there is none
SELECT ydoc.state('gone/1') IS NULL AS state, ydoc.text('gone/1', 't') IS NULL AS text, ydoc.json('gone/1') IS NULL AS json, ydoc.export('gone/1') IS NULL AS export;
SELECT document, seq, deleted_at <= now() AS deleted FROM ydoc.heads(ARRAY['gone/1', 'made/1']) ORDER BY 1;
-- who syncs or writes is told
SELECT error_of($$SELECT ydoc.sync('gone/1', '\x00')$$);
SELECT error_of($$SELECT ydoc.changes('gone/1', 0)$$);
SELECT error_of($$SELECT ydoc.apply('gone/1', ARRAY['\x01010100040101740568656c6c6f00'::bytea])$$);
SELECT error_of($$SELECT ydoc.apply('gone/1', ARRAY['\x0000'::bytea])$$);
SELECT error_of($$SELECT ydoc.import('gone/1', '\x01010100040101740568656c6c6f00')$$);
SELECT error_of($$SELECT ydoc.text_append('gone/1', 't', '!')$$);
SELECT error_of($$SELECT ydoc.edit('gone/1', '[]')$$);
SELECT error_of($$SELECT ydoc.copy('gone/1', 'gone/copy')$$);
SELECT error_of($$SELECT ydoc.create('gone/1')$$);
SELECT error_of($$SELECT ydoc.rename('gone/1', 'gone/2')$$);
SELECT error_of($$SELECT ydoc.rename('made/1', 'gone/1')$$);
-- in a batch, that item alone
SELECT ordinal, seq, sqlstate, regexp_replace(message, 'at .* by', 'at TIME by') AS message
FROM ydoc.apply_batch(ARRAY['gone/1', 'gone/2', 'gone/1'], ARRAY[:hello, :hello, '\x0000'], ARRAY[NULL, NULL, NULL]::text[]);
SELECT ordinal, seq, sqlstate FROM ydoc.apply_batch(ARRAY['gone/1'], ARRAY['\x0000'::bytea], ARRAY[NULL]::text[]);

-- ---- bringing back: as it was ----
SELECT error_of($$SELECT ydoc.create_version('gone/1', 'now')$$);
SELECT ydoc.undelete('gone/1'), ydoc.create_version('gone/1', 'then'), ydoc.delete('gone/1');
-- what it was is not to be read either, but who wrote it
SELECT ydoc.state_at('gone/1', 1) IS NULL AS state_at, ydoc.seq_at('gone/1', now()) IS NULL AS seq_at, ydoc.version_state('gone/1', 'then') IS NULL AS version_state;
SELECT seq, actor FROM ydoc.history('gone/1');
SELECT error_of($$SELECT ydoc.undo('gone/1', NULL, 1)$$);
SELECT error_of($$SELECT ydoc.restore('gone/1', 1)$$);
-- and its history is not thinned meanwhile
SELECT ydoc.text_append('gone/2', 't', '!'), ydoc.set_retention('gone/%', '0');
SELECT ydoc.delete('gone/2'), ydoc.thin('gone/2') AS kept, ydoc.undelete('gone/2');
SELECT ydoc.thin('gone/2') AS thinned, ydoc.drop_retention('gone/%');
SELECT epoch AS epoch_before FROM ydoc.heads(ARRAY['gone/1']) \gset
SELECT ydoc.undelete('gone/1') AS undeleted, ydoc.undelete('gone/1') AS again;
SELECT ydoc.text('gone/1', 't'), epoch = :epoch_before AS same_epoch FROM ydoc.heads(ARRAY['gone/1']);
SELECT ydoc.text_append('gone/1', 't', '!') AS seq;
SELECT ydoc.text('gone/1', 't');
SELECT error_of($$SELECT ydoc.undelete('gone/none')$$);

-- ---- removing for good ----
INSERT INTO ydoc_data.state SELECT 'gone/1', 2, ydoc.state('gone/1');
UPDATE ydoc_data.document SET state_seq = 2, tail_rows = 0, tail_bytes = 0 WHERE name = 'gone/1';
SELECT ydoc.delete('gone/1'), ydoc.purge('gone/1') AS purged, ydoc.purge('gone/1') AS again, ydoc.purge('gone/none') AS none;
SELECT * FROM rows WHERE name LIKE 'gone/%';
SELECT count(*) AS left_of_it FROM (SELECT document FROM ydoc_data.log UNION ALL SELECT document FROM ydoc_data.state UNION ALL SELECT document FROM ydoc_data.client UNION ALL SELECT document FROM ydoc_data.version) AS referring WHERE document = 'gone/1';
SELECT error_of($$SELECT ydoc.sync('gone/1', '\x00')$$);
SELECT error_of($$SELECT ydoc.apply('gone/1', ARRAY['\x01010100040101740568656c6c6f00'::bytea])$$);
SELECT error_of($$SELECT ydoc.undelete('gone/1')$$);
-- its name may be used again, if somebody says so; the session has not kept what was there
SELECT ydoc.create('gone/1', ydoc_from_text('another', 't')) AS seq;
SELECT ydoc.text('gone/1', 't'), h.epoch = :epoch_before AS same_epoch, d.epoch > d.buried AS greater FROM ydoc_data.document d, ydoc.heads(ARRAY[name]) h WHERE name = 'gone/1';
-- who means the one that is gone is told
SELECT error_of(format($$SELECT ydoc.sync('gone/1', '\x00', %s)$$, :epoch_before));
SELECT error_of(format($$SELECT ydoc.changes('gone/1', 1, %s)$$, :epoch_before));
SELECT c.seq FROM ydoc.heads(ARRAY['gone/1']) h, ydoc.changes('gone/1', 0, h.epoch) c;
SELECT b.ordinal, b.seq, b.sqlstate, b.message
FROM ydoc.heads(ARRAY['gone/1']) h, ydoc.apply_batch(array_fill('gone/1'::text, ARRAY[5]), ARRAY[:hello, :hello, '\x0000', :world, :world],
                                          array_fill(NULL::text, ARRAY[5]), ARRAY[:epoch_before, h.epoch, :epoch_before, NULL, 0]) b;
SELECT * FROM ydoc.apply_batch(ARRAY['a'], ARRAY[:hello], ARRAY[NULL]::text[], ARRAY[1, 2]);
-- one that is there can be removed at once, and made anew in the same transaction
BEGIN;
SELECT ydoc.text_append('gone/1', 't', ' and more');
SELECT ydoc.purge('gone/1');
SELECT ydoc.create('gone/1');
SELECT ydoc.text('gone/1', 't');
SELECT ydoc.text_append('gone/1', 't', 'a third');
SELECT ydoc.text('gone/1', 't');
COMMIT;
SELECT ydoc.text('gone/1', 't');
SELECT * FROM rows WHERE name = 'gone/1';
-- the name can be forgotten, too: then a late writer makes it anew
SELECT ydoc.purge('gone/1', forget => true), ydoc.purge('gone/1', forget => true) AS again;
SELECT ydoc.apply('gone/1', ARRAY[:hello]);
SELECT ydoc.text('gone/1', 't');

-- ---- together with edits of the same transaction ----
SELECT ydoc.text_append('both/1', 't', 'kept');
BEGIN;
SELECT ydoc.text_append('both/1', 't', ' edited before');
SELECT ydoc.delete('both/1');
SELECT ydoc.text('both/1', 't') IS NULL AS none;
SAVEPOINT a;
\set VERBOSITY sqlstate
SELECT ydoc.text_append('both/1', 't', ' after');
\set VERBOSITY default
ROLLBACK TO a;
SELECT ydoc.undelete('both/1');
SELECT ydoc.text_append('both/1', 't', ' and after');
COMMIT;
SELECT ydoc.text('both/1', 't'), (SELECT array_agg(seq) FROM ydoc_data.log WHERE document = 'both/1') AS seqs;
-- a roll-back brings back what was deleted, purged or renamed, with the edits before it
BEGIN;
SELECT ydoc.text_append('both/1', 't', '!');
SAVEPOINT a;
SELECT ydoc.delete('both/1');
ROLLBACK TO a;
SELECT ydoc.text('both/1', 't');
SELECT ydoc.purge('both/1'), ydoc.create('both/1'), ydoc.text_append('both/1', 't', 'other');
SELECT ydoc.text('both/1', 't');
ROLLBACK TO a;
SELECT ydoc.text('both/1', 't');
SELECT ydoc.rename('both/1', 'both/2'), ydoc.text_append('both/2', 't', '?');
SELECT ydoc.text('both/1', 't') IS NULL AS none, ydoc.text('both/2', 't');
ROLLBACK TO a;
SELECT ydoc.text('both/1', 't'), ydoc.text('both/2', 't') IS NULL AS none;
SELECT ydoc.text_append('both/1', 't', '!');
COMMIT;
SELECT ydoc.text('both/1', 't');
SELECT * FROM rows WHERE name LIKE 'both/%';

-- ---- renaming ----
SELECT epoch AS epoch_before FROM ydoc.heads(ARRAY['both/1']) \gset
INSERT INTO ydoc_data.state SELECT 'both/1', 4, ydoc.state('both/1');
UPDATE ydoc_data.document SET state_seq = 4, tail_rows = 0, tail_bytes = 0 WHERE name = 'both/1';
SET ydoc.actor = 'ben';
SELECT ydoc.rename('both/1', 'both/2') AS seq;
RESET ydoc.actor;
SELECT * FROM rows WHERE name LIKE 'both/%';
SELECT ydoc.text('both/2', 't'), epoch = :epoch_before AS same_epoch FROM ydoc.heads(ARRAY['both/2']);
SELECT ydoc.text_append('both/2', 't', ' on') AS seq;
SELECT error_of($$SELECT ydoc.text_append('both/1', 't', '!')$$);
SELECT error_of($$SELECT ydoc.sync('both/1', '\x00')$$);
SELECT error_of($$SELECT ydoc.undelete('both/1')$$);
SELECT ydoc.delete('both/1') AS nothing_to_delete, ydoc.purge('both/1') AS nor_to_purge;
SELECT error_of($$SELECT ydoc.rename('both/none', 'both/3')$$);
SELECT error_of($$SELECT ydoc.rename('both/2', 'made/1')$$);
SELECT error_of($$SELECT ydoc.rename('both/2', 'both/2')$$);
SELECT error_of($$SELECT ydoc.rename('both/2', '')$$);
-- from one name to the next: every former name knows the present one, also when the document comes back
SELECT ydoc.rename('both/2', 'both/3'), ydoc.rename('both/3', 'both/4');
SELECT error_of(format($$SELECT ydoc.changes('both/%s', 0)$$, i)) FROM generate_series(1, 3) i;
SELECT ydoc.rename('both/4', 'both/1');
SELECT ydoc.text('both/1', 't'), h.epoch = :epoch_before AS same_epoch, d.buried < d.epoch AS buried FROM ydoc_data.document d, ydoc.heads(ARRAY[name]) h WHERE name = 'both/1';
SELECT error_of(format($$SELECT ydoc.changes('both/%s', 0)$$, i)) FROM generate_series(2, 4) i;
SELECT ydoc.rename('both/1', 'both/2'), ydoc.rename('both/2', 'both/1'), ydoc.rename('both/1', 'both/5');
SELECT error_of(format($$SELECT ydoc.changes('both/%s', 0)$$, i)) FROM generate_series(1, 4) i;
SELECT * FROM rows WHERE name LIKE 'both/%';
-- what has a name now is not what had it before
SELECT ydoc.create('both/1', ydoc_from_text('another', 't'));
SELECT ydoc.text('both/1', 't'), ydoc.text('both/5', 't');
SELECT error_of(format($$SELECT ydoc.sync('both/1', '\x00', %s)$$, :epoch_before));
SELECT ydoc.purge('both/5'), ydoc.create('both/5', ydoc_from_text('a third', 't'));
SELECT ydoc.text('both/5', 't');
SELECT error_of(format($$SELECT ydoc.changes('both/%s', 0)$$, i)) FROM generate_series(2, 4) i;
-- two that change places, although a session has both decoded and both were made at once
UPDATE ydoc_data.document SET epoch = (SELECT max(epoch) + 1 FROM ydoc_data.document) WHERE name IN ('both/1', 'both/5');
SELECT ydoc.text('both/1', 't'), ydoc.text('both/5', 't');
SELECT ydoc.rename('both/1', 'both/6'), ydoc.rename('both/5', 'both/1'), ydoc.rename('both/6', 'both/5');
SELECT ydoc.text('both/1', 't'), ydoc.text('both/5', 't');
SELECT count(DISTINCT epoch) FROM ydoc_data.document WHERE name IN ('both/1', 'both/5');

-- ---- by the clock ----
-- the index that finds deleted documents costs the others nothing: their updates stay heap-only
BEGIN;
SELECT pg_stat_get_xact_tuples_updated(oid) AS updates, pg_stat_get_xact_tuples_hot_updated(oid) AS heap_only FROM pg_class WHERE oid = 'ydoc_data.document'::regclass \gset
SELECT ydoc.apply('old/hot', ARRAY[:hello]), ydoc.apply('old/hot', ARRAY[:world]);
SELECT pg_stat_get_xact_tuples_updated(oid) - :updates AS updates, pg_stat_get_xact_tuples_hot_updated(oid) - :heap_only AS heap_only FROM pg_class WHERE oid = 'ydoc_data.document'::regclass;
COMMIT;
SELECT count(ydoc.create('old/' || i)), count(ydoc.delete('old/' || i)) FROM generate_series(1, 5) i;
UPDATE ydoc_data.document SET deleted_at = deleted_at - interval '10 days' WHERE name ~ '^old/[1-4]';
SELECT ydoc.purge_deleted('11 days') AS none, ydoc.purge_deleted('9 days', 3) AS some, ydoc.purge_deleted('9 days') AS the_rest, ydoc.purge_deleted('9 days') AS done;
SELECT name, "is" FROM rows WHERE name ~ '^old/[1-5]';
SELECT ydoc.purge_deleted('9 days', forget => true) AS forgotten;
SELECT name, "is" FROM rows WHERE name ~ '^old/[1-5]';

-- ---- what refers to a document follows it, and goes with it ----
CREATE TABLE page (id integer PRIMARY KEY, document text COLLATE "C" REFERENCES ydoc_data.document ON UPDATE CASCADE ON DELETE CASCADE);
SELECT ydoc.text_append('page/1', 't', 'x'), ydoc.text_append('page/2', 't', 'y');
INSERT INTO page VALUES (1, 'page/1'), (2, 'page/2');
SELECT ydoc.rename('page/1', 'page/3'), ydoc.purge('page/2');
SELECT * FROM page;
DROP TABLE page;
-- columns that a DBA has added stay on the rows that are left behind
ALTER TABLE ydoc_data.document ADD "the tenant" text NOT NULL DEFAULT 'acme', ADD folder text GENERATED ALWAYS AS (split_part(name, '/', 1)) STORED;
UPDATE ydoc_data.document SET "the tenant" = 'other' WHERE name = 'page/3';
SELECT ydoc.rename('page/3', 'sheet/3'), ydoc.rename('sheet/3', 'page/4'), ydoc.purge('page/4');
SELECT name, "the tenant", folder FROM ydoc_data.document WHERE name ~ '^(page|sheet)/' ORDER BY name;
-- and no others: whoever adds a column to the store's table says in store_document.c what becomes of it
SELECT to_jsonb(d) - '{name, epoch, created_at, deleted_at, buried}'::text[] AS row FROM ydoc_data.document d WHERE name = 'page/4';
ALTER TABLE ydoc_data.document DROP "the tenant", DROP folder;

-- ---- rights: who may change the row, deletes and renames; who may delete it, purges ----
CREATE ROLE regress_editor;
GRANT USAGE ON SCHEMA ydoc_data TO regress_editor;
GRANT SELECT ON ALL TABLES IN SCHEMA ydoc_data TO regress_editor;
SELECT ydoc.create('mine/1', ydoc_from_text('content', 't')), ydoc.create('mine/2'), ydoc.create('yours/1');
SET ROLE regress_editor;
SELECT error_of($$SELECT ydoc.delete('mine/1')$$);
SELECT error_of($$SELECT ydoc.rename('mine/1', 'mine/3')$$);
RESET ROLE;
GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA ydoc_data TO regress_editor;
ALTER TABLE ydoc_data.document ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON ydoc_data.document USING (name LIKE 'mine/%');
SET ROLE regress_editor;
SELECT ydoc.delete('mine/1'), ydoc.undelete('mine/1'), ydoc.rename('mine/1', 'mine/3');
SELECT error_of($$SELECT ydoc.purge('mine/3')$$);
SELECT error_of($$SELECT ydoc.purge('mine/3', true)$$);
SELECT error_of($$SELECT ydoc.rename('mine/3', 'mine/1')$$);
SELECT ydoc.delete('yours/1') AS unseen;
SELECT error_of($$SELECT ydoc.rename('mine/3', 'yours/2')$$);
SELECT error_of($$SELECT ydoc.rename('mine/3', 'yours/1')$$);
SELECT error_of($$SELECT ydoc.create('yours/1')$$);
RESET ROLE;
GRANT DELETE ON ydoc_data.document TO regress_editor;
SET ROLE regress_editor;
-- also what the caller cannot see or delete himself goes
SELECT ydoc.rename('mine/3', 'mine/1'), ydoc.purge('mine/1');
RESET ROLE;
-- the new name is for those who may see the document
SELECT ydoc.rename('mine/2', 'yours/2');
SET ROLE regress_editor;
SELECT error_of($$SELECT ydoc.changes('mine/2', 0)$$);
RESET ROLE;
SELECT * FROM rows WHERE name ~ '^(mine|yours)/';
ALTER TABLE ydoc_data.document DISABLE ROW LEVEL SECURITY;
DROP POLICY own ON ydoc_data.document;
BEGIN READ ONLY;
SELECT ydoc.delete('yours/2');
ROLLBACK;
SELECT ydoc.delete(NULL) IS NULL AS no_name, ydoc.rename('yours/2', NULL) IS NULL AS no_new_name;
DROP OWNED BY regress_editor;
DROP ROLE regress_editor;
DROP VIEW rows;
DROP FUNCTION error_of;
