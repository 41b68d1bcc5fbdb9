# What a newcomer types: `make run`. What a change must pass: `make check test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CODE := dispatch models jobs dashboard benchmarks tests
# What checks the scripts: no word to its maker, and its cache beside it.
DENO := DENO_NO_UPDATE_CHECK=1 DENO_DIR=$(VENV)/.deno $(BIN)/deno

.PHONY: run test test-quick check bench simulate outages install install-dev
.DEFAULT_GOAL := run

# Servers, schema, demo city and every process, until Ctrl-C. PORT, DATA_DIR, DEMO=0, DATABASE_URL, REDIS_URL.
run: install
	@exec $(BIN)/python -m dispatch up

test: install-dev
	# Two at a time, each with servers of its own; a file stays together, since its tests share a city.
	# The slowest rooms go first (tests/conftest.py says which), or a browser's file would be left alone at the end.
	# The slowest are told at the end, so that nobody has to look for what keeps the whole.
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 30 --durations-min 1

# For work in between: rules, desk, notices and pages, without a browser, without processes of their own. Left to
# `make test`: the pages of a crowded city and of one that lived six weeks, what simulated cities and drawn histories
# prove, and what waits for the live picture.
test-quick: install-dev
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder tests/rules tests/desk tests/notices \
	  tests/screens -m "not browser and not processes" -k "not crowded" --ignore tests/desk/test_simulation.py \
	  --ignore tests/desk/test_simulated_city.py --ignore tests/desk/test_audit.py --ignore tests/desk/test_digests.py \
	  --ignore tests/rules/test_invariants.py --ignore tests/screens/live \
	  --ignore tests/screens/test_leaders.py --ignore tests/screens/test_charts.py --ignore tests/screens/assessment

check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict $(CODE)
	$(BIN)/lint-imports
	$(DENO) lint --quiet
	$(DENO) fmt --check --quiet
	$(DENO) check --quiet dashboard/components tests/scripts
	# Reads source alone: no servers, so nothing of what the other tests share is loaded.
	$(BIN)/python -m pytest -q -p no:xdist -p no:cacheprovider --noconftest tests/test_house.py

# Months of a small city with every fault drawn from SEED; a failure prints what repeats it.
simulate: install-dev
	$(BIN)/python -m tests.simulation --seed $(or $(SEED),1) --days 200

# Each server really stopped for a minute under a wall and under pages in a real browser.
outages: install-dev
	$(BIN)/python -m pytest tests/browser/test_wall_outages.py --away 60

bench: install
	$(BIN)/python -m benchmarks

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

# The stamps make a second call instant; they lie in the environment, so that they vanish with it.
$(VENV)/.installed: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or later is needed, and '$(PYTHON)' is not there: install it, or name one with make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed, and '$(PYTHON)' is $$($(PYTHON) -V 2>&1): name a newer one with make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "'$(PYTHON)' cannot make environments: install its venv package (on Debian and Ubuntu: apt-get install python3-venv)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
