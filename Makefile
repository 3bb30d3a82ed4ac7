# The two commands of the README are `make demo` and `make test`; both do their whole set-up on a fresh machine.
# Other pip index options (for example a CPU-only PyTorch):
#   make demo PIP_OPTIONS="--extra-index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3
PIP_OPTIONS ?=
VENV ?= .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif

.PHONY: demo test test-all check install clean

demo: $(VENV)/.installed
	$(BIN)/sightline demo

test: check
	$(BIN)/python -m pytest -q

test-all: check
	$(BIN)/python -m pytest -q -m "slow or not slow"

check: $(VENV)/.installed
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/pyright --level error

install: $(VENV)/.installed

# torch is named first, so that pip takes the pinned build (a local CPU wheel where there is one) before anything asks for it.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_OPTIONS) -c constraints.txt torch
	$(BIN)/python -m pip install --quiet $(PIP_OPTIONS) -c constraints.txt -e ".[all]"
	@$(BIN)/python -c "import pathlib; pathlib.Path('$(VENV)/.installed').touch()"

clean:
	$(PYTHON) -c "import shutil; shutil.rmtree('$(VENV)', ignore_errors=True)"
