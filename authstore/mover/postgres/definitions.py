"""What tables are in Postgres, to be kept with what became of them: by it they can be made again."""

import json
from collections.abc import Iterable
from typing import Any

from psycopg.rows import tuple_row

from authstore.mover.catalog import QualifiedName
from authstore.mover.names import quote
from authstore.mover.postgres.connection import SourceConnection, translated
from authstore.mover.postgres.named_queries import named_queries


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
    return {None: database, **{(schema, name): text for schema, name, text in ask("tables")}}
