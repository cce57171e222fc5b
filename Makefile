# Every target makes its own environment first; `make` alone lists them.
# Windows has no make: README.md names the plain commands.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# Jupyter Book and nbmake start `python3` kernels: let them be this environment's.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help start book test lint sync update pdf serve bench mutants pictures lock floors clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Made anew where the requirements changed. The stamp is written last, so an
# installation that broke off is taken up again.
$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "Python 3.10 or newer is needed; name yours: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

start: $(READY) ## copy the seven notebooks into my-week/, your own folder
	nnweek start

# What builds or measures never writes a .py, nor a notebook that somebody has run or saved.
update: $(READY)
	python .ci/sync.py --build

book: update ## build the site and show the file to open
	jupyter-book build book -W --keep-going

test: $(READY) lint ## lint, test the package, run the seven notebooks
	pytest tests
	pytest --nbmake notebooks

lint: $(READY) ## check style and format
	ruff check .
	ruff format --check .

sync: $(READY) ## carry changes between each notebooks/*.py and its .ipynb; loses nothing
	python .ci/sync.py

pdf: book ## print the whole week as one PDF (needs Chromium and its driver)
	python .ci/pdf.py

serve: book ## build the site and serve it on http://127.0.0.1:8000
	python -m http.server --bind 127.0.0.1 --directory book/_build/html 8000

bench: update ## measure speed and memory, notebooks included (several minutes); writes bench.json
	nnweek bench --notebooks notebooks

mutants: $(READY) ## break nnweek on purpose and list what no test notices (hours; it resumes)
	python -m pip install --quiet --disable-pip-version-check 'mutmut>=3.8,<4'
	python .ci/mutants.py

pictures: update ## take Day 34's pictures of TensorBoard anew (needs Chromium and its driver)
	python .ci/pictures.py

# The lock holds for every Python from 3.10 and every system. Releases of the last week wait, because
# a bad one is usually found within days; and only wheels, because building one runs what is not pinned.
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

clean: ## remove the environment and everything that was built
	rm -rf $(VENV) .ci/node_modules book/_build build mutants *.egg-info .pytest_cache .ruff_cache .hypothesis
	rm -rf notebooks/runs notebooks/mnist_mlp.pth notebooks/my-week-5.md bench.json
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
