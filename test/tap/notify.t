# What listeners hear: one notification for each transaction and document, of what was committed.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Cluster;
use Test::More;

my $cluster = Cluster->new('-c max_prepared_transactions=2');
my ($listener, $writer) = ($cluster->session, $cluster->session);

$listener->ask('LISTEN ydoc');
$writer->ask('SELECT ydoc.create_store()');

# What the listener has heard since it was asked last, as "SEQ NAME" lines.
sub heard
{
	my @payloads = $listener->ask('SELECT') =~ /notification "ydoc" with payload "(\d+ \d+ .*)" received/g;
	return join "\n", sort map { s/^\d+ //r } @payloads;
}

sub apply
{
	my ($name, $before, $text) = @_;
	return "SELECT ydoc.apply('$name', ARRAY[" . typed(1, $before, $text) . '])';
}

$writer->ask(apply('notes/7', 0, 'a'));
is(heard(), '1 notes/7', 'a commit is heard');

$writer->ask('BEGIN');
$writer->ask(apply('notes/7', 1, 'b'));
$writer->ask(apply('with spaces and é', 0, 'a'));
$writer->ask(apply('notes/7', 2, 'c'));
is(heard(), '', 'nothing is heard before the commit');
$writer->ask('COMMIT');
is(heard(), "1 with spaces and é\n3 notes/7", 'each document once, with its last seq');

$writer->ask('BEGIN');
$writer->ask(apply('notes/7', 3, 'd'));
$writer->ask('ROLLBACK');
is(heard(), '', 'nothing of what rolls back');

$writer->ask('BEGIN');
$writer->ask(apply('notes/7', 3, 'd'));
$writer->ask('SAVEPOINT s');
$writer->ask(apply('notes/7', 4, 'e'));
$writer->ask(apply('notes/8', 0, 'a'));
$writer->ask('ROLLBACK TO s');
$writer->ask('COMMIT');
is(heard(), '4 notes/7', 'and of a subtransaction that rolls back neither');

$writer->ask(apply('notes/7', 3, 'd'));
is(heard(), '', 'what adds nothing is no news');

$writer->ask("SELECT * FROM ydoc.apply_batch(ARRAY['a', 'b', 'a', 'b'], ARRAY["
	  . join(',', typed(1, 0, 'a'), typed(1, 0, 'a'), typed(1, 1, 'b'), q{'\x01'::bytea})
	  . '], ARRAY[NULL, NULL, NULL, NULL])');
is(heard(), "1 b\n2 a", 'a batch is heard by document');

# who is told of an update may write the document himself, in the same transaction
$writer->ask($_) for (
	q{CREATE FUNCTION answer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM ydoc.apply(NEW.name, ARRAY[}
	  . typed(2, 0, 'A')
	  . q{]); RETURN NULL; END $$},
	q{CREATE TRIGGER answer AFTER UPDATE OF seq ON ydoc_data.document FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION answer()});
$writer->ask("SELECT * FROM ydoc.apply_batch(ARRAY['asked', 'other'], ARRAY[" . join(',', typed(1, 0, 'q'), typed(1, 0, 'q')) . '], NULL)');
is(heard(), "2 asked\n2 other", 'a trigger that answers: the last seq is heard');
$writer->ask('DROP TRIGGER answer ON ydoc_data.document');

$writer->ask(apply('ends', 0, 'a'));
heard();
$writer->ask("SELECT ydoc.delete('ends')");
is(heard(), '0 ends', 'a deletion is heard');
$writer->ask("SELECT ydoc.delete('ends')");
$writer->ask("SELECT ydoc.purge('ends')");
is(heard(), '', 'once');
$writer->ask("SELECT ydoc.create('ends', ydoc_from_text('anew', 't'))");
is(heard(), '1 ends', 'as is what comes after');
$writer->ask('BEGIN');
$writer->ask("SELECT ydoc.text_append('ends', 't', '!')");
$writer->ask("SELECT ydoc.delete('ends')");
$writer->ask('COMMIT');
is(heard(), '0 ends', 'of a transaction the last that it did');
$writer->ask('BEGIN');
$writer->ask("SELECT ydoc.undelete('ends')");
$writer->ask("SELECT ydoc.rename('ends', 'begins')");
$writer->ask('COMMIT');
is(heard(), "0 ends\n2 begins", 'a renaming is the end of one name and the beginning of another');

$writer->ask('SET ydoc.notify = off');
$writer->ask(apply('notes/7', 4, 'e'));
is(heard(), '', 'bulk work may be silent');

$writer->ask('BEGIN');
$writer->ask(apply('notes/7', 5, 'f'));
is($writer->ask("PREPARE TRANSACTION 'silent'"), '', 'a silent transaction may be prepared');
is($writer->ask("SELECT ydoc.text('notes/7', 't')"), 'abcde', 'and is not seen until it commits');
$writer->ask("ROLLBACK PREPARED 'silent'");
is($writer->ask("SELECT ydoc.text('notes/7', 't')"), 'abcde', 'or rolls back');
$writer->ask('RESET ydoc.notify');
$writer->ask('BEGIN');
$writer->ask(apply('notes/7', 5, 'f'));
is($writer->ask("PREPARE TRANSACTION 'heard'"), 'ERROR:  0A000', 'others may not: nobody would hear');

done_testing;
