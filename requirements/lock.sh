#!/usr/bin/env bash
# Writes the lock files: exact versions of everything that each image and the
# development environment installs. Names and versions only, no addresses.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
  local out=$1
  shift
  uv pip compile --quiet --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
    --no-emit-find-links --no-emit-package stockpipeline --no-emit-package stockpipeline-operator "$@" --output-file "$out"
}
compile requirements/services.txt --extra services --extra store --extra tracing services/pyproject.toml
echo 'stockpipeline @ file:services' >build/stockpipeline.override
compile requirements/operator.txt --extra tracing operator/pyproject.toml --override build/stockpipeline.override services/pyproject.toml
compile requirements/dev.txt --extra services --extra store --extra tracing services/pyproject.toml operator/pyproject.toml requirements/dev.in \
  --override build/stockpipeline.override
echo setuptools | compile requirements/build.txt -
compile requirements/spark.txt requirements/spark.in --constraint requirements/services.txt
compile requirements/airflow.txt requirements/airflow.in
compile requirements/plot.txt requirements/plot.in
