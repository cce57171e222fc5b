# Every target first creates the environment; `make` without a target lists them.
# Windows has no make: README.md gives the plain commands.

PYTHON ?= python3
# `make TORCH=auto start` installs the PyTorch build for this machine: without a GPU, a tenth of the size.
TORCH  ?=
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# Jupyter Book and nbmake start `python3` kernels; use those of this environment.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help start book test check lint sync update new-day pdf serve bench mutants pictures lock floors clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Rebuilt when the requirements change. The stamp is written last, so the next call
# completes an interrupted installation.
$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "Python 3.10 or newer is required. If you have it under another name: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	@test -z "$(TORCH)" || { $(BIN)/python -m pip install --quiet --disable-pip-version-check uv \
	  && $(BIN)/uv pip install --quiet --python $(BIN)/python --torch-backend $(TORCH) -r requirements.txt; } \
	  || echo "PyTorch's own index is not available; taking the build of the ordinary index instead."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

start: $(READY) ## copy the notebooks into my-week/, a folder of your own
	nnweek start

# For targets that build or measure. Writes no .py, and no notebook that has been run or saved.
update: $(READY)
	python .ci/sync.py --build

book: update ## build the site and show the file to open
	@test -d book/notebooks/. || { nnweek report; exit 1; }
	jupyter-book build book -W --keep-going

test: $(READY) lint ## lint, run all tests and execute the notebooks
	pytest -p no:nbmake tests
	pytest --nbmake notebooks

check: $(READY) lint ## lint and run the fast tests, without notebooks and browser
	pytest -p no:nbmake tests --ignore tests/notebooks --ignore tests/site -m "not slow"

lint: $(READY) ## check style and formatting
	ruff check .
	ruff format --check .

sync: $(READY) ## copy changes between each notebooks/*.py and its .ipynb; never loses an edit
	python .ci/sync.py

new-day: $(READY) ## start a new day: make new-day DAY=36 TITLE="Attention"
	python .ci/new_day.py "$(DAY)" "$(TITLE)"
	python .ci/sync.py

pdf: book ## print the book as one PDF (needs Chromium and its driver)
	python .ci/pdf.py

serve: book ## build the site and serve it on http://127.0.0.1:8000
	python -m http.server --bind 127.0.0.1 --directory book/_build/html 8000

# What the notebooks record here must not replace a learner's own results; see notebooks/conftest.py.
bench: export NNWEEK_RESULTS = $(shell mktemp -u)
bench: update ## measure speed and memory, also of the notebooks (several minutes); writes bench.json
	nnweek bench --notebooks notebooks

mutants: $(READY) ## break nnweek on purpose and list the changes that no test detects (hours; resumable)
	python -m pip install --quiet --disable-pip-version-check 'mutmut>=3.8,<4'
	python .ci/mutants.py

pictures: update ## take Day 34's screenshots of TensorBoard again (needs Chromium and its driver)
	python .ci/pictures.py

# The lock works for every Python from 3.10 and every system. It leaves out releases of the last week,
# because a bad one is usually discovered within days, and source distributions, because building one
# runs code that is not pinned.
lock: $(READY) ## pin the newest releases that requirements.txt allows, with hashes
	uv pip compile --quiet --upgrade --universal --python-version 3.10 --no-python-downloads \
	  --only-binary :all: --generate-hashes --exclude-newer "1 week" \
	  --custom-compile-command "make lock" --output-file requirements.lock requirements.txt

floors: $(READY) ## test with the oldest Python and the oldest releases that requirements.txt allows
	uv venv --quiet --clear --python 3.10 build/floors
	uv pip install --quiet --python build/floors --resolution lowest-direct -r requirements.txt
	uv pip install --quiet --python build/floors --no-deps -e .
	PATH="$(CURDIR)/build/floors/bin:$$PATH" && ruff check . && ruff format --check . \
	  && pytest tests && pytest --nbmake notebooks

# It leaves what the days write beside themselves: checkpoints, logs and the report are a person's results.
clean: ## remove the environment and all build outputs
	rm -rf $(VENV) .ci/node_modules book/web/node_modules book/_build build mutants *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
