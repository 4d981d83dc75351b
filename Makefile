# Two targets matter: `make demo` and `make test`. Both start from nothing but Python 3.11+, make and the registries.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TEST_INSTALLED := $(VENV)/.installed-test

.PHONY: demo serve test lint types wheel clean

demo: $(INSTALLED)
	$(BIN)/second-read demo

serve: $(INSTALLED)
	$(BIN)/second-read serve

test: $(TEST_INSTALLED)
	sh tests/install_chromium.sh
	$(BIN)/python -m pytest -n 2

lint: $(TEST_INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(TEST_INSTALLED)
	$(BIN)/pyright

# The wheel carries the slide viewer's library with its licence, so that an intranet needs no registry for it.
wheel: $(INSTALLED)
	$(BIN)/python -m core.setup_assets
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) build dist *.egg-info

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Second Read needs Python 3.11 or newer; name one with: make demo PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): pyproject.toml constraints.txt | $(VENV)/pyvenv.cfg
	@echo "Installing the pinned dependencies into $(VENV) (about 5 GB, two to three minutes once) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	$(BIN)/python -m core.setup_assets
	@touch $@

$(TEST_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,dev]'
	@touch $@
