"""What a table becomes: the columns of the target, and the query that says what must stand in them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

# What a value is on the wire and in SQLite. Every source expression is cast to one of
# int8 | float8 | text | bytea; "any" columns may hold more than one of them.
Storage = Literal["INTEGER", "REAL", "TEXT", "BLOB", "ANY"]


Role = Literal[
    "users",
    "accounts",
    "sessions",
    "visits",
    "verification_tokens",
    "authenticators",
    "roles",
    "permissions",
    "role_permissions",
    "user_roles",
]


@dataclass(frozen=True, slots=True)
class TargetColumn:
    """A column of the target table and the source's expression for it."""

    name: str
    storage: Storage
    expression: str  # SQL over the aliases of TableCopy.source_from; cast to int8 | float8 | text | bytea
    # Of an ANY column only: a second expression, of type text, null wherever the first is not. The target holds
    # coalesce(expression, otherwise): numbers, and the text 'NaN', which no number of SQLite's is.
    otherwise: str = ""
    # What makes the value of the text that the expression gives, where the source's SQL cannot.
    decode: Callable[[str], str] | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """Rows that cannot move, and why."""

    reason: str  # "orphan", "duplicate", "bad date", …: short, without values
    where: str  # SQL predicate over the aliases of TableCopy.source_from
    # The field of MoveOptions that decides it: "on_orphan", …; "" where rows are always left out.
    decision: str = "on_bad_row"
    column: str | None = None
    follows: bool = False  # only because another row stays behind, for which the decision has been asked already


@dataclass(frozen=True, slots=True)
class TableCopy:
    """One target table and the query on the source that says what must stand in it.

    SELECT {columns' expressions} FROM {source_from} WHERE {where} AND NOT (any reject) — rows are unique by `key`.
    """

    target: str
    role: Role | None  # None: a carried table
    source: tuple[str, str]  # schema and name of the (main) source table, for reports
    columns: tuple[TargetColumn, ...]
    key: tuple[str, ...]  # names of target columns, unique and not null in the target
    source_from: str  # e.g. '"public"."users" AS s'
    where: str = "TRUE"  # what is meant to move (living sessions only, …); what it leaves out is no reject
    rejects: tuple[Reject, ...] = ()
    row_id: str = "''"  # SQL text expression that names a source row in reports and the reject file
    create: tuple[str, ...] = ()  # DDL for carried tables, before the data; () for authstore's own
    indexes: tuple[str, ...] = ()  # DDL after the data
    sequence: tuple[str, str] | None = None  # (target column, source sequence): AUTOINCREMENT goes on from it
    secrets: tuple[str, ...] = ()  # columns of the source table that hold one: never written beside the store
    common: str = ""  # WITH clause before the SELECT, without the word WITH, or ""
    # Predicates, over the same aliases, that no row fulfilled which the plan has not taken into account: were there
    # one now, the plan would be another. What follows the source looks for such rows among those that change.
    watched: tuple[str, ...] = ()
    # Whether the source itself rules out that two of its rows come to one key of the target.
    is_told_apart: bool = True


@dataclass(frozen=True, slots=True)
class UserChanges:
    """Which users do not arrive under their own id: what hangs on them, in carried tables too, follows.

    Ids are the target's text. `auth_tables.auth_plan` works them out in the snapshot, with the copies.
    """

    gone: tuple[str, ...] = ()  # rejected: rows that hang on them are rejected with them
    merged: dict[str, str] = field(default_factory=dict)  # duplicate → the oldest: rows that hang on them go there
    reasons: dict[str, tuple[str, str]] = field(default_factory=dict)  # of those gone: reason and decision
