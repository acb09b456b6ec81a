# Every target works from a clean clone on a bare Debian 12 with python3 and make.

PYTHON ?= python3
VENV   := .venv/bin
PYTEST := $(VENV)/python -m pytest

# Where a machine sets it, every process would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test soak lint bench wheel grammar requirements clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: ## build the example two ways, show digests and layers, run it
	@$(PYTHON) tools/setup.py demo
	@$(VENV)/python tools/demo.py

test: ## all tests: lint, types and import contracts among them
	@$(PYTHON) tools/setup.py test
	@$(PYTEST) -n auto --dist worksteal -m "not soak" $(ARGS)

soak: ## the heavy tests that take long
	@$(PYTHON) tools/setup.py test
	@$(PYTEST) -n auto --dist worksteal -m soak $(ARGS)

lint: ## ruff, mypy and the import contracts alone
	@$(PYTHON) tools/setup.py test
	@$(PYTEST) tests/test_lint.py $(ARGS)

bench: ## time the workloads, beside buildah where it is installed
	@$(PYTHON) tools/setup.py test
	@$(VENV)/python -m benchmarks $(ARGS)

wheel: ## build dist/*.whl with the clock library for every architecture
	@$(PYTHON) tools/setup.py wheel
	@$(VENV)/python -m hatchling build -t wheel -d dist

grammar: ## compute the Dockerfile parser's table from its Lark grammar
	@$(PYTHON) tools/setup.py test
	@$(VENV)/python tools/grammar.py

requirements: ## resolve the dependencies anew and write the lock files (needs uv)
	@$(PYTHON) tools/requirements.py

clean: ## remove what make made: .venv, caches, dist, build outputs
	rm -rf .venv dist build .mypy_cache .ruff_cache .hypothesis .import_linter_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find buildtool -name '*.so' -delete
