# shellcheck shell=bash disable=SC2154
# Commits as programs see them: batches of 1 to 1,000 updates from 1, 2 and 4 connections, each durable before the next,
# while somebody listens; beside rows of the same bytes in a plain table, with a notification a batch: what PostgreSQL itself costs.

# psql and ask are those of bench/sql/run, which reads this.  Each connection writes documents of its own.
# Now one way, now the other: what else the machine does is the same for both.
seconds=0.35
rounds=3
[ -z "${QUICK:-}" ] || rounds=1

"${psql[@]}" -f bench/sql/commit.sql
(
	echo 'LISTEN ydoc; LISTEN plain; SELECT 1 \watch 0.2'
) | "${psql[@]}" > /dev/null 2>&1 &
listener=$!
trap 'kill "$listener" 2> /dev/null || true' EXIT

for updates in 1 10 100 1000; do
	for connections in 1 2 4; do
		for round in $(seq "$rounds"); do
			for way in plain ydoc; do
				writers=()
				start=$(ask "SELECT extract(epoch FROM clock_timestamp()) + 0.15")
				for number in $(seq "$connections"); do
					ask "CALL write_batches('$way', $round, $connections, $number, $updates, $start, $seconds)" &
					writers+=($!)
				done
				for writer in "${writers[@]}"; do
					wait "$writer"
				done
			done
		done
	done
done
ask 'CALL note_commits()'
many=500
[ -z "${QUICK:-}" ] || many=150
ask "CALL compare_ways('1 update a batch', 1, 1, $many)"
ask "CALL compare_ways('10 updates of 10 documents', 10, 10, $many)"
ask "CALL compare_ways('100 updates of 100 documents', 100, 100, $((many / 2)))"
ask "CALL compare_ways('100 updates of one document', 100, 1, $((many / 4)))"
