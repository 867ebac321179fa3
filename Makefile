# Needs nothing but make and a Python (3.11 or newer) with venv; everything else goes into .venv.
#
#   make demo     train on the bundled digits; pictures and a summary under runs/
#   make test     run the tests
#   make check    what has to pass before a change is merged: lint, types, test
#   make docs     build the documentation into site/; a warning is an error
#
# Another Python: make test PYTHON=python3.14

PYTHON ?= python3
VENV ?= .venv

BIN := $(VENV)/bin
INSTALL := $(BIN)/pip install --constraint constraints-dev.txt --editable

.PHONY: demo test lint format types check docs benchmark clean

demo: $(VENV)/installed
	$(BIN)/harmonium train

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile

lint: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(VENV)/installed-dev
	$(BIN)/mypy

check: lint types test

# The variable silences an advertisement; the build itself is strict.
docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

benchmark: $(VENV)/installed
	$(BIN)/harmonium benchmark

clean:
	rm -rf $(VENV) dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The stamps: installing happens again only when what is to be installed has changed.
$(VENV)/installed: pyproject.toml constraints-dev.txt | $(BIN)/pip
	$(INSTALL) .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(INSTALL) '.[dev]'
	@touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(INSTALL) '.[docs]'
	@touch $@

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)
