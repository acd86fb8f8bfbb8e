SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
DICOM ?=
CHAOS ?=
SCHEDULES ?=
QUICK ?=
HAPI ?=
ON_HAPI := tests/hapi tests/contract/fhir_server $(addprefix tests/flow/test_,study.py dose.py laws.py interleavings.py twins.py) \
	tests/hosts
REAL ?=
ON_SERVERS := tests/contract/dicom tests/contract/fhir_server $(addprefix tests/flow/test_,study.py feed.py bad_input.py parked.py \
	failures_of_dicom_cast.py dose.py laws.py twins.py)
ON_MICROSOFT := --host func --dicom microsoft --fhir microsoft
REMOTE ?=
# the interpreter of an Azure CLI that is there, or of one that is installed for the tests
AZURE_CLI ?= .stack/azure-cli/bin/python
FUNCTION_PYTHON_VERSION ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo up test test-hapi test-servers test-microsoft test-azure-cli chaos schedules lint type fmt bench package audit clean pins docs

help: ## list the verbs
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

setup: $(VENV)/.done dev/fhir/node_modules/.done ## virtual environment, Python and Node packages

$(VENV)/.done: requirements-dev.txt
	@echo "setup, once, 1 of 2: Python packages into $(VENV); this takes minutes on a slow machine"
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || { echo "Python 3.11 to 3.14 is needed: make PYTHON=python3.13 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

dev/fhir/node_modules/.done: dev/fhir/package-lock.json $(VENV)/.done
	@echo "setup, once, 2 of 2: Node packages of the local stack (Azurite, FHIR server)"
	@$(PY) -m dev npm-ci
	@touch $@

demo: setup ## the whole flow on this machine, with sample studies or DICOM=folder; REAL=1 on Microsoft's own parts
	@$(PY) -m dev demo $(if $(DICOM),--files "$(DICOM)") $(if $(REAL),$(ON_MICROSOFT))

up: setup ## start the local stack and leave it running (REAL=1 as above)
	@$(PY) -m dev up $(if $(REAL),$(ON_MICROSOFT))

test: setup ## all tests
	@$(PY) -m pytest -n 4 --dist worksteal

test-hapi: setup ## what another FHIR server can show, on HAPI FHIR (Java 17, Maven)
	@$(PY) -m dev hapi --build
	@$(PY) -m pytest --fhir hapi --rounds 50 --timeout 600 $(ON_HAPI)

test-servers: setup ## contracts and flow tests on Microsoft's DICOM service and FHIR server
	@$(PY) -m pytest --dicom microsoft --fhir microsoft --timeout 600 -n 2 --dist loadfile $(ON_SERVERS)

test-microsoft: test-servers ## these, then all on Microsoft's host, and DICOM Cast (on PATH, or ../shared/dotnet)
	@$(PY) -m pytest --dicom microsoft --fhir microsoft --timeout 600 -n 2 --dist loadfile tests/contract/host tests/flow/test_dicom_cast.py
	@$(PY) -m pytest --host func --timeout 600 -n 2 --dist loadfile -m real tests/hosts tests/servers tests/flow

test-azure-cli: setup $(AZURE_CLI) ## the commands of the docs and workflows, by the Azure CLI's own parser
	@$(PY) -m pytest --azure-cli $(AZURE_CLI) tests/azure_cli

.stack/azure-cli/bin/python:
	@$(PYTHON) -m venv .stack/azure-cli
	@$@ -m pip install --quiet --disable-pip-version-check azure-cli==2.91.0

chaos: setup ## a day under fire, minutes long, and whether FHIR still says what DICOM says; CHAOS="--seconds 600 --seed 1 --add all"
	@$(PY) -m tests.chaos $(if $(REAL),$(ON_MICROSOFT)) $(CHAOS)

schedules: setup ## every order in which workers can do what they do, in minutes; SCHEDULES="--seconds 540 --faults 1"
	@$(PY) -m tests.schedules $(SCHEDULES)

lint: setup ## ruff: rules and formatting
	@$(PY) -m ruff check . && $(PY) -m ruff format --check .

type: setup ## mypy, strict
	@$(PY) -m mypy

fmt: setup ## format the code
	@$(PY) -m ruff format . && $(PY) -m ruff check --fix .

bench: setup ## measure against DICOM Cast, or its re-enactment where it is not to be had (QUICK=1 shorter, HAPI=1 on HAPI FHIR)
	@$(PY) -m bench $(if $(QUICK),--quick) $(if $(HAPI),--fhir hapi) $(if $(REAL),--dicom microsoft --fhir microsoft)

docs: setup ## print docs/mapping.md from the tables of the code
	@$(PY) -m dev docs

package: setup ## dist/app.zip, as Azure runs it; REMOTE=1 leaves the packages to Azure
	@$(PY) -m dev package $(if $(REMOTE),--remote-build) $(if $(FUNCTION_PYTHON_VERSION),--python "$(FUNCTION_PYTHON_VERSION)")

audit: setup ## known vulnerabilities in the pinned packages (asks the registries)
	@$(PY) -m dev audit

pins: ## compile the pinned requirements (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements.in -o requirements.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header requirements-dev.in -o requirements-dev.txt

clean: ## remove everything that was generated
	rm -rf $(VENV) dev/fhir/node_modules dev/hapi/target .stack .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		bench/out dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
