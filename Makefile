# Everything runs in .venv, made once by plain venv and pip from the lock file. Needs Python 3.11 or newer, and make.
PYTHON ?= python3
BIN := .venv/bin
# matplotlib's font cache stays here too, so that a missing or read-only home folder does no harm
export MPLCONFIGDIR := $(CURDIR)/.venv/matplotlib

.PHONY: help figures explore test slow browser check bench clean

help:
	@echo "make figures  regenerate all figures (quick preset) in pictures/ and print their agreement"
	@echo "make explore  open the explorer in the browser"
	@echo "make test     quick test suite"
	@echo "make slow     long tests"
	@echo "make browser  tests of the explorer in Chromium, which must be installed"
	@echo "make check    format, lint, types, layer contracts, examples"
	@echo "make bench    timings and long measurements"
	@echo "make clean    remove .venv, pictures and caches"

figures: .venv/installed
	$(BIN)/dynamics figures --overwrite --out pictures

explore: .venv/installed
	$(BIN)/dynamics explore

test: .venv/installed
	$(BIN)/pytest -q -n 2 --dist worksteal -m "not slow and not browser"

slow: .venv/installed
	$(BIN)/pytest -q -n 2 --dist worksteal -m slow

browser: .venv/installed
	$(BIN)/pytest -q -n 2 -m browser tests/explorer

check: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q README.md dynamics analytic simulations figures

bench: .venv/installed
	for script in benchmarks/double_descent_speed.py benchmarks/finite_size_slope.py benchmarks/scaling_laws_speed.py benchmarks/scaling_laws_theory.py benchmarks/grouped_speed.py benchmarks/scaling_laws_distributions.py benchmarks/gradient_starvation_speed.py benchmarks/explorer_latency.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done
	$(BIN)/pytest -q benchmarks

clean:
	rm -rf .venv pictures .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find dynamics analytic simulations figures tests benchmarks -name __pycache__ -type d -exec rm -rf {} +

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Say make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
