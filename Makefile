# The two commands: `make demo` sets everything up and shows it, `make test` sets everything up and tests it.
# Nothing is assumed but make and a Python of at least 3.11 with venv; PYTHON=… names another one.
# While you write: `make fix`, `make quick`, `make test-quick`. What else there is: CONTRIBUTING.md.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CHECK ?=
WORKERS ?= 2
# The tests of a file run in one worker, one after another: they share its servers. WORKERS=0: all in this process.
PYTEST := -m pytest -n $(WORKERS) --dist loadfile
# What needs neither a server nor a browser nor patience; and what other Pythons and lowest versions are tried with.
QUICK := not postgres and not browser and not node and not processes and not slow
QUICKLY := --ignore=tests/whole --ignore=tests/web/advisories \
  --deselect=tests/backends/sqlite/test_contract_sqlite.py::TestSQLiteInAFile
# Of these, what is no answer within a minute: whole moves, sign-ins and command lines, faults put in, waits, every character.
QUICKEST := $(addprefix --ignore=tests/,cli ops testing packaging mover/ways mover/sqlite/test_seal.py \
  store/sessions/test_cache.py store/test_unreadable.py store/test_refreshing.py store/test_many_sessions.py \
  store/test_many_rows.py store/test_kept_roles.py store/test_clocks.py backends/sqlite/test_store.py \
  backends/sqlite/test_revocation.py backends/sqlite/test_places.py backends/sqlite/test_opening.py \
  web/console web/dev web/passkeys web/asgi/test_installing.py web/oauth/test_answers.py web/oauth/test_login.py \
  web/oauth/test_providers.py) \
  $(addprefix --deselect=tests/,test_email.py::test_no_text_at_all_is_an_unexpected_error \
  test_email.py::test_no_single_character_takes_the_form_of_an_ascii_address \
  backends/sqlite/test_contract_sqlite.py::TestSQLiteUnderOtherPolicies \
  backends/sqlite/test_contract_sqlite.py::TestSQLiteInMemory::test_nobody_waits_longer_than_the_busy_timeout)

.PHONY: demo docs pictures test test-quick test-pythons test-lowest browser certified postgres prometheus quick fix check coverage wheel release lock benchmarks ledger patroni failover mutants follow older-versions clean

demo: $(READY)
	$(BIN)/authstore demo $(if $(CHECK),--check)

test: $(READY) browser certified postgres prometheus
	$(BIN)/python $(PYTEST) $(ARGS)

test-quick: $(READY)
	$(BIN)/python $(PYTEST) -q -m "$(QUICK)" $(QUICKLY) $(QUICKEST) $(ARGS)

# What stands before a PostgreSQL, and the oldest one that is served: Debian's pgbouncer, and 14 from npm.
postgres: $(READY)
	@command -v pgbouncer || test -x /usr/sbin/pgbouncer \
	|| { test "$$(id -u)" = 0 && command -v apt-get && apt-get update -qq \
	     && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq pgbouncer >/dev/null; } \
	|| echo "no pgbouncer: install it to run the tests through a pooler"
	$(BIN)/python -m tests.backends.postgres.old_server

# Debian's Prometheus, taken apart into the virtual environment so that no service is set up: it loads the rules and the
# dashboard's queries in tests.
prometheus: $(READY)
	@command -v prometheus || test -x $(VENV)/prometheus/usr/bin/prometheus \
	|| { command -v apt-get && { test "$$(id -u)" != 0 || apt-get update -qq; } && cd $(VENV) \
	     && apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb prometheus; } \
	|| echo "no prometheus: install it to run the tests of the dashboard and the rules"

# The whole suite, and the share of lines and branches that it ran in its own processes, not in the commands that it starts;
# never less than pyproject.toml says.
coverage: $(READY) browser certified postgres prometheus
	$(BIN)/python $(PYTEST) --cov --cov-report=term $(ARGS)

# Each other Python that the classifiers name and this machine has; which one it has not, is said.
test-pythons: $(READY)
	$(BIN)/python .ci/pythons.py -m "$(QUICK)" $(QUICKLY)

# The lowest versions that pyproject.toml declares. Old releases that meet newer ones of their own dependencies warn of
# what is deprecated there: that is not ours to mend.
test-lowest: $(READY)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)-lowest
	$(BIN)/uv pip install --quiet --python $(VENV)-lowest/bin/python --resolution lowest-direct --editable ".[demo]" --group test
	$(VENV)-lowest/bin/python -m pytest -q -o cache_dir=.pytest_cache/lowest -m "$(QUICK)" $(QUICKLY) \
	  -W default::DeprecationWarning $(ARGS)

# The browser tests need a Chromium: the system's, else Debian's package, else Playwright's own build; and a Firefox.
browser: $(READY)
	@test -n "$$AUTHSTORE_TEST_CHROMIUM" || command -v chromium || command -v google-chrome \
	|| { test "$$(id -u)" = 0 && command -v apt-get && apt-get update -qq \
	     && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } \
	|| $(BIN)/playwright install --with-deps chromium
	@command -v firefox-esr || command -v firefox \
	|| { test "$$(id -u)" = 0 && command -v apt-get && apt-get update -qq \
	     && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq firefox-esr >/dev/null; } \
	|| echo "no firefox: install it to run the tests of the pages in it"

# The certified OpenID provider that people sign in with in tests, and the Node that runs it, live in the virtual environment.
certified: $(READY)
	$(BIN)/python -m tests.web.certified.node

quick: $(READY)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

fix: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: quick
	$(BIN)/pyright

# The documents as a site, in site/: a link, an anchor or a public name that leads nowhere ends it. Its tools have an environment
# of their own, in which the tutorial of a framework that the tests do without runs too.
docs: $(READY)
	test -x $(VENV)-docs/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(VENV)-docs
	$(BIN)/uv pip install --quiet --python $(VENV)-docs/bin/python --constraint constraints.txt --editable ".[web,testing]" --group docs
	NO_MKDOCS_2_WARNING=1 $(VENV)-docs/bin/mkdocs build --strict
	$(VENV)-docs/bin/python .ci/run_page.py docs/tutorial-litestar.md

# Pictures for the documents: plots of benchmarks/results/, and the pages as Chromium shows them, light and dark.
pictures: $(READY) browser
	$(BIN)/python -m benchmarks.plots
	$(BIN)/python .ci/pictures.py

# What would be published, built and used: the wheel alone, the wheel under the contract, the sources.
wheel: $(READY)
	rm -rf build dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python tests/packaging/artefacts.py dist

# Version, changelog, tag and wheel agree; without CHECK=1 a release that is ready gets its tag (RELEASING.md).
release: wheel
	$(BIN)/python .ci/release.py dist $(if $(CHECK),,--tag)

# constraints.txt anew: every dependency of ours and of the benchmarks at its newest version.
lock: $(READY)
	grep -v '^-c' benchmarks/requirements.txt > $(VENV)/benchmarks.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-annotate --no-header \
	  --extra demo --group dev --group docs pyproject.toml $(VENV)/benchmarks.txt --output-file constraints.txt
	touch pyproject.toml

benchmarks: $(READY)
	$(BIN)/python -m pip install --quiet -r benchmarks/requirements.txt
	$(BIN)/python -m benchmarks.store

# A million look-ups while others revoke: not one may be stale; the result is benchmarks/results/ledger.md.
ledger: $(READY)
	$(BIN)/python -m benchmarks.ledger

# A source written to in every way, whose follower is killed every second: benchmarks/results/follow.md.
follow: $(READY)
	$(BIN)/python -m benchmarks.follow

# A store on two nodes under Patroni with etcd, of which one is killed: benchmarks/results/patroni.md.
patroni: $(READY)
	@command -v patroni && command -v etcd || { test "$$(id -u)" = 0 && apt-get update -qq \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq patroni etcd-server postgresql >/dev/null; }
	$(BIN)/python -m benchmarks.patroni

# The tests' own fail-over, with half a minute in which no server takes writes.
failover: $(READY)
	AUTHSTORE_TEST_PAUSES=30 $(BIN)/python -m pytest -q tests/backends/postgres/test_failover.py -k takes_over

# The older versions that the tests of upgrades run, out of the history anew (tests/whole/versions/README.md).
older-versions: $(READY)
	$(BIN)/python -m tests.whole.versions.pack

# Wrong lines, one at a time, which the tests must notice; the result is benchmarks/results/mutants.md.
mutants: $(READY)
	$(BIN)/python -m pytest -q benchmarks/mutants.py

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "authstore needs Python 3.11 or newer: make PYTHON=python3.11 …" or 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[demo]" --group dev
	touch $(READY)

clean:
	rm -rf $(VENV) $(VENV)-* build dist site artefacts *.egg-info
