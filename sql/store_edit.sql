-- Editing stored documents: twins of the functions on values, transactions, savepoints, client ids.
SELECT ydoc.text_insert('edit/1', 't', 0, 'hello') AS seq;
SELECT ydoc.text_append('edit/1', 't', ' world', '{"bold": true}') AS seq;
-- a path that comes as text makes no root
SELECT ydoc.set('edit/1', '{m,a}', '{}');
SELECT ydoc.text('edit/1', 't'), (SELECT count(*) FROM ydoc_data.log WHERE document = 'edit/1') AS rows;
-- one client, and no update that says more than the edit
SELECT count(DISTINCT client) AS clients, max(octet_length(l.update)) < 100 AS small
FROM ydoc_data.log l, yupdate_inspect(l.update) WHERE document = 'edit/1';

-- ---- a transaction is one row, whatever it does; it sees its own edits ----
BEGIN;
SET LOCAL ydoc.actor = 'ann';
SELECT ydoc.text_replace('edit/1', 't', 'Hello, world!');
SELECT ydoc.map_set('edit/1', 'meta', 'title', '"Greeting"');
SELECT ydoc.text('edit/1', 't'), ydoc.json('edit/1', 'meta');
SELECT count(ydoc.text_append('edit/1', 't', '.')) FROM generate_series(1, 100);
SELECT ydoc.array_push('edit/2', 'list', '[1, 2]');
SELECT seq FROM ydoc_data.document WHERE name = 'edit/1';
COMMIT;
SELECT document, seq_from, seq, actor FROM ydoc_data.log WHERE document LIKE 'edit/%' ORDER BY document, seq;
SELECT name, seq, tail_rows FROM ydoc_data.document WHERE name LIKE 'edit/%' ORDER BY name;
SELECT length(ydoc.text('edit/1', 't')), ydoc.json('edit/2');

-- ---- what rolls back is gone, and nothing else ----
BEGIN;
SELECT ydoc.text_append('edit/3', 't', 'kept');
SAVEPOINT a;
SELECT ydoc.text_append('edit/3', 't', ' lost');
SELECT ydoc.text_append('edit/4', 't', 'lost too');
SELECT ydoc.text('edit/3', 't');
ROLLBACK TO a;
SELECT ydoc.text('edit/3', 't'), ydoc.text('edit/4', 't') IS NULL AS gone;
SAVEPOINT b;
SELECT ydoc.text_append('edit/3', 't', ' also');
RELEASE b;
COMMIT;
SELECT ydoc.text('edit/3', 't'), ydoc.text('edit/4', 't') IS NULL AS gone;
BEGIN;
SELECT ydoc.text_append('edit/3', 't', ' nothing of this');
ROLLBACK;
SELECT ydoc.text('edit/3', 't');
-- an edit that fails in a block leaves those before it
DO $$
BEGIN
    PERFORM ydoc.text_append('edit/3', 't', ' 1');
    BEGIN
        PERFORM ydoc.text_append('edit/3', 't', ' 2');
        PERFORM ydoc.edit('edit/3', '[{"op": "text_append", "path": "t", "text": " 3"}, {"op": "text_delete", "path": "t", "index": 0, "length": 1000}]');
    EXCEPTION WHEN invalid_parameter_value THEN RAISE NOTICE '%', SQLERRM;
    END;
    PERFORM ydoc.text_append('edit/3', 't', ' 4');
END $$;
SELECT ydoc.text('edit/3', 't');

-- ---- beside updates of others, in the order in which they come ----
BEGIN;
SELECT ydoc.text_append('edit/5', 't', 'edited ');
SELECT ydoc.apply('edit/5', ARRAY['\x01010100040101740568656c6c6f00'::bytea]);
SELECT ydoc.text_append('edit/5', 't', ' again');
COMMIT;
SELECT seq_from, seq FROM ydoc_data.log WHERE document = 'edit/5' ORDER BY seq;
SELECT ydoc.text('edit/5', 't') LIKE '%edited%' AND ydoc.text('edit/5', 't') LIKE '%hello%' AS both;
-- what is stored is what this session sees
SELECT ydoc_text(ydoc_merge(update ORDER BY seq), 't') = ydoc.text('edit/5', 't') AS same FROM ydoc_data.log WHERE document = 'edit/5';

-- edits that were written inside a savepoint, because an update came, survive its roll-back
BEGIN;
SELECT ydoc.text_append('edit/9', 't', 'kept');
SAVEPOINT a;
SELECT ydoc.apply('edit/9', ARRAY['\x01010100040101740568656c6c6f00'::bytea]);
SELECT ydoc.text_append('edit/9', 't', ' lost');
ROLLBACK TO a;
SELECT ydoc.text('edit/9', 't');
SAVEPOINT b;
SET LOCAL ydoc.actor = 'ben';
SELECT ydoc.text_append('edit/9', 't', ' too');
RELEASE b;
SELECT ydoc.text_append('edit/9', 't', '!');
COMMIT;
SELECT ydoc.text('edit/9', 't');
SELECT seq, actor FROM ydoc_data.log WHERE document = 'edit/9' ORDER BY seq;

-- ---- lists of operations; nothing done is nothing logged ----
SELECT ydoc.edit('edit/6', '[{"op": "set", "path": "board", "value": {"cards": [{"name": "one"}]}}, {"op": "patch", "patch": [{"op": "add", "path": "/board/cards/-", "value": {"name": "two"}}]}]');
SELECT ydoc.json('edit/6');
SELECT ydoc.set('edit/6', ARRAY['board', 'cards', '0', 'name'], '"one"') AS same_seq, ydoc.patch('edit/6', '{"board": {"cards": null}}') AS next_seq;
SELECT ydoc.edit('edit/6', '[]') AS same_seq;

-- ---- a deferred trigger on the log fires; errors ----
CREATE FUNCTION log_seen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'logged % of %', NEW.seq, NEW.document; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER log_seen AFTER INSERT ON ydoc_data.log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.document = 'edit/7') EXECUTE FUNCTION log_seen();
SELECT ydoc.text_append('edit/7', 't', 'x');
DROP TRIGGER log_seen ON ydoc_data.log;
DROP FUNCTION log_seen;
SELECT ydoc.text_append(NULL, 't', 'x');
SELECT ydoc.text_append(E'edit/\n', 't', 'x');
SELECT ydoc.text_delete('edit/1', 't', 0, 100000);
BEGIN READ ONLY;
SELECT ydoc.text_append('edit/1', 't', 'x');
ROLLBACK;
-- a client id for each document
SELECT count(DISTINCT client) = count(*) AS one_each FROM ydoc_data.client;
-- who may not write the log gets an error at commit, and nothing is stored
CREATE ROLE regress_editor;
GRANT USAGE ON SCHEMA ydoc_data TO regress_editor;
GRANT SELECT, INSERT, UPDATE ON ydoc_data.document, ydoc_data.client TO regress_editor;
GRANT SELECT ON ydoc_data.log, ydoc_data.state TO regress_editor;
SET ROLE regress_editor;
SELECT ydoc.text_append('edit/1', 't', 'x');
RESET ROLE;
-- a definer's edit is written as the definer, also at commit
CREATE FUNCTION edit_as_definer() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$ SELECT ydoc.text_append('edit/8', 't', 'by the definer') $$;
SET ROLE regress_editor;
SELECT edit_as_definer();
SELECT ydoc.text('edit/8', 't');
-- and nobody else's: what the caller adds in the same transaction takes the caller's rights
BEGIN;
SELECT edit_as_definer();
SELECT ydoc.text_append('edit/8', 't', ' and smuggled in');
COMMIT;
SELECT ydoc.text('edit/8', 't');
RESET ROLE;
-- each is answerable for his own
BEGIN;
SET LOCAL ydoc.actor = 'ann';
SELECT ydoc.text_append('edit/8', 't', '!');
SET LOCAL ydoc.actor = 'ben';
SELECT ydoc.text_append('edit/8', 't', '?');
COMMIT;
SELECT seq, actor FROM ydoc_data.log WHERE document = 'edit/8' ORDER BY seq;
SELECT ydoc.text('edit/8', 't');
DROP FUNCTION edit_as_definer;
DROP OWNED BY regress_editor;
DROP ROLE regress_editor;
-- ---- characters of two units ----
-- an edit that changes nothing parts none for this session alone, whatever the transaction did before
SELECT ydoc.text_insert('edit/emoji', 't', 0, U&'a\+01F600!'), ydoc.text_format('edit/emoji', 't', 0, 4, '{"bold": true}');
SELECT ydoc.text_format('edit/emoji', 't', 0, 2, '{"bold": true}');
SELECT ydoc.text('edit/emoji', 't') = U&'a\+01F600!' AS whole;
BEGIN;
SELECT ydoc.text_append('edit/emoji', 't', '?'), ydoc.text_format('edit/emoji', 't', 0, 2, '{"bold": true}');
SELECT ydoc.text('edit/emoji', 't') = U&'a\+01F600!?' AS whole;
COMMIT;
SELECT ydoc.text('edit/emoji', 't') = U&'a\+01F600!?' AS whole;
-- one that changes something does as it does in Yjs, for all
SELECT ydoc.text_delete('edit/emoji', 't', 0, 2);
SELECT ydoc.text('edit/emoji', 't') = U&'\FFFD!?' AS parted, ydoc_text(ydoc_merge(update ORDER BY seq), 't') = U&'\FFFD!?' AS for_all FROM ydoc_data.log WHERE document = 'edit/emoji';
