# make install | data | run | night | month | models | serve | test | test-slow | lint | bench | study | clean
# EVENTS and SEED choose the simulated data: make run EVENTS=20000 SEED=3

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
EVENTS ?=
SEED ?=
FIGURES ?=
DATE ?=
PORT ?=
SEEDS ?=
WORLDS ?=
CELLS ?=
DATA ?=
QUICK ?=

ENV := . ./env.sh
INSTALLED := .venv/.installed
HISTORY := .dagster_home/history/runs.db

.PHONY: help install data run night month models serve test test-slow lint bench study clean

help: ## What there is
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

install: $(INSTALLED) $(HISTORY) ## Virtual environment with the tested versions of everything

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: $(PYTHON) is $$($(PYTHON) -V), and 3.11 or later is needed: make install PYTHON=python3.12" >&2; exit 1; }
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[api,dev]'
	@touch $@

# Two first runs side by side would both create Dagster's tables: they are created here.
$(HISTORY): | $(INSTALLED)
	@$(ENV) && dagster instance info > /dev/null

data: install ## Simulated scan events in data/raw (EVENTS, SEED), unless there are real ones
	@$(ENV) && barcode-pipeline sample-data $(if $(EVENTS),--events $(EVENTS)) $(if $(SEED),--seed $(SEED))

run: data ## Everything from raw files to the report, through Dagster, over all dates
	@$(ENV) && cd "$$BARCODE_PIPELINE_ROOT" && dates="$$(barcode-pipeline intake --print-range)" && \
	  dagster asset materialize --select '*' --partition-range "$$dates" && \
	  barcode-pipeline show-metrics

models: install ## The models, their figures, and which is in service
	@$(ENV) && barcode-pipeline models

serve: install ## The live API (PORT)
	@$(ENV) && barcode-pipeline serve $(if $(PORT),--port $(PORT))

night: install ## The night of a date: make night DATE=2025-12-16
	@test -n "$(DATE)" || { echo "make: which date? make night DATE=2025-12-16" >&2; exit 1; }
	@$(ENV) && barcode-pipeline night "$(DATE)"

month: install ## Thirty nights with late, double, corrected and broken files, then compared with one backfill
	@$(ENV) && pytest -q -m slow barcode_pipeline_tests/nightly

# A test that hangs is shown with what its threads do and fails, in place of keeping the others for ever.
test: install ## The tests
	@$(ENV) && pytest -q -n 2 --dist loadfile --max-worker-restart 0 \
	  -o faulthandler_timeout=600 -o faulthandler_exit_on_timeout=true

test-slow: install ## The tests that take minutes
	@$(ENV) && pytest -q -m slow

lint: install ## Style, format and types
	@$(ENV) && ruff check && ruff format --check && mypy

bench: install ## Measure (FIGURES=name,… for some)
	@$(ENV) && python -m benchmarks $(if $(FIGURES),$(FIGURES))

study: install ## Measure every detector in simulated worlds (SEEDS, WORLDS, CELLS, DATA=folder, QUICK=1)
	@$(ENV) && barcode-pipeline study $(if $(SEEDS),--seeds $(SEEDS)) $(if $(WORLDS),--worlds $(WORLDS)) \
	  $(if $(CELLS),--cells $(foreach cell,$(CELLS),'$(cell)')) $(if $(DATA),--data '$(DATA)') $(if $(QUICK),--quick)

clean: ## Remove what was made from the raw files, and Dagster's history
	rm -rf data/interim data/lstm_training data/scores data/quarantine models/* reports logs .dagster_home
