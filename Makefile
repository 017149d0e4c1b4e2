SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
.DEFAULT_GOAL := help

.PHONY: help
help: ## list what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "fleetbeat needs Python 3.11 or newer (python3 --version says: $$(python3 --version 2>&1)). Install one and run make again."; exit 2; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: requirements.lock pyproject.toml $(VENV)/.made
	@echo "Installing the locked packages of requirements.lock"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "Installing the locked tools of requirements-dev.lock"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

.PHONY: setup
setup: $(VENV)/.dev ## build .venv from the locked packages
	@echo "Ready: $(BIN)/fleetbeat --help"

.PHONY: demo
demo: $(VENV)/.runtime ## the whole story on simulated clusters, nothing else needed
	@$(BIN)/fleetbeat demo

.PHONY: up
up: $(VENV)/.runtime ## run a fleet: make up FLEET=DIR
	@$(BIN)/fleetbeat up $(if $(FLEET),--fleet $(FLEET))

.PHONY: test
test: $(VENV)/.dev ## every test
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: unit
unit: $(VENV)/.dev ## the unit tests alone, seconds
	@$(BIN)/python -m pytest tests/unit $(ARGS)

.PHONY: bench
bench: $(VENV)/.runtime ## fleetbeat beside its peers on a real API server: make bench ARGS="--rounds 3"
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: lint
lint: $(VENV)/.dev ## style, formatting, who may import whom
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-logo

.PHONY: types
types: $(VENV)/.dev ## mypy, strict
	@$(BIN)/mypy

.PHONY: format
format: $(VENV)/.dev ## rewrite what ruff can
	@$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format -q .

.PHONY: docs
docs: $(VENV)/.dev ## generate docs/configuration.md, docs/health.md and the JSON Schemas
	@$(BIN)/fleetbeat schema --write docs
	@$(BIN)/python -m workers.sync.health.page > docs/health.md

.PHONY: lock
lock: ## compile the lock files anew (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate -q \
		--group pyproject.toml:build -o requirements.lock
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate -q \
		--group pyproject.toml:build --group pyproject.toml:dev -c requirements.lock -o requirements-dev.lock

.PHONY: clean
clean: ## remove .venv and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
