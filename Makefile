# Two commands do everything on a fresh machine: `make demo` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
# More than 2 processors have work for: many of the fast tests wait for a clock or a line.
WORKERS ?= 4
# Where no compiled files are kept, each of the many processes of the tests compiles kit, and rewrites every test, anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup lab-setup demo test test-fast test-slow test-lab test-e2e test-jobs test-wheel test-cu126 lint fuzz bench bench-pack bench-ship bench-builds lab lab-down locks clean
.DEFAULT_GOAL := help

help: ## show this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: .venv/ready ## a virtual environment with kit and its tools

.venv/ready: tests/requirements.lock pyproject.toml
	@tests/setup/python_environment.sh "$(PYTHON)"
	@touch $@

lab-setup: ## packages that the lab needs (apt, root or sudo)
	@$(PYTHON) -m tests.lab setup

demo: setup lab-setup ## lock, bundle, ship, train on two hosts, merge, serve, ask: the whole path, for real
	@$(PY) -m tests.e2e.demo

test: test-fast test-slow test-wheel test-lab test-e2e ## everything that CI runs

test-fast: setup ## the part without engines, about 2 minutes; lint runs beside it
	@$(PY) -m pytest -q tests/test_start_time.py
	@$(MAKE) --no-print-directory lint & linting=$$!; \
	$(PY) -m pytest -q -n $(WORKERS) --dist loadgroup -m "not slow and not lab and not e2e and not cu126" tests \
	  --ignore=tests/test_start_time.py; tested=$$?; \
	wait $$linting || { echo "lint has complaints: see above" >&2; exit 1; }; exit $$tested

test-slow: setup ## without engines too: kills, retries and flips in plenty
	@$(PY) -m pytest -q -n $(WORKERS) -m slow tests

test-wheel: setup ## the unit tests against the installed wheel, away from the checkout
	@WORKERS=$(WORKERS) tests/setup/test_wheel.sh

test-lab: setup lab-setup ## real engines and sshd, small images
	@$(PY) -m pytest -v -m lab tests

test-e2e: setup lab-setup ## the demo's path with the real train and serve images, air gap watched
	@$(PY) -m pytest -v -m e2e tests

test-jobs: setup lab-setup ## every kind of job with its options, in the lab; JOBS="dpo zero-3" chooses rows, CU126=1 parses in built cu126 images, too
	@$(PY) -m tests.jobs --page docs/measurements/jobs.md $(if $(CU126),--cu126) $(JOBS)

test-cu126: setup lab-setup ## builds every cu126 image over a stand-in; tens of GB, not in CI
	@$(PY) -m pytest -v -s -m cu126 tests/cu126

lint: setup ## ruff and mypy strict
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q .
	@$(BIN)/mypy

fuzz: setup ## coverage-guided fuzzing of every reader, FUZZ_SECONDS=600 in all (installs atheris)
	@$(PY) -m uv pip install -q --python $(PY) "atheris>=2.3"
	@nice -n 19 $(PY) -m tests.fuzz --seconds $(or $(FUZZ_SECONDS),600)

bench: setup lab-setup ## measured ratios against what one would type instead
	@$(PY) -m tests.bench.flips docs/measurements/flips.md
	@$(PY) -m tests.bench
	@$(PY) -m tests.bench.pack docs/measurements/pack.md

bench-pack: setup lab-setup ## packing and verifying against docker save and zstd; KIT_BENCH_IMAGES="A B" chooses
	@$(PY) -m tests.bench.pack docs/measurements/pack.md

bench-ship: setup lab-setup ## shipping against docker load and scp, then killed 200 times; KIT_BENCH_CASES="A B", KIT_BENCH_KILLS=N
	@$(PY) -m tests.bench.ship --page docs/measurements/ship.md
	@$(PY) -m tests.bench.ship_kills --fresh --page docs/measurements/ship-kills.md

bench-builds: setup lab-setup ## how many bytes differ between two builds from nothing; 20 minutes, 30 GB
	@$(PY) -m tests.bench.two_builds

lab: lab-setup ## the intranet alone: HOSTS="gpu1:20.10 gpu2:26.1" chooses
	@$(PYTHON) -m tests.lab up $(foreach host,$(HOSTS),--host $(host))
	@$(PYTHON) -m tests.lab status

lab-down: ## stop the intranet
	@$(PYTHON) -m tests.lab down

locks: setup ## resolve the locks of kit's own tools again
	@$(PY) -m uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-annotate --no-header \
	  pyproject.toml --extra modelscope --extra huggingface --group dev -o tests/requirements.lock

clean: lab-down ## remove what was built here
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis bundles/*/bundle bundles/*/.kit
