# shellcheck shell=bash
# A PostgreSQL with the sanitized extension, for sourcing: sanitized_server DIR.
#
# It is the server of PG_CONFIG, copied to DIR as far as it has to be (programs find their libraries
# by where they lie themselves), with what is built here installed on top.  Nothing of the original
# changes.  Its pg_config is $sanitized_pg_config: whatever takes PG_CONFIG runs with it as it is.
#
# Its `postgres` is a script that loads the sanitizer's runtime first, which cannot join later.  What
# the sanitizers find ends the process and stands in DIR/log, beside all else that its servers say.

# A copy of the server, of links except for programs and what gets new files.
copy_server() {
	local root=$1/server what from
	for what in bindir pkglibdir sharedir; do
		mkdir -p "$root$("$pg_config" --$what)"
	done
	cp "$("$pg_config" --bindir)"/* "$root$("$pg_config" --bindir)/"
	for what in pkglibdir sharedir; do
		from=$("$pg_config" --$what)
		ln -s "$from"/* "$root$from/"
	done
	from=$("$pg_config" --sharedir)/extension
	rm "$root$from"
	mkdir "$root$from"
	ln -s "$from"/* "$root$from/"
	rm -f "$root$from"/pg_ydoc* "$root$("$pg_config" --pkglibdir)"/pg_ydoc*
}

# In place of postgres.  What initdb runs needs no extension, and is done sooner without.
write_launcher() {
	local bin=$1 directory=$2 runtime
	runtime=$(realpath "$(cc -print-file-name=libasan.so)")
	cc -shared -fPIC -Wl,-z,initfirst -o "$directory/early.so" test/sanitized/early.c
	# servers run as somebody else if we are root
	touch "$directory/log"
	chmod 666 "$directory/log"
	mv "$bin/postgres" "$bin/postgres-itself"
	cat > "$bin/postgres" << LAUNCHER
#!/bin/bash
case \${1-} in
	--boot | --single | -V | --version) ;;
	*)
		export LD_PRELOAD="$runtime $directory/early.so"
		export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:allocator_may_return_null=1:quarantine_size_mb=64:\${ASAN_OPTIONS-}
		export UBSAN_OPTIONS=print_stacktrace=1:abort_on_error=1:\${UBSAN_OPTIONS-}
		;;
esac
exec -a "\$0" "$bin/postgres-itself" "\$@" 2> >(exec env -u LD_PRELOAD tee -a "$directory/log" >&2)
LAUNCHER
	chmod 755 "$bin/postgres"
}

# Builds and installs one of the modules.
install_sanitized() {
	local build=build/sanitize/$1
	local make=(make --no-print-directory -s -C "$build" -f "$PWD/$1/Makefile" SANITIZE=1)
	mkdir -p "$build" && "${make[@]}" PG_CONFIG="$pg_config" &&
		"${make[@]}" PG_CONFIG="$sanitized_pg_config" install > /dev/null
}

sanitized_server() {
	local directory=$1 pg_config=${PG_CONFIG:-pg_config}
	sanitized_bin=$directory/server$("$pg_config" --bindir)
	sanitized_pg_config=$sanitized_bin/pg_config
	copy_server "$directory" && write_launcher "$sanitized_bin" "$directory" &&
		install_sanitized extension && install_sanitized test/sanitized
}
