"""The rebuilding tried out on the target itself, in a transaction of which nothing stays: what it can be told, and
what its tables then are."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from authstore.expiry import utc_now
from authstore.mover.catalog import SourceTable
from authstore.mover.names import literal, quote
from authstore.mover.postgres.introspection import read_source
from authstore.mover.postgres.named_queries import named_queries
from authstore.mover.postgres.schemas import SchemaObject
from authstore.mover.postgres.target import BUILDING, PostgresTarget
from authstore.mover.rebuilding.renaming import QualifiedName
from authstore.mover.rebuilding.steps import Step, Steps
from authstore.mover.reports import Problem
from authstore.schema import migrations

_TOGETHER = 64  # steps


@dataclass(slots=True)
class Tried:
    """What the target took. `own`: the keys and indexes of authstore's tables, to be made when the rows are there;
    `objects`, `relations`: all that will stand in the target's schema, and its names."""

    steps: Steps = field(default_factory=Steps)
    own: list[Step] = field(default_factory=list)
    tables: dict[str, SourceTable] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    objects: list[SchemaObject] = field(default_factory=list)
    relations: set[str] = field(default_factory=set)


def lay_own(target: PostgresTarget, coming: Collection[str]) -> None:
    """authstore's tables in the schema that is being filled, the `coming` ones empty; what is moved is no event."""
    target.execute(f"SET search_path = {quote(BUILDING)}, pg_catalog")
    for step in migrations("postgres"):
        target.execute(step.sql)
        target.execute(
            "INSERT INTO authstore_migrations (version, name, sha256, applied_at) VALUES (%s, %s, %s, %s)",
            [step.version, step.name, step.sha256, utc_now()],
        )
    switch_triggers(target, "DISABLE")
    for table in {"changes", "change_log"} & set(coming):  # the migrations give them a row each
        target.execute(f"DELETE FROM {quote(table)}")
    target.execute("SET search_path = 'pg_catalog'")


def switch_triggers(target: PostgresTarget, how: str) -> None:
    """DISABLE or ENABLE, on every table in the schema that is being filled."""
    for (table,) in target.rows(
        "SELECT DISTINCT c.relname::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
        " WHERE c.relnamespace = %s::regnamespace AND NOT t.tgisinternal",
        [BUILDING],
    ):
        target.execute(f"ALTER TABLE {quote(BUILDING)}.{quote(table)} {how} TRIGGER USER")


def own_later(target: PostgresTarget, tables: Sequence[str]) -> list[Step]:
    """The keys, indexes and foreign keys of authstore's tables, from its own migrations."""
    found = target.rows(named_queries("target.sql")["keys"], {"schema": BUILDING, "tables": list(tables)})
    order = {"p": 0, "u": 1, "i": 2, "f": 3}
    return [
        Step(
            table,
            name,
            f'"{name}"',
            words
            if kind == "i"
            else f"ALTER TABLE {quote(BUILDING)}.{quote(table)} ADD CONSTRAINT {quote(name)} {words}",
            is_needed=True,
        )
        for table, name, kind, words in sorted(found, key=lambda row: order[row[2]])
    ]


def drop_later(target: PostgresTarget, steps: Sequence[Step]) -> None:
    """Takes them away again, the foreign keys before the keys."""
    for step in reversed(steps):
        if step.sql.startswith("ALTER"):
            target.execute(f"ALTER TABLE {quote(BUILDING)}.{quote(step.table)} DROP CONSTRAINT {quote(step.name)}")
        else:
            target.execute(f"DROP INDEX {quote(BUILDING)}.{quote(step.name)}")


def members_of_extensions(
    target: PostgresTarget, extensions: Sequence[Mapping[str, Any]]
) -> dict[QualifiedName, QualifiedName]:
    """Where what an extension made stands in the target, by where it stood at the source."""
    schemas = {one["name"]: one["schema"] for one in extensions}
    found = target.rows(named_queries("target.sql")["extension_members"])
    return {(schemas[name], member): (schema, member) for name, schema, member in found if name in schemas}


def make_extensions(
    target: PostgresTarget, extensions: Sequence[Mapping[str, Any]], used: frozenset[QualifiedName]
) -> Iterator[Step]:
    """Those that the tables use and the target lacks, made; each as a step."""
    there = {name for (name,) in target.rows("SELECT extname::text FROM pg_extension")}
    for one in extensions:
        if one["name"] in there:
            continue
        sql = f"CREATE EXTENSION IF NOT EXISTS {quote(one['name'])} SCHEMA {quote(target.home)}"
        target.execute("SAVEPOINT an_extension")
        refusal = target.refusal(sql)
        made = members_of_extensions(target, [one])
        if refusal is None and not made.keys() & used and ("", one["name"]) not in used:
            target.execute("ROLLBACK TO SAVEPOINT an_extension")
            continue
        if refusal is None or any(name == one["name"] for _, name in used):
            yield Step("", one["name"], f"extension {one['name']}", sql, refusal=refusal or "")


def try_steps(target: PostgresTarget, steps: Sequence[Step], tried: Tried) -> Iterator[Step]:
    """Those that the server takes, done; the others are problems."""
    # Some under one savepoint: at the end of each the server goes through all locks that it holds.
    for first in range(0, len(steps), _TOGETHER):
        together = steps[first : first + _TOGETHER]
        lost = {problem.table for problem in tried.problems if problem.stops}
        is_doubtful = any(step.refusal or step.table in lost for step in together)
        if not is_doubtful and target.refusal(*(step.sql for step in together)) is None:
            yield from together
        else:
            yield from _try_each(target, together, tried, lost)


def _try_each(target: PostgresTarget, steps: Sequence[Step], tried: Tried, lost: set[str]) -> Iterator[Step]:
    for step in steps:
        if step.table in lost:
            continue
        refusal = step.refusal or target.refusal(step.sql)
        if refusal is not None and step.otherwise and target.refusal(step.otherwise) is None:
            said = f"its formulas stay behind, their values come: {refusal}"
            tried.problems.append(Problem("left-behind", step.table, said))
            yield Step(step.table, step.name, step.what, step.otherwise, is_needed=True)
        elif refusal is None:
            yield step
        else:
            lost |= {step.table} if step.is_needed else set()
            kind = "type" if step.is_needed else "left-behind"
            said = (
                f"{step.what} cannot be made: {refusal}" if step.is_needed else f"{step.what} stays behind: {refusal}"
            )
            tried.problems.append(Problem(kind, step.table, said, stops=step.is_needed))


def read_tables(target: PostgresTarget) -> dict[str, SourceTable]:
    """The tables that stand in the schema that is being filled, by name."""
    return {table.name: table for table in read_source(target.connection, (BUILDING,)).tables}


def sequence_of(target: PostgresTarget, schema: str, table: str, column: str) -> str | None:
    """The sequence that a column owns."""
    at = f"{quote(schema)}.{quote(table)}"
    ((found,),) = target.rows(f"SELECT pg_get_serial_sequence({literal(at)}, {literal(column)})")
    return None if found is None else str(found)
