.DEFAULT_GOAL := help
PYTHON := .venv/bin/python

.PHONY: help
help: ## Shows these lines
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Installs gdb, gdbserver and Go 1.19 with apt, and this project with its tools into .venv
	sh tests/setup

.PHONY: test
test: ## Runs all tests, with every Go toolchain: about a quarter of an hour
	sh tests/run

.PHONY: quick
quick: ## Runs the tests that are not marked as slow: a minute and a half
	sh tests/run -m "not slow"

.PHONY: pure
pure: .venv/set-up ## Runs the tests that need no Go, no gdb and no ptrace: seconds
	$(PYTHON) -m pytest -m pure

.PHONY: lint
lint: .venv/set-up ## Checks style, types and the floors: ruff, mypy, import-linter
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo

.PHONY: audit
audit: ## Checks the licences of what was tested, and asks for vulnerabilities that are known in it
	sh tests/audit

.PHONY: format
format: .venv/set-up ## Formats the code, and mends what ruff can mend
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

.PHONY: bench
bench: .venv/set-up ## Measures maps of a million entries, and the hash functions
	$(PYTHON) -m benchmarks.million
	$(PYTHON) -m benchmarks.hashing

.PHONY: changes
changes: .venv/set-up ## Shows what the fragments in changes/ say of the next release
	.venv/bin/towncrier build --draft --version next

.venv/set-up: pyproject.toml
	sh tests/setup python
	@touch $@
