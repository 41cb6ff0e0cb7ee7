# Compaction while others write and read, in the middle of a crash, with a queue that several work on (doc/invariants.md:
# compaction-is-invisible).
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Cluster;
use POSIX qw(:sys_wait_h);
use Test::More;
use Time::HiRes qw(sleep);

my $seed = $ENV{SEED} // time;
print "# SEED=$seed\n";
srand $seed;

my ($writers, $rounds, $documents) = (3, 400, 3);
my $cluster = Cluster->new("-c ydoc.compact_rows=20 -c ydoc.compact_size=4kB -c log_min_messages=fatal");
$cluster->value('SELECT ydoc.create_store()');

# What every document must be at any time: a log without holes, and what is read from stored state,
# segments and log is what the log says.
my $wrong = q{
	SELECT string_agg(d.name || ': ' || problem, '; ') FROM ydoc_data.document d, LATERAL (
		SELECT 'a hole in the log' AS problem FROM (SELECT seq_from, lag(seq, 1, 0::bigint) OVER (ORDER BY seq) AS before
			FROM ydoc_data.log l WHERE l.document = d.name) l WHERE seq_from <> before + 1
		UNION ALL SELECT 'its seq is not the log''s' WHERE d.seq <> (SELECT max(seq) FROM ydoc_data.log l WHERE l.document = d.name)
		UNION ALL SELECT 'it is not what its log says' WHERE ydoc.state(d.name) <>
			(SELECT ydoc_merge(update ORDER BY seq) FROM ydoc_data.log l WHERE l.document = d.name)
		UNION ALL SELECT 'segments do not go on from one another' FROM (SELECT seq_from, lag(seq, 1, d.state_seq) OVER (ORDER BY seq) AS before
			FROM ydoc_data.segment s WHERE s.document = d.name) s WHERE seq_from <> before + 1
		UNION ALL SELECT 'its row does not know its stored state' WHERE d.state_seq <>
			coalesce((SELECT seq FROM ydoc_data.state s WHERE s.document = d.name), 0)
		UNION ALL SELECT 'its row does not know its segments' WHERE greatest(d.segment_seq, d.state_seq) <>
			coalesce((SELECT max(seq) FROM ydoc_data.segment s WHERE s.document = d.name), d.state_seq)
		UNION ALL SELECT 'its tail is miscounted' WHERE d.tail_rows <>
			(SELECT count(*) FROM ydoc_data.log l WHERE l.document = d.name AND l.seq > d.segment_seq)) p};

# Every writer is a client of its own, and types a random number of letters at a time.
sub script_of
{
	my ($client) = @_;
	my @typed = (0) x $documents;
	my $sql = '';

	for (1 .. $rounds)
	{
		my $document = int rand $documents;
		my $text = 'x' x (1 + int rand(rand() < 0.02 ? 3000 : 8));

		$sql .= "SELECT seq IS NULL FROM ydoc.apply_batch(ARRAY['notes/$document'], ARRAY["
		  . typed($client, $typed[$document], $text) . "], ARRAY['w$client']) WHERE seq IS NULL;\n";
		$typed[$document] += length $text;
	}
	return ($sql, \@typed);
}

my (@scripts, @typed);
for my $client (1 .. $writers)
{
	my ($sql, $typed) = script_of($client);

	push @scripts, $cluster->start_script("writer$client", $sql);
	$typed[$_] += $typed->[$_] for 0 .. $documents - 1;
}

# Until they are done: two sessions that take from the queue, one that names documents, one that looks.
my @compactors = map { $cluster->session } 1 .. 2;
my $namer = $cluster->session;
my $reader = $cluster->session;
$_->ask('SET client_min_messages = warning') for @compactors, $namer;
$reader->ask('SET ydoc.cache_size = 0');
my (%did, $problems, $looks);
my $compacted = 0;
my $errors = '';
while (grep { !$_->{done} } @scripts)
{
	my $name = 'notes/' . int rand $documents;
	my $forced = rand() < 0.3 ? 'true' : 'false';
	my $by_name = rand() < 0.3
	  && $cluster->value("SELECT count(*) FROM ydoc_data.document WHERE name = '$name'");

	$_->tell('SELECT ydoc.compact_due()') for @compactors;
	$namer->tell("SELECT did FROM ydoc.compact('$name', $forced)") if $by_name;
	$reader->tell("BEGIN ISOLATION LEVEL REPEATABLE READ; $wrong; COMMIT");
	for (@compactors)
	{
		my $answer = $_->answer;

		$answer =~ /^\d+$/ ? ($compacted += $answer) : ($errors .= $answer);
	}
	$did{$namer->answer}++ if $by_name;
	$problems .= $reader->answer;
	$looks++;
	for (@scripts)
	{
		$_->{done} = 1 if !$_->{done} && waitpid($_->{pid}, WNOHANG) > 0;
	}
}
is(join('', map { $cluster->output_of($_) } @scripts), '', 'writers met no error and no refusal');
is($errors, '', 'nor did those who compacted');
is($problems, '', "at $looks moments every document was whole");
cmp_ok($compacted, '>', 5, 'the queue was worked on');
ok($did{folded} && $did{stored}, 'documents were folded and stored by name') or diag(explain(\%did));
is($cluster->value("SELECT string_agg(length(ydoc.text(name, 't'))::text, ',' ORDER BY name) FROM ydoc_data.document"),
	join(',', @typed), 'documents hold all that was typed');
is($cluster->value($wrong), '', 'and are whole');
like($cluster->value('CALL ydoc.compact_all(force => true)'), qr/^\d$/, 'all of it can be stored');
is($cluster->value('SELECT count(*) FROM ydoc_data.document WHERE seq = state_seq AND tail_rows = 0 AND tail_bytes = 0'),
	$documents, 'and is');
is($cluster->value($wrong), '', 'which changes nothing');
is($cluster->value('SELECT count(*) FROM ydoc.fenced()'), 0, 'nothing was fenced');

# ---- what waits ----

# The first updates of a session of several people, in any order, some of them very late: compaction now and
# then keeps what waits, and nobody is left waiting when all has come.
my ($at, $count) = (0, 0);
my $session = slurp_gzip('traces/friendsforever.updates.gz');
open my $out, '>', "$cluster->{directory}/socket/edits" or die $!;
while ($count < 1500)
{
	my $size = unpack 'V', substr $session, $at, 4;

	print $out $count++, "\t\\\\x", unpack('H*', substr $session, $at + 4, $size), "\n";
	$at += 4 + $size;
}
close $out or die $!;
$cluster->value('CREATE TABLE edits (n integer, update bytea)');
$cluster->value("COPY edits FROM '$cluster->{directory}/socket/edits'");
for my $round (1 .. 5)
{
	my $chance = rand;

	$cluster->value(qq{
		DO \$\$ DECLARE edit bytea; did text; BEGIN
			PERFORM setseed($chance);
			FOR edit IN SELECT update FROM edits WHERE n < $round * 300
				ORDER BY n / (1 + $round % 3 * 40) + CASE WHEN random() < 0.05 THEN 1000 ELSE 0 END, random()
			LOOP
				PERFORM ydoc.apply('shuffled', ARRAY[edit]);
				IF random() < 0.02 THEN
					did := (ydoc.compact('shuffled', random() < 0.5)).did;
					IF did = 'fenced' THEN RAISE EXCEPTION 'it was fenced'; END IF;
				END IF;
			END LOOP;
			PERFORM ydoc.compact('shuffled', true);
		END \$\$});
	is($cluster->value("SELECT ydoc.state_vector = m.state_vector AND ydoc_text(ydoc.state, 'content') = m.text"
		  . " FROM (SELECT ydoc_state_vector(ydoc_merge(update ORDER BY n)) AS state_vector,"
		  . " ydoc_text(ydoc_merge(update ORDER BY n), 'content') AS text FROM edits WHERE n < $round * 300) m,"
		  . " LATERAL (SELECT s.state, ydoc_state_vector(s.state) AS state_vector FROM ydoc.state('shuffled') AS s (state)) ydoc"),
		't', "round $round: all that came in a wrong order is there");
	is($cluster->value("SELECT count(*) FROM ydoc.waiting() WHERE document = 'shuffled'"), 0, 'and nothing waits');
	$cluster->value("DELETE FROM ydoc_data.document WHERE name = 'shuffled'");
}

# ---- locks ----

my ($ann, $ben) = ($cluster->session, $cluster->session);
$cluster->value('DELETE FROM ydoc_data.due'); # what chance has left there
$cluster->value("SELECT ydoc.apply('notes/$_', ARRAY[" . typed(90, 0, 'y' x 50000) . '])') for 0, 1;
is($ben->ask('SELECT string_agg(document, \',\' ORDER BY document) FROM ydoc_data.due'), 'notes/0,notes/1', 'two are due');
$ann->ask('BEGIN');
$ann->ask("SELECT ydoc.apply('notes/0', ARRAY[" . typed(90, 50000, 'y') . '])');
is($ben->ask('SELECT ydoc.compact_due()'), 1, 'a document that somebody is writing is passed over');
is($ben->ask('SELECT document FROM ydoc_data.due'), 'notes/0', 'and stays in the queue');
$ann->ask('COMMIT');
is($ben->ask('SELECT ydoc.compact_due()'), 1, 'until he is done');
is($ben->ask('SELECT count(*) FROM ydoc_data.due'), 0, 'then the queue is empty');

# while somebody merges a document, which takes no lock on it, others write and queue it
$ann->ask('BEGIN');
$ann->ask("INSERT INTO ydoc_data.due VALUES ('notes/2')");
$ann->ask('COMMIT');
$ann->ask('BEGIN');
is($ann->ask("SELECT document FROM ydoc_data.due WHERE document = 'notes/2' FOR UPDATE"), 'notes/2', 'one has taken it');
is($ben->ask('SELECT ydoc.compact_due()'), 0, 'another one does not take it as well');
$ben->ask('SET lock_timeout = 2000');
like($ben->ask("SELECT ydoc.apply('notes/2', ARRAY[" . typed(91, 0, 'z' x 100000) . '])'), qr/^\d+$/,
	'who writes it over the threshold meanwhile does not wait');
is($ben->ask("SELECT did FROM ydoc.compact('notes/2')"), 'stored', 'nor does who compacts it by name');
$ann->ask('COMMIT');
is($ann->ask('SELECT ydoc.compact_due()'), 0, 'nothing is left to do');
is($ann->ask('SELECT count(*) FROM ydoc_data.due'), 0, 'and nothing in the queue');
$ben->ask('BEGIN');
is($ben->ask("SELECT ydoc.apply('notes/2', ARRAY[" . typed(92, 0, 'z' x 100000) . '])') > 0, 1, 'somebody writes');
$ann->tell("SELECT did FROM ydoc.compact('notes/2')");
sleep 0.1;
$ben->ask('COMMIT');
is($ann->answer, 'nothing', 'compaction by name waits, and takes what it had read');

$ann->ask("SELECT ydoc.apply('notes/2', ARRAY[" . typed(93, 0, 'z' x 100000) . '])');
$ann->ask('BEGIN');
is($ann->ask("SELECT did FROM ydoc.compact('notes/2', true)"), 'stored', 'somebody compacts');
$ben->tell("SELECT did FROM ydoc.compact('notes/2', true)");
sleep 0.1;
$ann->ask('COMMIT');
is($ben->answer, 'nothing', 'another one, who had merged the same, looks again and finds it done');
$ann->ask("SELECT ydoc.apply('notes/2', ARRAY[" . typed(94, 0, 'z' x 100000) . '])');
$ann->ask('BEGIN');
$ann->ask("DELETE FROM ydoc_data.document WHERE name = 'notes/2'");
$ann->ask("SELECT ydoc.apply('notes/2', ARRAY[" . typed(1, 0, 'new') . '])');
$ben->tell("SELECT did FROM ydoc.compact('notes/2', true)");
sleep 0.1;
$ann->ask('COMMIT');
is($ben->answer, 'ERROR:  42704', 'what was merged of a document is not written to another one of its name');
is($ben->ask("SELECT ydoc.text('notes/2', 't')"), 'new', 'which is what it is');

# ---- crash ----

# Writers and a loop of compaction, and then no goodbye.
my @late = map {
	my $client = 50 + $_;
	$cluster->start_script("late$client", join '', map {
		"SELECT ydoc.apply('crash/" . ($_ % 2) . "', ARRAY[" . typed($client, int($_ / 2), 'x') . "]);\n" } 0 .. 19999);
} 1 .. 2;
my $loop = $cluster->start_script('loop',
	"SELECT ydoc.compact_due() \\watch 0.01\n");
for my $script (@late)
{
	sleep 0.05 until ($cluster->output_of($script) =~ tr/\n//) > 100;
}
sleep 0.05 until $cluster->value("SELECT coalesce(min(state_seq), 0) > 0 FROM ydoc_data.document WHERE name LIKE 'crash/%'") eq 't';
sleep rand 0.3;
$cluster->crash;
my @acknowledged = map { my @seqs = $cluster->wait_for($_) =~ /^(\d+)$/mg; $#seqs + 1 } @late;
$cluster->wait_for($loop);
$cluster->start;
is($cluster->value($wrong), '', 'after a crash every document is whole');
my $kept = $cluster->value("SELECT sum(length(ydoc.text(name, 't'))) FROM ydoc_data.document WHERE name LIKE 'crash/%'");
my $told = $acknowledged[0] + $acknowledged[1];
cmp_ok($kept, '>=', $told, "all $told acknowledged updates are there");
cmp_ok($kept, '<=', $told + 2, 'and at most those in flight besides');
$cluster->value('CALL ydoc.compact_all(force => true)');
is($cluster->value($wrong), '', 'and can be compacted');
is($cluster->value("SELECT sum(length(ydoc.text(name, 't'))) FROM ydoc_data.document WHERE name LIKE 'crash/%'"),
	$kept, 'which changes nothing');

done_testing;
