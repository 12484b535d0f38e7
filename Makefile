# Everything there is to run. `make demo` and `make test` do all set-up themselves: they need Python 3.11 or newer
# (with venv) and make; the tests also install Debian packages and npm parts that are not there yet.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
WORK := .work

# How many test processes run at once, and for how long each decoder is fuzzed.
JOBS ?= 2
FUZZ_SECONDS ?= 5
SOAK_FUZZ_SECONDS ?= 600

# ---------------------------------------------------------------------------------------------------------------------

.PHONY: help
help:  ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

.PHONY: demo
demo: $(VENV)/.package  ## the four stories for real, and a DHT that outlives them (under two minutes, no root)
	@$(BIN)/python -m scripts.demo

.PHONY: test
test: $(VENV)/.dev $(WORK)/.system $(WORK)/.speculos peers  ## run the tests
	@mkdir -p $(WORK)
	@status=0; $(BIN)/python -m pytest -n $(JOBS) $(PYTEST_ARGS) 2>&1 | tee $(WORK)/pytest.txt || status=$$?; \
	tail -n 1 $(WORK)/pytest.txt > $(WORK)/pytest-summary.txt; exit $$status

.PHONY: lint
lint: $(VENV)/.dev  ## ruff and the arrows between layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

.PHONY: type
type: $(VENV)/.dev  ## mypy, strict
	$(BIN)/mypy

.PHONY: fuzz
fuzz: $(VENV)/.dev  ## fuzz every decoder for FUZZ_SECONDS each
	$(BIN)/python tests/fuzz/run.py --seconds $(FUZZ_SECONDS) --jobs $(JOBS)

.PHONY: test-hid
test-hid: $(VENV)/.dev $(WORK)/.system-hid  ## security keys on a kernel's true HID stack, in a virtual machine (minutes)
	@$(BIN)/python -m tests.hid.run

.PHONY: bench
bench: $(VENV)/.dev $(WORK)/.system bench/node_modules/.package-lock.json  ## measure speed and size, as ratios; rewrites docs/benchmarks.md
	$(BIN)/python bench/run.py all --write docs/benchmarks.md

.PHONY: docs
docs: $(VENV)/.dev  ## regenerate the pages that come from the program
	$(BIN)/python -m scripts.make_docs

.PHONY: vectors
vectors: $(VENV)/.dev  ## remake our own test vectors
	$(BIN)/python -m tests.vectors.make_vectors
	$(BIN)/python -m tests.vault.golden
	$(BIN)/python scripts/make_key_vectors.py

.PHONY: check
check: lint type fuzz test test-hid  ## all of it: what continuous integration runs

.PHONY: soak
soak: $(VENV)/.dev $(WORK)/.system peers  ## the long versions of fuzzing, kills and floods (hours)
	$(BIN)/python tests/fuzz/run.py --seconds $(SOAK_FUZZ_SECONDS) --jobs $(JOBS)
	WALLETCLI_SOAK=1 $(BIN)/python -m pytest -m soak --timeout 7200 $(PYTEST_ARGS)

.PHONY: lock
lock: $(VENV)/.dev  ## compile the lock files from pyproject.toml and requirements/*.in
	$(BIN)/pip-compile $(COMPILE) pyproject.toml -o requirements/runtime.txt
	$(BIN)/pip-compile $(COMPILE) -c requirements/runtime.txt requirements/build.in -o requirements/build.txt
	$(BIN)/pip-compile $(COMPILE) -c requirements/runtime.txt -c requirements/build.txt pyproject.toml requirements/dev.in -o requirements/dev.txt
	$(BIN)/pip-compile $(COMPILE) requirements/speculos.in -o requirements/speculos.txt

COMPILE := --quiet --no-strip-extras --allow-unsafe --generate-hashes --no-header --no-emit-index-url \
	--no-emit-trusted-host --no-emit-find-links --no-emit-options

.PHONY: clean
clean:  ## remove everything that was made here
	rm -rf $(VENV) $(WORK) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name node_modules -prune -exec rm -rf {} +
	find . -name __pycache__ -prune -exec rm -rf {} +

# ---------------------------------------------------------------------------------------------------------------------
# The virtual environment. It is made anew whenever a lock file changes, so that it never holds what the locks do not.

LOCKS := requirements/runtime.txt requirements/build.txt

$(VENV)/.runtime: $(LOCKS)
	@test -n "$(PYTHON)" || { echo "no python3 found: install Python 3.11 or newer with venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than 3.11: call make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "$(PYTHON) has no venv: on Debian, apt-get install python3-venv" >&2; exit 1; }
	@echo "making $(VENV) from the lock files"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --quiet --require-hashes --only-binary :all: $(LOCKS:%=-r %)
	@touch $@

$(VENV)/.package: pyproject.toml $(VENV)/.runtime
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.package
	@echo "adding what the checks need"
	@$(PIP) install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

# Debian packages that the tests drive; installs only what is missing, and says what it does.
$(WORK)/.system: scripts/setup-system.sh
	@mkdir -p $(WORK)
	@scripts/setup-system.sh
	@touch $@

# Those of the virtual machine in which security keys are tried.
$(WORK)/.system-hid: scripts/setup-system.sh
	@mkdir -p $(WORK)
	@scripts/setup-system.sh --hid
	@touch $@

# The emulator of Ledger's maker, in an environment of its own.
$(WORK)/.speculos: requirements/speculos.txt scripts/setup-speculos.sh | $(VENV)/.dev $(WORK)/.system
	@scripts/setup-speculos.sh
	@touch $@

# What comes from npm, from its lock files: independent peers for the tests, and what benchmarks compare with.
.PHONY: peers
peers: tests/peers/node_modules/.package-lock.json

%/node_modules/.package-lock.json: %/package-lock.json | $(WORK)/.system
	cd $* && npm ci --no-audit --no-fund --ignore-scripts
	@touch $@
