#!/usr/bin/env bash
# Installs the Debian packages that are missing for what is asked: build, run, test, lint.  Says
# which and why; skips what is there; works as root and as a user with sudo.
set -euo pipefail

declare -A why=(
	[build-essential]="compiler and make"
	[pkg-config]="finds libraries"
	[postgresql]="the database"
	[postgresql-server-dev-all]="headers to build the extension"
	[libpq-dev]="the relay speaks to PostgreSQL"
	[libwebsockets-dev]="the relay speaks WebSocket and HTTP"
	[libwebsockets-evlib-ev]="libwebsockets in the relay's event loop"
	[libev-dev]="the relay's event loop"
	[libjansson-dev]="JSON: tokens, settings and log lines of the relay, vectors of the tests"
	[libssl-dev]="TLS, hashes, signatures of tokens"
	[libseccomp-dev]="the relay filters its own system calls"
	[libmd4c-dev]="the extension reads Markdown"
	[libmd4c-html0-dev]="names of characters in Markdown"
	[nodejs]="bundles the demo page; the real Yjs for tests"
	[npm]="fetches Yjs, editors and test tools"
	[libcmocka-dev]="unit tests of the core"
	[zlib1g-dev]="test data is compressed"
	[perl]="runs the tests that need servers of their own"
	[openssl]="makes the tests' certificates"
	[curl]="asks the page in the README's tests"
	[pgbouncer]="a pooler for the relay's tests"
	[valgrind]="counts the core's instructions, which the guard compares"
	[procps]="tests find the processes of a server"
	[chromium]="a real browser for the demo page's tests"
	[clang]="fuzzing: libFuzzer"
	[libclang-rt-dev]="fuzzing: the sanitizers and libFuzzer of clang"
	[clang-format]="formatting"
	[cppcheck]="static checks"
	[shellcheck]="checks shell scripts"
)

# What tells that a package's job is done already, where that is not the package itself: somebody
# may have another version, or have built it himself.
is_there() {
	case $1 in
		build-essential) command -v cc && command -v make ;;
		postgresql) ls /usr/lib/postgresql/*/bin/initdb || [ -x "$("${PG_CONFIG:-pg_config}" --bindir)/initdb" ] ;;
		postgresql-server-dev-all) [ -f "$("${PG_CONFIG:-pg_config}" --includedir-server)/postgres.h" ] ;;
		nodejs) command -v node ;;
		procps) command -v ps ;;
		perl) command -v prove ;;
		npm | curl | openssl | pgbouncer | valgrind | chromium | clang | clang-format | cppcheck | shellcheck | pkg-config) command -v "$1" ;;
		*) dpkg-query -W -f '${Status}' "$1" | grep -q 'ok installed' ;;
	esac > /dev/null 2>&1
}

packages_for() {
	case $1 in
		build)
			echo build-essential pkg-config postgresql-server-dev-all libpq-dev libwebsockets-dev \
				libev-dev libjansson-dev libssl-dev libseccomp-dev libmd4c-dev libmd4c-html0-dev
			;;
		run) echo postgresql libwebsockets-evlib-ev nodejs npm ;;
		test)
			echo libcmocka-dev zlib1g-dev perl curl openssl procps pgbouncer chromium clang libclang-rt-dev clang-format \
				cppcheck shellcheck valgrind
			;;
		lint) echo clang-format cppcheck shellcheck ;;
		*)
			echo "setup.sh: nothing is known of '$1'; known: build run test lint" >&2
			return 64
			;;
	esac
}

missing=()
for purpose in "$@"; do
	packages=$(packages_for "$purpose")
	for package in $packages; do
		is_there "$package" || missing+=("$package")
	done
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "These Debian packages are missing and will be installed:"
for package in "${missing[@]}"; do
	printf '  %-28s %s\n' "$package" "${why[$package]}"
done

as_root=()
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo > /dev/null || {
		echo "setup.sh: neither root nor sudo; ask an administrator for: ${missing[*]}" >&2
		exit 77
	}
	as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
