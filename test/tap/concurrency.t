# Many sessions that write the same documents, in opposite orders, in batches (doc/invariants.md: log-without-gap).
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Cluster;
use Test::More;

my $cluster = Cluster->new;
$cluster->value('SELECT ydoc.create_store()');

my ($sessions, $rounds, $documents) = (4, 60, 8);

# Session s is client s of every document; odd ones name the documents backwards.
sub script_of
{
	my ($s) = @_;
	my $sql = '';

	for my $round (0 .. $rounds - 1)
	{
		my @order = $s % 2 ? reverse 1 .. $documents : 1 .. $documents;
		my $update = typed($s, $round, 'x');

		$sql .= "SELECT seq IS NULL FROM ydoc.apply_batch(ARRAY["
		  . join(',', map { "'notes/$_'" } @order)
		  . "], ARRAY[" . join(',', map { $update } @order)
		  . "], array_fill('s$s'::text, ARRAY[$documents])) WHERE seq IS NULL;\n";
	}
	return $sql;
}

my @scripts = map { $cluster->start_script("writer$_", script_of($_)) } 1 .. $sessions;
is(join('', map { $cluster->wait_for($_) } @scripts), '', 'no deadlock, no refusal, no error');

my $each = $sessions * $rounds;
is($cluster->value("SELECT count(*), min(seq), max(seq) FROM ydoc_data.document"),
	"$documents|$each|$each", 'every update of every session has a seq in every document');
is( $cluster->value(
		"SELECT count(*) FROM (SELECT seq_from, lag(seq, 1, 0::bigint)"
		  . " OVER (PARTITION BY document ORDER BY seq) AS before FROM ydoc_data.log) l"
		  . " WHERE seq_from <> before + 1"),
	0, 'no seq is missing and none is given twice');
is($cluster->value("SELECT count(DISTINCT epoch) = count(*) FROM ydoc_data.document"),
	't', 'documents that were raced for were made once');
is($cluster->value("SELECT bool_and(length(ydoc.text(name, 't')) = $each) FROM ydoc_data.document"),
	't', 'every document holds all that was typed');
is( $cluster->value(
		"SELECT bool_and(ydoc_merge = ydoc.state(document)) FROM"
		  . " (SELECT document, ydoc_merge(update ORDER BY seq DESC) FROM ydoc_data.log GROUP BY 1) m"),
	't', 'merging the log backwards gives the same documents');

# A reader that asks for "after n" while others write never misses an update.
my @late = map {
	my $client = $_;
	$cluster->start_script("late_writer$client",
		join '', map { "SELECT ydoc.apply('followed', ARRAY[" . typed($client, $_, 'y') . "]);\n" } 0 .. 249);
} 1 .. 4;
my $reader = $cluster->session;
my $seq = 0;
$reader->ask('CREATE TEMPORARY TABLE seen (update bytea)');
while ($seq < 1000)
{
	$reader->ask("WITH c AS (SELECT seq, update FROM ydoc.changes('followed', $seq)), i AS"
		  . " (INSERT INTO seen SELECT update FROM c WHERE update IS NOT NULL)"
		  . " SELECT seq FROM c") =~ /^(\d+)$/ or die 'no seq';
	$seq = $1;
}
$cluster->wait_for($_) for @late;
is($reader->ask("SELECT ydoc_text(ydoc_merge(update), 't') = repeat('y', 1000) FROM seen"),
	't', 'who follows by seq sees everything');

# A batch waits for whoever has the document, and then sees what he wrote.
my ($ann, $ben) = ($cluster->session, $cluster->session);
$ann->ask('BEGIN');
$ann->ask("SELECT ydoc.apply('turns', ARRAY[" . typed(1, 0, 'a') . '])');
$ben->tell("SELECT ydoc.apply('turns', ARRAY[" . typed(1, 1, 'b') . '])');
$ann->ask("SELECT ydoc.apply('turns', ARRAY[" . typed(1, 1, 'b') . '])');
$ann->ask('COMMIT');
is($ben->answer, 2, 'what another has stored meanwhile is not stored again');

# A session that began when there were few documents, which the planner knew, reads rows by their names also when a
# transaction of its own has made many.
my $loader = $cluster->session;
$cluster->value('VACUUM (FULL, ANALYZE) ydoc_data.document');
$loader->ask("SELECT count(ydoc.text_append('loaded/' || i, 't', 'x')) FROM generate_series(1, 20) AS i");
$loader->ask('BEGIN');
$loader->ask("SELECT count(ydoc.text_append('loaded/' || i, 't', 'x')) FROM generate_series(1, 3000) AS i");
my $read = $loader->ask("SELECT pg_stat_get_xact_tuples_returned('ydoc_data.document'::regclass)");
cmp_ok($read, '<', 1000000, 'making documents does not read those that were made before');
$loader->ask('COMMIT');
is($loader->ask("SELECT count(*) FROM ydoc_data.document WHERE name LIKE 'loaded/%'"), 3000, 'and makes all of them');

done_testing;
