# Every command sets up what it needs by itself: it takes a Python >= 3.10 with venv, and make.
# `make PYTHON=/path/to/python3 ...` chooses the Python.

.DEFAULT_GOAL := help
.NOTPARALLEL:

# Tests start hundreds of processes. Each would compile the package anew if none kept the result.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
METADATA := pyproject.toml src/vfiipc/_version.py

# Empty while the environment works and belongs to this place; checked anew when a Python is named.
STALE := $(PYTHON)$(shell test -x $(BIN)/python && test "$$(cat $(VENV)/.created)" = "$$(pwd -P)" || echo stale)

.PHONY: help
help: ## show this list
	@echo 'make TARGET, where TARGET is one of'
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

# --- set-up: one stamp for each set of extras ------------------------------------------------------

.PHONY: stale
$(VENV)/.created: $(if $(STALE),stale)
	@tools/create_venv.sh $(VENV) "$(PYTHON)"

$(VENV)/.demo: $(VENV)/.created $(METADATA)
	@echo 'vfiipc: installing what the demo needs'
	@$(PIP) install --editable '.[cli]'
	@touch $@

$(VENV)/.dev: $(VENV)/.created $(METADATA)
	@echo 'vfiipc: installing what work on vfiipc needs'
	@$(PIP) install --editable '.[all,dev]'
	@touch $(VENV)/.demo $@

$(VENV)/.bench: $(VENV)/.created $(METADATA)
	@echo 'vfiipc: installing what the benchmarks compare with'
	@$(PIP) install --editable '.[bench]'
	@touch $@

.PHONY: venv
venv: $(VENV)/.dev ## create .venv with everything needed to work on vfiipc

# --- commands ---------------------------------------------------------------------------------------

.PHONY: demo
demo: $(VENV)/.demo ## show two processes that exchange messages over TCP
	@$(BIN)/python -m vfiipc demo

# Processes that share the tests; most of these wait, so that there may be more than cores.
WORKERS ?= 4
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.PHONY: test
test: $(VENV)/.dev ## run the quick tests
	@$(PYTEST) -m 'not long' --hypothesis-profile=quick $(ARGS)

.PHONY: test-long
test-long: $(VENV)/.dev ## run the long tests: stress, thousands of connections, builds
	@$(PYTEST) -m long $(ARGS)

.PHONY: coverage
coverage: $(VENV)/.dev ## run all tests and measure coverage; fails below the minimum
	@$(PYTEST) --cov --cov-report=term
	@$(BIN)/python -m coverage report --include='src/vfiipc/codec/*' --fail-under=100

.PHONY: lint
lint: $(VENV)/.dev ## check style, types and import rules
	@$(BIN)/python -m ruff check
	@$(BIN)/python -m ruff format --check
	@$(BIN)/python -m mypy
	@$(BIN)/lint-imports --no-cache --no-logo

# nox finds interpreters on PATH; those of pyenv are put there, and the one that .venv was made from.
PYENV_PYTHONS = $(shell pyenv root >/dev/null 2>&1 && printf '%s:' "$$(pyenv root)"/versions/3.1[0-3]*/bin)

.PHONY: test-all
test-all: $(VENV)/.dev ## run the tests with every Python 3.10-3.13 that is found
	@PATH="$(PYENV_PYTHONS)$$PATH:$(CURDIR)/$(BIN)" $(BIN)/python -m nox -- $(ARGS)

.PHONY: bench
bench: $(VENV)/.bench ## compare speed and memory with other libraries; SAVE=1 updates benchmarks/results
	@$(BIN)/python -m benchmarks $(if $(SAVE),--save) $(ARGS)

$(VENV)/.docs: $(VENV)/.created $(METADATA)
	@echo 'vfiipc: installing what makes the site'
	@$(PIP) install --editable '.[docs]'
	@touch $@

# The variable silences advice about other programs for making sites.
.PHONY: docs
docs: $(VENV)/.docs ## build the documentation site in site/; warnings are errors
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@$(BIN)/python tools/check_site.py site
	@echo 'open site/index.html'

# Seconds; what it writes goes into .fuzz, also the input of a failure: `python -m fuzz FILE`.
FUZZ_SECONDS ?= 60

$(VENV)/.fuzz: $(VENV)/.dev $(METADATA)
	@echo 'vfiipc: installing the fuzzer'
	@$(PIP) install --only-binary atheris --editable '.[fuzz]' || { echo >&2 \
	    'vfiipc: atheris has no wheel for this Python or platform: try make fuzz PYTHON=python3.11'; exit 1; }
	@touch $@

.PHONY: fuzz
fuzz: $(VENV)/.fuzz ## fuzz the framer, guided by coverage, for FUZZ_SECONDS=60
	@$(BIN)/python -m fuzz $(FUZZ_SECONDS)

# Seconds after which no further mutant is tried; what has been tried counts, and goes on next time.
MUTANTS_SECONDS ?= 1800

$(VENV)/.mutants: $(VENV)/.dev $(METADATA)
	@echo 'vfiipc: installing mutmut'
	@$(PIP) install --editable '.[mutants]'
	@touch $@

.PHONY: mutants
mutants: $(VENV)/.mutants ## run mutation tests of the codec; its tests must detect 95 %
	@mkdir -p mutants
	@PATH="$(CURDIR)/$(BIN):$$PATH" timeout $(MUTANTS_SECONDS) mutmut run $(ARGS) >mutants/run.log 2>&1 || true
	@$(BIN)/python tools/mutation_score.py 95

.PHONY: examine-matrix
examine-matrix: $(VENV)/.dev ## run the whole conformance kit against every broken peer
	@$(BIN)/python -m tests.conformance.matrix $(ARGS)

.PHONY: format
format: $(VENV)/.dev ## format the code
	@$(BIN)/python -m ruff check --fix-only
	@$(BIN)/python -m ruff format

.PHONY: clean
clean: ## remove everything that the commands created
	@rm -rf $(VENV) .nox .coverage .coverage.* htmlcov dist build site .hypothesis .fuzz mutants \
	    .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A new command goes above `clean` and brings its own stamp when it needs more than `dev` has.
