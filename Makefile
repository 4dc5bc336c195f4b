# Every verb works from a fresh clone; `make help` lists them.
PYTHON ?= python3
VENV   := .venv
export CLUSTER CLUSTER_NAME EGRESS NODE_IMAGE SOURCE SPARK AIRFLOW PROFILE RATE READS MINUTES

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the verbs
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: up status usage down
up: ## Bring up a cluster, the backends, the operator and a live example pipeline
	@$(PYTHON) -m cluster up

status: ## Show the pipelines: ready, ticks/s, signals, lag, where to look
	@$(PYTHON) -m cluster status

usage: ## Measure the memory and CPU that the embedded cluster uses
	@$(PYTHON) -m cluster usage

down: ## Remove the cluster and everything that it started
	@$(PYTHON) -m cluster down

.PHONY: images
images: ## Build the images on an official Debian, named REGISTRY/NAME:TAG, ready to be pushed
	@test -n "$(REGISTRY)" || { echo "name where they will be pushed: make images REGISTRY=registry.example/team" >&2; exit 2; }
	@$(PYTHON) -m cluster.imagebuild --base debian:bookworm-slim --tag $(REGISTRY)

.PHONY: dev
dev: ## Make .venv with all that is needed to work on the project
	@$(PYTHON) -m cluster dev

.PHONY: test test-unit test-integration test-e2e test-kind test-spark test-airflow test-alerts
test: ## Lint, unit, integration and end-to-end tests; installs what it needs
	@$(PYTHON) -m cluster test lint unit integration e2e

test-unit: dev ## Fast, pure tests
	@$(VENV)/bin/pytest tests/unit

test-integration: ## Tests against a real API server, Kafka and Redis
	@$(PYTHON) -m cluster test integration

test-e2e: ## The whole story on an embedded cluster of its own
	@$(PYTHON) -m cluster test e2e

test-kind: ## The same story on kind (opt-in; needs Docker, or makes an engine of its own)
	@$(PYTHON) -m cluster test kind

test-spark: ## Spark in pods, killed and compared (opt-in; brings up a cluster of its own)
	@$(PYTHON) -m cluster test spark

test-airflow: ## A night in the cluster, run by Airflow (opt-in; brings up a cluster of its own)
	@$(PYTHON) -m cluster test airflow

test-alerts: ## Alerts provoked for real, up to a webhook (opt-in; brings up a cluster of its own)
	@$(PYTHON) -m cluster test alerts

.PHONY: pictures
pictures: ## Draw the dashboards over the running cluster's Prometheus, for the docs
	@$(PYTHON) -m cluster pictures

# PROFILE=steady, faults (pods are killed) or replaced (the replaced system's own test); RATE in ticks and READS in SQL
# queries a second; MINUTES.
.PHONY: load
load: ## Put the running cluster under load, and write a report with pictures (PROFILE=steady|faults|replaced)
	@$(PYTHON) -m cluster load

.PHONY: spark-local
spark-local: ## Run the batch's engine Spark on this machine, and compare it with the engine Local
	@$(PYTHON) -m cluster spark-local

# QUICK=1 makes short runs to try a benchmark out; its figures go to build/bench/quick. A benchmark NAME is the
# module tests/performance/NAME, a name in cluster/benchmarks.py, and a verb here: `@$(BENCH) NAME`.
BENCH = $(PYTHON) -m cluster bench $(if $(QUICK),--quick)
.PHONY: bench
bench: ## Run all benchmarks (QUICK=1: short runs, to try them out)
	@$(BENCH)

.PHONY: bench-batch
bench-batch: ## The batch: indicators of 4,000 symbols x 5 years, against pandas; the sync of Redis
	@$(BENCH) batch

.PHONY: bench-detector
bench-detector: ## The detector through a real broker: 1 M ticks next to other ways, delays, memory, start-up
	@$(BENCH) detector

.PHONY: bench-operator
bench-operator: ## The operator with up to 1,000 pipelines, on an embedded cluster of its own
	@$(BENCH) operator

.PHONY: bench-replica
bench-replica: ## The store: a day's change from commit to readable, against copying; swaps, kills, memory
	@$(BENCH) replica

.PHONY: bench-producer
bench-producer: ## The producer: replay, decoding, memory, an outage of the broker
	@$(BENCH) producer

.PHONY: lint fmt generate lock
lint: dev ## Style, types, import layers
	@$(PYTHON) -m cluster test lint

fmt: dev ## Format the code
	@$(VENV)/bin/ruff check --fix --quiet . && $(VENV)/bin/ruff format .

generate: dev ## Write the generated files: the CRD, catalogues, hours, metrics' table, dashboards, rules
	@{ echo '{{- if .Values.crd.install }}'; $(VENV)/bin/python -m stockpipeline.api.crd; echo '{{- end }}'; } >build/crd.yaml
	@mv build/crd.yaml charts/stockpipeline-operator/templates/crd.yaml
	@$(VENV)/bin/python -m stockpipeline.api.fields >build/fields.md
	@mv build/fields.md docs/fields.md
	@$(VENV)/bin/python -m stockpipeline.indicators.generate_catalog >build/talib_catalog.json
	@mv build/talib_catalog.json services/stockpipeline/indicators/talib_catalog.json
	@$(VENV)/bin/python -m stockpipeline.market.generate_exchange_hours >build/exchange_hours.json
	@mv build/exchange_hours.json services/stockpipeline/market/exchange_hours.json
	@$(VENV)/bin/python -m observability.generate

lock: dev ## Pin the versions of all Python packages anew
	@requirements/lock.sh
