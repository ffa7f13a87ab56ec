# `make` lists the targets.

CARGO ?= cargo
CARGO_FLAGS ?=
# Arguments for the server of `make run`, such as ARGS="--port 9000".
ARGS ?=
# Arguments for the load generator of `make bench`, such as BENCH="a2a heartbeats".
BENCH ?=
# Another release binary that `make bench` measures in turns with ours, such as AGAINST=../before/target/release/molecule.
AGAINST ?=

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
# Which commit a release binary is of, as `molecule version` tells it. Development builds carry none: they would be
# built anew for every commit.
run install bench bench-canvas: export GIT_SHA ?= $(shell scripts/commit)
.PHONY: help run install test setup lint fmt ui bench bench-canvas deny

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 20

run: ui ## Build the release binary with its web UI and start Molecule
	$(CARGO) build $(CARGO_FLAGS) --release -p molecule
	$(TARGET_DIR)/release/molecule up $(ARGS)

install: ui ## Build the release binary and install it with its completions and, as root, a systemd unit
	$(CARGO) build $(CARGO_FLAGS) --release -p molecule
	@scripts/install $(TARGET_DIR)/release/molecule

setup: ## Install what the tests need, saying what is installed
	@scripts/setup

test: setup ui ## Run every test, with a private PostgreSQL shared by all of them
	@CARGO="$(CARGO)" scripts/test $(CARGO_FLAGS)

lint: ## Check formatting, lints, declared dependencies, the house's bounds and the API description; any warning fails
	$(CARGO) fmt --all --check
	@scripts/check-deps
	@scripts/check-house
	$(CARGO) clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings
	@scripts/check-openapi
	@scripts/check-ui lint

fmt: ## Format the code
	$(CARGO) fmt --all

# What is built already is not built again. Without Node the binary is built without its web UI.
ui: ## Build the web UI that the binary embeds
	@scripts/ui

# Measures the release binary on this machine and prints one JSON object per figure; see crates/bench/README.md.
# After the build all figures take under three minutes: loads run for 1.5 s at a time, in five interleaved rounds, so
# that a slow moment of the machine hits every contestant alike. Close other programs first. `BENCH=a2a` takes one
# figure, `BENCH=--quick` all of them in half a minute with more noise, `AGAINST=path` another build beside ours.
bench: ui ## Measure throughput, latency, boot time and memory of the release binary
	$(CARGO) build $(CARGO_FLAGS) --release -p molecule -p molecule-bench
	$(TARGET_DIR)/release/molecule-bench run --binary $(TARGET_DIR)/release/molecule $(if $(AGAINST),--against $(AGAINST)) $(BENCH)

# What the canvas costs the browser: first view, panning over 500 cards, 200 events a second, 2 000 workspaces. Needs
# Chromium; see canvas/bench/README.md. Takes two minutes after the build.
bench-canvas: ui ## Measure the canvas in a browser against the release binary
	$(CARGO) build $(CARGO_FLAGS) --release -p molecule
	@CARGO_TARGET_DIR=$(abspath $(TARGET_DIR)) npm run --silent --prefix canvas bench

deny: ## Check licences, advisories and sources of the dependencies (needs cargo-deny)
	$(CARGO) deny --workspace check
