# A session's decoded documents: never ahead of, behind, or beside what its transaction may see.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Cluster;
use Test::More;

my $cluster = Cluster->new;
my ($ann, $ben) = ($cluster->session, $cluster->session);
my $text = "SELECT ydoc.text('d', 't')";
my $apply = sub { "SELECT ydoc.apply('d', ARRAY[" . typed(@_) . '])' };

$ann->ask('SELECT ydoc.create_store()');
$ann->ask($apply->(1, 0, 'a'));

# ---- what rolls back ----

$ann->ask('BEGIN');
$ann->ask($apply->(1, 1, 'b'));
is($ann->ask($text), 'ab', 'a transaction sees what it has written');
$ann->ask('ROLLBACK');
is($ann->ask($text), 'a', 'and nobody what it has rolled back');

$ann->ask('BEGIN');
$ann->ask($apply->(1, 1, 'b'));
$ann->ask('SAVEPOINT one');
$ann->ask($apply->(1, 2, 'c'));
$ann->ask('SAVEPOINT two');
$ann->ask($apply->(1, 3, 'd'));
$ann->ask('RELEASE two');
is($ann->ask($text), 'abcd', 'subtransactions add up');
$ann->ask('ROLLBACK TO one');
is($ann->ask($text), 'ab', 'a released subtransaction rolls back with its parent');
$ann->ask($apply->(1, 2, 'C'));
$ann->ask('COMMIT');
is($ann->ask($text), 'abC', 'what was written after the roll-back stays');
is($ben->ask($text), 'abC', 'another session sees the same');

$ann->ask('BEGIN');
is($ann->ask("SELECT ydoc.apply('d', ARRAY[" . typed(1, 3, 'd') . q{, '\x01'::bytea])}),
	'ERROR:  22P03', 'an update that ends too early is refused');
$ann->ask('ROLLBACK');
is($ann->ask($text), 'abC', 'and takes with it the good one before it');

$ann->ask(q{DO $$ BEGIN
	BEGIN
		PERFORM ydoc.apply('d', ARRAY[} . typed(1, 3, 'd') . q{]);
		RAISE EXCEPTION 'no';
	EXCEPTION WHEN raise_exception THEN NULL;
	END;
	PERFORM ydoc.apply('d', ARRAY[} . typed(1, 3, 'D') . q{]);
END $$});
is($ann->ask($text), 'abCD', 'an exception block that fails leaves nothing');

# ---- other sessions ----

$ben->ask($apply->(2, 0, 'x'));
is($ann->ask("SELECT length(ydoc.text('d', 't'))"), 5, 'what another session adds is added here');

$ann->ask('BEGIN');
$ann->ask($apply->(2, 1, 'lost'));
$ann->ask('ROLLBACK');
$ben->ask($apply->(2, 1, 'X'));
is($ann->ask($text) =~ /xX/, 1, 'a seq that was rolled back here and given again there is that of there');
$ann->ask('BEGIN');
$ann->ask('SAVEPOINT above');
$ann->ask('SAVEPOINT below');
$ann->ask($apply->(2, 2, 'lost'));
$ann->ask('RELEASE below');
$ann->ask('ROLLBACK TO above');
$ann->ask('COMMIT');
$ben->ask($apply->(2, 2, 'Y'));
is($ann->ask($text) =~ /xXY/, 1, 'also if it was a subtransaction of a subtransaction');

$ann->ask('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($ann->ask("SELECT length(ydoc.text('d', 't'))"), 7, 'an old snapshot sees the document of then');
$ben->ask($apply->(2, 3, 'z'));
is($ann->ask("SELECT length(ydoc.text('d', 't'))"), 7, 'also after another session has written');
is($ann->ask($apply->(1, 4, 'e')), 'ERROR:  40001', 'and cannot write over what it does not see');
$ann->ask('ROLLBACK');
is($ann->ask("SELECT length(ydoc.text('d', 't'))"), 8, 'the next transaction sees it');

$ann->ask('BEGIN');
$ann->ask("DECLARE early_text CURSOR FOR SELECT length(ydoc.text('d', 't'))");
$ann->ask($apply->(1, 4, 'e'));
is($ann->ask('FETCH early_text'), 8, 'a cursor reads the document as of when it was opened');
is($ann->ask("SELECT length(ydoc.text('d', 't'))"), 9, 'a statement after it the document of now');
$ann->ask('COMMIT');

$ann->ask("SELECT ydoc.apply('short', ARRAY[" . typed(1, 0, 'old') . '])');
$ben->ask("DELETE FROM ydoc_data.document WHERE name = 'short'");
$ben->ask("SELECT ydoc.apply('short', ARRAY[" . typed(1, 0, 'new') . '])');
is($ann->ask("SELECT ydoc.text('short', 't')"), 'new', 'a document made anew has another epoch');
$ben->ask("DELETE FROM ydoc_data.document WHERE name = 'd'");
is($ann->ask("SELECT ydoc.text('d', 't') IS NULL"), 't', 'a deleted document is gone');
$ben->ask($apply->(9, 0, 'new'));
is($ann->ask($text), 'new', 'one of the same name is another one');
$ben->ask('DROP SCHEMA ydoc_data CASCADE');
is($ann->ask($text), 'ERROR:  42P01', 'without a store there are no documents');
$ben->ask('SELECT ydoc.create_store()');
is($ann->ask("SELECT ydoc.text('d', 't') IS NULL"), 't', 'a new store knows nothing of the old');

# ---- rights ----

$ann->ask($apply->(1, 0, 'secret'));
is($ann->ask($text), 'secret', 'the owner reads it, and has it decoded');
$ann->ask('CREATE ROLE reader');
$ann->ask('GRANT USAGE ON SCHEMA ydoc_data TO reader');
$ann->ask('GRANT SELECT ON ydoc_data.document TO reader');
$ann->ask('SET ROLE reader');
is($ann->ask($text), 'ERROR:  42501', 'who may not read the log gets nothing that is decoded already');
$ann->ask('RESET ROLE');
$ann->ask('GRANT SELECT ON ydoc_data.log, ydoc_data.state TO reader');
$ann->ask('SET ROLE reader');
is($ann->ask($text), 'secret', 'who may, gets it');
is($ann->ask($apply->(1, 6, '!')), 'ERROR:  42501', 'but does not write');
$ann->ask('RESET ROLE');
$ann->ask('ALTER TABLE ydoc_data.log ENABLE ROW LEVEL SECURITY');
$ann->ask("CREATE POLICY half ON ydoc_data.log USING (seq > 1)");
$ann->ask($apply->(1, 6, '!'));
$ann->ask('SET ROLE reader');
is($ann->ask($text), 'ERROR:  XX001', 'who sees a part of the log gets an error, not a part of the text');
$ann->ask('RESET ROLE');
is($ann->ask($text), 'secret!', 'and spoils nothing for the others');
$ann->ask('DROP POLICY half ON ydoc_data.log');

# ---- SQL that runs while a document is worked on ----

$ann->ask(q{CREATE FUNCTION meddle() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
	IF current_setting('meddle.deep', true) = 'yes' THEN RETURN true; END IF;
	PERFORM set_config('meddle.deep', 'yes', true);
	PERFORM ydoc.text('d', 't');
	PERFORM ydoc.text('other', 't');
	BEGIN
		PERFORM ydoc.apply('d', ARRAY[} . typed(7, 0, 'z') . q{]);
		RAISE EXCEPTION 'no';
	EXCEPTION WHEN raise_exception THEN NULL;
	END;
	PERFORM set_config('ydoc.cache_size', '0', true);
	PERFORM ydoc.text('other', 't');
	PERFORM set_config('ydoc.cache_size', '16MB', true);
	PERFORM set_config('meddle.deep', 'no', true);
	RETURN true;
END $$});
$ann->ask("SELECT ydoc.apply('other', ARRAY[" . typed(1, 0, 'o') . '])');
$ann->ask('GRANT ALL ON ALL TABLES IN SCHEMA ydoc_data TO reader');
$ann->ask('ALTER TABLE ydoc_data.document ENABLE ROW LEVEL SECURITY');
$ann->ask('CREATE POLICY meddling ON ydoc_data.document USING (meddle())');
$ann->ask('CREATE POLICY meddling ON ydoc_data.log FOR SELECT USING (meddle())');
$ann->ask('CREATE POLICY writing ON ydoc_data.log FOR INSERT WITH CHECK (true)');
$ann->ask('SET ROLE reader');
is($ann->ask($text), 'secret!', 'a policy may use documents while one is read');
is($ann->ask($apply->(1, 7, '?')), 3, 'and while one is written');
is($ann->ask($text), 'secret!?', 'and the document is what was written');
$ann->ask('RESET ROLE');
$ann->ask("ALTER TABLE ydoc_data.$_ DISABLE ROW LEVEL SECURITY") for qw(document log);

$ann->ask('CREATE TABLE search (content text)');
$ann->ask(q{CREATE FUNCTION index_text() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO public.search VALUES (ydoc.text(NEW.document, 't'));
	RETURN NULL;
END $$});
$ann->ask('CREATE TRIGGER indexed AFTER INSERT ON ydoc_data.log FOR EACH ROW EXECUTE FUNCTION index_text()');
$ann->ask($apply->(1, 8, '.'));
is($ann->ask('SELECT * FROM search'), 'secret!?.', 'a trigger on the log reads the document with its update');
$ann->ask('DROP TRIGGER indexed ON ydoc_data.log');

# ---- size ----

$ann->ask("SET ydoc.cache_size = '100kB'");
$ann->ask("SELECT count(ydoc.apply('many/' || i, ARRAY[" . typed(1, 0, 'm') . '])) FROM generate_series(1, 500) i');
is($ann->ask("SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'ydoc document'"
	  . " HAVING sum(total_bytes) > 120000"), '', 'the cache keeps to its size');
is($ann->ask("SELECT count(*) > 0 FROM pg_backend_memory_contexts WHERE name = 'ydoc document'"),
	't', 'and uses it');
$ann->ask('SET ydoc.cache_size = 0');
is($ann->ask("SELECT sum(length(ydoc.text('many/' || i, 't'))) FROM generate_series(1, 500) i"),
	500, 'documents read the same without a cache');
is($ann->ask("SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'ydoc document'"),
	0, 'and none is kept then');

done_testing;
