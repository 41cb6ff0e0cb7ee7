# make install puts extension and relay where PG_CONFIG and DESTDIR say, make uninstall takes all of it away; what was
# installed is what META.json and the control file say.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Find;
use File::Temp qw(tempdir);
use FindBin;
use Test::More;

my $top = abs_path("$FindBin::Bin/../..");
my $root = tempdir(CLEANUP => 1);
my $pg_config = $ENV{PG_CONFIG} // 'pg_config';

sub make { return qx{make -s -C $top @_ PG_CONFIG=$pg_config UNITDIR=/usr/lib/systemd/system 2>&1} }

sub ask { chomp(my $answer = qx{$pg_config --$_[0]}); return $answer }

sub files
{
	my @found;
	find(sub { push @found, $File::Find::name if -f }, $root);
	return map { substr $_, length $root } sort @found;
}

sub content
{
	open my $file, '<', $_[0] or die "$_[0]: $!";
	local $/;
	return <$file>;
}

my ($share, $bin) = (ask('sharedir'), ask('bindir'));
my $output = make('install', "DESTDIR=$root");
is($?, 0, 'installed') or diag($output);
my %there = map { $_ => 1 } files();
for my $file ("$share/extension/pg_ydoc.control", "$share/extension/pg_ydoc--1.0.sql", ask('pkglibdir') . '/pg_ydoc.so',
	"$bin/ydoc-relay", '/usr/lib/systemd/system/ydoc-relay.service')
{
	ok($there{$file}, $file);
}
like(content("$root/usr/lib/systemd/system/ydoc-relay.service"), qr{^ExecStart=\Q$bin\E/ydoc-relay\b}m, 'the unit starts what was installed');

my ($version) = content("$root$share/extension/pg_ydoc.control") =~ /^default_version = '(.+)'/m;
ok($there{"$share/extension/pg_ydoc--$version.sql"}, 'the standard version has its script');
like(content("$top/META.json"), qr/"version": "\Q$version\E\.\d+"/, 'and is that of META.json');
like(qx{"$root$bin/ydoc-relay" --version}, qr/^ydoc-relay \Q$version\E$/, 'and of the relay');

$output = make('uninstall', "DESTDIR=$root");
is($?, 0, 'uninstalled') or diag($output);
is_deeply([files()], [], 'nothing is left');
done_testing;
