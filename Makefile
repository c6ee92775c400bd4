# make demo    fit and generate on bundled real data
# make test    lint, types, tests
# make test-pandas2   the tests again, with pandas 2.2
# make wheel   build the wheel into dist/
PYTHON ?= python3
BIN := .venv/bin
BIN2 := .venv-pandas2/bin
DEV := hypothesis mypy pandas-stubs "polars>=1.0" pytest pytest-xdist ruff types-PyYAML hatchling build imbalanced-learn
WORKERS ?= 2

.PHONY: demo test lint types test-pandas2 wheel clean

demo: .venv/.installed
	$(BIN)/synthvae demo -o synthvae-demo

test: lint types .venv/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev
	$(BIN)/mypy

test-pandas2: .venv-pandas2/.dev
	OMP_NUM_THREADS=1 $(BIN2)/python -m pytest -n $(WORKERS)

wheel: .venv/.dev
	$(BIN)/python -m build --wheel

clean:
	rm -rf .venv .venv-pandas2 dist synthvae-demo

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/.dev: .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(DEV)
	touch $@

.venv-pandas2/.dev: pyproject.toml constraints.txt
	test -x $(BIN2)/python || $(PYTHON) -m venv .venv-pandas2
	$(BIN2)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch "pandas~=2.2.0"
	$(BIN2)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e . "pandas~=2.2.0" \
		hypothesis "polars>=1.0" pytest pytest-xdist hatchling build
	touch $@
