# The two commands: `make demo` sets everything up and shows it, `make test` sets everything up and tests it.
# Nothing is assumed but make and a Python of at least 3.11 with venv; PYTHON=… names another one.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CHECK ?=

.PHONY: demo test browser certified check wheel benchmarks clean

demo: $(READY)
	$(BIN)/authstore demo $(if $(CHECK),--check)

test: $(READY) browser certified
	$(BIN)/python -m pytest $(ARGS)

# The browser tests need a Chromium: the system's, else Debian's package, else Playwright's own build.
browser: $(READY)
	@test -n "$$AUTHSTORE_TEST_CHROMIUM" || command -v chromium || command -v google-chrome \
	|| { test "$$(id -u)" = 0 && command -v apt-get && apt-get update -qq \
	     && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } \
	|| $(BIN)/playwright install --with-deps chromium

# The certified OpenID provider that people sign in with in tests, and the Node that runs it, live in the virtual environment.
certified: $(READY)
	$(BIN)/python -m tests.web.certified.node

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pyright

wheel: $(READY)
	rm -rf build dist
	$(BIN)/python -m build --wheel --outdir dist .
	$(BIN)/python tests/wheel.py dist

benchmarks: $(READY)
	$(BIN)/python -m pip install --quiet -r benchmarks/requirements.txt
	$(BIN)/python -m benchmarks.store

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "authstore needs Python 3.11 or newer: make PYTHON=python3.11 …" or 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[demo]" --group dev
	touch $(READY)

clean:
	rm -rf $(VENV) build dist artefacts *.egg-info
