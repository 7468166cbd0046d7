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

.PHONY: help setup demo test check fmt lint docs units verifier seeded-bugs sim sim-build sim-long crash crash-long journey clients drain drain-long fuzz payloads reconnect-table bench bench-peers live brokers stack chart chart-pods compose-test downstream downstream-spark alerts dashboards scoreboard scoreboard-quick page image release-dry-run compose-live

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
	@echo "demo: the independent verifier of certificates" >&2
	@$(PYTHON) scripts/verify_certificates.py $(DUMP)

test: setup ## Everything that proves it works; what CI runs
	@MAKE="$(MAKE)" scripts/parts.sh --beside sim fmt lint docs chart compose-test downstream units verifier seeded-bugs journey crash clients drain demo
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

verifier: setup ## The verifier of certificates, on lies that are planted
	@mkdir -p target
	$(PYTHON) -m unittest discover -s tests/verifier -v 2>&1 | tee target/verifier.log

seeded-bugs: setup ## Mistakes made on purpose, and the tests that have to notice them
	@mkdir -p target
	$(BUILD)
	$(PYTHON) scripts/seeded_bugs.py

SIMULATION = cargo test $(QUIET) --profile sim -p trunkline-protocol --features seeded-bugs --test simulation
sim: ## Simulated days of the rules, a thousand and more, with everything that goes wrong; half an hour
	$(SIMULATION) -- --ignored --nocapture --test-threads 1 as_many mistake

sim-build:
	$(SIMULATION) --no-run

sim-long: ## As many simulated days as fit into an hour
	SIM_DAYS=100000 SIM_SECONDS=3600 SIM_LEAST_DAYS=1000 $(MAKE) --no-print-directory sim

crash: setup ## Kills at every named place and at any time; the verifier judges; seven minutes
	@mkdir -p target
	$(BUILD)
	$(PYTHON) tests/crash/crash.py --worlds 4

crash-long: setup ## Ten thousand kills
	@mkdir -p target
	$(BUILD)
	$(PYTHON) tests/crash/crash.py --worlds 4 --kills 10000

journey: setup ## The shipped binary against the simulator, and what breaks it; three at a time, for most of it is waiting
	@mkdir -p target
	$(BUILD)
	$(PYTHON) -m pytest tests/journey -n 3 --dist worksteal -v -p no:cacheprovider --durations 10 2>&1 | tee target/journey.log

clients: ## The vendor's own Python and JavaScript SDKs against the simulator: what they read, what they heard
	@scripts/setup.sh --for clients
	@mkdir -p target
	@tests/clients/install.sh
	$(BUILD)
	$(PYTHON) -m unittest discover -s tests/clients -v 2>&1 | tee target/clients.log

drain: setup ## Stops, rolling restarts, outages under load: nothing is lost, metrics say so; four minutes
	@mkdir -p target
	$(BUILD)
	$(PYTHON) -m unittest discover -s tests/drain -v 2>&1 | tee target/drain.log

drain-long: ## 500 stops; the broker away for ten minutes at 2,000 events/s, the platform for ten; an hour
	DRAIN=long $(MAKE) --no-print-directory drain

fuzz: setup ## Strangers' bytes into every parser, by coverage; a minute for each target. SECONDS_EACH, KEEP=1
	$(PYTHON) scripts/fuzz.py --seconds $(or $(SECONDS_EACH),60) $(if $(KEEP),--keep) $(TARGETS)

payloads: setup ## Feed the published payloads in DIR through the product
	@test -n "$(DIR)" || { echo "usage: make payloads DIR=folder" >&2; exit 64; }
	$(BUILD)
	$(PYTHON) scripts/payloads.py $(DIR)

reconnect-table: ## Ours beside the two classic handlers, same trouble, same simulator; then ten real minutes of a direct URL
	@scripts/setup.sh --for reconnect-table
	@cargo run $(QUIET) -p trunkline-protocol --example reconnect_table
	@$(BUILD)
	@$(PYTHON) scripts/silence_table.py $(ONLY)
	@$(PYTHON) scripts/direct_minutes.py

bench: ## CPU per event against librdkafka alone
	cargo bench --quiet --bench end_to_end

live: ## The journey against a real Apache Kafka and a real registry
	@scripts/setup.sh --for live
	$(BUILD)
	$(PYTHON) tests/live/live.py $(TARGET)/debug/trunkline

brokers: ## Brokers of a real Kafka killed, restarted, frozen, too few, and with a full disk, under load; as root. QUICK=1, ONLY=word, BROKERS_ARGS=--help
	@scripts/setup.sh --for live
	$(BUILD)
	@cd tests/brokers && PYTHONDONTWRITEBYTECODE=1 ../../$(PYTHON) -m unittest test_judge
	@cd tests/brokers && PYTHONDONTWRITEBYTECODE=1 ../../$(PYTHON) brokers.py $(if $(QUICK),--quick) --only "$(ONLY)" $(BROKERS_ARGS) $(TARGET)/debug/trunkline

stack: ## The whole way without containers, broken on the way: Kafka, Connect, S3, the warehouse's SQL; STACK_ARGS=--help
	@scripts/setup.sh --for stack
	$(BUILD)
	$(PYTHON) tests/stack/stack.py $(or $(STACK_ARGS),--faults default --seconds 220)

chart: ## The Helm chart: linted, rendered, refused, held against Kubernetes' schemas and `restricted`
	@scripts/setup.sh --for chart
	@mkdir -p target
	$(PYTHON) scripts/chart_readme.py --check
	ACCEPT=$(ACCEPT) $(PYTHON) tests/helm/run.py 2>&1 | tee target/chart.log

chart-pods: ## The chart's pods in containers: rights, volumes, probes, an outage, an upgrade under load; as root. ONLY=word
	@scripts/setup.sh --for chart-pods
	$(BUILD)
	@mkdir -p target
	$(PYTHON) tests/pods/run.py $(TARGET)/debug/trunkline $(ONLY) 2>&1 | tee target/chart-pods.log

compose-test: ## Dockerfiles, compose file, workflows, without a Docker engine
	@scripts/setup.sh --for compose
	@mkdir -p target
	$(PYTHON) -m unittest discover -s tests/stack -v 2>&1 | tee target/compose.log

downstream: ## The warehouse's SQL: Redshift's grammar, and run in PostgreSQL on what the product wrote
	@scripts/setup.sh --for downstream
	@mkdir -p target
	$(PYTHON) -m unittest discover -s tests/downstream -v 2>&1 | tee target/downstream.log

downstream-spark: ## The Glue job on a real Spark, into Parquet and Iceberg; its install is 400 MB
	@scripts/setup.sh --for downstream-spark
	@tests/downstream/spark/install.sh
	$(PYTHON) -m unittest discover -s tests/downstream/spark -v

alerts: setup ## Every alert by promtool; then faults, the binary, a real Prometheus and Alertmanager: exactly what is due arrives. ONLY="run run"
	@scripts/setup.sh --for alerts
	$(BUILD)
	$(PYTHON) -m unittest discover -s tests/alerts -v
	$(PYTHON) tests/alerts/end_to_end.py $(ONLY)

dashboards: setup ## Every query of every panel against a real Prometheus: which run gives it data
	@scripts/setup.sh --for alerts
	$(BUILD)
	$(PYTHON) tests/dashboards/queries.py

scoreboard-quick: ## What is lost: trunkline beside a Python and a Node bridge, four faults, a real Kafka; six minutes
	@scripts/setup.sh --for scoreboard
	@scripts/peers.sh node-kafkajs python
	@$(BUILD)
	$(PYTHON) -m unittest discover -s benches/scoreboard
	$(PYTHON) benches/scoreboard/run.py --quick

scoreboard: ## The same, all peers, ten faults, three passes; writes docs/scoreboard.md; 25 minutes a pass
	@scripts/setup.sh --for scoreboard
	@scripts/peers.sh
	@$(BUILD)
	code=0; $(PYTHON) benches/scoreboard/run.py || code=$$?; $(PYTHON) benches/scoreboard/page.py; exit $$code

bench-peers: ## How fast, beside the same peers: a core each, a real Kafka, up to 90 minutes; writes docs/speed.md. QUICK=1: five minutes, no page
	@scripts/setup.sh --for scoreboard
	@scripts/peers.sh $(if $(QUICK),node-kafkajs python)
	cargo build --release --bin trunkline
	$(PYTHON) -m unittest discover -s benches/speed
	code=0; $(PYTHON) benches/speed/run.py $(if $(QUICK),--quick) --binary $(TARGET)/release/trunkline || code=$$?; \
	  $(if $(QUICK),,$(PYTHON) benches/speed/page.py;) exit $$code

page: ## Pictures of the status page before, during and after an outage, and of the simulator's, in a Chromium; seven minutes
	@scripts/setup.sh --for page
	$(BUILD)
	$(PYTHON) scripts/page_pictures.py --to $(or $(TO),docs/img)

image: setup ## The static binary and its image, looked at and run for real in a Docker engine; what of it holds
	@scripts/setup.sh --for image
	@$(BUILD)
	@cd scripts && PYTHONDONTWRITEBYTECODE=1 ../$(PYTHON) -m image

compose-live: ## The compose file in a Docker engine: events, objects in S3, kills and cuts, a stop; after `make image`. LIVE_ARGS=--without-chaos
	@scripts/setup.sh --for compose-live
	@cd tests/stack && PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=../../scripts ../../$(PYTHON) compose_live.py $(LIVE_ARGS)

release-dry-run: ## Everything of a release that can be built here, into target/release-dry-run. TAG=v1.2.3
	@scripts/setup.sh --for image
	@cd scripts && PYTHONDONTWRITEBYTECODE=1 ../$(PYTHON) -m release $(TAG)
