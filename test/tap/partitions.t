# The log in hash partitions: from the start, or later, with what is there; everything works on it as before.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Test::More;
use Cluster;

my $cluster = Cluster->new;
my $session = $cluster->session;

sub sums
{
	return $session->ask(q{SELECT count(*), sum(seq), md5(string_agg(document || seq || encode(update, 'hex'), ',' ORDER BY document COLLATE "C", seq)) FROM ydoc_data.log});
}

$session->ask('SELECT ydoc.create_store()');
$session->ask(q{CREATE ROLE a_relay; GRANT USAGE ON SCHEMA ydoc_data TO a_relay; GRANT SELECT, INSERT ON ydoc_data.log TO a_relay});
$session->ask(q{SELECT ydoc.text_append('d' || n, 't', 'hello ' || n) FROM generate_series(1, 100) AS n});
$session->ask(q{SELECT ydoc.text_append('d' || n, 't', '!') FROM generate_series(1, 50) AS n});
my $before = sums();
is($session->ask('SELECT ydoc.partition_log(0)'), 'ERROR:  22023', 'no partitions are refused');
$session->ask('CREATE POLICY p ON ydoc_data.log USING (true)');
is($session->ask('SELECT ydoc.partition_log(4)'), 'ERROR:  55000', 'a policy is not lost silently');
$session->ask('DROP POLICY p ON ydoc_data.log');
for my $own (
	['CREATE INDEX by_at ON ydoc_data.log (at)', 'DROP INDEX ydoc_data.by_at', 'index by_at'],
	['CREATE PUBLICATION changes FOR TABLE ydoc_data.log', 'DROP PUBLICATION changes', 'publication changes'],
	['GRANT SELECT (actor) ON ydoc_data.log TO a_relay', 'REVOKE SELECT (actor) ON ydoc_data.log FROM a_relay', 'rights to column actor'],
	['ALTER TABLE ydoc_data.log SET (autovacuum_enabled = false)', 'ALTER TABLE ydoc_data.log RESET (autovacuum_enabled)', 'storage parameters'],
	['CREATE TABLE note (document text, seq bigint, CONSTRAINT of_row FOREIGN KEY (document, seq) REFERENCES ydoc_data.log)', 'DROP TABLE note',
		'foreign key of_row of public.note'])
{
	my ($make, $drop, $name) = @$own;

	# wal_level is too low for the publication to publish anything: that is a warning
	$session->ask("SET client_min_messages = error; $make");
	$session->ask("DO \$\$ BEGIN PERFORM ydoc.partition_log(4); EXCEPTION WHEN object_not_in_prerequisite_state THEN PERFORM set_config('test.told', SQLERRM, false); END \$\$");
	is($session->ask(q{SELECT current_setting('test.told')}), "table ydoc_data.log has $name", "nor is $name");
	$session->ask($drop);
}
$session->ask('SELECT ydoc.partition_log(4)');
is(sums(), $before, 'all rows are there');
is($session->ask(q{SELECT count(*) FROM pg_inherits WHERE inhparent = 'ydoc_data.log'::regclass}), 4, 'in four partitions');
is($session->ask(q{SELECT count(*) FROM ydoc_data.log_0}) > 10, 1, 'which share them');
is($session->ask('SELECT ydoc.partition_log(4)'), 'ERROR:  55000', 'it is done once');
is($session->ask(q{SELECT string_agg(privilege_type, ' ' ORDER BY privilege_type) FROM information_schema.role_table_grants WHERE grantee = 'a_relay' AND table_name = 'log'}),
	'INSERT SELECT', 'rights are as before');
$session->ask('SELECT ydoc.upgrade_store()');
is(sums(), $before, 'an upgrade leaves it');

is($session->ask(q{SELECT ydoc.text('d7', 't')}), 'hello 7!', 'reading');
is($session->ask(q{SELECT ydoc.text_append('d7', 't', '?')}), 3, 'editing');
is($session->ask('SELECT seq FROM ydoc.apply_batch(ARRAY[$$d7$$, $$e1$$], ARRAY[' . typed(9, 0, 'x') . ', ' . typed(9, 0, 'x') . '], ARRAY[$$ann$$, $$ann$$])'),
	"4\n1", 'batches');
is($session->ask(q{SELECT string_agg(text, '' ORDER BY index) FROM ydoc.blame('d7', 't')}) , $session->ask(q{SELECT ydoc.text('d7', 't')}), 'history');
$session->ask(q{DELETE FROM ydoc_data.document WHERE name = 'd7'});
is($session->ask(q{SELECT count(*) FROM ydoc_data.log WHERE document = 'd7'}), 0, 'a document takes its log with it');
$session->ask(q{SELECT ydoc.rename('d' || n, 'renamed' || n) FROM generate_series(11, 40) AS n});
is($session->ask(q{SELECT count(*) FROM generate_series(11, 40) AS n WHERE ydoc.text('renamed' || n, 't') = 'hello ' || n || '!'}),
	30, 'a document that is renamed takes its log along, from one partition to another');
is($session->ask(q{SELECT count(DISTINCT l.tableoid) > 1 FROM ydoc_data.log l WHERE document LIKE 'renamed%'}), 't', 'for there are several');
$session->ask(q{SELECT ydoc.purge('renamed' || n) FROM generate_series(11, 40) AS n});
is($session->ask(q{SELECT count(*) FROM ydoc_data.log WHERE document LIKE 'renamed%'}), 0, 'and one that is purged leaves none');
like($session->ask(q{EXPLAIN SELECT * FROM ydoc_data.log WHERE document = 'd8' AND seq > 1}), qr/log_\d/, 'one document is in one partition');
unlike($session->ask(q{EXPLAIN SELECT * FROM ydoc_data.log WHERE document = 'd8' AND seq > 1}), qr/Append/, 'and only that is read');
# who asks a partition by its own name sees what he would see of the whole
$session->ask('SELECT ydoc.enable_row_security()');
$session->ask(q{GRANT SELECT ON ALL TABLES IN SCHEMA ydoc_data TO a_relay});
$session->ask(q{SELECT ydoc.grant_access('d8', 'role:a_relay', 'read')});
$session->ask('SET ROLE a_relay');
is($session->ask('SELECT DISTINCT document FROM ydoc_data.log'), 'd8', 'row security holds for the whole');
is($session->ask('SELECT DISTINCT document FROM (' . join(' UNION ', map { "SELECT document FROM ydoc_data.log_$_" } 0 .. 3) . ') AS l'),
	'd8', 'and for each partition');
$session->close;

$cluster->value('CREATE DATABASE more', 'postgres');
my $more = $cluster->session('more');
$more->ask('CREATE EXTENSION pg_ydoc');
$more->ask('SELECT ydoc.create_store(log_partitions => 8)');
$more->ask(q{SELECT ydoc.text_append('a', 't', 'b')});
# by a superuser, whose store it is not
my $foreign = 'SELECT count(*) FROM pg_class c WHERE c.relnamespace = $$ydoc_data$$::regnamespace AND c.relowner <> $$owner$$::regrole';
is($cluster->value("CREATE DATABASE owned", 'postgres'), '', 'another database');
my $dba = $cluster->session('owned');
$dba->ask('CREATE EXTENSION pg_ydoc; CREATE ROLE owner; GRANT CREATE ON DATABASE owned TO owner; SET ROLE owner');
$dba->ask($_) for 'SELECT ydoc.create_store()', q{SELECT ydoc.text_append('a', 't', 'b')}, 'DROP TABLE ydoc_data.due', 'RESET ROLE';
$dba->ask($_) for 'SELECT ydoc.upgrade_store()', 'SELECT ydoc.partition_log(3)';
is($dba->ask('SELECT current_user, current_setting($$role$$)'), 'postgres|none', 'who helps stays who he is');
is($dba->ask($foreign), 0, 'and what he makes is its owner\'s');
is($dba->ask($foreign =~ s/pg_class c/pg_proc c/r =~ s/relnamespace/pronamespace/r =~ s/relowner/proowner/r), 0, 'functions too');
$dba->ask('SET ROLE owner');
is($dba->ask(q{SELECT ydoc.text_append('a', 't', 'c')}), 2, 'who goes on writing');
$dba->ask('RESET ROLE');
$dba->ask('CREATE ROLE nobody; SET ROLE nobody');
is($dba->ask('SELECT ydoc.upgrade_store()'), 'ERROR:  42501', 'nobody else makes anything');
$dba->ask('RESET ROLE');
$dba->close;

is($more->ask(q{SELECT ydoc.text('a', 't'), (SELECT count(*) FROM pg_inherits WHERE inhparent = 'ydoc_data.log'::regclass)}), 'b|8', 'or from the start');
$more->close;
done_testing;
