# Documents that are deleted, purged or renamed while others write them: who is late is told, and brings
# nothing back.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Cluster;
use Test::More;
use Time::HiRes qw(sleep);

my $cluster = Cluster->new;
$cluster->value('SELECT ydoc.create_store()');
my ($ann, $ben, $carl) = map { $cluster->session } 1 .. 3;
my $client = 1000;

# An update of a client that nobody else is, and a call that applies it.
sub fresh { my ($text) = @_; return typed($client++, 0, $text) }
sub apply { my ($name, $text) = @_; return "SELECT ydoc.apply('$name', ARRAY[" . fresh($text) . '])' }
sub text { my ($name) = @_; return $cluster->value("SELECT ydoc.text('$name', 't')") }

# Asks for something that has to wait, and comes back when it does.
sub ask_and_wait
{
	my ($session, $sql) = @_;
	my $waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
	my $before = $cluster->value($waiting);

	$session->tell($sql);
	for (1 .. 1000)
	{
		return if $cluster->value($waiting) > $before;
		sleep 0.01;
	}
	die "nobody waits: $sql";
}

# Lets ann do something, ben come too late with something else, and ann commit; what ben is told.
sub too_late
{
	my ($done, $late) = @_;

	$ann->ask('BEGIN');
	$ann->ask($done);
	ask_and_wait($ben, $late);
	$ann->ask('COMMIT');
	return $ben->answer;
}

# ---- a writer who waits for somebody who deletes ----

$ann->ask(apply("d/$_", 'there')) for 1 .. 9;
is(too_late("SELECT ydoc.delete('d/1')", apply('d/1', 'late')), 'ERROR:  YD001', 'an update is refused');
is(too_late("SELECT ydoc.delete('d/2')", "SELECT ydoc.text_append('d/2', 't', 'late')"),
	'ERROR:  YD001', 'an edit too');
is(too_late("SELECT ydoc.delete('d/3')", "SELECT ydoc.delete('d/3')"), 'f', 'there is nothing to delete twice');

# Ben's batch: the document that is gone, between two others.
sub batch
{
	my ($name, $epochs) = @_;
	return "SELECT string_agg(coalesce(sqlstate, 'stored'), ' ' ORDER BY ordinal) FROM ydoc.apply_batch("
	  . "ARRAY['a/before', '$name', 'z/after'], ARRAY[" . join(',', map { fresh('late') } 1 .. 3)
	  . '], ARRAY[NULL, NULL, NULL]' . ($epochs // '') . ')';
}
is(too_late("SELECT ydoc.delete('d/4')", batch('d/4')), 'stored YD001 stored', 'in a batch, that item alone');
is(too_late("SELECT ydoc.purge('d/5')", batch('d/5')), 'stored YD001 stored', 'also when it was purged');
is(too_late("SELECT ydoc.rename('d/6', 'd/new')", batch('d/6')), 'stored YD002 stored', 'or renamed');
is(too_late("SELECT ydoc.purge('d/7')", "SELECT ydoc.text_append('d/7', 't', 'late')"),
	'ERROR:  YD001', 'an edit of one that was purged');
is(too_late("SELECT ydoc.rename('d/8', 'd/newer')", "SELECT ydoc.text_append('d/8', 't', 'late')"),
	'ERROR:  YD002', 'an edit of one that was renamed');
is($cluster->value("SELECT string_agg(name, ' ' ORDER BY name) FROM ydoc_data.document d"
		  . " WHERE EXISTS (SELECT FROM ydoc_data.log WHERE document = d.name AND deleted_at IS NULL)"),
	'a/before d/9 d/new d/newer z/after', 'nothing came back');
is(text('d/new') . text('d/newer'), 'therethere', 'and nothing was added');

$ann->ask('BEGIN');
$ann->ask("SELECT ydoc.delete('d/9')");
ask_and_wait($ben, apply('d/9', ' still'));
$ann->ask('ROLLBACK');
is($ben->answer, 2, 'who waited for a deletion that rolls back goes on');

# ---- a document that makes room for another one ----

my $epoch = $cluster->value("SELECT epoch FROM ydoc.heads(ARRAY['d/9'])");
my $anew = "SELECT ydoc.purge('d/9'), ydoc.create('d/9', ydoc_from_text('anew', 't'))";
is(too_late($anew, batch('d/9', ", ARRAY[NULL, $epoch, NULL]")),
	'stored YD001 stored', 'what was meant for the one before is refused');
is(too_late($anew, batch('d/9')), 'stored stored stored', 'who does not say which he means writes the new one');
like(text('d/9'), qr/^(anewlate|lateanew)$/, 'which has nothing of the old one');

# ---- somebody who deletes waits for a writer ----

$ann->ask(apply('w/1', 'there'));
$ann->ask('BEGIN');
$ann->ask("SELECT ydoc.text_append('w/1', 't', ' edited')");
ask_and_wait($ben, "SELECT ydoc.delete('w/1')");
$ann->ask('COMMIT');
is($ben->answer, 't', 'one who deletes waits for edits that are kept until the commit');
$ben->ask("SELECT ydoc.undelete('w/1')");
is(text('w/1'), 'there edited', 'which are then part of what was deleted');

$ann->ask('BEGIN');
$ann->ask("SELECT ydoc.text_append('w/1', 't', '!')");
ask_and_wait($ben, "SELECT ydoc.rename('w/1', 'w/2')");
$ann->ask('COMMIT');
is($ben->answer, '3', 'one who renames too');
is(text('w/2'), 'there edited!', 'and takes them along');
$ann->ask('BEGIN');
$ann->ask("SELECT ydoc.text_append('w/2', 't', '!')");
ask_and_wait($ben, "SELECT ydoc.purge('w/2')");
$ann->ask('COMMIT');
is($ben->answer, 't', 'and one who purges');
is($cluster->value("SELECT count(*) FROM ydoc_data.log WHERE document LIKE 'w/%'"), 0, 'which leaves nothing');

# ---- names that two want ----

$ann->ask(apply("n/$_", $_)) for 1 .. 4;
is(too_late("SELECT ydoc.rename('n/1', 'n/9')", "SELECT ydoc.rename('n/2', 'n/9')"),
	'ERROR:  42710', 'only one of two gets a name');
is(too_late("SELECT ydoc.rename('n/2', 'n/8')", "SELECT ydoc.rename('n/2', 'n/7')"),
	'ERROR:  YD002', 'and a document only one name');
is(too_late("SELECT ydoc.rename('n/8', 'n/2')", "SELECT ydoc.rename('n/3', 'n/2')"),
	'ERROR:  42710', 'a name to which its document has come back is taken');
is(too_late(apply('n/new', 'x'), "SELECT ydoc.rename('n/3', 'n/new')"),
	'ERROR:  42710', 'and so is one that a writer has made');
is(too_late("SELECT ydoc.purge('n/4')", "SELECT ydoc.create('n/4', ydoc_from_text('anew', 't'))"),
	1, 'who makes a document waits until its name is free');
is(text('n/4'), 'anew', 'and has it then');

# ---- old snapshots ----

$ann->ask(apply('s/1', 'then'));
$ann->ask('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($ann->ask("SELECT ydoc.text('s/1', 't')"), 'then', 'a transaction reads a document');
$ben->ask("SELECT ydoc.purge('s/1')");
$ben->ask("SELECT ydoc.create('s/1', ydoc_from_text('now', 't'))");
is($ann->ask("SELECT ydoc.text('s/1', 't')"), 'then', 'and reads it as it was, although it is gone');
is($ann->ask(apply('s/1', 'late')), 'ERROR:  40001', 'but cannot write it');
$ann->ask('ROLLBACK');
is($ann->ask("SELECT ydoc.text('s/1', 't')"), 'now', 'the next one reads its successor');
$ann->ask('BEGIN ISOLATION LEVEL REPEATABLE READ');
$ann->ask("SELECT count(*) FROM ydoc_data.document");
$ben->ask("SELECT ydoc.rename('s/1', 's/2')");
is($ann->ask("SELECT seq FROM ydoc.changes('s/1', 0)"), 1, 'a document is renamed for those who come after');
$ann->ask('COMMIT');
is($ann->ask("SELECT ydoc.text('s/2', 't'), ydoc.text('s/1', 't') IS NULL"), 'now|t', 'which is then');

# ---- by the clock ----

$ann->ask(apply("c/$_", 'x')) for 1 .. 3;
$ann->ask("SELECT count(ydoc.delete('c/' || i)) FROM generate_series(1, 3) i");
$ben->ask('BEGIN');
$ben->ask("SELECT ydoc.undelete('c/2')");
is($ann->ask("SELECT ydoc.purge_deleted('0 seconds')") > 0, 1, 'old deletions become final');
is($ann->ask("SELECT string_agg(document, ' ') FROM ydoc_data.log WHERE document LIKE 'c/%'"),
	'c/2', 'without waiting for a document that somebody brings back');
$ben->ask('COMMIT');
is(text('c/2'), 'x', 'which is there again');

# ---- many at once ----
#
# Three rename two documents among four names, two edit and two apply: whatever was accepted is in exactly
# one of them.

my @names = map { "m/$_" } 1 .. 4;
$cluster->value("SELECT ydoc.create('$_')") for @names;
$cluster->value("SELECT ydoc.purge('$_')") for @names[2, 3];
$cluster->value('CREATE UNLOGGED TABLE outcome (token text, sqlstate text)');
$cluster->value(q{CREATE FUNCTION try(token text, statement text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	INSERT INTO outcome VALUES (token, 'done');
EXCEPTION WHEN OTHERS THEN
	INSERT INTO outcome VALUES (token, SQLSTATE);
END $$});
my $seed = $ENV{SEED} // time % 1000000;
diag("seed $seed");
srand $seed;

sub script
{
	my ($worker) = @_;
	my $sql = '';

	for my $round (1 .. 150)
	{
		my ($one, $other) = map { $names[int rand 4] } 1 .. 2;
		my $token = "<$worker-$round>";
		my $statement =
			$worker < 3 ? "SELECT ydoc.rename(''$one'', ''$other'')"
		  : $worker < 5 ? "SELECT ydoc.text_append(''$one'', ''t'', ''$token'')"
		  : apply($one, $token) =~ s/'/''/gr;
		$sql .= "SELECT try('$token', '$statement') \\g /dev/null\n";
	}
	return $sql;
}
my @scripts = map { $cluster->start_script("many$_", script($_)) } 0 .. 6;
is(join('', map { $cluster->wait_for($_) } @scripts), '', 'all of them come to an end');
# a deadlock is a possible answer where names go to and fro, and costs nothing but another try
is($cluster->value("SELECT string_agg(DISTINCT sqlstate, ' ' ORDER BY sqlstate) FROM outcome WHERE sqlstate"
		  . " NOT IN ('done', 'YD001', 'YD002', '42704', '42710', '40P01')"),
	'', 'with expected errors only');
is($cluster->value("SELECT count(*) FROM ydoc_data.document WHERE name LIKE 'm/%' AND deleted_at IS NULL"),
	2, 'two documents are there');
my ($writes, $found, $twice) = split /\|/, $cluster->value(
	"WITH texts AS (SELECT ydoc.text(name, 't') AS text FROM ydoc_data.document WHERE name LIKE 'm/%'),"
	  . " accepted AS (SELECT token FROM outcome WHERE sqlstate = 'done' AND token ~ '<[3-6]-'),"
	  . " counts AS (SELECT token, sum((length(text) - length(replace(text, token, ''))) / length(token)) AS times"
	  . "            FROM accepted, texts GROUP BY token)"
	  . " SELECT (SELECT count(*) FROM accepted), count(*) FILTER (WHERE times = 1),"
	  . " count(*) FILTER (WHERE times > 1) FROM counts");
is("$found|$twice", "$writes|0", "each of $writes accepted writes is in one document");
is( $cluster->value(
		"SELECT count(*) FROM (SELECT token FROM outcome WHERE sqlstate <> 'done') o,"
		  . " ydoc_data.document d WHERE name LIKE 'm/%' AND strpos(ydoc.text(name, 't'), token) > 0"),
	0, 'and none of those that were refused');
is($cluster->value("SELECT count(*) FROM (SELECT seq_from, lag(seq, 1, 0::bigint) OVER (PARTITION BY document"
		  . " ORDER BY seq) AS before FROM ydoc_data.log) l WHERE seq_from <> before + 1"),
	0, 'no log has a gap');
diag($cluster->value("SELECT string_agg(sqlstate || ' ' || n, ', ') FROM"
	  . " (SELECT sqlstate, count(*) AS n FROM outcome GROUP BY 1 ORDER BY 1) s"));

done_testing;
