# People's editing sessions through SQL: merged by the aggregate, and stored update by update.  The
# state must be the bytes that Yjs ends with.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Cluster;
use Test::More;
use Time::HiRes qw(time);

my $cluster = Cluster->new;
$cluster->value('SELECT ydoc.create_store()');
$cluster->value('CREATE UNLOGGED TABLE edits (n integer, update bytea); CREATE INDEX ON edits (n)');
$cluster->value("ALTER DATABASE notes SET ydoc.compact_rows = 10");
# plans with workers, although the tables are small
$cluster->value("ALTER DATABASE notes SET $_ = 0")
  for qw(parallel_setup_cost parallel_tuple_cost min_parallel_table_scan_size);

# of the last two there is only the state, made by hundreds of clients
my @states = qw(node_nodecc git-makefile);
my @names = (qw(automerge-paper clownschool friendsforever friendsforever_flat json-crdt-blog-post
	json-crdt-patch rustcode seph-blog1 sveltecomponent), @states);

# The trace's updates; the state, where that is all there is.
sub updates
{
	my ($name) = @_;
	my ($at, @updates) = (0);

	return slurp_gzip("traces/$name.v1.gz") if grep { $_ eq $name } @states;
	my $bytes = slurp_gzip("traces/$name.updates.gz");
	while ($at < length $bytes)
	{
		my $size = unpack 'V', substr $bytes, $at, 4;

		push @updates, substr $bytes, $at + 4, $size;
		$at += 4 + $size;
	}
	return @updates;
}

# Writes the trace's updates for COPY; returns how many there are.
sub copy_file
{
	my ($name, $file) = @_;
	my $count = 0;

	open my $out, '>', $file or die $!;
	print $out $count++, "\t\\\\x", unpack('H*', $_), "\n" for updates($name);
	close $out or die $!;
	return $count;
}

for my $name (@ARGV ? @ARGV : @names)
{
	my $same = "encode(sha256(%s), 'hex') = encode(sha256(pg_read_binary_file('%s')), 'hex')";
	my $directory = "$cluster->{directory}/socket";
	my $count = copy_file($name, "$directory/edits");

	open my $v1, '>:raw', "$directory/v1" or die $!;
	print $v1 slurp_gzip("traces/$name.v1.gz");
	close $v1;
	$cluster->value("TRUNCATE edits; COPY edits FROM '$directory/edits'");
	$cluster->value('ANALYZE edits');
	for my $workers (0, 2)
	{
		my $started = time;
		is( $cluster->value("SET max_parallel_workers_per_gather = $workers; SELECT "
				  . sprintf($same, 'ydoc_merge(update)::bytea', "$directory/v1") . ' FROM edits'),
			't', "$name: $count updates merged with $workers workers are Yjs's state");
		note sprintf '%.0f ms', 1000 * (time - $started);
	}

	my $started = time;
	$cluster->value("DO \$\$ DECLARE batch bytea[]; BEGIN FOR f IN 0 .. $count - 1 BY 1000 LOOP"
		  . " SELECT array_agg(update ORDER BY n) INTO batch FROM edits WHERE n >= f AND n < f + 1000;"
		  . " PERFORM ydoc.apply('$name', batch); END LOOP; END \$\$");
	note sprintf 'stored in %.0f ms', 1000 * (time - $started);
	is( $cluster->value('SELECT ' . sprintf($same, "ydoc.state('$name')::bytea", "$directory/v1")),
		't', "$name: stored in batches, read by another session");
	is($cluster->value("SELECT seq FROM ydoc.heads(ARRAY['$name'])"), $count, "$name: each update has a seq");

	# the same, compacted on the way: a stored state, segments and log rows behind it, and then one state
	$cluster->value("DO \$\$ DECLARE batch bytea[]; BEGIN FOR f IN 0 .. $count - 1 BY 100 LOOP"
		  . " SELECT array_agg(update ORDER BY n) INTO batch FROM edits WHERE n >= f AND n < f + 100;"
		  . " PERFORM ydoc.apply('compacted', batch), ydoc.compact('compacted'); END LOOP; END \$\$");
	$cluster->value("SELECT ydoc.compact('compacted')");
	is( $cluster->value('SELECT ' . sprintf($same, "ydoc.state('compacted')::bytea", "$directory/v1")),
		't', "$name: compacted on the way");
	note $cluster->value("SELECT 'state up to ' || state_seq || ', segments up to ' || segment_seq || ', ' || tail_rows || ' log rows'"
		  . " FROM ydoc_data.document WHERE name = 'compacted'");
	$cluster->value("SELECT ydoc.compact('compacted', true)");
	is( $cluster->value('SELECT ' . sprintf($same, 'state::bytea', "$directory/v1") . " FROM ydoc_data.state WHERE document = 'compacted'"),
		't', "$name: the stored state is Yjs's");
	$cluster->value("DELETE FROM ydoc_data.document WHERE name = 'compacted'");
}

done_testing;
