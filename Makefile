# demo and test are all that a fresh machine needs: they make .venv and install into it.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-all conformance coverage fuzz lint bench load mutation pictures lessons docs clean

demo: .venv/demo  ## train on real flowers, draw, explain
	$(BIN)/python examples/iris.py

test: .venv/dev  ## the tests, and the examples of README and docstrings
	$(BIN)/python -m pytest --numprocesses=auto

ENVIRONMENTS ?= ALL
test-all: .venv/dev  ## the wheel: on every Python found, each extra alone, under odd conditions, its types
	PATH="$$PATH$$(printf ':%s' $${PYENV_ROOT:-$$HOME/.pyenv}/versions/*/bin)" \
	  $(BIN)/tox run -e $(ENVIRONMENTS) -- $(TESTS)

conformance: .venv/dev  ## every row against 50 digits, PyTorch and JAX: writes tests/conformance.md
	$(BIN)/python -m tests.conformance

coverage: .venv/dev  ## the lines and branches that no test reaches; an error if they are more than 2 %
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses=auto --ignore=tests/test_interrupts.py  # coverage's own lock would stay held
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

MINUTES ?= 60
fuzz: .venv/fuzz  ## looks for what breaks, for so long; what it finds is kept in tests/data/crashes/
	$(BIN)/python -m tests.fuzzing.run $(MINUTES)

lint: .venv/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: .venv/bench .venv/peers/made
	$(BIN)/python tests/benchmarks/engine.py
	$(BIN)/python tests/benchmarks/programs.py

load: .venv/dev  ## a million nodes in every feature, a million passes: an hour or so
	$(BIN)/python -m tests.load

mutation: .venv/mutation  ## break the engine in thousands of places: does a test notice each?
	$(BIN)/python tests/mutation.py

pictures: .venv/dev  ## those of the README, and every view there is in out/pictures/
	$(BIN)/python -m examples.readme_pictures
	$(BIN)/python -m examples.contact_sheet

lessons: .venv/lessons  ## run every lesson, and make the course of them: out/lessons/index.html
	$(BIN)/python -m examples.build_lessons

docs: .venv/docs  ## the reference, from the docstrings: out/docs/index.html
	$(BIN)/python -m examples.build_docs

clean:
	rm -rf .venv .tox out build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A file in .venv says what is installed; it is made again when pyproject.toml changes.
.venv/pip: pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade 'pip>=25.1'
	touch $@

.venv/demo: .venv/pip
	$(PIP) --editable '.[embedded]'
	touch $@

.venv/dev: .venv/demo
	$(PIP) --group dev
	touch $@

.venv/fuzz: .venv/dev
	$(PIP) --group fuzz
	touch $@

.venv/lessons .venv/docs: .venv/%: .venv/demo
	$(PIP) --group $*
	touch $@

.venv/bench: .venv/demo
	$(PIP) --editable '.[fast]' --group bench
	touch $@

.venv/mutation: .venv/dev
	$(PIP) --group mutation
	touch $@

# One at a time: a peer that cannot be had here is missing in the tables, and the others are there.
.venv/peers/made: tests/benchmarks/peers/requirements.txt | .venv/pip
	$(PYTHON) -m venv .venv/peers
	while read -r peer; do .venv/peers/bin/python -m pip install --quiet --disable-pip-version-check $$peer || \
	  echo "not installed: $$peer"; done < tests/benchmarks/peers/requirements.txt
	touch $@
