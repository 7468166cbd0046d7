# One door to every chore.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
export PATH := $(HOME)/.cargo/bin:$(PATH)
TARGET = $(shell cargo metadata --no-deps --format-version 1 2>/dev/null | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
DUMP = target/demo
PYTHON = .venv/bin/python
# cargo draws its progress where somebody looks
QUIET = $(shell [ -t 2 ] || echo --quiet)
# One set of features for every target: without an example, cargo leaves out what only tests switch on,
# and builds or documents over a second tokio and everything above it once more.
BUILD = cargo build $(QUIET) --workspace --all-features --bin trunkline --example stand

.PHONY: help setup demo test check fmt lint docs units journey payloads reconnect-table bench live

help: ## Show this help
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

setup: ## Install what is missing (Debian, Ubuntu)
	@scripts/setup.sh

demo: ## Run everything in one process, break it, account for every event
	@scripts/setup.sh --for demo
	@echo "demo: building (about five minutes the first time)" >&2
	@$(BUILD)
	@rm -rf $(DUMP)
	@$(TARGET)/debug/trunkline demo --dump $(DUMP) $(DEMO_ARGS)
	@echo "demo: the independent reader" >&2
	@$(PYTHON) scripts/verify_demo.py $(DUMP)

test: setup ## Everything that proves it works; what CI runs
	@MAKE="$(MAKE)" scripts/parts.sh fmt lint docs units journey demo
	@scripts/count_tests.sh

check: fmt lint docs units ## Before every commit: format, lints, docs, units, floors, licences

fmt: ## Formatting, checked
	cargo fmt --all --check

lint: ## Clippy; a warning is an error
	cargo clippy $(QUIET) --workspace --all-targets --all-features -- -D warnings

docs: ## Documentation with private items
	RUSTDOCFLAGS="-D warnings" cargo doc $(QUIET) --workspace --all-features --lib --examples --no-deps --document-private-items

units: ## Unit, property, floor, schema, configuration and document tests
	@mkdir -p target
	cargo test --workspace --all-features --no-fail-fast 2>&1 | tee target/units.log

journey: setup ## The shipped binary against the simulator, and what breaks it
	@mkdir -p target
	$(BUILD)
	$(PYTHON) -m unittest discover -s tests/journey -p 'test_*.py' -v 2>&1 | tee target/journey.log

payloads: setup ## Feed the published payloads in DIR through the product
	@test -n "$(DIR)" || { echo "usage: make payloads DIR=folder" >&2; exit 64; }
	$(BUILD)
	$(PYTHON) scripts/payloads.py $(DIR)

reconnect-table: ## Ours beside the two classic handlers, same trouble, same simulator (ten minutes)
	@scripts/setup.sh --for reconnect-table
	@cargo run $(QUIET) -p trunkline-protocol --example reconnect_table
	@$(BUILD)
	@$(PYTHON) scripts/silence_table.py $(ONLY)

bench: ## CPU per event against librdkafka alone
	cargo bench --quiet --bench end_to_end

live: ## The journey against a real Apache Kafka and a real registry
	@scripts/setup.sh --for live
	$(BUILD)
	$(PYTHON) tests/live/live.py $(TARGET)/debug/trunkline
