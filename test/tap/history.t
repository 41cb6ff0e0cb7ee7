# Random edits of three people: the document as of every seq, who wrote each character, what is left when one's edits are
# taken back, and restoring, against a model that keeps every character (doc/invariants.md: replica-is-prefix,
# compaction-is-invisible).  SEED=number repeats a run.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Test::More;
use Cluster;

my $seed = $ENV{SEED} // int(rand(2**31));
srand $seed;
note "SEED=$seed";

my $cluster = Cluster->new;
$cluster->value('SELECT ydoc.create_store()');
my $session = $cluster->session;
my @people = qw(ann ben eve);
my @characters; # {character, actor, deleted_by}
my @texts = (''); # by seq

sub visible { return grep { !defined $_->{deleted_by} } @characters }

sub type_something
{
	my ($actor) = @_;
	my $before = int rand(1 + scalar visible());
	my $text = join '', map { chr(97 + int rand 26) } 0 .. int rand 5;
	my $place = 0;

	# behind the character before the cursor, and as Yjs does, behind what was deleted there
	for (my $seen = 0; $seen < $before; $place++)
	{
		$seen++ if !defined $characters[$place]{deleted_by};
	}
	$place++ while $place < @characters && defined $characters[$place]{deleted_by};
	splice @characters, $place, 0,
	  map { {character => $_, actor => $actor, deleted_by => undef} } split //, $text;
	$session->ask("SELECT ydoc.text_insert('random', 't', $before, '$text')");
}

sub delete_something
{
	my ($actor) = @_;
	my @there = visible();
	my $from = int rand @there;
	my $count = 1 + int rand 4;

	$count = @there - $from if $from + $count > @there;
	$_->{deleted_by} = $actor for @there[$from .. $from + $count - 1];
	$session->ask("SELECT ydoc.text_delete('random', 't', $from, $count)");
}

sub text_now { return $session->ask(q{SELECT ydoc.text('random', 't')}) }

for my $step (1 .. 150)
{
	my $actor = $people[rand @people];

	$session->ask("SET ydoc.actor = '$actor'");
	if (rand() < 0.3 && visible()) { delete_something($actor) }
	else { type_something($actor) }
	push @texts, join '', map { $_->{character} } visible();
}
is(text_now(), $texts[-1], 'the model and the document agree');

my @wrong = grep {
	$session->ask("SELECT ydoc_text(ydoc.state_at('random', $_), 't')") ne $texts[$_]
} 0 .. $#texts;
is("@wrong", '', 'the document as of each seq');

my $blamed = '';
for my $line (split /\n/, $session->ask(q{SELECT text, actor FROM ydoc.blame('random', 't')}))
{
	my ($text, $actor) = split /\|/, $line;
	$blamed .= substr($actor, 0, 1) x length $text;
}
is($blamed, join('', map { substr $_->{actor}, 0, 1 } visible()), 'each character is its writer\'s');

my $last = $#texts;
$session->ask(q{SET ydoc.actor = 'moderator'});
for my $actor (@people)
{
	my $left = join '', map { $_->{character} }
	  grep { $_->{actor} ne $actor && (!defined $_->{deleted_by} || $_->{deleted_by} eq $actor) }
	  @characters;

	$session->ask("SELECT ydoc.undo('random', '$actor', 1)");
	is(text_now(), $left, "what is left without $actor");
	$session->ask("SELECT ydoc.restore('random', $last)");
	is(text_now(), $texts[-1], 'and restored');
}
for (1 .. 10)
{
	my $seq = int rand @texts;

	$session->ask("SELECT ydoc.restore('random', $seq)");
	is(text_now(), $texts[$seq], "restored to seq $seq");
}

# the same with everything a document can hold: restoring gives the same JSON, markup and Delta
sub everything
{
	# an empty root shows only where it was declared, as in Yjs
	return $session->ask(
		q{SELECT (SELECT jsonb_object_agg(key, value) FROM jsonb_each(ydoc.json('all')) WHERE value NOT IN ('""', '[]', '{}')), ydoc_xml(ydoc.state('all'), 'page'), ydoc_delta(ydoc.state('all'), 't')});
}

my @edits = (
	sub { q{ydoc.text_insert('all', 't', 0, 'abc', '{"bold": true}')} },
	sub { q{ydoc.text_append('all', 't', 'xyz')} },
	sub { q{ydoc.text_format('all', 't', 0, least(3, length(ydoc.text('all', 't'))), '{"italic": true}')} },
	sub { q{ydoc.text_delete('all', 't', 0, least(2, length(ydoc.text('all', 't'))))} },
	sub { my $n = int rand 1000; qq{ydoc.set('all', 'board', '{"a": [$n, {"b": $n}], "k$n": "v"}')} },
	sub { my $n = int rand 5; qq{ydoc.map_set('all', 'map', 'k$n', to_jsonb(random()))} },
	sub { my $n = int rand 5; qq{ydoc.map_delete('all', 'map', 'k$n')} },
	sub { q{ydoc.array_push('all', 'list', '[1, {"x": 2}, null]')} },
	sub { q{ydoc.array_delete('all', 'list', 0, 1)} },
	sub {
		q{ydoc.xml_insert('all', 'page', 0, '{"type": "paragraph", "attrs": {"level": 1}, "content": [{"type": "text", "text": "para"}]}')}
	},
	sub { q{ydoc.xml_delete('all', 'page', 0, 1)} },
	sub { q{ydoc.text_insert('all', ARRAY['page', '0', '0'], 2, 'in')} },
	sub { q{ydoc.xml_set_attribute('all', ARRAY['page', '0'], 'level', to_jsonb(random()))} });
my @states;

# each once, so that all roots are there; then at random.  Some are refused: what they edit may be gone.
for (@edits) { my $answer = $session->ask('SELECT ' . $_->()) }
$states[$session->ask(q{SELECT seq FROM ydoc.heads('{all}')})] = everything();
for (1 .. 60)
{
	my $answer = $session->ask('SELECT ' . $edits[rand @edits]->());

	$states[$session->ask(q{SELECT seq FROM ydoc.heads('{all}')})] = everything();
}
for (1 .. 12)
{
	my @seqs = grep { defined $states[$_] } 0 .. $#states;
	my $seq = $seqs[rand @seqs];

	$session->ask("SELECT ydoc.restore('all', $seq)");
	is(everything(), $states[$seq], "everything restored to seq $seq");
}
$session->close;
done_testing;
