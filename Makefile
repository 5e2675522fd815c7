# Everything a newcomer types: `make serve` runs the demo, `make test` passes the tests.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUNS   := $(VENV)/.runs
READY  := $(VENV)/.installed
NODE   := $(VENV)/.node
PAGE   := web/page/built/.made
PAGE_OF := $(shell find web/page/src web/page/*.json web/page/*.ts web/page/index.html perps/wire tools/page.py \
             -type f ! -name contract.d.ts ! -name '*.pyc' 2>/dev/null)

.PHONY: serve page test test-faults lint check bench sim format clean

# make serve ARGS='--port 8001'; ARGS=--no-demo runs the bare venue.
# The page is built before it; without a page the venue serves all the same.
serve: $(RUNS)
	@$(MAKE) --silent $(PAGE) || echo "the venue starts without its page; programs do not need it"
	@$(BIN)/perps serve --demo $(ARGS)

page: $(PAGE)

test: $(READY) $(PAGE)
	$(BIN)/python -m tests $(ARGS)

test-faults: $(READY)
	$(BIN)/python -m pytest -m faults $(ARGS)

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

bench: $(READY)
	$(BIN)/perps bench $(ARGS)
	$(BIN)/python -m tests.simulation --seeds 200

# make sim SEEDS=2000 runs seeds; make sim SEED=1234 replays one with a trace.
sim: $(READY)
	$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),500)) $(ARGS)

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) web/page/built web/page/node_modules web/page/src/api/contract.d.ts

# What a venue needs, and no more.
$(RUNS): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "perps needs Python 3.11 or newer; try: make PYTHON=python3.11 ...")'
	@echo "installing perps into $(VENV); this happens once and takes about half a minute"
	@$(PYTHON) -m venv $(VENV)
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $(RUNS)

# What the page is built with.
$(NODE): $(RUNS)
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[page]'
	@touch $(NODE)

$(PAGE): $(NODE) $(PAGE_OF)
	@echo "building the web page; this takes about half a minute"
	@$(BIN)/python -m tools.page build
	@mkdir -p $(@D) && touch $@

# What the tests and checks need besides.
$(READY): $(RUNS)
	@echo "installing what the tests and checks need into $(VENV)"
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,check]'
	@touch $(READY)
