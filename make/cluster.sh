# shellcheck shell=bash
# A PostgreSQL cluster of our own, for sourcing: cluster_start DIR [OPTIONS], cluster_stop DIR.
#
# It listens on a Unix socket in DIR/socket only.  PostgreSQL refuses to run as root: root starts
# it as user postgres, whom DIR must let in; everybody else as himself.

cluster_bin=$("${PG_CONFIG:-pg_config}" --bindir)

cluster_as_owner() {
	if [ "$(id -u)" -eq 0 ]; then
		setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/tmp "$@"
	else
		"$@"
	fi
}

# A new directory that the cluster's owner may enter.
cluster_directory() {
	local directory
	directory=$(mktemp -d "${TMPDIR:-/tmp}/pg_ydoc.XXXXXX")
	chmod 755 "$directory"
	echo "$directory"
}

cluster_start() {
	local directory=$1 owner
	shift
	mkdir -p "$directory/socket"
	owner=$(id -un)
	if [ "$(id -u)" -eq 0 ]; then
		owner=postgres
		chown postgres "$directory" "$directory/socket"
	fi
	if [ ! -f "$directory/data/PG_VERSION" ]; then
		cluster_as_owner "$cluster_bin/initdb" -D "$directory/data" -U postgres -A trust -E UTF8 \
			--locale=C.UTF-8 > "$directory/initdb.log" 2>&1 ||
			{
				cat "$directory/initdb.log" >&2
				return 1
			}
	fi
	cluster_as_owner "$cluster_bin/pg_ctl" -D "$directory/data" -l "$directory/socket/server.log" -w \
		-o "-k $directory/socket -c listen_addresses='' $*" start > /dev/null ||
		{
			cat "$directory/socket/server.log" >&2
			echo "could not start PostgreSQL as user $owner in $directory" >&2
			return 1
		}
}

cluster_stop() {
	cluster_as_owner "$cluster_bin/pg_ctl" -D "$1/data" -m fast -w stop > /dev/null 2>&1 || true
}
