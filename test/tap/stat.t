# ydoc.stat of a server that has the module preloaded: it counts what all sessions do.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Cluster;
use Test::More;

my $cluster = Cluster->new('-c shared_preload_libraries=pg_ydoc');
my ($ann, $ben) = ($cluster->session, $cluster->session);

sub counted { $ben->ask('SELECT updates_applied, log_rows_written, notifications FROM ydoc.stat') }

is($ben->ask('SELECT scope FROM ydoc.stat'), 'server', 'the server counts');
is($ben->ask('SELECT documents IS NULL FROM ydoc.stat'), 't', 'there is no store yet');
$ann->ask('SELECT ydoc.create_store()');
$ann->ask("SELECT ydoc.apply('notes/1', ARRAY[" . typed(1, 0, 'a') . '])');
is(counted(), '1|1|1', 'what one session does another one sees');
$ben->ask("SELECT ydoc.apply('notes/2', ARRAY[" . typed(1, 0, 'a') . '])');
is(counted(), '2|2|2', 'and all of it together');
is($ben->ask("SELECT since BETWEEN pg_postmaster_start_time() - interval '5 seconds' AND now() FROM ydoc.stat"),
	't', 'since the server started');
is($ann->ask('SELECT cached_documents FROM ydoc.stat'), '1', 'the cache is the session\'s own');

$cluster->crash;
$cluster->start;
my $again = $cluster->session;
is($again->ask('SELECT updates_applied FROM ydoc.stat'), '0', 'a new server counts anew');

done_testing;
