# What was acknowledged is there after a crash (doc/invariants.md: acknowledged-is-committed, log-without-gap).
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Cluster;
use Test::More;
use Time::HiRes qw(sleep);

my $cluster = Cluster->new;
$cluster->value('SELECT ydoc.create_store()');

# Four sessions type into a document each, and into one that they share.
my @writers = map {
	my $client = $_;
	$cluster->start_script("writer$client", join '', map {
		my $update = typed($client, $_, 'x');
		"SELECT seq FROM ydoc.apply_batch(ARRAY['own/$client', 'shared'], ARRAY[$update, $update],"
		  . " ARRAY[NULL, NULL]) WHERE ordinal = 1;\n"
	} 0 .. 19999);
} 1 .. 4;

# until each has been told of some that were stored
for my $writer (@writers)
{
	sleep 0.05 until $cluster->output_of($writer) =~ /^20$/m;
}
$cluster->crash;

my @acknowledged = map { my @seqs = $cluster->wait_for($_) =~ /^(\d+)$/mg; $seqs[-1] } @writers;
$cluster->start;

my $sum = 0;
for my $client (1 .. 4)
{
	my $told = $acknowledged[$client - 1];
	my $kept = $cluster->value("SELECT length(ydoc.text('own/$client', 't'))");

	cmp_ok($kept, '>=', $told, "all $told acknowledged updates of client $client are there");
	cmp_ok($kept, '<=', $told + 1, 'and at most the one in flight besides');
	$sum += $kept;
}
is($cluster->value("SELECT length(ydoc.text('shared', 't'))"), $sum, 'batches are there as wholes');
is( $cluster->value(
		"SELECT count(*) FROM ydoc_data.document d WHERE seq <>"
		  . " (SELECT sum(l.seq - l.seq_from + 1) FROM ydoc_data.log l WHERE l.document = d.name)"),
	0, 'logs reach as far as their documents say');
is($cluster->value("SELECT ydoc.apply('shared', ARRAY[" . typed(9, 0, 'y') . '])'),
	$sum + 1, 'and go on from there');

done_testing;
