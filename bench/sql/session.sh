# shellcheck shell=bash disable=SC2154
# A person's editing session of 259,778 updates: merged by the aggregate; as a log of as many rows, which nobody has compacted:
# opened cold, asked by who was away, compacted, and opened again.  (QUICK: one of 19,749.)
trace=automerge-paper
[ -z "${QUICK:-}" ] || trace=sveltecomponent

"${psql[@]}" -c 'CREATE TABLE update_of_session (n integer PRIMARY KEY, update bytea NOT NULL)' -c 'CREATE TABLE state_of_session (state bytea)'
node bench/sql/updates.mjs "$trace" updates | "${psql[@]}" -c 'COPY update_of_session FROM STDIN'
node bench/sql/updates.mjs "$trace" state | "${psql[@]}" -c 'COPY state_of_session FROM STDIN'
"${psql[@]}" -f bench/sql/session.sql
ask 'CALL merge_session()'
ask 'CALL log_session()'
# a session each: nothing is decoded yet.  First as a log is that has just been written, and then with statistics.
ask "CALL open_cold('fresh log')"
ask 'ANALYZE ydoc_data.log, ydoc_data.document'
for _ in 1 2 3; do
	ask "CALL open_cold('log')"
done
ask 'CALL ask_as_returning_client()'
ask 'CALL compact_session()'
for _ in 1 2 3; do
	ask "CALL open_cold('compacted')"
done
ask 'CALL note_session()'
