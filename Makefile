# `make` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

BIN := .venv/bin
DEMO := data/demo
# What the demo runs, and what every check runs.
comma := ,
EXTRAS_demo := generate,preview
EXTRAS_all := generate,dask,dataflow,s3,gcs,hub,preview,export,view,train,docs,dev
# uv installs in a fraction of pip's time; `make UV=` uses pip.
UV := $(BIN)/uv
PIP := $(BIN)/pip --disable-pip-version-check
INSTALL = $(if $(UV),$(UV) pip install --python $(BIN)/python,$(PIP) install)
# Even where images for containers turn it off, bytecode is kept: a job and the tests
# start many processes, each of which would compile its modules again.
export PYTHONDONTWRITEBYTECODE :=
# The first Python that is 3.11: bpy's wheels are for no other.
PYTHON ?= $(shell for p in python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
	&& echo $$p && break; done)

.PHONY: help
help:  ## list the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 17

.PHONY: install
install: .venv/installed-all  ## make .venv and install everything, once

.venv/installed-%: setup.cfg pyproject.toml constraints.txt | $(BIN)/python $(UV)
	@echo "installing dyso[$(EXTRAS_$*)]: several GB, most of it Blender and TensorFlow"
	@$(INSTALL) -e '.[$(EXTRAS_$*)]' -c constraints.txt
	@touch $@

$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { echo "make: Python 3.11 is needed and not found;" \
	    "install it, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "making .venv"
	@$(PYTHON) -m venv .venv

$(BIN)/uv: | $(BIN)/python
	@echo "installing uv, which installs the rest"
	@$(PIP) install --quiet uv -c constraints.txt

.PHONY: demo
demo: .venv/installed-demo  ## render specs/demo.yaml on all cores and make its pictures
	@$(BIN)/dyso doctor --out $(DEMO)
	@$(BIN)/dyso generate specs/demo.yaml --out $(DEMO)
	@$(BIN)/dyso preview $(DEMO)

# One process more than cores: many tests wait for time-outs. Files go in the order of
# tests/conftest.py, by slow tests; xdist would begin with those of many tests.
WORKERS = $$($(BIN)/python -c 'import os; print(min(8, os.cpu_count() + 1))')

.PHONY: test
test: lint  ## run every check: what CI runs
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: lint
lint: install  ## check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: docs
docs: install  ## build the manual into build/docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "next: open $(CURDIR)/build/docs/index.html in a browser, or on a machine" \
	    "without one: $(BIN)/python -m http.server --directory build/docs"

.PHONY: format
format: install  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# For any Python 3.11 and the C library of Debian 12, of which the worker image is made.
LOCK = $(BIN)/uv pip compile setup.cfg --quiet --no-annotate --python-version 3.11 \
	--python-platform x86_64-manylinux_2_36 --custom-compile-command 'make lock'
IMAGE_EXTRAS := generate dask dataflow gcs s3
# `make lock UPGRADE=` moves no pin that still fits.
UPGRADE := --upgrade

.PHONY: lock
lock: | $(BIN)/uv  ## pin the newest packages that fit, for .venv and the worker image
	@$(LOCK) $(UPGRADE) $(addprefix --extra ,$(subst $(comma), ,$(EXTRAS_all))) \
	    -o constraints.txt >/dev/null
	@$(LOCK) $(IMAGE_EXTRAS:%=--extra %) -c constraints.txt --generate-hashes \
	    -o docker/requirements.txt >/dev/null

.PHONY: clean
clean:  ## remove .venv and caches; data stays
	rm -rf .venv .venv.* build *.egg-info .mypy_cache .pytest_cache .ruff_cache \
	    .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
