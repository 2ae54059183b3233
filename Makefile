# Every target works from a fresh clone and first creates the environments that it needs below .venv.
PYTHON ?= python3.13
BIN := .venv/bin
UV := $(BIN)/uv
LOCKS := infra/requirements
export PATH := $(CURDIR)/$(BIN):$(PATH)
export UV_NO_CONFIG := 1
export UV_PYTHON_DOWNLOADS := never
# Trust the machine's certificates, as pip does
export UV_SYSTEM_CERTS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

# A finished environment has a stamp file; if its lock is newer than the stamp, the environment is rebuilt.
DEV := .venv/.made
SAM := .venv/sam/.made
EMULATOR := .venv/emulator/.made
LAMBDA := .venv/lambda/.made
CHECKOV := .venv/checkov/.made
CLIENTS := .venv/clients/.made
BOTO3 := .venv/boto3/oldest/.made .venv/boto3/middle/.made
STACK := $(DEV) $(SAM) $(EMULATOR) $(LAMBDA)

RECEIVERS := tests/receivers
NODE := $(patsubst %/package-lock.json,%/node_modules/.made,$(wildcard $(RECEIVERS)/package-lock.json))
# Linters and generators that read openapi.json
OPENAPI := tests/openapi
OPENAPI_TOOLS := $(OPENAPI)/node_modules/.made

# Key=Value pairs for the template, for example: make local PARAMETERS="FirstRetryDelay=5 AttemptDeadline=3"
PARAMETERS ?=

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## /\1	/p' $(MAKEFILE_LIST) | while IFS='	' read -r name text; do printf '  %-12s %s\n' "$$name" "$$text"; done

# ---- Environments ----------------------------------------------------------------------------------------

setup: $(STACK) $(CHECKOV) $(NODE) $(OPENAPI_TOOLS) $(CLIENTS) $(BOTO3) ## make every environment; other targets make those they need

$(UV): $(LOCKS)/uv.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found; install Python 3.13 or set its path with make PYTHON=..." >&2; exit 1; }
	@echo "making .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --require-hashes -r $<
	@touch $@

$(DEV): $(UV) $(LOCKS)/dev.txt pyproject.toml
	@echo "installing the development tools"
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes $(LOCKS)/uv.txt $(LOCKS)/dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# These tools pin conflicting libraries, so each has its own environment. The one that stands for Lambda's runtime is
# compiled, like the runtime.
.venv/%/.made: $(LOCKS)/%.txt $(UV)
	@echo "installing $* into .venv/$*"
	@$(UV) venv --quiet --clear --python $(BIN)/python .venv/$*
	@$(UV) pip sync --quiet $(if $(filter lambda,$*),--compile-bytecode) --python .venv/$*/bin/python --require-hashes $<
	@touch $@

%/node_modules/.made: %/package-lock.json
	@echo "installing the Node packages of $*"
	@command -v npm >/dev/null || { echo "npm was not found; the tests need it for receivers written in JavaScript" >&2; exit 1; }
	@cd $* && npm ci --silent --no-audit --no-fund
	@mkdir -p $(@D)
	@touch $@

# ---- Locks -----------------------------------------------------------------------------------------------

COMPILE := $(UV) pip compile --quiet --universal --python-version 3.13 --no-annotate --no-header
GROUPS := lambda emulator sam checkov clients boto3/oldest boto3/middle
PACKAGES := functions/requirements.txt $(LOCKS)/uv.txt $(LOCKS)/dev.txt $(GROUPS:%=$(LOCKS)/%.txt)

# $(call compile,options) compiles one lock; $$lock is its file, $$out the output.
define compile
	case $$lock in \
	functions/requirements.txt) $(COMPILE) $(1) pyproject.toml --output-file $$out ;; \
	$(LOCKS)/dev.txt) $(COMPILE) $(1) pyproject.toml --extra cli --group dev --output-file $$out ;; \
	$(LOCKS)/uv.txt) printf 'pip\nuv\n' | $(COMPILE) $(1) - --output-file $$out ;; \
	$(LOCKS)/boto3/*) $(COMPILE) $(1) --group boto3-$$(basename $$lock .txt) --output-file $$out ;; \
	*) $(COMPILE) $(1) --group $$(basename $$lock .txt) --output-file $$out ;; \
	esac
endef

UPGRADE ?=

lock: $(UV) ## update the locks from pyproject.toml; UPGRADE=--upgrade takes the newest versions
	@for lock in $(PACKAGES); do \
		echo "compiling $$lock"; out=$$lock; \
		$(call compile,--generate-hashes $(UPGRADE)) || exit 1; \
	done

# Locked versions are preferred, so only a change of pyproject.toml makes a difference. Hashes are left
# out: an index may add a file to a version at any time, and pip and uv check hashes on installation anyway.
lock-check: $(UV) ## fail if a lock does not match pyproject.toml
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; for lock in $(PACKAGES); do \
		out=$$fresh/$$(basename $$lock); cp $$lock $$out; \
		$(call compile,) || exit 1; \
		sed -e '/^ *--hash=/d' -e 's/ \\$$//' $$lock | diff -u --label $$lock --label "$$lock from pyproject.toml" - $$out || \
		{ echo "$$lock does not match pyproject.toml: run make lock" >&2; exit 1; }; \
	done

# ---- The stack -------------------------------------------------------------------------------------------

MACHINE := $(subst amd64,x86_64,$(subst aarch64,arm64,$(shell uname -m)))

# For another architecture than this machine's: make build ARCHITECTURE=arm64
ARCHITECTURE ?= $(MACHINE)

build: $(DEV) $(SAM) ## run sam build, add bytecode and fix the processor, in .aws-sam
	@SAM_CLI_TELEMETRY=0 .venv/sam/bin/sam build --parameter-overrides Architecture=$(ARCHITECTURE)
	@$(BIN)/python -m infra.bytecode
	@$(BIN)/python -m infra.processor

local: $(STACK) ## run the whole stack on this machine, without Docker or AWS, until Ctrl-C
	@exec $(BIN)/python -m infra.local $(PARAMETERS)

demo: $(STACK) ## watch a demo: register, publish, deliver signed, fail, retry
	@exec $(BIN)/python -m infra.demo

# ---- Generated files -------------------------------------------------------------------------------------

openapi: $(DEV) ## generate functions/posthorn/api/openapi.json from the routes, and the page that shows it
	@$(BIN)/python -m infra.openapi
	@$(BIN)/python -m infra.reference

counts: $(DEV) ## count the handlers' AWS calls, for posthorn cost
	@$(BIN)/python -m tests.bench.counting

bench: build $(LAMBDA) ## run the benchmark, write docs/benchmarks.md, print the budgets (five minutes)
	@$(BIN)/python -m tests.bench

# ---- Checks ----------------------------------------------------------------------------------------------

check: lint unit ## ruff, mypy and the unit tests: before every commit (90 seconds)

test: test-lint test-unit test-integration test-proof test-stack test-e2e ## run every check, in stages; fails if one fails
	@echo "== all stages passed"

MODEL := tests/proof/test_model.py
RUNS ?= 5000

torture: $(DEV) ## run the proof with new random runs, RUNS=5000 of them (over an hour)
	@TORTURE_RUNS=$(RUNS) $(BIN)/pytest $(MODEL)

lint: $(DEV) ## run ruff and mypy
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

WORKERS := --numprocesses 2 --dist worksteal

unit: $(DEV) $(NODE) ## the unit tests
	@$(BIN)/pytest $(WORKERS) tests/unit

# Old botocore calls utcnow(), which Python 3.13 warns about. One version on each core.
OLD_BOTO3 := pytest --quiet -p no:cacheprovider -W "ignore:datetime.datetime.utcnow:DeprecationWarning" tests/unit/aws tests/unit/stores

unit-runtimes: $(BOTO3) ## the unit tests of aws and stores with older boto3 that Lambda may have
	@export PYTHONPATH=functions:infra:.; \
	.venv/boto3/oldest/bin/$(OLD_BOTO3) & oldest=$$!; \
	.venv/boto3/middle/bin/$(OLD_BOTO3); middle=$$?; wait $$oldest && exit $$middle

coverage: $(DEV) $(NODE) ## branch coverage of functions/posthorn by unit and integration tests (six minutes)
	@$(BIN)/pytest $(WORKERS) --cov --cov-report= --cov-fail-under=0 tests/unit
	@$(BIN)/pytest $(WORKERS) --cov --cov-append --cov-report term:skip-covered tests/integration

test-lint: headline-lint lint
test-unit: headline-unit unit unit-runtimes
test-integration: headline-integration $(DEV) $(NODE)
	@$(BIN)/pytest $(WORKERS) tests/integration
# The model and the rest of the proof share the cores. The hash seed makes runs the same everywhere.
test-proof: headline-proof $(DEV)
	@PYTHONHASHSEED=0 $(BIN)/pytest $(WORKERS) tests/proof --deselect $(MODEL) & others=$$!; \
	PYTHONHASHSEED=0 $(BIN)/pytest $(MODEL); model=$$?; wait $$others && exit $$model
test-stack: headline-stack lock-check $(DEV) $(SAM) $(CHECKOV) $(OPENAPI_TOOLS) $(CLIENTS)
	@$(BIN)/pytest $(WORKERS) tests/stack
test-e2e: headline-e2e $(STACK) $(NODE) $(OPENAPI_TOOLS) $(CLIENTS)
	@$(BIN)/pytest tests/e2e

headline-lint: ; @echo "== lint: ruff and mypy (half a minute)"
headline-unit: ; @echo "== unit: single modules, loopback only; aws and stores also with older boto3 (two and a half minutes)"
headline-integration: ; @echo "== integration: all functions together, with moto (seven minutes)"
headline-proof: ; @echo "== proof: no event is lost, whichever step fails (five minutes)"
headline-stack: ; @echo "== stack: lock files, contract tests and linters of the template and the API's description (three minutes)"
headline-e2e: ; @echo "== e2e: the built artifact, deployed on this machine; retries wait in real time (nine minutes)"

clean: ## remove everything that make created
	@rm -rf .venv .aws-sam .local .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage $(RECEIVERS)/node_modules $(OPENAPI)/node_modules
	@find functions infra tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help setup lock lock-check build local demo openapi counts bench check test unit unit-runtimes coverage torture lint clean
.PHONY: test-lint test-unit test-integration test-proof test-stack test-e2e
.PHONY: headline-lint headline-unit headline-integration headline-proof headline-stack headline-e2e
