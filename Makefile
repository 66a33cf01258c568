# `make demo` and `make test` do their own set-up; everything stays inside .venv and the user's caches.
# The first of these that runs and is 3.11 or newer; a name alone may be a shim of something absent.
NEW_ENOUGH := 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	$$name -c $(NEW_ENOUGH) 2>/dev/null && echo $$name && break; done)
BIN := .venv/bin
READY := .venv/.ready
ALL ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast lint bench soak docs clean

help:  ## Say what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(READY)  ## Make .venv with everything in it

$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found: install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c $(NEW_ENOUGH) || { echo "$(PYTHON) is not a Python 3.11 or newer: name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version); the first time takes a minute or two." >&2
	@$(PYTHON) -m venv .venv
	@bash -o pipefail -c "$(BIN)/python -m pip install --disable-pip-version-check --editable '.[dev]' \
		| awk '{printf \".\"; fflush()} END {print \"\"}' >&2"
	@touch $(READY)

demo: $(READY)  ## Run the whole story on this machine; DEMO='--headless --json' for no terminal
	@$(BIN)/forensics demo $(DEMO)

test: $(READY)  ## Check everything that needs no root; ALL=1: everything, Debian packages included
	@.ci/check $(if $(ALL),all,usual)

test-fast: $(READY)  ## Under a minute, for the inner loop
	@.ci/check fast

lint: $(READY)  ## Format, style, types, and which package may import which
	@.ci/check lint

bench: $(READY)  ## Speed and memory as ratios against peers; BENCH='null-sink --lines 1000000' for a part
	@$(BIN)/python -m tests.bench.run $(BENCH)

HOURS ?= 1
soak: $(READY)  ## Kill, rotate and fail for hours; HOURS=1 SEED=…; exit 1 at the first wrong line
	@$(BIN)/python -m tests.faults.soak --hours $(HOURS) $(if $(SEED),--seed $(SEED))

docs: $(READY)  ## Write the generated pages of docs/ anew
	@.ci/docs

clean:  ## Remove .venv and what tools left behind
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
