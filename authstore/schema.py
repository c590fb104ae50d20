"""Which migrations there are, which ran, and whether a database is ours. Pure: the backend runs what is pending."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from authstore.errors import SchemaError
from authstore.sql import Dialect

APPLICATION_ID = 1096111176  # 'AUTH', in the header of every SQLite file of ours

_TRIGGER = re.compile(r"^CREATE TRIGGER (\w+)", re.MULTILINE)
_TABLE = re.compile(r"^CREATE TABLE (\w+)", re.MULTILINE)
_FUNCTION = re.compile(r"^CREATE FUNCTION (\w+)", re.MULTILINE)
_NOTE = "INSERT INTO authstore_migrations (version, name, sha256, applied_at)"
_NOW: Mapping[Dialect, str] = {"sqlite": "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')", "postgres": "now()"}
_FILE = re.compile(r"(\d{4})_(\w+)\.(sqlite|postgres)\.sql")


class Migration(NamedTuple):
    """One numbered step. `sha256` is of the file's text, so that a changed file is noticed."""

    version: int
    name: str
    sql: str
    sha256: str


def migration(version: int, name: str, sql: str) -> Migration:
    """A step with its digest."""
    return Migration(version, name, sql, hashlib.sha256(sql.encode()).hexdigest())


@cache
def migrations(dialect: Dialect) -> tuple[Migration, ...]:
    """The steps of this dialect, in order; they count 1, 2, 3 …"""
    found = []
    for file in files("authstore.migrations").iterdir():
        match = _FILE.fullmatch(file.name)
        if match and match[3] == dialect:
            found.append(migration(int(match[1]), match[2], file.read_text("utf-8")))
    steps = tuple(sorted(found))
    if [step.version for step in steps] != list(range(1, len(steps) + 1)):
        raise SchemaError(f"the installed {dialect} migrations are incomplete: reinstall authstore")
    return steps


@cache
def triggers(dialect: Dialect) -> frozenset[str]:
    """The names of the triggers that the steps make."""
    return frozenset(name for step in migrations(dialect) for name in _TRIGGER.findall(step.sql))


@cache
def tables(dialect: Dialect) -> frozenset[str]:
    """The names of the tables that the steps make."""
    return frozenset(name for step in migrations(dialect) for name in _TABLE.findall(step.sql))


@cache
def functions(dialect: Dialect) -> frozenset[str]:
    """The names of the functions that the steps make."""
    return frozenset(name for step in migrations(dialect) for name in _FUNCTION.findall(step.sql))


def script(step: Migration, dialect: Dialect) -> str:
    """A step as it can be run by hand, with the line that notes in the ledger that it ran."""
    values = f"{step.version}, '{step.name}', '{step.sha256}', {_NOW[dialect]}"
    return f"{step.sql.rstrip()}\n\n{_NOTE} VALUES ({values});\n"


def pending(ledger: Sequence[Mapping[str, Any]], known: Sequence[Migration]) -> tuple[Migration, ...]:
    """The steps still to run on a database with this ledger.

    Raises `SchemaError` where the ledger is newer than what is installed, or a step that ran was another.
    """
    if len(ledger) > len(known):
        raise SchemaError(
            f"the database is at schema version {len(ledger)}, this authstore knows {len(known)}: upgrade authstore"
        )
    for ran, step in zip(ledger, known, strict=False):
        if (ran["version"], ran["sha256"]) != (step.version, step.sha256):
            raise SchemaError(f"migration {ran['version']} of the database is not the one authstore knows")
    return tuple(known[len(ledger) :])
