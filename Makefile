# Everything here works on a fresh Debian or Ubuntu with Python >= 3.11, git and make.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.synced
UV_VERSION := 0.13.9
export PYTHONDONTWRITEBYTECODE ?=
K ?=
SELECT := $(if $(K),-k "$(K)",)

.PHONY: help setup demo serve clients check test test-unit test-interop conformance bench docs clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

setup: $(STAMP) ## the virtual environment, from uv.lock

$(STAMP): pyproject.toml uv.lock .ci/setup
	@.ci/setup $(VENV) $(UV_VERSION)
	@touch $@

demo: $(STAMP) ## a registry, three images, one of them refused (ONCE=1: end after the walk)
	@$(BIN)/trustgate demo $(if $(ONCE),--once,)

serve: $(STAMP) ## the embedded default, for real use on this machine
	@$(BIN)/trustgate serve

clients: ## the real clients that the interop suite drives
	@python3 tests/clients/install.py

check: $(STAMP) ## everything a machine can say about the code without running it
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 12

test: test-unit test-interop ## all tests; suites without their clients are skipped, and say so

# One more than there are cores: the tests that wait for a server leave theirs to another.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

test-unit: $(STAMP) ## without outside clients, under two minutes
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal tests/unit $(SELECT)

test-interop: $(STAMP) ## with real docker, podman, cosign …; see make clients
	@$(BIN)/pytest tests/interop $(SELECT)

conformance: $(STAMP) ## the official suite of the distribution specification, two settings
	@$(BIN)/python -m tests.conformance.run

bench: $(STAMP) ## ratios against Distribution, verifications a second, first pulls
	@$(BIN)/python -m tests.bench.run
	@$(BIN)/python -m tests.bench.verification

docs: $(STAMP) ## docs/_build/html, no warnings allowed
	@$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

clean: ## remove what make made, clients and data apart
	@rm -rf $(VENV) docs/_build .mypy_cache .pytest_cache .ruff_cache
