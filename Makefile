# The two commands of the README are `make demo` and `make test`; both set up all they need first.
#
#   make demo [DIR=folder]   the main job on simulated recorders, with embedded storage; leaves its results in DIR
#   make test                everything that must hold before a change lands: lint, types, structure, all tests
#   make lint                only the first three of these
#   make bench [ARGS=…]      edged beside cp, rclone, fio and openssl, against its budget; ARGS=--quick: two minutes
#   make clean               removes what the others made, the demo's folder excepted

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DIR ?= demo-run
JOBS ?= auto

# Debian packages by the command or file that shows they are there.
NEEDS := ffmpeg:ffmpeg bwrap:bubblewrap /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf:fonts-dejavu-core openssl:openssl

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench clean

help:
	@awk '/^#/ { sub(/^# ?/, ""); print; next } { exit }' Makefile

setup: $(VENV)/.ready
	@missing=; \
	for need in $(NEEDS); do \
	  thing=$${need%%:*}; package=$${need#*:}; \
	  case $$thing in /*) [ -e $$thing ] ;; *) command -v $$thing >/dev/null ;; esac || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing$$missing"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	  else \
	    echo "Please install first:  sudo apt-get install$$missing"; exit 1; \
	  fi; \
	fi

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "edged needs Python 3.11 or later; name one with  make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null; } || \
	  { echo "Please install first:  sudo apt-get install python3-venv"; exit 1; }
	@echo "Setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup
	@$(BIN)/hwsim demo "$(DIR)"

test: lint
	$(BIN)/pytest -n $(JOBS) --dist worksteal

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	@$(BIN)/python -m tests.bench $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist *.egg-info
