# The background worker: preloaded, it compacts what writers queue, in the databases that are named,
# as the store's owner; and nothing that is wrong with a database or a document stops it.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Cluster;
use Test::More;
use Time::HiRes qw(sleep);

my $cluster = Cluster->new(
	'-c shared_preload_libraries=pg_ydoc -c ydoc.worker_naptime=1 -c ydoc.compact_rows=20 -c ydoc.compact_size=4kB');

# Waits for a condition, for a time that nobody hopes to need.
sub until_true
{
	my ($sql, $name, $database) = @_;
	my $tries = 600;

	sleep 0.1 while $cluster->value($sql, $database) ne 't' && --$tries;
	ok($tries, $name);
}

sub set_everywhere
{
	my ($setting, $value) = @_;

	$cluster->value("ALTER SYSTEM SET $setting = '$value'", 'postgres');
	$cluster->value('SELECT pg_reload_conf()', 'postgres');
	until_true("SELECT current_setting('$setting') = '$value'", "$setting is '$value'");
}

sub server_log
{
	open my $log, '<', "$cluster->{directory}/socket/server.log" or die $!;
	local $/;
	return scalar <$log>;
}

is($cluster->value("SELECT backend_type FROM pg_stat_activity WHERE backend_type LIKE 'ydoc%'"),
	'ydoc launcher', 'the launcher runs, although there is no store');
set_everywhere('ydoc.worker_databases', 'notes, nobody, owned');
my $launcher = $cluster->value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'ydoc launcher'");

# ---- what is due is compacted ----

$cluster->value('SELECT ydoc.create_store()');
$cluster->value('CREATE TABLE run_by (name text); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS'
	  . q{ $$ BEGIN INSERT INTO public.run_by VALUES (current_user || ', ' || session_user); RETURN NEW; END $$;}
	  . ' CREATE TRIGGER note AFTER INSERT ON ydoc_data.state FOR EACH ROW EXECUTE FUNCTION note()');
$cluster->value("SELECT ydoc.apply('small', ARRAY[" . typed(1, 0, 'x') . '])');
$cluster->value("SELECT ydoc.apply('large', ARRAY[" . typed(1, 0, 'x' x 5000) . '])');
$cluster->value("SELECT ydoc.apply('often', ARRAY[" . typed(1, $_, 'x') . '])') for 0 .. 24;
until_true("SELECT bool_and(seq = state_seq) FROM ydoc_data.document WHERE name = 'large'", 'a state is stored');
until_true("SELECT bool_and(segment_seq >= 20) FROM ydoc_data.document WHERE name = 'often'", 'rows are folded');
is($cluster->value("SELECT state_seq || ',' || segment_seq FROM ydoc_data.document WHERE name = 'small'"),
	'0,0', 'what is not due is left alone');
is($cluster->value("SELECT length(ydoc.text('large', 't')), length(ydoc.text('often', 't'))"), '5000|25', 'documents are what they were');
is($cluster->value('SELECT count(*) FROM ydoc_data.due'), 0, 'the queue is empty');

# ---- documents that cannot be ----

$cluster->value("SELECT ydoc.apply('$_', ARRAY[" . typed(1, 0, 'x' x 2000) . '])') for 'bad', 'odd';
$cluster->value("UPDATE ydoc_data.log SET update = '\\x0105' WHERE document = 'bad'");
$cluster->value('CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS'
	  . q{ $$ BEGIN RAISE EXCEPTION 'not %', NEW.document; END $$;}
	  . ' CREATE TRIGGER refuse BEFORE INSERT ON ydoc_data.state FOR EACH ROW'
	  . q{ WHEN (NEW.document = 'odd') EXECUTE FUNCTION refuse()});
$cluster->value("INSERT INTO ydoc_data.due VALUES ('bad')");
$cluster->value("SELECT ydoc.apply('$_', ARRAY[" . typed(2, 0, 'y' x 5000) . '])') for 'odd', 'zebra';
until_true("SELECT bool_and(seq = state_seq) FROM ydoc_data.document WHERE name = 'zebra'", 'what comes after bad ones is compacted');
until_true("SELECT count(*) = 1 FROM ydoc_data.due WHERE document = 'odd' AND at > now() + interval '5 minutes'",
	'one that fails is put off');
like(server_log(), qr/WARNING:  document "odd" was not compacted: not odd/, 'and the log says why');
# 'bad' is below the thresholds: nobody found out yet
$cluster->value("UPDATE ydoc_data.document SET tail_rows = 100 WHERE name = 'bad'; INSERT INTO ydoc_data.due VALUES ('bad')");
until_true("SELECT count(*) = 1 FROM ydoc.fenced() WHERE document = 'bad'", 'one that cannot be decoded is fenced');
until_true("SELECT count(*) = 0 FROM ydoc_data.due WHERE document = 'bad'", 'and leaves the queue');

# ---- databases ----

is($cluster->value('SELECT string_agg(DISTINCT name, \'; \') FROM run_by'), 'postgres, postgres',
	'it works as the owner of the store');
$cluster->value('CREATE ROLE owner', 'postgres');
$cluster->value('CREATE DATABASE owned OWNER owner', 'postgres');
my $owner = $cluster->session('owned');
$owner->ask($_) for (
	'SET SESSION AUTHORIZATION owner', 'CREATE EXTENSION pg_ydoc', 'SELECT ydoc.create_store()',
	'CREATE SCHEMA own', 'CREATE TABLE own.run_by (name text)',
	'CREATE FUNCTION own.note() RETURNS trigger LANGUAGE plpgsql AS'
	  . q{ $$ BEGIN INSERT INTO own.run_by VALUES (current_user);}
	  . q{ BEGIN EXECUTE 'RESET ROLE'; EXCEPTION WHEN OTHERS THEN INSERT INTO own.run_by VALUES ('no: ' || SQLSTATE); END;}
	  . q{ BEGIN EXECUTE 'RESET SESSION AUTHORIZATION'; EXCEPTION WHEN OTHERS THEN INSERT INTO own.run_by VALUES ('no: ' || SQLSTATE); END;}
	  . q{ INSERT INTO own.run_by VALUES (current_user); RETURN NEW; END $$},
	'CREATE TRIGGER note AFTER INSERT ON ydoc_data.state FOR EACH ROW EXECUTE FUNCTION own.note()',
	"SELECT ydoc.apply('his', ARRAY[" . typed(1, 0, 'x' x 5000) . '])');
until_true("SELECT bool_and(seq = state_seq) FROM ydoc_data.document WHERE name = 'his'", 'a database that came later is served', 'owned');
is($owner->ask('SELECT string_agg(name, \',\') FROM own.run_by'), 'owner,no: 42501,no: 42501,owner',
	'as its owner, and a trigger of his does not get further');
$owner->close;
$cluster->value('DROP DATABASE owned', 'postgres');
pass('the worker does not stand in the way of DROP DATABASE');

# ---- settings and signals ----

set_everywhere('ydoc.worker_role', 'nobody');
$cluster->value("SELECT ydoc.apply('nobodys', ARRAY[" . typed(1, 0, 'x' x 5000) . '])');
my $tries = 600;
sleep 0.1 while server_log() !~ /no role "nobody" to compact documents as\n.*HINT:  ydoc.worker_role names it/ && --$tries;
ok($tries, 'a role that is missing is told with the setting that names it');
$cluster->value('CREATE ROLE compactor', 'postgres');
$cluster->value('GRANT USAGE ON SCHEMA ydoc_data, public TO compactor;'
	  . ' GRANT ALL ON ALL TABLES IN SCHEMA ydoc_data, public TO compactor');
set_everywhere('ydoc.worker_role', 'compactor');
$cluster->value("SELECT ydoc.apply('role', ARRAY[" . typed(1, 0, 'x' x 5000) . '])');
until_true("SELECT bool_and(seq = state_seq) FROM ydoc_data.document WHERE name = 'role'", 'a role of its own does it as well');
is($cluster->value("SELECT name FROM run_by WHERE name LIKE 'comp%' LIMIT 1"), 'compactor, postgres', 'with its rights');

set_everywhere('ydoc.worker_databases', '');
until_true("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'ydoc worker')", 'no worker runs');
$cluster->value("SELECT ydoc.apply('late', ARRAY[" . typed(1, 0, 'x' x 5000) . '])');
sleep 2.5;
is($cluster->value("SELECT state_seq FROM ydoc_data.document WHERE name = 'late'"), 0, 'and nothing is done');
is($cluster->value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'ydoc launcher'"), $launcher,
	'the launcher has lived through all of it');
set_everywhere('ydoc.worker_databases', '*');
until_true("SELECT bool_and(seq = state_seq) FROM ydoc_data.document WHERE name = 'late'", 'a reload names all databases');
$cluster->value("SELECT pg_terminate_backend($launcher)");
until_true("SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'ydoc launcher' AND pid <> $launcher",
	'a launcher that is terminated comes back');
like($cluster->session->ask("ALTER SYSTEM SET ydoc.worker_databases = 'a,,b'"), qr/^ERROR:  22023/, 'a list that is none is refused');

# an extension that is dropped while the worker is at it
$cluster->value('SET client_min_messages = warning; DROP SCHEMA ydoc_data CASCADE');
sleep 1.5;
$cluster->value('DROP EXTENSION pg_ydoc CASCADE');
sleep 1.5;
$cluster->value('CREATE EXTENSION pg_ydoc');
$cluster->value('SELECT ydoc.create_store()');
$cluster->value("GRANT ALL ON ALL TABLES IN SCHEMA ydoc_data TO compactor; GRANT USAGE ON SCHEMA ydoc_data TO compactor");
$cluster->value("SELECT ydoc.apply('anew', ARRAY[" . typed(1, 0, 'x' x 5000) . '])');
until_true("SELECT bool_and(seq = state_seq) FROM ydoc_data.document WHERE name = 'anew'", 'a store that is made anew is served');
unlike(server_log(), qr/PANIC|terminated by signal|server process .* was terminated/, 'nothing crashed');

done_testing;
