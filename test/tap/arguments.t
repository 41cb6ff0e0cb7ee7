# Every function of the extension, and every one of the store that works with its owner's rights, called with odd
# arguments: NULLs, numbers at the ends of their range, texts of all kinds, bytes that are no update, deep JSON.  Whatever
# comes of it, the session lives, the call ends, and an error is one that we made (no XX000).  SEED=number repeats a run,
# CALLS=number makes it longer.
use strict;
use warnings;
use utf8;
use FindBin;
use lib $FindBin::Bin;
use Test::More;
use Cluster;

my $seed = $ENV{SEED} // int(rand(2**31));
my $calls = $ENV{CALLS} // 4000;
srand($seed);
print "# SEED=$seed\n";

my $cluster = Cluster->new;
my $session = $cluster->session;

sub prepare
{
	my ($session) = @_;
	$session->ask(q{SET statement_timeout = '20s'; SET client_min_messages = error});
	# how many rows there are, or the error, in one line
	$session->ask(q{CREATE FUNCTION pg_temp.attempt(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    rows bigint;
BEGIN
    EXECUTE 'SELECT count(*) FROM (SELECT * FROM ' || call || ') AS x WHERE x::text IS DISTINCT FROM ''''' INTO rows;
    RETURN 'fine';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || translate(left(SQLERRM, 200), E'\n', ' ');
END
$$});
}

$session->ask('SELECT ydoc.create_store()');
$session->ask(q{SELECT ydoc.text_append('n/1', 't', 'text'), ydoc.set('n/2', 'm', '{"a": [1, {"b": 2}]}'), ydoc.set_token_policy()});
$session->ask(q{SELECT ydoc.grant_access('n/1', 'public', 'read'), ydoc.grant_access('n/%', 'user:ann', 'write')});
$session->ask('CREATE TABLE card (document text PRIMARY KEY, a text)');
prepare($session);

# name|argument types; left out: what makes a store, and parts of others that believe what they are given
my @functions = split /\n/, $session->ask(q{
SELECT p.pronamespace::regnamespace || '.' || quote_ident(p.proname) || '|'
       || coalesce((SELECT string_agg(format_type(t, NULL), '|' ORDER BY n) FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (t, n)), '')
FROM pg_proc p
WHERE p.prokind = 'f' AND p.prorettype <> 'trigger'::regtype
  AND NOT p.proargtypes::oid[] && ARRAY['internal'::regtype, 'cstring'::regtype]::oid[]
  AND (p.pronamespace = 'ydoc_data'::regnamespace
       OR EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid WHERE d.objid = p.oid AND d.deptype = 'e' AND e.extname = 'pg_ydoc'))
  AND p.proname !~ '^(create_store|upgrade_store|upgrade_session_store|partition_log|create_search|projection_changed|replace_log_rows)$'
ORDER BY 1});
cmp_ok(scalar @functions, '>', 200, 'functions');

sub one_of { return $_[rand @_] }
sub quoted { my ($text) = @_; $text =~ s/'/''/g; return "'$text'" }

my $deep = '[' x 2000 . ']' x 2000;
my @texts = ('', 'x', 't', 'm', 'n/1', 'n/2', 'n/3', 'nowhere', "h\x{e9}llo \x{1f600} w\x{f6}rld", "a\nb", "\x01", "\x{feff}\x{200b}", '%', '_', '\\', "'", '"',
	'0', '-1', '99999999999999999999', 'x' x 2000, '<script>', "# h\n\n- a\n\n|a|\n|-|", 'tiptap', 'json', 'html', 'update', 'write', 'user:ann', 'group:',
	'{}', '{"sub": "ann"}', '{"sub": 1, "groups": [1, null, {}], "roles": {}}', '[]', 'null', '{', 'a.b.c', 'ydoc_access_x', 'ydoc_link_x', 'ydoc_live_x');
my @jsons = ('null', '1', '-0.0', '1e400', '9007199254740993', '"x"', '"\ud83d\ude00"', '[]', '{}', '[1, [2], null]', '{"a": {"b": [1, {"c": null}]}}', '{"": 1}', '[null]', $deep,
	'[{"insert": "x"}]', '[{"retain": -1}]', '[{"retain": 1e10}]', '[{"insert": 1}]', '[{"insert": "x", "attributes": 5}]', '[{"insert": {"a": 1}}]',
	'[{"op": "add", "path": "/m/a/-", "value": 1}]', '[{"op": "remove", "path": ""}]', '[{"op": "move", "from": "/m", "path": "/m/a"}]', '[{"op": "add", "path": "/m/~2", "value": 1}]',
	'[{"op": "text_insert", "path": "t", "index": 0, "text": "q"}]', '[{"op": "set", "path": [], "value": 5}]', '[{"op": "set", "path": [1], "value": 5}]', '[{"op": "no"}]',
	'{"type": "doc", "content": [{"type": "paragraph", "content": [{"type": "text", "text": "x", "marks": [{"type": "bold"}]}]}]}', '[{"type": "text"}]', '[{"type": 5}]', '{"type": "doc", "content": [null]}');
my @bytes = ('', '00', '0000', '01', '01010100040101740568656c6c6f00', '01010100040101740568656c6c6f', '0101010004010174056ff6c6c6f00', 'ffffffffffffffffff01', 'ff', '0001ffffff0f',
	'020000000000000000', '01018001002801016d016b017d0100', '00000000000000000000000000');
my @documents = ('ydoc()', q{ydoc_from_text('héllo 😀', 't')}, q{ydoc_from_json('{"t": "x", "m": {"a": [1, {"b": null}]}, "l": [1, [2]]}')},
	q{ydoc_from_markdown('# a **b**', 'x')}, q{'\x01010100040101740568656c6c6f00'::bytea::ydoc}, q{ydoc('\x010101058401040620776f726c6400')});
my @integers = (0, 1, -1, 2, 5, 65536, 2147483647, -2147483648);

# An argument of a type; undef: there are none to be had.
sub argument
{
	my ($type) = @_;

	return "NULL::$type" if rand() < 0.08;
	if ($type =~ /^(.*)\[\]$/)
	{
		my $of = $1;
		return "'{{1,2},{3,4}}'::text[]::$type" if rand() < 0.03;
		return 'ARRAY[' . join(', ', map { argument($of) } 1 .. rand 4) . "]::$type";
	}
	return one_of(@documents) if $type eq 'ydoc';
	return quoted(one_of(@texts)) . '::text' if $type eq 'text';
	return quoted(one_of(@jsons)) . '::jsonb' if $type eq 'jsonb';
	return rand() < 0.3 ? one_of('ydoc_state_vector(', 'ydoc_snapshot(') . one_of(@documents) . ')' : q{'\x} . one_of(@bytes) . q{'::bytea} if $type eq 'bytea';
	return one_of(@integers) if $type eq 'integer';
	return one_of(@integers, '9223372036854775807', '-9223372036854775808', '9007199254740992') . '::bigint' if $type eq 'bigint';
	return one_of('true', 'false') if $type eq 'boolean';
	return q{'} . one_of('now', 'infinity', '-infinity', '4714-11-24 BC', '294276-01-01') . q{'::timestamptz} if $type =~ /^timestamp/;
	return q{'} . one_of('1 day', '-1 day', '0', '178000000 years', '1 mon -3 days') . q{'::interval} if $type eq 'interval';
	return q{'} . one_of(qw(none read comment write admin)) . q{'::ydoc.level} if $type eq 'ydoc.level';
	return q{'} . one_of('card', 'pg_class') . q{'::regclass} if $type eq 'regclass';
	return q{'postgres'::regrole} if $type eq 'regrole';
	return q{'english'::regconfig} if $type eq 'regconfig';
	return q{'access'::name} if $type eq 'name';
	return q{gen_random_uuid()} if $type eq 'uuid';
	return "NULL::$type";
}

binmode $session->{in}, ':utf8';
my (%states, @wrong);
for (1 .. $calls)
{
	my ($name, @types) = split /\|/, one_of(@functions);
	my $call = "$name(" . join(', ', map { argument($_) } @types) . ')';
	my $answer = eval { $session->ask('SELECT pg_temp.attempt($call$' . $call . '$call$)') };
	if (!defined $answer)
	{
		push @wrong, "$call: $@";
		last;
	}
	push @wrong, "$call: $answer" if $answer !~ /^(?:fine|(?!XX|57|58)[0-9A-Z]{5}(?: |$))/;
	$states{$answer =~ /^(\w{4,5})/ ? $1 : ''}++;
}
is_deeply(\@wrong, [], 'no crash, no hang, no error that we did not make') or diag("SEED=$seed");
cmp_ok($states{fine}, '>', $calls / 5, 'many calls are fine');
cmp_ok(scalar keys %states, '>', 8, 'and errors are of many kinds');
is($cluster->value(q{SELECT count(*) FROM ydoc.fenced()}), 0, 'no document is broken');
done_testing;
