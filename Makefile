# pg_ydoc: collaborative documents in PostgreSQL.  `make help` lists what one can ask for.
#
# Thin on purpose: each room's Makefile holds its facts; here are the targets people type, which
# install what they need first (make/setup.sh says what and why).

PG_CONFIG ?= pg_config
export PG_CONFIG

EXTENSION = $(MAKE) -C extension PG_CONFIG=$(PG_CONFIG)
RELAY = $(MAKE) -C relay PG_CONFIG=$(PG_CONFIG)

all: extension relay

extension:
	$(EXTENSION)

relay:
	$(RELAY)

demo: demo/dist/index.html

demo/dist/index.html: $(wildcard demo/src/*) demo/build.mjs demo/package-lock.json
	cd demo && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build

install: all
	$(EXTENSION) install
	$(RELAY) install

uninstall:
	$(EXTENSION) uninstall
	$(RELAY) uninstall

installcheck:
	$(EXTENSION) installcheck

# ---- these three set everything up on a machine that has nothing of ours ----

run:
	@make/setup.sh build run
	@make/run.sh

test:
	@make/setup.sh build run test
	@test/run

lint:
	@make/setup.sh lint
	@make/lint.sh

bench:
	@make/setup.sh build run test
	@bench/run

# random histories in our core and in the real Yjs; SEED=, TIME= seconds, CASE= file
fuzz-yjs:
	@make/setup.sh build run test
	@$(MAKE) --no-print-directory -s -C test/fuzz/yjs check

# everything breaks while people type: SEED=, FAULTS= how many, TIME= seconds instead
faults:
	@make/setup.sh build run test
	@make/install.sh
	@$(MAKE) --no-print-directory -s relay
	@$(MAKE) --no-print-directory -s -C test/faults check

clean:
	-$(EXTENSION) clean
	-$(RELAY) clean
	rm -rf build demo/dist extension/results extension/regression.*

# removes the documents that `make run` keeps
clean-data:
	rm -rf "$${YDOC_DATA:-$${XDG_DATA_HOME:-$$HOME/.local/share}/pg_ydoc}"

help:
	@echo 'make              build the extension and the relay (PG_CONFIG=... for another server)'
	@echo 'make install      install both (DESTDIR=... for a package); make uninstall'
	@echo 'make installcheck regression tests against a running server'
	@echo 'make run          a private PostgreSQL, the relay and the demo page, from nothing'
	@echo 'make test         everything that is tested, from nothing'
	@echo 'make lint         formatting and static checks'
	@echo 'make fuzz-yjs     random histories beside the real Yjs (SEED= TIME= CASE=)'
	@echo 'make faults       kill, cut and stop everything while people type (SEED= FAULTS= TIME=)'
	@echo 'make bench        all measurements, 13 minutes; the page bench/RESULTS.md (QUICK=1: fewer)'
	@echo 'make clean        remove what was built; make clean-data: the documents of make run'

.PHONY: all extension relay demo install uninstall installcheck run test lint bench fuzz-yjs faults clean clean-data help
