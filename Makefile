# Everything a fresh machine needs: `make demo` shows the main job, `make test` proves it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
INSPECT := .venv-inspect
export LANGGRAPH_STRICT_MSGPACK := true

.DEFAULT_GOAL := help
.PHONY: help setup inspect demo test prove lint types eval bench docs check

help: ## show this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv with pinned, hash-checked dependencies

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $(STAMP)

inspect: $(INSPECT)/.installed ## the viewer of Inspect, in an environment of its own, for `plumbline eval report --inspect`

$(INSPECT)/.installed: requirements-inspect.lock
	test -x $(INSPECT)/bin/python || $(PYTHON) -m venv $(INSPECT)
	$(INSPECT)/bin/python -m pip install --quiet --require-hashes -r requirements-inspect.lock
	touch $@

demo: $(STAMP) ## a cited diagnosis on an embedded world; no key, no cluster
	@$(BIN)/plumbline demo

test: $(STAMP) ## the tests, with a seeded slice of every large proof
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not prove"

prove: $(STAMP) ## the large proofs at full size
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m prove

lint: $(STAMP) ## style, layers, limits, documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q tests/repo/test_docs.py tests/repo/test_house_style.py

types: $(STAMP) ## mypy --strict over everything
	$(BIN)/mypy

eval: $(STAMP) ## every scenario, graded and held to the scorecard
	$(BIN)/plumbline eval --scorecard

bench: $(STAMP) ## ratios against floors taken in the same run
	$(BIN)/python -m evals.bench

docs: $(STAMP) ## write the generated parts of the documentation again
	$(BIN)/python -m tests.repo.generated

check: lint types test eval ## all that CI checks
