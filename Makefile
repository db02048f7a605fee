# What a developer runs. The first target that needs it makes .venv, once; it is renewed when
# pyproject.toml or constraints.txt change. To change the Python of an existing one: make clean.

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
KAFKA := .kafka/.fetched

# The first of these that is 3.10 or newer; or say PYTHON=/path/to/python.
CANDIDATES := python3 python3.13 python3.12 python3.11 python3.10
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 10))
PYTHON ?= $(shell for p in $(CANDIDATES); do \
	$$p -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$p && break; done)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-slow test-faults test-kafka soak check bench up lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

demo: $(STAMP) ## Run the whole pipeline on this machine, with an embedded broker and engine
	@$(BIN)/touchline demo

test: $(STAMP) ## Run the tests but the slow ones; ARGS='-k name' for some of them
	@$(BIN)/python -m pytest -n 3 --dist loadscope --no-loadscope-reorder -m 'not slow' $(ARGS)

test-slow: $(STAMP) ## Run the slow tests: real logs, replays, every query with every filter
	@$(BIN)/python -m pytest -n 3 --dist loadscope --no-loadscope-reorder -m 'slow and not faults' $(ARGS)

# What each test found goes to build/faults.jsonl, the table of it to build/faults.md.
test-faults: $(STAMP) ## Kill, freeze, cut off and fill up everything; takes an hour, writes a table
	@rm -f build/faults.jsonl && mkdir -p build
	@FAULT_CYCLES=$${FAULT_CYCLES:-100} FAULT_RESULTS=$(CURDIR)/build/faults.jsonl \
		$(BIN)/python -m pytest -n 2 --dist load -m faults $(ARGS); failed=$$?; \
		$(BIN)/python -m tests.faults.table build/faults.jsonl > build/faults.md; \
		cat build/faults.md; exit $$failed

soak: $(STAMP) ## A steady load with random faults; ARGS='--minutes 60 --rate 500'
	@$(BIN)/python -m tests.faults.soak $(ARGS)

test-kafka: $(STAMP) $(KAFKA) ## Run the tests that use a broker against Apache Kafka (Java 17, Maven)
	@$(BIN)/python -m pytest -n 3 --dist loadscope --no-loadscope-reorder --kafka apache -m kafka $(ARGS)

check: $(STAMP) ## Lint, check the formatting, check the types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(STAMP) ## Measure the speed
	@$(BIN)/python -m tests.bench $(ARGS)

up: secrets/clickhouse_password secrets/pepper ## Start Kafka, ClickHouse and a worker in containers
	docker compose up --build --detach

lock: $(STAMP) ## Resolve the dependencies anew into constraints.txt
	@$(BIN)/python -m venv $(VENV)/lock
	@$(VENV)/lock/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'
	@sed -n '/^#/p; /^#/!q' constraints.txt > $(VENV)/constraints.txt
	@$(VENV)/lock/bin/uv pip compile --quiet --universal --python-version 3.10 --extra dev \
		--strip-extras --no-header --annotation-style line pyproject.toml >> $(VENV)/constraints.txt
	@mv $(VENV)/constraints.txt constraints.txt
	@echo "constraints.txt is new: run make check test, then commit it"

clean: ## Remove .venv, caches and build results; data in .touchline and secrets stay
	rm -rf $(VENV) .kafka .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	find pipeline schemas jobs tests -name __pycache__ -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@$(or $(PYTHON),false) -c '$(NEW_ENOUGH)' || { \
		echo "Touchline needs Python 3.10 or newer, and '$(or $(PYTHON),$(CANDIDATES))' is not:" \
			"install one, or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Installing into $(VENV), once; this takes a minute or two"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input \
		-c constraints.txt -e '.[dev]'
	@touch $@

# Beside the checkout's .venv and like it: fetched once, anew when the pom changes, gone with it.
$(KAFKA): tests/kafka/pom.xml
	@java -version 2>&1 | grep -Eq '"(1[7-9]|[2-9][0-9])' || { \
		echo "Apache Kafka needs Java 17 or newer, and there is none: install it" >&2; exit 1; }
	@mvn -version > /dev/null 2>&1 || { \
		echo "Apache Kafka is fetched by Maven, and there is none: install it" >&2; exit 1; }
	@echo "Fetching Apache Kafka into .kafka, once"
	@rm -rf .kafka
	@mvn --batch-mode --quiet --file $< dependency:copy-dependencies \
		-DincludeScope=runtime -DoutputDirectory='$(CURDIR)/.kafka/jars'
	@touch $@

# 64 random hex digits each, made once. The directory keeps others out; the files are readable
# so that the containers' users, which are not yours, can read them.
secrets/%:
	@mkdir -p -m 700 secrets
	@python3 -c 'import secrets; print(secrets.token_hex(32))' > $@
	@chmod 644 $@
