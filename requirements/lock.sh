#!/bin/sh
# Pins what pyproject.toml allows, for every supported Python, with hashes and without download addresses.
# Each set holds the one before, so that an environment can grow from one to the next.
set -eu
uv=$1
cd "$(dirname "$0")/.."
compile() {
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links --no-emit-package oneclick-retention "$@"
}
echo "setuptools" | compile --upgrade --output-file requirements/build.txt -
compile --upgrade --extra development --output-file requirements/development.txt pyproject.toml
# What installs the others; needed before any of them.
echo "uv" | compile --constraint requirements/development.txt --output-file requirements/uv.txt -
compile --constraint requirements/development.txt --extra training --output-file requirements/training.txt pyproject.toml
compile --constraint requirements/development.txt --extra boosted --output-file requirements/boosted.txt pyproject.toml
compile --constraint requirements/development.txt --output-file requirements/scoring.txt pyproject.toml
compile --constraint requirements/development.txt --extra lineage --output-file requirements/lineage.txt pyproject.toml
compile --constraint requirements/development.txt --extra storage --output-file requirements/storage.txt pyproject.toml
compile --constraint requirements/development.txt --extra spark-test --output-file requirements/spark-test.txt pyproject.toml
compile --constraint requirements/spark-test.txt --extra spark --output-file requirements/spark.txt pyproject.toml
# Spark of the thin client's version: that of a set may be newer than the other's newest.
sed -n 's/^pyspark-client\(==[^ ]*\).*/pyspark\1/p' requirements/spark-test.txt \
    | compile --constraint requirements/spark-test.txt --extra spark-java-test --output-file requirements/spark-java-test.txt pyproject.toml -
compile --upgrade --constraint requirements/development.txt --extra benchmark --output-file requirements/benchmark.txt pyproject.toml
