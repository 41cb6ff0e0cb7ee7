# A table that follows documents, while several sessions write them: it never shows less than what is
# committed, waits for nobody for long, and is as good as the documents after a crash and a restore.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Cluster;
use Test::More;
use Time::HiRes qw(sleep);

my $cluster = Cluster->new('-c deadlock_timeout=200ms');
$cluster->value($_) for (
	'SELECT ydoc.create_store()',
	'CREATE TABLE card (document text PRIMARY KEY, t text, title text, seen integer)',
	q{SELECT ydoc.create_projection('card', 'cards/%',}
	  . q{ '{"t": {"path": "t", "as": "text"}, "title": ["meta", "title"]}')});

sub apply
{
	my ($name, $client, $before, $text) = @_;
	return "SELECT ydoc.apply('$name', ARRAY[" . typed($client, $before, $text) . '])';
}

# Documents and rows that say something else.
my $differences = q{SELECT count(*) FROM (SELECT name, ydoc.text(name, 't') AS t, ydoc.json(name, 'meta') ->> 'title' AS title}
  . q{ FROM ydoc_data.document WHERE name LIKE 'cards/%') d FULL JOIN card ON document = name}
  . q{ WHERE (name, d.t, d.title) IS DISTINCT FROM (document, coalesce(card.t, ''), card.title)};

# ---- two writers of one document ----
my ($ann, $ben, $eve) = map { $cluster->session } 1 .. 3;
$ann->ask('BEGIN');
$ann->ask(apply('cards/1', 1, 0, 'a'));
$ben->tell(apply('cards/1', 2, 0, 'b'));
$ann->ask(apply('cards/1', 1, 1, 'A'));
is($eve->ask('SELECT count(*) FROM card'), 0, 'nothing is seen before it is committed');
$ann->ask('COMMIT');
like($eve->ask('SELECT t FROM card'), qr/^b?aAb?$/, 'what is committed is seen at once');
$ben->answer;
is($eve->ask("SELECT t = ydoc.text('cards/1', 't'), length(t) FROM card"), 't|3', 'and so is the other writer\'s');

$ann->ask('BEGIN ISOLATION LEVEL REPEATABLE READ');
$ann->ask('SELECT count(*) FROM card');
$ben->ask(apply('cards/1', 2, 1, 'B'));
is($ann->ask(apply('cards/1', 1, 2, 'x')), 'ERROR:  40001', 'an old snapshot cannot bring an old row back');
$ann->ask('ROLLBACK');

# ---- a row that somebody has locked ----
$ann->ask('BEGIN');
$ann->ask("UPDATE card SET seen = 1 WHERE document = 'cards/1'");
is($ben->ask(apply('cards/1', 2, 2, 'C')), "WARNING:  55P03\n5", 'a writer does not wait for the row for long');
is($eve->ask('SELECT document, target, sqlstate FROM ydoc_data.projection_error'),
	'cards/1|card|55P03', 'the row is known to lag');
$ann->ask('COMMIT');
is($eve->ask("SELECT ydoc.refresh_projection(target, document) FROM ydoc_data.projection_error"), 1, 'and can be');
is($eve->ask($differences), 0, 'brought up');
is($eve->ask('SELECT seen FROM card'), 1, 'with what else is in it');

# what rolled back is no change: its document is not locked any more, and its row is left alone
$ann->ask('BEGIN');
$ann->ask('SAVEPOINT s');
$ann->ask(apply('cards/1', 1, 2, 'never'));
$ann->ask('ROLLBACK TO s');
$eve->ask('BEGIN');
$eve->ask("UPDATE card SET seen = seen WHERE document = 'cards/1'");
is($ann->ask('COMMIT'), '', 'a savepoint that was rolled back writes no row');
$eve->ask('COMMIT');

# both want what the other has
$ann->ask('BEGIN');
$ann->ask("UPDATE card SET seen = 2 WHERE document = 'cards/1'");
$ben->tell(apply('cards/1', 2, 3, 'D'));
sleep 0.05 until $eve->ask(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'}) eq '1';
my $answer = $ann->ask(apply('cards/1', 1, 2, 'E'));
$ann->ask($answer =~ /ERROR/ ? 'ROLLBACK' : 'COMMIT');
like($ben->answer, qr/\A(WARNING:  55P03\n)?\d+\z|40P01/, 'a deadlock is resolved, one way or the other');
$ann->ask(apply('cards/1', 1, 2, 'E'));
$ben->ask(apply('cards/1', 2, 3, 'D'));
$ann->ask("SELECT ydoc.refresh_projection('card')");
is($eve->ask($differences), 0, 'and costs no update');

# ---- many writers, and somebody who fills the table again and again ----
my ($writers, $rounds, $documents) = (3, 60, 6);
my @scripts = map {
	my $client = 10 + $_;
	$cluster->start_script("writer$client", join '', map {
		my $round = $_;
		my @names = $client % 2 ? reverse 1 .. $documents : 1 .. $documents;
		my $update = typed($client, $round, 'x');

		"SELECT seq IS NULL FROM ydoc.apply_batch(ARRAY[" . join(',', map { "'cards/m$_'" } @names)
		  . '], ARRAY[' . join(',', ($update) x $documents) . "], array_fill(NULL::text, ARRAY[$documents]))"
		  . " WHERE seq IS NULL;\n"
		  . ($round % 7 ? '' : "SELECT ydoc.map_set('cards/m" . (1 + $round % $documents)
		  . "', 'meta', 'title', '\"$client/$round\"') IS NULL AS n \\gset\n")
	} 0 .. $rounds - 1);
} 1 .. $writers;
push @scripts, $cluster->start_script('refresher',
	"SELECT ydoc.refresh_projection('card') IS NULL AS n \\gset\n" x 40);
is(join('', map { $cluster->wait_for($_) } @scripts), '', 'no deadlock, no error, no row that lags');
is($eve->ask("SELECT count(*), min(length(t)), max(length(t)) FROM card WHERE document LIKE 'cards/m%'"),
	join('|', $documents, ($writers * $rounds) x 2), 'the rows hold all that was typed');
is($eve->ask($differences), 0, 'and say what the documents say');

# ---- power loss ----
my @typists = map {
	my $client = 20 + $_;
	$cluster->start_script("typist$client",
		join '', map { apply("cards/p$client", $client, $_, 'x') . ";\n" } 0 .. 9999)
} 1 .. 2;
for my $typist (@typists)
{
	sleep 0.05 until $cluster->output_of($typist) =~ /^30$/m;
}
$cluster->crash;
$cluster->wait_for($_) for @typists;
$cluster->start;
is($cluster->value($differences), 0, 'after a crash the rows are those of the documents');

# ---- dump and restore ----
$cluster->value(q{UPDATE card SET t = 'old' WHERE document = 'cards/1'}); # nobody told the table
$cluster->value('CREATE DATABASE restored', 'postgres');
my $file = "$cluster->{directory}/dump";
$cluster->run('pg_dump', '-Fc', '-d', 'notes', '-f', $file);
$cluster->run('pg_restore', '-d', 'restored', '--exit-on-error', $file);
my $restored = $cluster->session('restored');
is($restored->ask('SELECT target, documents, on_error FROM ydoc.projections()'), 'card|cards/%|record',
	'a projection is restored');
is($restored->ask("SELECT t FROM card WHERE document = 'cards/1'"), 'old', 'with the rows as they were');
$restored->ask("SELECT ydoc.set('cards/1', 'meta', '{\"title\": \"restored\"}')");
is($restored->ask("SELECT title, t = ydoc.text('cards/1', 't') FROM card WHERE document = 'cards/1'"), 'restored|t', 'and follows');
is($restored->ask($differences), 0, 'as before');
is($restored->ask(q{SELECT has_function_privilege('public', 'ydoc_data.project_card()', 'EXECUTE')}), 'f',
	'its function is still for nobody');

done_testing;
