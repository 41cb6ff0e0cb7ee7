-- Triggers on the store's tables: by table access the same as by statements, and after both tables are written.
\set SHOW_CONTEXT never
\set hello '''\\x01010100040101740568656c6c6f00''::bytea'
\set world '''\\x010101058401040620776f726c6400''::bytea'
\set excl '''\\x01010200840104012100''::bytea'
CREATE ROLE regress_trigger_writer;
GRANT USAGE ON SCHEMA ydoc_data TO regress_trigger_writer;
GRANT SELECT, INSERT, UPDATE ON ydoc_data.document, ydoc_data.log, ydoc_data.state TO regress_trigger_writer;

-- what a trigger is told, and what it finds
CREATE TABLE heard (
    ordinal serial, trigger name, document text, seqs text, columns text, reads text, log_rows bigint, rows_seen bigint,
    who name, path text, depth integer);
GRANT ALL ON heard, heard_ordinal_seq TO PUBLIC;
CREATE FUNCTION hear() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    name text := to_jsonb(NEW) ->> CASE TG_TABLE_NAME WHEN 'log' THEN 'document' ELSE 'name' END;
BEGIN
    INSERT INTO public.heard (trigger, document, seqs, columns, reads, log_rows, rows_seen, who, path, depth)
    SELECT TG_NAME, name, concat_ws(' -> ', to_jsonb(OLD) ->> 'seq', to_jsonb(NEW) ->> 'seq'),
           (SELECT string_agg(n.key, ' ' ORDER BY n.key) FROM jsonb_each(to_jsonb(NEW)) n WHERE TG_OP = 'UPDATE' AND n.value <> to_jsonb(OLD) -> n.key),
           ydoc.text(name, 't'), (SELECT count(*) FROM ydoc_data.log l WHERE l.document = name),
           (SELECT count(*) FROM ydoc_data.document d WHERE d.name = to_jsonb(NEW) ->> 'name' AND d.seq = (to_jsonb(NEW) ->> 'seq')::bigint),
           current_user, current_setting('search_path'), pg_trigger_depth();
    RETURN NULL;
END $$;
CREATE FUNCTION hear_as_owner() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO public.heard (trigger, document, who) VALUES (TG_NAME, NEW.name, current_user);
    RETURN NULL;
END $$;
-- looks without a snapshot of its own
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql STABLE AS $$
BEGIN
    RAISE INFO '% finds "%" in %', TG_NAME, ydoc.text(NEW.name, 't'), NEW.name;
    RETURN NULL;
END $$;

CREATE TRIGGER b_every AFTER UPDATE ON ydoc_data.document FOR EACH ROW EXECUTE FUNCTION hear();
CREATE TRIGGER a_of_seq AFTER UPDATE OF seq, created_at ON ydoc_data.document FOR EACH ROW EXECUTE FUNCTION hear_as_owner();
CREATE TRIGGER c_of_state AFTER UPDATE OF state_seq, name ON ydoc_data.document FOR EACH ROW EXECUTE FUNCTION hear();
CREATE TRIGGER d_when AFTER UPDATE ON ydoc_data.document FOR EACH ROW
    WHEN (NEW.name LIKE '%/2' AND NEW.seq > OLD.seq AND OLD.tail_rows < NEW.tail_rows) EXECUTE FUNCTION hear();
CREATE TRIGGER e_when_not AFTER UPDATE ON ydoc_data.document FOR EACH ROW WHEN (NEW.name LIKE 'elsewhere/%') EXECUTE FUNCTION hear();
CREATE TRIGGER f_disabled AFTER UPDATE ON ydoc_data.document FOR EACH ROW EXECUTE FUNCTION hear();
ALTER TABLE ydoc_data.document DISABLE TRIGGER f_disabled;
CREATE TRIGGER g_replica AFTER UPDATE ON ydoc_data.document FOR EACH ROW EXECUTE FUNCTION hear();
ALTER TABLE ydoc_data.document ENABLE REPLICA TRIGGER g_replica;
CREATE TRIGGER h_always AFTER UPDATE ON ydoc_data.document FOR EACH ROW WHEN (NEW.name LIKE '%/2') EXECUTE FUNCTION hear();
ALTER TABLE ydoc_data.document ENABLE ALWAYS TRIGGER h_always;
CREATE CONSTRAINT TRIGGER i_deferred AFTER UPDATE ON ydoc_data.document DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.name LIKE '%/2') EXECUTE FUNCTION hear();
CREATE TRIGGER j_look AFTER UPDATE ON ydoc_data.document FOR EACH ROW WHEN (NEW.name LIKE '%/2') EXECUTE FUNCTION look();
CREATE TRIGGER log_every AFTER INSERT ON ydoc_data.log FOR EACH ROW EXECUTE FUNCTION hear();
CREATE TRIGGER log_when AFTER INSERT ON ydoc_data.log FOR EACH ROW WHEN (NEW.actor = 'ben') EXECUTE FUNCTION hear();

-- By table access one command writes both tables; by statements, two do.
CREATE FUNCTION written_by(names text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN bool_and(d.cmin = l.cmin) THEN 'table access' WHEN NOT bool_or(d.cmin = l.cmin) THEN 'statements' END
    FROM ydoc_data.document d JOIN ydoc_data.log l ON l.document = d.name AND l.seq = d.seq WHERE d.name LIKE names
$$;
CREATE FUNCTION write(names text) RETURNS TABLE (ordinal integer, seq bigint, sqlstate text) LANGUAGE sql
BEGIN ATOMIC
    SELECT b.ordinal, b.seq, b.sqlstate FROM ydoc.apply_batch(
        ARRAY[names || '/2', names || '/1', names || '/2', names || '/1', names || '/3'],
        ARRAY['\x01010100040101740568656c6c6f00', '\x01010100040101740568656c6c6f00', '\x01010200840104012100', '\x0101', '\x01010100040101740568656c6c6f00']::bytea[],
        ARRAY['ann', 'ann', 'ben', 'eve', NULL]) b;
END;
CREATE FUNCTION make(names text) RETURNS SETOF text LANGUAGE sql BEGIN ATOMIC SELECT ydoc.create(names || '/' || i)::text FROM generate_series(1, 3) i; END;

SET ROLE regress_trigger_writer;
SELECT count(*) FROM make('access');
BEGIN;
SELECT * FROM write('access');
SELECT count(*) AS deferred FROM heard WHERE trigger = 'i_deferred';
COMMIT;
RESET ROLE;
SELECT written_by('access/%');
SELECT trigger, document, seqs, columns, reads, log_rows, rows_seen, who, path, depth FROM heard ORDER BY ordinal;
CREATE TABLE heard_by_access AS SELECT row_number() OVER (ORDER BY ordinal) AS place, trigger, substr(document, 7) AS document, seqs, columns, reads, log_rows, rows_seen, who, path, depth FROM heard;
TRUNCATE heard;

-- a trigger before the row wants statements
CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER before_row BEFORE UPDATE ON ydoc_data.document FOR EACH ROW EXECUTE FUNCTION pass();
SET ROLE regress_trigger_writer;
SELECT count(*) FROM make('statem');
BEGIN;
SELECT * FROM write('statem');
SELECT count(*) AS deferred FROM heard WHERE trigger = 'i_deferred';
COMMIT;
RESET ROLE;
SELECT written_by('statem/%');
DROP TRIGGER before_row ON ydoc_data.document;
CREATE VIEW heard_now AS SELECT row_number() OVER (ORDER BY ordinal) AS place, trigger, substr(document, 7) AS document, seqs, columns, reads, log_rows, rows_seen, who, path, depth FROM heard;
(TABLE heard_by_access EXCEPT ALL TABLE heard_now) UNION ALL (TABLE heard_now EXCEPT ALL TABLE heard_by_access);
SELECT count(*) > 0 AS heard FROM heard_now;
TRUNCATE heard;
DROP TRIGGER log_when ON ydoc_data.log;
DROP TRIGGER log_every ON ydoc_data.log;
DROP TRIGGER j_look ON ydoc_data.document;
-- other triggers that want statements
CREATE TRIGGER before_statement BEFORE UPDATE ON ydoc_data.document EXECUTE FUNCTION pass();
SELECT ydoc.apply('one/1', ARRAY[:hello]);
DROP TRIGGER before_statement ON ydoc_data.document;
CREATE FUNCTION count_rows() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE INFO ''% rows'', (SELECT count(*) FROM changed); RETURN NULL; END';
CREATE TRIGGER all_rows AFTER UPDATE ON ydoc_data.document REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_rows();
SELECT ydoc.apply('one/2', ARRAY[:hello]);
DROP TRIGGER all_rows ON ydoc_data.document;
CREATE TRIGGER all_rows AFTER INSERT ON ydoc_data.log REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_rows();
SELECT ydoc.apply('one/3', ARRAY[:hello]);
DROP TRIGGER all_rows ON ydoc_data.log;
CREATE TRIGGER before_row BEFORE INSERT ON ydoc_data.log FOR EACH ROW EXECUTE FUNCTION pass();
SELECT ydoc.apply('one/4', ARRAY[:hello]);
DROP TRIGGER before_row ON ydoc_data.log;
-- those of other commands do not
CREATE TRIGGER before_row BEFORE INSERT OR DELETE ON ydoc_data.document FOR EACH ROW EXECUTE FUNCTION pass();
CREATE TRIGGER before_row BEFORE UPDATE OR DELETE ON ydoc_data.log FOR EACH ROW EXECUTE FUNCTION pass();
SELECT ydoc.apply('one/5', ARRAY[:hello]);
DROP TRIGGER before_row ON ydoc_data.document;
DROP TRIGGER before_row ON ydoc_data.log;
SELECT i, written_by('one/' || i) FROM generate_series(1, 5) i;
TRUNCATE heard;

-- as a replica
SET session_replication_role = replica;
SELECT ydoc.apply('access/2', ARRAY['\x01010300040101740568656c6c6f00'::bytea]);
RESET session_replication_role;
SELECT trigger, document, seqs FROM heard ORDER BY ordinal;
SELECT written_by('access/2');
DO $$ DECLARE t name; BEGIN FOR t IN SELECT tgname FROM pg_trigger WHERE tgrelid = 'ydoc_data.document'::regclass AND NOT tgisinternal LOOP EXECUTE format('DROP TRIGGER %I ON ydoc_data.document', t); END LOOP; END $$;
TRUNCATE heard;

-- ---- triggers that write ----
-- the row again, another document, and this one
CREATE FUNCTION answer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() = 1 THEN
        UPDATE ydoc_data.document SET created_at = '2001-01-01' WHERE name = NEW.name;
        PERFORM ydoc.apply('answers/1', ARRAY[public.ydoc_from_text(NEW.name, 't')::bytea]);
        PERFORM ydoc.apply(NEW.name, ARRAY[public.ydoc_from_text('and answered', 'u')::bytea]);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER answer AFTER UPDATE OF seq ON ydoc_data.document FOR EACH ROW WHEN (NEW.name LIKE 'asked/%') EXECUTE FUNCTION answer();
SELECT ordinal, seq FROM ydoc.apply_batch(ARRAY['asked/1', 'asked/2', 'asked/1'], ARRAY[:hello, :hello, :world], NULL);
SELECT name, seq, tail_rows, created_at < '2002-01-01' AS touched, ydoc.text(name, 't'), ydoc.text(name, 'u') FROM ydoc_data.document WHERE name LIKE 'asked/%' ORDER BY 1;
SELECT document, seq_from, seq FROM ydoc_data.log WHERE document LIKE 'asked/%' ORDER BY 1, 3;
SELECT seq, length(ydoc.text(name, 't')) FROM ydoc_data.document WHERE name = 'answers/1';
SET ydoc.cache_size = 0;
SELECT name, ydoc.text(name, 't'), ydoc.text(name, 'u') FROM ydoc_data.document WHERE name LIKE 'asked/%' ORDER BY 1;
RESET ydoc.cache_size;
DROP TRIGGER answer ON ydoc_data.document;
-- what nothing is kept of is read from the log, where it stands already
CREATE TRIGGER b_every AFTER UPDATE ON ydoc_data.document FOR EACH ROW EXECUTE FUNCTION hear();
SET ydoc.cache_size = 0;
SELECT seq FROM ydoc.apply_batch(ARRAY['access/1', 'access/3'], ARRAY[:world, :world], NULL);
CREATE TRIGGER before_row BEFORE UPDATE ON ydoc_data.document FOR EACH ROW EXECUTE FUNCTION pass();
SELECT seq FROM ydoc.apply_batch(ARRAY['statem/1', 'statem/3'], ARRAY[:world, :world], NULL);
DROP TRIGGER before_row ON ydoc_data.document;
RESET ydoc.cache_size;
SELECT document, seqs, reads FROM heard ORDER BY ordinal;
-- edits in SQL are written when the transaction ends, and found as well
TRUNCATE heard;
CREATE TRIGGER log_every AFTER INSERT ON ydoc_data.log FOR EACH ROW EXECUTE FUNCTION hear();
BEGIN;
SELECT ydoc.text_append('access/1', 't', ', edited'), ydoc.text_append('access/1', 't', ' twice');
SELECT count(*) AS heard FROM heard;
COMMIT;
SET ydoc.cache_size = 0;
SELECT ydoc.text_append('access/3', 't', ', edited');
RESET ydoc.cache_size;
SELECT trigger, document, seqs, reads, log_rows, who FROM heard ORDER BY ordinal;
DROP TRIGGER log_every ON ydoc_data.log;
DROP TRIGGER b_every ON ydoc_data.document;
-- a trigger that answers edits with edits
CREATE FUNCTION answer_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(ydoc.text(NEW.name, 'u'), '') = '' THEN
        PERFORM ydoc.text_append(NEW.name, 'u', 'of ' || length(ydoc.text(NEW.name, 't')));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER answer_edit AFTER UPDATE OF seq ON ydoc_data.document FOR EACH ROW WHEN (NEW.name LIKE 'edited/%') EXECUTE FUNCTION answer_edit();
SELECT ydoc.text_append('edited/1', 't', 'hello');
SELECT name, seq, ydoc.text(name, 't'), ydoc.text(name, 'u') FROM ydoc_data.document WHERE name LIKE 'edited/%';
SELECT seq FROM ydoc.apply_batch(ARRAY['edited/2'], ARRAY[:hello], NULL);
SET ydoc.cache_size = 0;
SELECT name, seq, ydoc.text(name, 't'), ydoc.text(name, 'u') FROM ydoc_data.document WHERE name LIKE 'edited/%' ORDER BY 1;
RESET ydoc.cache_size;
DROP TRIGGER answer_edit ON ydoc_data.document;
-- the row is taken away
CREATE FUNCTION take_away() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM ydoc_data.document WHERE name = NEW.name; RETURN NULL; END $$;
CREATE TRIGGER take_away AFTER UPDATE ON ydoc_data.document FOR EACH ROW WHEN (NEW.name LIKE 'fleeting/%') EXECUTE FUNCTION take_away();
SELECT seq FROM ydoc.apply_batch(ARRAY['fleeting/1', 'access/1'], ARRAY[:hello, :excl], NULL);
SELECT (SELECT count(*) FROM ydoc_data.document WHERE name = 'fleeting/1') AS rows, (SELECT count(*) FROM ydoc_data.log WHERE document = 'fleeting/1') AS log_rows;
DROP TRIGGER take_away ON ydoc_data.document;

-- ---- errors ----
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not %', NEW.seq USING ERRCODE = 'YD999'; END $$;
CREATE TRIGGER refuse AFTER UPDATE ON ydoc_data.document FOR EACH ROW WHEN (NEW.name = 'access/3' AND NEW.seq > 2) EXECUTE FUNCTION refuse();
SELECT seq FROM ydoc.apply_batch(ARRAY['access/1', 'access/3'], ARRAY['\x01010400040101740568656c6c6f00'::bytea, '\x01010400040101740568656c6c6f00'::bytea], NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT name, seq, ydoc.text(name, 't') FROM ydoc_data.document WHERE name IN ('access/1', 'access/3') ORDER BY 1;
DO $$ BEGIN
    PERFORM ydoc.apply('access/3', ARRAY['\x01010400040101740568656c6c6f00'::bytea]);
EXCEPTION WHEN SQLSTATE 'YD999' THEN
    PERFORM ydoc.apply('access/1', ARRAY['\x01010400040101740568656c6c6f00'::bytea]);
END $$;
SELECT name, seq, ydoc.text(name, 't') FROM ydoc_data.document WHERE name IN ('access/1', 'access/3') ORDER BY 1;
ALTER TABLE ydoc_data.document DISABLE TRIGGER refuse;
SELECT ydoc.apply('access/3', ARRAY['\x01010400040101740568656c6c6f00'::bytea]);
DROP TRIGGER refuse ON ydoc_data.document;

-- ---- constraints of others: no check is missed ----
\set VERBOSITY terse
CREATE TABLE people (actor text PRIMARY KEY);
INSERT INTO people VALUES ('ann');
ALTER TABLE ydoc_data.log ADD CONSTRAINT known_actor FOREIGN KEY (actor) REFERENCES people NOT VALID;
SELECT seq FROM ydoc.apply_batch(ARRAY['key/1'], ARRAY[:hello], ARRAY['ann']);
SELECT written_by('key/1');
SELECT seq FROM ydoc.apply_batch(ARRAY['key/1'], ARRAY[:world], ARRAY['mallory']);
ALTER TABLE ydoc_data.log DROP CONSTRAINT known_actor;
-- the log's second key to documents
ALTER TABLE ydoc_data.log ADD CONSTRAINT actor_is_document FOREIGN KEY (actor) REFERENCES ydoc_data.document NOT VALID;
SELECT seq FROM ydoc.apply_batch(ARRAY['key/1'], ARRAY[:world], ARRAY['mallory']);
SELECT seq FROM ydoc.apply_batch(ARRAY['key/1'], ARRAY[:world], ARRAY['key/1']);
ALTER TABLE ydoc_data.log DROP CONSTRAINT actor_is_document;
-- whoever refers to a document's name does not mind; whoever refers to its seq does
CREATE TABLE about (document text REFERENCES ydoc_data.document);
INSERT INTO about VALUES ('key/1');
ALTER TABLE ydoc_data.document ADD CONSTRAINT exact UNIQUE (name, seq);
CREATE TABLE pin (document text, seq bigint, FOREIGN KEY (document, seq) REFERENCES ydoc_data.document (name, seq));
INSERT INTO pin SELECT name, seq FROM ydoc_data.document WHERE name = 'key/1';
SELECT seq FROM ydoc.apply_batch(ARRAY['key/1'], ARRAY[:excl], NULL);
ALTER TABLE pin DROP CONSTRAINT pin_document_seq_fkey, ADD FOREIGN KEY (document, seq) REFERENCES ydoc_data.document (name, seq) ON UPDATE CASCADE;
SELECT seq FROM ydoc.apply_batch(ARRAY['key/1'], ARRAY[:excl], NULL);
TABLE pin;
SELECT written_by('key/1');
DROP TABLE pin, about;
ALTER TABLE ydoc_data.document DROP CONSTRAINT exact;
-- deferred: unique, and of a row that is new
ALTER TABLE ydoc_data.document ADD COLUMN kind text DEFAULT 'none';
CREATE TABLE kinds (kind text PRIMARY KEY);
ALTER TABLE ydoc_data.document ADD CONSTRAINT known_kind FOREIGN KEY (kind) REFERENCES kinds DEFERRABLE INITIALLY DEFERRED NOT VALID;
SELECT seq FROM ydoc.apply_batch(ARRAY['key/2'], ARRAY[:hello], NULL);
SELECT seq FROM ydoc.apply_batch(ARRAY['key/1'], ARRAY['\x01010700040101740568656c6c6f00'::bytea], NULL);
SELECT written_by('key/1');
ALTER TABLE ydoc_data.document DROP COLUMN kind;
SELECT seq FROM ydoc.apply_batch(ARRAY['key/3', 'key/4'], ARRAY[:hello, :hello], NULL);
SELECT seq FROM ydoc.apply_batch(ARRAY['key/4'], ARRAY[:world], NULL);
ALTER TABLE ydoc_data.document ADD CONSTRAINT unlike EXCLUDE USING btree (seq WITH =) WHERE (name IN ('key/3', 'key/4')) DEFERRABLE INITIALLY DEFERRED;
SELECT seq FROM ydoc.apply_batch(ARRAY['key/3'], ARRAY[:world], NULL);
SELECT seq FROM ydoc.apply_batch(ARRAY['key/3', 'key/4'], ARRAY[:world, :excl], NULL);
SELECT name, seq, written_by(name) FROM ydoc_data.document WHERE name IN ('key/3', 'key/4') ORDER BY 1;
ALTER TABLE ydoc_data.document DROP CONSTRAINT unlike;
-- no identity for logical replication
ALTER TABLE ydoc_data.document REPLICA IDENTITY NOTHING;
SET client_min_messages = error;
CREATE PUBLICATION regress_documents FOR TABLE ydoc_data.document;
SELECT seq FROM ydoc.apply_batch(ARRAY['key/3'], ARRAY[:excl], NULL);
RESET client_min_messages;
DROP PUBLICATION regress_documents;
ALTER TABLE ydoc_data.document REPLICA IDENTITY DEFAULT;

DROP VIEW heard_now;
DROP TABLE heard, heard_by_access, people, kinds;
DROP FUNCTION answer_edit, hear, hear_as_owner, look, pass, count_rows, answer, take_away, refuse CASCADE;
DROP FUNCTION written_by, write, make;
DROP OWNED BY regress_trigger_writer;
DROP ROLE regress_trigger_writer;
