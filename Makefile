# make demo    fit and generate on bundled real data
# make test    lint, types, tests
# make test-pandas2   the tests again, with pandas 2.2, but for those that no version of pandas has a say in
# make bench DATA=DIR   synthvae beside other generators, on real tables (ARGS="--tables adult --seeds 0")
# make figures   the pictures of README, into examples/pictures
# make wheel   build the wheel into dist/
# make audit   compare what is installed in .venv with known vulnerabilities (needs PyPI)
PYTHON ?= python3
BIN := .venv/bin
BIN2 := .venv-pandas2/bin
PEERS := .venv-peers/bin
ORACLE := .venv-oracle/bin
AUDIT := .venv-audit/bin
DEV := hypothesis "moto[server]>=5" mypy pandas-stubs "polars>=1.0" psutil pytest pytest-xdist ruff types-PyYAML \
	types-psutil hatchling build imbalanced-learn "ray[data,train]>=2.40" \
	matplotlib "plotly>=5" "jinja2>=3" playwright tensorboard jsonschema
TABLELESS := model test_cluster.py dataset/test_faults.py privacy/test_audit.py privacy/test_shared.py \
	evaluation/test_report_browser.py test_linear.py test_resuming.py test_permissions.py test_wheel.py test_imports.py
WORKERS ?= 2
DATA ?= data
ARGS ?=

.PHONY: demo test lint types test-pandas2 bench figures wheel audit clean

demo: .venv/.installed
	$(BIN)/synthvae demo -o synthvae-demo

test: lint types .venv/.dev .venv-oracle/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev
	$(BIN)/mypy

test-pandas2: .venv-pandas2/.dev .venv-oracle/.dev
	OMP_NUM_THREADS=1 $(BIN2)/python -m pytest -n $(WORKERS) --dist loadgroup $(TABLELESS:%=--ignore=tests/%)

bench: .venv/.dev .venv-peers/.dev
	$(BIN)/python tests/benchmarks/bench.py --data $(DATA) --peers-python $(PEERS)/python $(ARGS)

figures: .venv/.dev
	cd examples && OMP_NUM_THREADS=1 ../$(BIN)/python gallery.py

wheel: .venv/.dev
	$(BIN)/python -m build --wheel

audit: .venv/.installed .venv-audit/.dev
	@$(BIN)/python tests/benchmarks/dependencies.py $(AUDIT)/pip-audit \
		"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

clean:
	rm -rf .venv .venv-pandas2 .venv-peers .venv-oracle .venv-audit dist synthvae-demo

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[report]"
	touch $@

.venv/.dev: .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(DEV)
	touch $@

.venv-pandas2/.dev: pyproject.toml constraints.txt
	test -x $(BIN2)/python || $(PYTHON) -m venv .venv-pandas2
	$(BIN2)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch "pandas~=2.2.0"
	$(BIN2)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e . "pandas~=2.2.0" \
		hypothesis "moto[server]>=5" "polars>=1.0" psutil pytest pytest-xdist "ray[data,train]>=2.40" hatchling build \
		imbalanced-learn matplotlib "plotly>=5" "jinja2>=3" jsonschema
	touch $@

# torch before its users, so that none pulls another one. The engine's tabular model needs neither torchvision nor
# torchaudio, and those of PyPI do not load beside a torch without CUDA.
.venv-peers/.dev: constraints.txt
	test -x $(PEERS)/python || $(PYTHON) -m venv .venv-peers
	$(PEERS)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(PEERS)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		ctgan imbalanced-learn pyarrow -e .
	-$(PEERS)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt mostlyai-engine
	-$(PEERS)/python -m pip uninstall --quiet --yes torchvision torchaudio
	touch $@

# SDMetrics holds pandas below 3. What its report averages has changed between its versions, so the tests name one.
.venv-oracle/.dev: constraints.txt
	test -x $(ORACLE)/python || $(PYTHON) -m venv .venv-oracle
	$(ORACLE)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "sdmetrics~=0.32.0"
	touch $@

.venv-audit/.dev:
	test -x $(AUDIT)/python || $(PYTHON) -m venv .venv-audit
	$(AUDIT)/python -m pip install --quiet --disable-pip-version-check pip-audit
	touch $@
