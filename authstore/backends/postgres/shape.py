"""What the migrations make of a database, and what of it is missing: the ledger alone is not believed.

Read from their text: a server has no second database at hand in which they could be run.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from authstore.backends.postgres.driver import Connection
from authstore.schema import Migration

_TABLE = re.compile(r"^CREATE TABLE (\w+) \(\n(.*?)^\)", re.MULTILINE | re.DOTALL)
_COLUMN = re.compile(r"^    ([a-z]\w*) ", re.MULTILINE)  # what begins in capitals is a constraint
_ADDED = re.compile(r"^ALTER TABLE (\w+) ADD COLUMN (\w+)", re.MULTILINE)
_HELPER = re.compile(r"^CREATE (?:UNIQUE )?(INDEX|TRIGGER) (\w+)[^;]*;", re.MULTILINE)
_COLUMNS = """
SELECT relname || '.' || attname AS name FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
"""
# An index that was left half made helps nobody, a trigger that is switched off notes nothing.
_HELPERS = """
SELECT 'index ' || relname AS name FROM pg_class JOIN pg_index ON indexrelid = pg_class.oid
WHERE relnamespace = current_schema()::regnamespace AND indisvalid
UNION ALL
SELECT 'trigger ' || tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE relnamespace = current_schema()::regnamespace AND NOT tgisinternal AND tgenabled <> 'D'
"""


class Missing(NamedTuple):
    """Columns (`sessions.expires`), and what only helps: indexes and triggers (`index users_email`)."""

    columns: list[str]
    helpers: list[str]


def columns(steps: Sequence[Migration]) -> frozenset[str]:
    """The columns that these steps make."""
    made = {f"{table}.{column}" for step in steps for table, column in _ADDED.findall(step.sql)}
    for step in steps:
        made |= {f"{table}.{column}" for table, body in _TABLE.findall(step.sql) for column in _COLUMN.findall(body)}
    return frozenset(made)


def helpers(steps: Sequence[Migration]) -> Mapping[str, str]:
    """The indexes and triggers that these steps make, each with its statement."""
    found = (match for step in steps for match in _HELPER.finditer(step.sql))
    return {f"{match[1].lower()} {match[2]}": match[0] for match in found}


async def lacking(connection: Connection, ran: Sequence[Migration], timeout: float) -> Missing:
    """What these steps had made and is there no more. Raises the driver's errors."""
    there = {row["name"] for row in await connection.fetch_tuples(_COLUMNS, (), timeout)}
    helping = {row["name"] for row in await connection.fetch_tuples(_HELPERS, (), timeout)}
    return Missing(sorted(columns(ran) - there), sorted(set(helpers(ran)) - helping))
