"""A statement that makes something of the target, and what is said where the server refuses it."""

from dataclasses import dataclass, field

from authstore.mover.names import quote
from authstore.mover.postgres.target import BUILDING


@dataclass(frozen=True, slots=True)
class Step:
    """`name`: of what it makes, within the table, by which a move that goes on knows that it is there. `is_needed`:
    without it the table cannot be; else it stays behind. `otherwise`: what is done instead, without its formulas.
    `refusal`: why it is not even tried."""

    table: str
    name: str
    what: str
    sql: str
    is_needed: bool = False
    otherwise: str = ""
    refusal: str = ""

    @property
    def is_foreign_key(self) -> bool:
        return " FOREIGN KEY (" in self.sql

    @property
    def is_view(self) -> bool:
        return self.sql.startswith("CREATE VIEW")


@dataclass(slots=True)
class Steps:
    """All of a rebuilding: before the rows come, and after."""

    first: list[Step] = field(default_factory=list)
    later: list[Step] = field(default_factory=list)


def placed(sql: str, schema: str) -> str:
    """A statement about what is being built, said of the schema in which it stands."""
    return sql.replace(f"{quote(BUILDING)}.", f"{quote(schema)}.").replace(f"{BUILDING}.", f"{quote(schema)}.")
