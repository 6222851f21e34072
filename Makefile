# Every verb of the project. Needs git, make and Python 3.11 with venv; everything else is installed by name and version.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

export UV_PYTHON_DOWNLOADS := never
# A Go from PyPI may stand there, for machines without one.
export PATH := $(PATH):$(CURDIR)/.tools/bin
UV := .tools/bin/uv
RUN := .venv/bin/
# Many tests wait most of the time: two files at a time.
SPREAD := --numprocesses 2 --dist loadfile

.PHONY: help up test test-cluster test-story toolchain check bench assets docs clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

up: .venv/.synced assets ## set everything up, start the platform with the example apps; Ctrl-C stops it
	$(RUN)havn up

test: .venv/.synced assets .tools/packages ## set everything up and run every test
	$(RUN)pytest $(SPREAD) $(ARGS)

test-cluster: .venv/.synced assets .tools/packages toolchain ## run the tests that need a real Kubernetes, made on this machine (as root)
	$(RUN)pytest -m "cluster and not story" $(SPREAD) $(ARGS)

test-story: .venv/.synced assets .tools/packages toolchain ## tell the long story on three clusters (as root)
	$(RUN)pytest -m "cluster and story" $(ARGS)

toolchain: .venv/.synced .tools/cluster ## build Kubernetes, Traefik, Helm and the rest for local clusters (minutes, once)
	$(RUN)python -m havn.local.kubernetes toolchain

check: .venv/.synced ## format, lint, types and import contracts
	$(RUN)ruff format --check .
	$(RUN)ruff check .
	$(RUN)mypy
	$(RUN)lint-imports

bench: .venv/.synced assets ## measure against the targets and print the tables of docs/explanation/performance.md
	$(RUN)python bench/run.py $(ARGS)

assets: src/havn/kit/assets/dist/manifest.json ## build the front-end assets from the npm lock file

src/havn/kit/assets/dist/manifest.json: frontend/package-lock.json $(wildcard frontend/*.* frontend/src/*) | .venv/.synced
	frontend/build

.venv/.synced: pyproject.toml uv.lock | .tools/bin/uv
	$(UV) sync --frozen --quiet
	touch $@

.tools/bin/uv:
	python3 -m venv .tools
	.tools/bin/pip install --quiet --disable-pip-version-check uv==0.13.9

.tools/packages: | .tools/bin/uv
	tests/support/install-packages
	touch $@

.tools/cluster: | .tools/bin/uv
	tests/support/install-cluster-packages
	touch $@

clean: ## remove what was built (not .havn/, which holds your data)
	rm -rf .venv .tools node_modules frontend/node_modules src/havn/kit/assets/dist
