#!/usr/bin/env bash
# Formatting, static checks, and the rules of who may include whom.  Prints a tally.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

passed=0
failed=0
check() {
	local name=$1
	shift
	local output
	if output=$("$@" 2>&1); then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'not ok: %s\n%s\n' "$name" "$output"
	fi
}

files() { git ls-files "$@" | grep -v node_modules || true; }

# fails if a pattern is found outside comments
nowhere() {
	local pattern=$1
	shift
	! grep -nE "$pattern" "$@" | grep -vE '^[^:]*:[0-9]+:[[:space:]]*/?\*'
}

mapfile -t sources < <(files '*.c' '*.h')
mapfile -t core < <(files 'extension/crdt/*.c' 'extension/crdt/*.h')
mapfile -t glue < <(files 'extension/*.c' 'extension/*.h' | grep -v '^extension/crdt/')
mapfile -t relay < <(files 'relay/*.c' 'relay/*.h')
mapfile -t scripts < <(files '*.sh' test/run .ci/run test/regress/run test/tap/run test/isolation/run test/readme/run test/sanitized/run test/token/sql test/fuzz/run bench/sql/run bench/run)

check "formatting" clang-format --dry-run -Werror "${sources[@]}"
check "cppcheck" cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,portability \
	--suppress=missingInclude --suppress=uninitMemberVar --suppress=nullPointerArithmetic \
	--inline-suppr -Iextension/crdt "${core[@]}"
check "shell scripts" shellcheck -x "${scripts[@]}"
check "the core knows no PostgreSQL" nowhere '#include "(postgres|fmgr|utils/)' "${core[@]}"
check "the core allocates through its host" \
	nowhere '(^|[^_a-z])(malloc|calloc|realloc|free|printf|abort|exit|rand|time)\(' "${core[@]}"
check "the glue includes the core's public headers only" nowhere \
	'#include "crdt/(memory|poison|bytes|utf|object|any|idset|column|wire|item|tables|content|marks|redone|index|structs|integrate|transaction|clean|reserve|pending|plan|editing|undoing|undo_inside|encode|snapshot_set|reading)\.h"' \
	"${glue[@]}"
[ ${#relay[@]} -eq 0 ] || check "the relay includes nothing of the extension" \
	nowhere '#include ".*(extension|crdt)/' "${relay[@]}"
mapfile -t token < <(files 'token/*.c' 'token/*.h')
check "checking tokens knows neither relay nor PostgreSQL" \
	nowhere '#include "(.*(relay|extension|crdt)/|postgres|fmgr)' "${token[@]}"
# What advisories for libwebsockets have been about: its client, resolver, programs, extensions, formats.
[ ${#relay[@]} -eq 0 ] || check "the relay uses no more of libwebsockets than it needs" \
	nowhere 'lws_client_|CONFIRM_UPGRADE|lws_async_dns|lws_cgi|lws_spawn|lws_extension_callback|lws_(jws|jwk|jose|lejp|lecp|lhp|upng|dlo)_' "${relay[@]}"
# The invariants are those that are checked, under the same names; what their page points to is there.
named_invariants() {
	diff <(sed -n 's/^### //p' doc/invariants.md | sort) <(
		{
			sed -n "s/^  '\([a-z-]*\)': [a-zA-Z]*,*$/\1/p" test/faults/checks.mjs
			sed -n 's/.*\] = "\([a-z-]*\)",$/\1/p' test/simulation/invariant.c
		} | sort -u
	)
}
named_files() {
	local file missing=0
	# shellcheck disable=SC2016 # the backticks are the page's
	while read -r file; do
		[ -e "$file" ] || {
			echo "doc/invariants.md names $file, which is not there"
			missing=1
		}
	done < <(grep -oE '`(relay|test|extension)/[^` ]+`' doc/invariants.md | tr -d '`' | sort -u)
	return $missing
}
# Each test file that the page names for an invariant says so itself.
named_in_tests() {
	local name file missing=0
	while read -r name file; do
		grep -q -- "$name" "$file" || {
			echo "$file does not mention $name"
			missing=1
		}
	done < <(awk '
		/^### / { name = $2 }
		{ while (match($0, /test\/[a-z\/]+\.[a-z.]+/)) { print name, substr($0, RSTART, RLENGTH); $0 = substr($0, RSTART + RLENGTH) } }
	' doc/invariants.md)
	return $missing
}
check "tests name their invariants" named_in_tests
check "invariants have one name" named_invariants
check "invariants point to files that are there" named_files

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
