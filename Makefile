# Every target sets up what it needs in .venv; nothing has to be installed before but Python and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-order check format test test-faults test-all kill-rounds clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Install handssl and its tools into .venv

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 14) else "handssl needs Python 3.11, 3.12 or 3.13, this is %d.%d; choose one with: make PYTHON=python3.12" % sys.version_info[:2])'
	@echo "Setting up $(VENV) (several GB, a few minutes the first time) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY) ## The paper's Sec. 4.2 on procedural hands, in five minutes on two cores
	@$(BIN)/handssl demo

demo-order: $(READY) ## The same, larger and in three seed blocks, about an hour on two cores
	@$(BIN)/handssl demo --size order --markdown benchmarks/demo_order.md

check: $(READY) ## Format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY) ## Rewrite files in the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

test: $(READY) ## Tests for every change: at most 12 minutes on two cores
	@$(BIN)/python -m pytest -m 'not slow and not faults' -n 2 --dist loadfile --no-loadscope-reorder

FAULTS ?= faults and not slow
test-faults: $(READY) ## Tests with Ray, a browser and PostgreSQL, whose processes are killed and suspended
	@$(BIN)/python -m pytest tests -m '$(FAULTS)' -n 2 --dist loadfile --no-loadscope-reorder

test-all: $(READY) ## All tests, with many rounds: hours
	@$(BIN)/python -m pytest

SEED ?= 1
MINUTES ?= 60
kill-rounds: $(READY) ## Faults at random moments for MINUTES, a row each in benchmarks/faults.csv
	@$(BIN)/python -m tests.faults --seed $(SEED) --minutes $(MINUTES)

clean: ## Remove .venv and caches; results are kept
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
