#!/usr/bin/env bash
# Builds the extension and installs it into the server of PG_CONFIG, with sudo if that is needed.
set -euo pipefail
cd "$(dirname "$0")/.."

make --no-print-directory -s all PG_CONFIG="${PG_CONFIG:-pg_config}"
library=$("${PG_CONFIG:-pg_config}" --pkglibdir)
if [ -w "$library" ]; then
	make --no-print-directory -s -C extension install PG_CONFIG="${PG_CONFIG:-pg_config}" > /dev/null
else
	echo "Installing the extension into $library needs sudo."
	sudo make --no-print-directory -s -C extension install \
		PG_CONFIG="${PG_CONFIG:-pg_config}" > /dev/null
fi
