"""What stands in a schema, and taking it from one schema into another, all of it or by name."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from authstore.mover.names import quote
from authstore.mover.postgres.named_queries import named_queries
from authstore.mover.postgres.target import PostgresTarget

_ALTERED = {
    "r": "TABLE",
    "p": "TABLE",
    "v": "VIEW",
    "m": "MATERIALIZED VIEW",
    "f": "FOREIGN TABLE",
    "S": "SEQUENCE",
    "type": "TYPE",
    "domain": "DOMAIN",
    "routine": "ROUTINE",
    "collation": "COLLATION",
}


@dataclass(frozen=True, slots=True)
class SchemaObject:
    """Something that has a place in a schema of its own. `arguments`: of a routine, as they tell it from others."""

    kind: str  # pg_class.relkind, "type", "domain", "routine" or "collation"
    name: str
    arguments: str = ""

    @property
    def is_table(self) -> bool:
        return self.kind in ("r", "p")

    @property
    def label(self) -> str:
        """As people call it."""
        return f"{_ALTERED[self.kind].lower()} {self.name}"


def objects_of(target: PostgresTarget, schema: str) -> list[SchemaObject]:
    """What stands there by itself: indexes and the like go with their tables, what an extension made stays its own."""
    found = target.rows(named_queries("target.sql")["objects"], {"schema": schema})
    return [SchemaObject(*row) for row in found]


def taken_names(target: PostgresTarget, schema: str) -> set[str]:
    """The names of relations there, indexes and owned sequences included, each with the table that it belongs to."""
    return {name for (name,) in target.rows(named_queries("target.sql")["relations"], {"schema": schema})}


def move_objects(target: PostgresTarget, objects: Sequence[SchemaObject], here: str, there: str) -> None:
    """Into another schema, within the transaction that is open."""
    for one in objects:
        arguments = f"({one.arguments})" if one.kind == "routine" else ""
        target.execute(
            f"ALTER {_ALTERED[one.kind]} {quote(here)}.{quote(one.name)}{arguments} SET SCHEMA {quote(there)}"
        )


def references_from_outside(target: PostgresTarget, schema: str, tables: Collection[str]) -> list[tuple[str, str, str]]:
    """Foreign keys of tables that are none of these to one of these: the table's label, the key, and to which."""
    return [
        (label, name, pointed)
        for label, name, pointed in target.rows(
            named_queries("target.sql")["references_from_outside"], {"schema": schema, "tables": sorted(tables)}
        )
    ]
