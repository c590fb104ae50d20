"""What tables are in Postgres, to be kept with what became of them: by it they can be made again."""

import json
from collections.abc import Iterable
from typing import Any

from psycopg.rows import tuple_row

from authstore.mover.catalog import QualifiedName
from authstore.mover.names import quote
from authstore.mover.postgres.connection import SourceConnection, translated
from authstore.mover.postgres.named_queries import named_queries

_MAY_READ = """
SELECT has_schema_privilege(n.oid, 'usage') AND has_sequence_privilege(c.oid, 'select')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND format('%%I.%%I', n.nspname, c.relname) = %s
"""


def read_definitions(connection: SourceConnection, tables: Iterable[QualifiedName]) -> dict[QualifiedName | None, str]:
    """By table a JSON object: columns, sequences (with where they stand now), constraints and indexes.

    Under None the database's: version, extensions, collations, the types that the tables use, and the views over them.
    """
    queries = named_queries("definitions.sql")
    names = {"tables": [f"{quote(schema)}.{quote(name)}" for schema, name in tables]}

    def ask(name: str) -> list[tuple[Any, ...]]:
        with translated(), connection.cursor(row_factory=tuple_row) as cursor:
            return cursor.execute(queries[name].encode(), names).fetchall()

    ((about,),) = ask("database")
    parts = {name: [json.loads(text) for (text,) in ask(name)] for name in ("types", "views")}
    database = json.dumps({**json.loads(about), **parts}, ensure_ascii=False)
    found = [(schema, name, json.loads(text)) for schema, name, text in ask("tables")]
    for sequence in (one for _, _, table in found for one in table["sequences"] if one["position"] is None):
        sequence["first"] = _first(connection, sequence["name"])
    return {None: database, **{(schema, name): json.dumps(one, ensure_ascii=False) for schema, name, one in found}}


def _first(connection: SourceConnection, sequence: str) -> int | None:
    """With which number a sequence begins that gave none yet: `ALTER SEQUENCE … RESTART 500`. None where this role may
    not know."""
    with translated(), connection.cursor(row_factory=tuple_row) as cursor:
        may = cursor.execute(_MAY_READ, [sequence]).fetchone()
        row = cursor.execute(f"SELECT last_value FROM {sequence}".encode()).fetchone() if may == (True,) else None
    return int(row[0]) if row else None
