#!/usr/bin/env bash
# `make run`: a private PostgreSQL, the relay and the demo page; Ctrl-C stops them.  Documents stay
# for the next time in YDOC_DATA (default: ~/.local/share/pg_ydoc; for root /var/lib/pg_ydoc-demo).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=make/cluster.sh
. make/cluster.sh

if [ "$(id -u)" -eq 0 ]; then
	data=${YDOC_DATA:-/var/lib/pg_ydoc-demo}
else
	data=${YDOC_DATA:-${XDG_DATA_HOME:-$HOME/.local/share}/pg_ydoc}
fi
listen=${YDOC_LISTEN:-127.0.0.1:8080}

# somebody else's port, or documents that are being edited, are left alone
port=${listen##*:} host=${listen%:*}
host=${host#[} host=${host%]}
if [ "$port" != 0 ] && (exec 3<> "/dev/tcp/${host:-127.0.0.1}/$port") 2> /dev/null; then
	echo "Something listens at $listen already; YDOC_LISTEN=HOST:PORT names another place." >&2
	exit 1
fi
if cluster_as_owner "$cluster_bin/pg_ctl" -D "$data/data" status > /dev/null 2>&1; then
	echo "PostgreSQL runs in $data already: for another \`make run\`, or for one that was killed." >&2
	echo "YDOC_DATA names another directory; $cluster_bin/pg_ctl -D $data/data stop ends it." >&2
	exit 1
fi

make/install.sh
make --no-print-directory -s demo
mkdir -p "$data"
relay_pid=
# shellcheck disable=SC2317 # called by the trap
stop() {
	trap - EXIT INT TERM
	echo
	echo "Stopping; the documents stay in $data."
	[ -z "$relay_pid" ] || kill -TERM "$relay_pid" 2> /dev/null || true
	[ -z "$relay_pid" ] || wait "$relay_pid" 2> /dev/null || true
	cluster_stop "$data"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cluster_start "$data" -c shared_preload_libraries=pg_ydoc -c ydoc.worker_databases=ydoc
"$cluster_bin/createdb" -h "$data/socket" -U postgres ydoc 2> /dev/null || true

rm -f "$data/port"
build/ydoc-relay --listen "$listen" --database "host=$data/socket user=postgres dbname=ydoc" \
	--init --static demo/dist --port-file "$data/port" --log-level warning &
relay_pid=$!
for _ in $(seq 100); do
	[ ! -s "$data/port" ] || break
	kill -0 "$relay_pid" 2> /dev/null || exit 1
	sleep 0.1
done

# a line from a client of its own: it ends up at the start of the text
edit=$(cd demo && node edit.mjs 'Hello from SQL.')
psql="psql -h $data/socket -U postgres ydoc"
cat << TEXT

The editor:           http://${listen%:*}:$(cat "$data/port")/   (open it twice)
Its text, from SQL:   $psql -c "SELECT ydoc.text('welcome', 'content')"
Edit it from SQL:     $psql -c "SELECT ydoc.apply('welcome', ARRAY['$edit'::bytea])"
Stop:                 Ctrl-C

TEXT
wait "$relay_pid"
