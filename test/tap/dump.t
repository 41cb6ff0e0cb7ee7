# pg_dump and restore keep documents and what a DBA added to their tables; DROP EXTENSION does not
# take them along.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Cluster;
use Test::More;

my $cluster = Cluster->new;
my $dba = $cluster->session;

$dba->ask('SELECT ydoc.create_store()');
$dba->ask("SELECT ydoc.apply('notes/$_', ARRAY[" . typed($_, 0, "text $_") . "], 'ann')") for 1 .. 20;
$dba->ask("INSERT INTO ydoc_data.state VALUES ('notes/1', 1, ydoc.state('notes/1'))");
$dba->ask("UPDATE ydoc_data.document SET state_seq = 1 WHERE name = 'notes/1'");
$dba->ask("DELETE FROM ydoc_data.log WHERE document = 'notes/1'");
# one with a segment behind a stored state, one that waits, and both in the queue
$dba->ask('SET ydoc.compact_rows = 3');
$dba->ask("SELECT ydoc.apply('compacted', ARRAY[" . typed(1, $_, 'x') . '])') for 0 .. 9;
is($dba->ask("SELECT did FROM ydoc.compact('compacted', true)"), 'stored', 'a state is stored');
$dba->ask("SELECT ydoc.apply('compacted', ARRAY[" . typed(1, $_, 'x') . '])') for 10 .. 19;
is($dba->ask("SELECT did FROM ydoc.compact('compacted')"), 'folded', 'and a segment behind it');
$dba->ask("SELECT ydoc.apply('compacted', ARRAY[" . typed(1, 20, 'x') . '])');
$dba->ask("SELECT ydoc.apply('too early', ARRAY[" . typed(1, 5, 'x') . '])');
$dba->ask("INSERT INTO ydoc_data.due VALUES ('too early')");
# values in a table of one's own, with a document that waits for what it depends on
$dba->ask('CREATE TABLE pages (id integer, doc ydoc)');
$dba->ask('INSERT INTO pages VALUES (1, ydoc(' . typed(1, 0, 'page') . ')), (2, ydoc(' . typed(1, 4, 'rest') . '))');

# what a DBA adds
$dba->ask($_) for (
	"ALTER TABLE ydoc_data.document ADD COLUMN tenant text DEFAULT 'acme'",
	'CREATE INDEX by_tenant ON ydoc_data.document (tenant)',
	'CREATE ROLE tenant',
	'GRANT USAGE ON SCHEMA ydoc_data TO tenant',
	'GRANT SELECT ON ALL TABLES IN SCHEMA ydoc_data TO tenant',
	"CREATE POLICY even ON ydoc_data.document USING (name LIKE '%2')",
	'ALTER TABLE ydoc_data.document ENABLE ROW LEVEL SECURITY',
	'CREATE FUNCTION public.count_rows() RETURNS trigger LANGUAGE plpgsql AS'
	  . q{ $$ BEGIN RAISE WARNING 'logged %', NEW.document; RETURN NEW; END $$},
	'CREATE TRIGGER counted AFTER INSERT ON ydoc_data.log FOR EACH ROW EXECUTE FUNCTION public.count_rows()');

$cluster->value('CREATE DATABASE restored', 'postgres');
my $file = "$cluster->{directory}/dump";
$cluster->run('pg_dump', '-Fc', '-d', 'notes', '-f', $file);
$cluster->run('pg_restore', '-d', 'restored', '--exit-on-error', $file);

my $restored = $cluster->session('restored');
my $every = "SELECT md5(string_agg(name || seq || epoch || coalesce(ydoc.state(name)::text, '?'), ',' ORDER BY name))"
  . ' FROM ydoc_data.document';
is($restored->ask($every), $dba->ask($every), 'every document is as it was');
is($restored->ask("SELECT ydoc.text('notes/1', 't')"), 'text 1', 'one from its stored state too');
is($restored->ask("SELECT string_agg(actor, ',') FROM ydoc_data.log WHERE document = 'notes/7'"),
	'ann', 'with who wrote it');
# who has read up to a seq of another line of history is told so, even in the same server: it is handed out again
my $head = q{SELECT epoch, seq FROM ydoc.heads('{notes/7}')};
my ($epoch, $seq) = split /\|/, $dba->ask($head);
my ($epoch_restored, $seq_restored) = split /\|/, $restored->ask($head);
is($seq_restored, $seq, 'a seq is what it was');
isnt($epoch_restored, $epoch, 'but the epoch is another one');
is($restored->ask(qq{SELECT epoch = $epoch_restored, seq FROM ydoc.changes('notes/7', 0, $epoch)}), "t|$seq",
	'as is what follows a seq');
my $books = "SELECT string_agg(concat_ws(' ', w.document, w.client, w.since, q.at), ',') FROM ydoc_data.waiting w"
  . ' LEFT JOIN ydoc_data.due q USING (document)';
is($restored->ask($books), $dba->ask($books), 'what waits, and what is due, is known');
is($restored->ask("SELECT length(ydoc.text('compacted', 't')), (SELECT count(*) FROM ydoc_data.segment)"),
	'21|1', 'a document is read from its stored state, segment and log');
is($restored->ask("SELECT did FROM ydoc.compact('compacted', true)"), 'stored', 'and compacted as before');
my $pages = 'SELECT md5(string_agg(doc::text, \',\' ORDER BY id)) FROM pages';
is($restored->ask($pages), $dba->ask($pages), 'values in tables are as they were');
is($restored->ask('SELECT ydoc_text(ydoc_merge(doc), \'t\') FROM pages'), 'pagerest', 'what waited still does');
is($restored->ask('SELECT DISTINCT tenant FROM ydoc_data.document'), 'acme', 'an added column is kept');
is($restored->ask("SELECT to_regclass('ydoc_data.by_tenant')"), 'ydoc_data.by_tenant', 'an added index is kept');
$restored->ask('SET ROLE tenant');
is($restored->ask("SELECT string_agg(name, ',' ORDER BY name) FROM ydoc_data.document"),
	'notes/12,notes/2', 'row security is on, with its policy');
is($restored->ask("SELECT ydoc.text('notes/3', 't') IS NULL, ydoc.text('notes/2', 't')"),
	't|text 2', 'and the functions obey it');
$restored->ask('RESET ROLE');
like($restored->ask("SELECT ydoc.apply('notes/7', ARRAY[" . typed(7, 6, '!') . '])'),
	qr/^WARNING:.*\n2$/, 'a trigger is kept, and writing goes on after the restored seq');

is($restored->ask('DROP EXTENSION pg_ydoc'), 'ERROR:  2BP01', 'the extension cannot be dropped from under the store');
is($restored->ask("SELECT ydoc.text('notes/7', 't')"), 'text 7!', 'which is still there');
$restored->ask('DROP TABLE pages');
$restored->ask('DROP SCHEMA ydoc_data CASCADE');
is($restored->ask('DROP EXTENSION pg_ydoc'), '', 'without a store it can');

# binary COPY, there and back
$dba->ask("COPY pages TO '$cluster->{directory}/socket/pages' (FORMAT binary)");
$dba->ask('CREATE TABLE copied (LIKE pages)');
$dba->ask("COPY copied FROM '$cluster->{directory}/socket/pages' (FORMAT binary)");
is($dba->ask('SELECT count(*) FROM pages JOIN copied USING (id, doc)'), 2, 'binary COPY keeps documents');

# who does not heed that the extension cannot be dropped loses rights, and no document
$cluster->value('CREATE DATABASE heedless', 'postgres');
my $heedless = $cluster->session('heedless');
$heedless->ask('CREATE EXTENSION pg_ydoc');
$heedless->ask('SELECT ydoc.create_store()');
$heedless->ask('SELECT ydoc.enable_row_security()');
$heedless->ask("SELECT ydoc.apply('n', ARRAY[" . typed(1, 0, 'kept') . '])');
$heedless->ask("SELECT ydoc.compact('n', force => true), ydoc.create_version('n', 'good')");
$heedless->ask("SELECT ydoc.grant_access('n', 'public', 'read'), ydoc.create_link('n', 'write', now() + interval '1 day')");
$heedless->ask('SET client_min_messages TO error');
$heedless->ask('DROP EXTENSION pg_ydoc CASCADE');
$heedless->close;
$heedless = $cluster->session('heedless');
$heedless->ask('CREATE EXTENSION pg_ydoc');
is($heedless->ask("SELECT ydoc.text('n', 't')"), 'ERROR:  42703', 'a store without what is of the types is none');
like($heedless->ask('SELECT ydoc.upgrade_store()'), qr/^WARNING:  01000\s*$/, 'until it is upgraded, which says what is lost');
is($heedless->ask("SELECT ydoc.text('n', 't')"), 'kept', 'documents are whole then');
is($heedless->ask("SELECT ydoc.access_level('n', '{}'), (SELECT count(*) FROM ydoc_data.link)"), 'none|0', 'rights are to be given anew');
is($heedless->ask("SELECT string_agg(operation || ' ' || subject, ', ' ORDER BY at) FROM ydoc_data.access_audit WHERE level_after IS NULL AND operation = 'DELETE'"), 'DELETE public, DELETE link:', 'and the audit says that they went');
$heedless->ask("SELECT ydoc.grant_access('n', 'public', 'read')");
is($heedless->ask("SELECT ydoc.access_level('n', '{}')"), 'read', 'and can be');
is($heedless->ask("SELECT did FROM ydoc.compact('n', force => true)"), 'stored', 'the stored state is made from the log');
is($heedless->ask("SELECT ydoc_text(ydoc.version_state('n', 'good'), 't')"), 'kept', 'and so are versions');

# another schema for the type
$cluster->value('CREATE DATABASE elsewhere', 'postgres');
my $elsewhere = $cluster->session('elsewhere');
$elsewhere->ask('CREATE SCHEMA "Odd schema"');
is($elsewhere->ask('CREATE EXTENSION pg_ydoc SCHEMA "Odd schema"'), '', 'the type may live in any schema');
$elsewhere->ask('SELECT ydoc.create_store()');
$elsewhere->ask("SELECT ydoc.apply('n', ARRAY[" . typed(1, 0, 'there') . '])');
is($elsewhere->ask("SELECT ydoc.text('n', 't'), \"Odd schema\".ydoc_text(ydoc.state('n'), 't')"),
	'there|there', 'and the store uses it');
is($elsewhere->ask('ALTER EXTENSION pg_ydoc SET SCHEMA public'), 'ERROR:  0A000', 'where it then stays');

# somebody who is no superuser
$cluster->value('CREATE ROLE owner LOGIN', 'postgres');
$cluster->value('CREATE DATABASE owned OWNER owner', 'postgres');
my $owner = $cluster->session('owned');
$owner->ask('SET SESSION AUTHORIZATION owner');
is($owner->ask('CREATE EXTENSION pg_ydoc'), '', 'a database owner may create the extension');
is($owner->ask('SELECT ydoc.create_store()'), '', 'and the store');
is($owner->ask("SELECT tableowner FROM pg_tables WHERE tablename = 'log'"), 'owner', 'which is his');

done_testing;
