# A PostgreSQL server of its own for one test file, and psql sessions that stay open.
#
#     my $cluster = Cluster->new;                       # stopped and removed when it goes
#     my $ann = $cluster->session;                      # psql in the background
#     $ann->ask('SELECT 1');                            # output, errors as "ERROR:  SQLSTATE"
#     $ann->ask('BEGIN');                               # not looked at: dies on errors
#     $ann->tell("SELECT pg_sleep(1)"); $ann->answer;   # the same in two halves
#     $cluster->value('SELECT 1');                      # one-off; dies on errors
#
# Core Perl only; where the server runs and as whom is make/cluster.sh's business.
package Cluster;

use strict;
use warnings;
use File::Basename qw(dirname);
use File::Spec;
use IO::Uncompress::Gunzip qw(gunzip $GunzipError);
use IPC::Open2 qw(open2);
use Time::HiRes qw(sleep time);

use Exporter qw(import);
our @EXPORT = qw(typed varuint slurp_gzip);

my $top = File::Spec->rel2abs(File::Spec->catdir(dirname(__FILE__), '..', '..'));

# ---- the server ----

sub shell
{
	my ($command) = @_;
	my $output = qx{bash -c 'cd "$top" && . make/cluster.sh && $command'};
	die "failed: $command" if $?;
	chomp $output;
	return $output;
}

sub new
{
	my ($class, $options) = @_;
	my $self = bless {options => $options // '', creator => $$}, $class;

	# whatever ends this process, the server ends too; none of these tests takes a minute
	$SIG{$_} = sub { die "the test was stopped by SIG$_[0]" } for qw(ALRM INT TERM);
	alarm 240;
	$self->{directory} = shell('cluster_directory');
	$self->{bin} = shell('echo "$cluster_bin"');
	$self->start;
	$self->value('CREATE DATABASE notes', 'postgres');
	$self->value('CREATE EXTENSION pg_ydoc');
	return $self;
}

sub start { my ($self) = @_; shell("cluster_start $self->{directory} $self->{options}") }

# As a crash: no checkpoint, no goodbye.
sub crash
{
	my ($self) = @_;
	shell(qq{cluster_as_owner "\$cluster_bin/pg_ctl" -D $self->{directory}/data -m immediate -w stop});
}

sub DESTROY
{
	my ($self) = @_;
	return if $$ != $self->{creator};
	local $?;
	shell("cluster_stop $self->{directory}; rm -rf $self->{directory}");
}

# Environment and words of a call of one of PostgreSQL's programs.
sub program
{
	my ($self, $name, @arguments) = @_;
	return ("$self->{bin}/$name", '-h', "$self->{directory}/socket", '-U', 'postgres', @arguments);
}

sub run
{
	my ($self, @program) = @_;
	system($self->program(@program)) == 0 or die "failed: @program";
}

sub value
{
	my ($self, $sql, $database) = @_;
	open my $psql, '-|',
	  $self->program('psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $database // 'notes', '-c', $sql)
	  or die $!;
	my $output = join '', <$psql>;
	close $psql or die "failed: $sql";
	chomp $output;
	return $output;
}

# Runs a file of SQL in the background; returns what wait_for wants.
sub start_script
{
	my ($self, $name, $sql, @options) = @_;
	my $file = "$self->{directory}/$name";

	open my $out, '>', "$file.sql" or die $!;
	print $out $sql;
	close $out;
	my $pid = fork // die $!;
	if ($pid == 0)
	{
		open STDOUT, '>', "$file.out" or die $!;
		open STDERR, '>&', \*STDOUT or die $!;
		exec $self->program('psql', '-XAtq', '-v', 'VERBOSITY=sqlstate', '-d', 'notes', @options, '-f',
			"$file.sql");
	}
	return {pid => $pid, file => "$file.out"};
}

# The script's output, when it has ended.
sub wait_for
{
	my ($self, $script) = @_;
	waitpid $script->{pid}, 0;
	return $self->output_of($script);
}

sub output_of
{
	my ($self, $script) = @_;
	open my $in, '<', $script->{file} or return '';
	local $/;
	return scalar(<$in>) // '';
}

# ---- sessions ----

sub session
{
	my ($self, $database) = @_;
	my $session = bless {asked => 0}, 'Cluster::Session';
	my @psql = $self->program('psql', '-XAtq', '-v', 'VERBOSITY=sqlstate', '-v', 'SHOW_CONTEXT=never',
		'-d', $database // 'notes');

	$session->{pid} = open2($session->{out}, $session->{in}, 'sh', '-c', 'exec "$@" 2>&1', 'sh', @psql);
	return $session;
}

package Cluster::Session;

sub tell
{
	my ($self, $sql) = @_;
	$self->{asked}++;
	print {$self->{in}} "$sql;\n\\echo answered $self->{asked}\n";
	$self->{in}->flush;
}

sub answer
{
	my ($self) = @_;
	my $output = '';
	my $out = $self->{out};

	while (my $line = <$out>)
	{
		if ($line eq "answered $self->{asked}\n")
		{
			chomp $output;
			return $output;
		}
		$output .= $line;
	}
	die "the session ended: $output";
}

sub ask
{
	my ($self, $sql) = @_;
	$self->tell($sql);
	my $answer = $self->answer;
	# who does not look at the answer expects that it went well
	die "$sql: $answer" if !defined wantarray && $answer =~ /^ERROR/m;
	return $answer;
}

sub close
{
	my ($self) = @_;
	close $self->{in};
	waitpid $self->{pid}, 0;
}

package Cluster;

# ---- Yjs updates ----

sub varuint
{
	my ($number) = @_;
	my $bytes = '';

	for (; $number > 127; $number >>= 7) { $bytes .= chr(($number & 127) | 128) }
	return $bytes . chr($number);
}

# The update (V1) of a client that has typed $before characters in text t and types $text behind
# them, as an SQL literal: one struct, with an origin if something stands before it.
sub typed
{
	my ($client, $before, $text) = @_;
	my $origin = $before == 0
	  ? "\x04\x01\x01t"
	  : "\x84" . varuint($client) . varuint($before - 1);

	return q{'\x} . unpack('H*',
		"\x01\x01" . varuint($client) . varuint($before) . $origin . varuint(length $text) . $text . "\x00")
	  . q{'::bytea};
}

# A gzipped file of test/data.
sub slurp_gzip
{
	my ($name) = @_;
	my $bytes;

	gunzip("$top/test/data/$name" => \$bytes) or die "$name: $GunzipError";
	return $bytes;
}

1;
