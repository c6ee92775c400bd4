PYTHON ?= python3
BIN := .venv/bin
PINS := tests/constraints
EXTRAS := report,plots,augment,ray,polars,tensorboard,faker,files,sql
LOWEST_EXTRAS := report,plots,augment,polars,tensorboard,faker,files,sql
WORKERS ?= 2
DATA ?= data
ARGS ?=
NUMERIC := model generation/test_drawing.py training/test_training.py synthesizer/test_resuming.py \
	synthesizer/test_linear.py synthesizer/test_reconstruction.py synthesizer/test_autoencoders.py
TORCH = $(shell grep '^torch==' constraints.txt)
PYTEST = OMP_NUM_THREADS=1 $(1)/bin/python -m pytest -n $(WORKERS) --dist loadgroup
# pip of the named environment, held to the versions of a constraints file. Builds are not isolated, so that what builds
# the package is held, too.
PIP = $(1)/bin/python -m pip install --quiet --disable-pip-version-check -c $(2)
VENV = test -x $(1)/bin/python || $(PYTHON) -m venv $(1); $(PIP) pip
# What builds the package, and torch before its users, so that none pulls another one.
BASE = $(PIP) torch --group build
PINNED = $(1)/bin/python $(PINS)/pins.py check $(2)
CORE := encoding/test_table.py encoding/test_columns.py privacy/test_fit.py::test_rows_obey_the_schema \
	privacy/test_fit.py::test_a_mapping_is_a_budget_and_cloning_keeps_it tables/test_files.py tables/test_databases.py \
	tables/test_values_come_back.py synthesizer/test_artifact.py estimators/test_transformer.py \
	estimators/test_augmented.py training/test_callbacks.py cli/test_main.py test_plots.py
TABLELESS := model training cluster fuzz evaluation/report evaluation/disclosure cli/test_permissions.py \
	$(patsubst %,generation/test_%.py,drawing faults links_in_datasets stores workers) \
	$(patsubst %,privacy/%,counts dpsgd test_allocation.py test_audit.py test_guards.py test_ledger.py \
	test_sensitivity.py test_shared.py) synthesizer/test_linear.py synthesizer/test_resuming.py \
	test_constraints.py test_docstrings.py test_imports.py test_language.py test_wheel.py

.PHONY: help demo test lint types test-all test-slow test-processors test-pandas2 test-lowest test-newest docs pin bench figures wheel \
	audit clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 18

demo: .venv/.installed ## fit and generate on bundled real data
	$(BIN)/synthvae demo -o synthvae-demo

test: lint types .venv/.dev ## lint, types, and all tests except the slow ones
	$(call PYTEST,.venv) -m "not slow"

lint: .venv/.dev ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev ## check types
	$(BIN)/mypy

test-all: test-slow test-processors test-pandas2 test-lowest docs ## what takes long: the other tests but test-newest, and the documentation

test-slow: .venv/.dev .venv-oracle/.dev ## the slow tests: kills, browsers, clusters, oracles, code in the documentation
	$(call PYTEST,.venv) -m slow

# Kernels of PyTorch, MKL and oneDNN for less than this processor can do. What is equal bit by bit on one of them must be
# so on each.
test-processors: .venv/.dev ## tests of model, training and generation with the kernels of other processors
	ATEN_CPU_CAPABILITY=default $(call PYTEST,.venv) -m "not slow" $(NUMERIC:%=tests/%)
	ATEN_CPU_CAPABILITY=avx2 $(call PYTEST,.venv) -m "not slow" $(NUMERIC:%=tests/%)
	MKL_ENABLE_INSTRUCTIONS=AVX2 ONEDNN_MAX_CPU_ISA=AVX2 $(call PYTEST,.venv) -m "not slow" $(NUMERIC:%=tests/%)

test-pandas2: .venv-pandas2/.dev ## tests of tables with pandas 2.2
	$(call PYTEST,.venv-pandas2) -m "not slow" $(TABLELESS:%=--ignore=tests/%)

test-lowest: .venv-lowest/.dev ## demo, private fits and a core of the tests with the lowest versions that pyproject.toml names
	.venv-lowest/bin/synthvae demo -o $$(mktemp -d)/demo
	$(call PYTEST,.venv-lowest) -m "not slow" $(CORE:%=tests/%)

test-newest: ## all tests with the newest release of everything but torch; may fail through no fault of ours
	rm -rf .venv-newest
	$(PYTHON) -m venv .venv-newest
	.venv-newest/bin/python -m pip install --quiet --upgrade pip
	.venv-newest/bin/python -m pip install --quiet "$(TORCH)"
	.venv-newest/bin/python -m pip install --quiet "$(TORCH)" --upgrade --upgrade-strategy eager --group test -e ".[$(EXTRAS)]"
	$(call PYTEST,.venv-newest) -m "not slow"

docs: .venv-docs/.dev ## build the documentation into docs/_build/html, warnings being errors
	OMP_NUM_THREADS=1 .venv-docs/bin/python -m sphinx -W --keep-going -j $(WORKERS) -q -b html docs docs/_build/html
	.venv-docs/bin/python docs/offline.py docs/_build/html

pin: ## write what the environments contain into the constraints
	$(BIN)/python $(PINS)/pins.py write constraints.txt
	for name in pandas2 lowest oracle peers docs; do .venv-$$name/bin/python $(PINS)/pins.py write $(PINS)/$$name.txt; done

bench: .venv/.dev .venv-peers/.dev ## compare with other generators on real tables: DATA=DIR (ARGS="--tables adult --seeds 0")
	$(BIN)/python tests/benchmarks/bench.py --data $(DATA) --peers-python .venv-peers/bin/python $(ARGS)

figures: .venv/.dev ## draw the pictures of the documentation
	cd examples && OMP_NUM_THREADS=1 ../$(BIN)/python gallery.py
	OMP_NUM_THREADS=1 $(BIN)/python docs/screenshot.py

wheel: .venv/.dev ## build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

audit: .venv/.installed .venv-audit/.dev ## compare what is installed in .venv with known vulnerabilities (needs PyPI)
	@$(BIN)/python tests/benchmarks/dependencies.py .venv-audit/bin/pip-audit \
		"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

clean: ## remove the environments and what was built
	rm -rf .venv .venv-pandas2 .venv-lowest .venv-newest .venv-peers .venv-oracle .venv-audit .venv-docs dist synthvae-demo \
		docs/_build docs/examples docs/reference/generated docs/reference/python/generated

.venv/.installed: pyproject.toml constraints.txt
	$(call VENV,.venv,constraints.txt)
	$(call BASE,.venv,constraints.txt)
	$(call PIP,.venv,constraints.txt) --no-build-isolation -e ".[report]"
	$(call PINNED,.venv,constraints.txt)
	touch $@

.venv/.dev: .venv/.installed
	$(call PIP,.venv,constraints.txt) --no-build-isolation --group dev -e ".[$(EXTRAS)]"
	$(call PINNED,.venv,constraints.txt)
	touch $@

.venv-pandas2/.dev: pyproject.toml $(PINS)/pandas2.txt
	$(call VENV,.venv-pandas2,$(PINS)/pandas2.txt)
	$(call BASE,.venv-pandas2,$(PINS)/pandas2.txt)
	$(call PIP,.venv-pandas2,$(PINS)/pandas2.txt) --no-build-isolation --group test -e ".[$(EXTRAS)]" "pandas~=2.2.0"
	$(call PINNED,.venv-pandas2,$(PINS)/pandas2.txt)
	touch $@

# The versions that pyproject.toml names as the lowest; only torch is the one of the other environments, which comes
# without CUDA.
.venv-lowest/.dev: pyproject.toml $(PINS)/lowest.txt
	$(call VENV,.venv-lowest,$(PINS)/lowest.txt)
	$(call BASE,.venv-lowest,$(PINS)/lowest.txt) --no-compile
	$(call PIP,.venv-lowest,$(PINS)/lowest.txt) --no-compile --no-build-isolation --group core -e ".[$(LOWEST_EXTRAS)]"
	$(call PINNED,.venv-lowest,$(PINS)/lowest.txt)
	touch $@

.venv-oracle/.dev: pyproject.toml $(PINS)/oracle.txt
	$(call VENV,.venv-oracle,$(PINS)/oracle.txt)
	$(call PIP,.venv-oracle,$(PINS)/oracle.txt) --group oracles
	$(call PINNED,.venv-oracle,$(PINS)/oracle.txt)
	touch $@

# What the site shows runs there: examples, and docstrings of every package.
.venv-docs/.dev: pyproject.toml $(PINS)/docs.txt
	$(call VENV,.venv-docs,$(PINS)/docs.txt)
	$(call BASE,.venv-docs,$(PINS)/docs.txt)
	$(call PIP,.venv-docs,$(PINS)/docs.txt) --no-build-isolation -e ".[docs]"
	$(call PINNED,.venv-docs,$(PINS)/docs.txt)
	touch $@

# The engine's tabular model needs neither torchvision nor torchaudio, and those of PyPI do not load beside a torch
# without CUDA.
.venv-peers/.dev: pyproject.toml $(PINS)/peers.txt
	$(call VENV,.venv-peers,$(PINS)/peers.txt)
	$(call BASE,.venv-peers,$(PINS)/peers.txt)
	$(call PIP,.venv-peers,$(PINS)/peers.txt) --no-build-isolation --group peers -e .
	.venv-peers/bin/python -m pip uninstall --quiet --yes torchvision torchaudio
	$(call PINNED,.venv-peers,$(PINS)/peers.txt)
	touch $@

.venv-audit/.dev:
	test -x .venv-audit/bin/python || $(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	touch $@
