# Every target that needs Python makes its environment first, from the hash-pinned locks in requirements/.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SPARK := .venv-spark
SPARK_JAVA := .venv-spark-java
INSTALL := requirements/installer.sh $(BIN)
DEMO := demo
PHOTO := chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1000,900 --screenshot

.DEFAULT_GOAL := help
# Installing compiles no module; this lets the first process that imports one keep it for the next.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help demo pictures test test-thorough fuzz spark-test spark-java-test bench image image-test fresh-test lint format lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/scoring ## Write a synthetic drop of 5,000 customers, score it, print a summary
	@rm -rf $(DEMO)
	@$(BIN)/retention sample --customers 5000 --seed 7 $(DEMO)/drop
	@$(BIN)/retention score --input $(DEMO)/drop --output $(DEMO)/out

pictures: demo ## Draw the pictures of docs/ again, from the demo; needs Chromium
	@$(BIN)/retention score --quiet --input $(DEMO)/drop --output $(DEMO)/compared --control-share 0.3 --no-report
	@$(BIN)/retention sample --quiet --outcome-of $(DEMO)/compared/latest --effect 0.2 --seed 7 $(DEMO)/outcome
	@$(BIN)/retention lift --quiet --run $(DEMO)/compared/latest --outcome $(DEMO)/outcome --output $(DEMO)/lift
	@mkdir -p docs/pictures
	$(PHOTO)=$(CURDIR)/docs/pictures/page.png file://$(CURDIR)/$(DEMO)/out/latest/report.html
	$(PHOTO)=$(CURDIR)/docs/pictures/lift.png file://$(CURDIR)/$(DEMO)/lift/lift.html

test: $(VENV)/development ## Run the tests
	$(BIN)/python -m pytest -n auto --dist worksteal

test-thorough: $(VENV)/development ## Run them with 200 kills of a run and many more random cases
	TESTS_THOROUGH=1 $(BIN)/python -m pytest -n auto --dist worksteal

fuzz: $(VENV)/development ## Break 20,000 drops at random, take them in, score 2,000; options in FUZZ (FUZZ=--help)
	@$(BIN)/python -m tests.fuzz $(FUZZ)

spark-test: $(SPARK)/complete ## Run the tests of --engine spark, against a server on this machine
	$(SPARK)/bin/python -m pytest tests/spark

spark-java-test: $(SPARK_JAVA)/complete ## Run those that need Spark itself and Java 17; installs 1.1 GB
	$(SPARK_JAVA)/bin/python -m pytest tests/spark/test_java.py

bench: | $(VENV)/python ## Measure the job beside what else could do it; options in BENCH (BENCH=--help)
	@$(BIN)/python -m tests.benchmarks $(BENCH)

image: $(VENV)/python ## Build the image; IMAGE="--target train" for the one that trains
	@$(BIN)/python deploy/image_test.py --build $(IMAGE)

image-test: $(VENV)/development ## Build the image and run it as production does
	@$(BIN)/python deploy/image_test.py $(IMAGE)

lint: $(VENV)/development ## Check style, formatting, types and the Dockerfiles
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile deploy/kubernetes/spark/Dockerfile

format: $(VENV)/development ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(VENV)/development ## Pin the newest allowed versions in requirements/
	./requirements/lock.sh $(BIN)/uv

fresh-test: ## Make bare Debians with debootstrap (as root) and run both commands of the README there; DEBIAN="bookworm trixie"
	@deploy/fresh_test.sh $(DEBIAN)

clean: ## Remove the environment, caches and the demo
	rm -rf $(VENV) $(SPARK) $(SPARK_JAVA) $(DEMO) .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Their own environments: pandas, which Spark needs, slows other imports, and Spark holds another client. The project's
# code is found where it lies. Spark is built from source, with the pinned setuptools.
$(SPARK)/complete $(SPARK_JAVA)/complete: .venv-%/complete: requirements/%-test.txt requirements/build.txt | $(VENV)/python
	@echo "Installing the $*-test requirements into $(@D)" >&2
	@$(BIN)/python -m venv --clear --without-pip $(@D)
	@$(INSTALL) $(@D)/bin/python --require-hashes --requirement requirements/build.txt
	@$(INSTALL) $(@D)/bin/python --require-hashes --no-build-isolation --requirement $<
	@touch $@

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@mkdir -p $(VENV) || { echo "The environment is made in this folder, which cannot be written" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "The venv module is needed; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@touch $@

# Sets of requirements are states of one environment; each holds scoring, development holds all.
$(VENV)/scoring $(VENV)/training $(VENV)/development: $(VENV)/%: requirements/%.txt requirements/build.txt pyproject.toml | $(VENV)/python
	@case $* in training|development) $(BIN)/python -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2> /dev/null \
		|| { echo "OpenMP's runtime is needed; on Debian and Ubuntu: apt-get install libgomp1" >&2; exit 1; } ;; esac
	@echo "Installing the $* requirements into $(VENV)" >&2
	@$(INSTALL) $(BIN)/python --require-hashes --requirement requirements/build.txt --requirement requirements/$*.txt
	@$(INSTALL) $(BIN)/python --no-build-isolation --no-deps --editable .
	@touch $@
