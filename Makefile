# The daily verbs. `make VERB VENV=DIR` uses another virtual environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
export DAFT_ANALYTICS_ENABLED = 0

.PHONY: help demo test lint bench figures clean
help:  ## say what each verb does
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $@

demo: $(VENV)/installed  ## build a knowledge graph from the bundled sample and show what came out
	@PATH="$(abspath $(BIN)):$$PATH" sh examples/demo.sh

test: $(VENV)/installed-dev  ## all tests
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

lint: $(VENV)/installed-dev  ## ruff, mypy and the import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/installed-dev  ## rates, memory and ratios to the baselines (FRACTION=0.1 for a tenth of MIND's size)
	$(BIN)/python -m benchmarks --fraction $(or $(FRACTION),0.02)

figures: $(VENV)/installed-dev  ## the figures of docs/hypernyms.md, from the bundled sample
	PATH="$(abspath $(BIN)):$$PATH" sh docs/figures/make.sh

clean:  ## remove what demo, test and bench made
	rm -rf $(VENV) build dist demo-kb kb kb.ttl .pytest_cache .mypy_cache .ruff_cache
