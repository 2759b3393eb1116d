# cilium-py. `make` lists the targets. Every target installs what it needs (Debian 12 and 13, as root).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
OBJECTS := $(MAKE) --no-print-directory -C bpf_src

BUILD_PACKAGES := python3-venv libbpf1 libbpf-dev clang-19 llvm-19 iproute2 iputils-ping
TEST_PACKAGES := bpftool nftables procps time tmux
LINT_PACKAGES := clang-format-19
BENCH_PACKAGES := iperf3 sockperf time util-linux

# Tests that nothing on the same machine disturbs.
SIDE_BY_SIDE := tests/unit tests/golden

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: build ## bring up a node with pods, send real traffic, show what the kernel recorded
	@PATH="$(CURDIR)/$(BIN):$$PATH" tests/demo.sh

test: build lint ## lint, then every test
	@$(call install,$(TEST_PACKAGES))
	$(BIN)/python -m pytest -n auto --dist loadfile $(SIDE_BY_SIDE)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE:%=--ignore=%)

lint: build ## ruff, mypy, import contracts, clang-format
	@$(call install,$(LINT_PACKAGES))
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(OBJECTS) format-check

bench: build ## measure against peers in the same run; writes docs/benchmarks.md
	@$(call install,$(BENCH_PACKAGES))
	$(BIN)/python -m tests.bench

build: $(READY) ## a ready .venv/bin/cilium-py with its BPF objects
	@$(OBJECTS)

wheel: build ## dist/*.whl, prebuilt objects included
	@rm -rf build dist # setuptools packs whatever an earlier build left there
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## remove everything that was built
	rm -rf $(VENV) build dist cilium_py.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	$(OBJECTS) clean
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# editable_mode=compat: a plain path, not an import hook that would double the time the interpreter takes to start.
$(READY): pyproject.toml setup.cfg
	@$(call install,$(BUILD_PACKAGES))
	/usr/bin/python3 -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --disable-pip-version-check \
		--config-settings editable_mode=compat --editable . --group dev
	@touch $@

# $(call install,PACKAGES): install the Debian packages that are missing; do nothing where apt is not the way.
install = missing=$$(dpkg-query -W -f='$${db:Status-Abbrev} $${Package}\n' $(1) 2>/dev/null | awk '$$1 == "ii" {print $$2}' \
	| sort | comm -13 - <(printf '%s\n' $(1) | sort)) || true; \
	if command -v apt-get >/dev/null && [ -n "$$missing" ]; then \
		echo "installing" $$missing; \
		if [ "$$(id -u)" != 0 ]; then echo "error: run as root, or install: $$missing" >&2; exit 1; fi; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing >/dev/null; \
	fi

.PHONY: help demo test lint bench build wheel clean
