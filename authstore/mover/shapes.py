"""What the rooms of the mover hand to each other: plain frozen data, no I/O.

`catalog` reads the source into `Source`; `recognise` and `auth_tables` turn the tables of the accounts into
`TableCopy`s, `carried_tables` all others; `plan` puts them in order; the engine makes them so.
"""

from dataclasses import dataclass, field
from typing import Literal

# What a value is on the wire and in SQLite. Every source expression is cast to one of
# int8 | float8 | text | bytea; "any" columns may hold more than one of them.
Storage = Literal["INTEGER", "REAL", "TEXT", "BLOB", "ANY"]
Role = Literal[
    "users",
    "accounts",
    "sessions",
    "verification_tokens",
    "authenticators",
    "roles",
    "permissions",
    "role_permissions",
    "user_roles",
]


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column as the source's catalogue describes it."""

    name: str
    type: str  # format_type(): "character varying(255)", "numeric(12,6)", "text[]", …
    base: str  # the type under domains and modifiers: "varchar", "numeric", "_text", …
    kind: str  # pg_type.typtype of the base: b c d e p r m
    category: str  # pg_type.typcategory of the base
    modifier: int  # atttypmod
    nullable: bool
    default: str | None  # as an expression, pg_get_expr
    identity: str  # "", "a" or "d"
    generated: str | None  # the expression of a generated column
    collation: str | None
    sequence: str | None  # the sequence that feeds it (serial or identity), quoted
    labels: tuple[str, ...] = ()  # of an enum
    position: int = 0
    base_schema: str = "pg_catalog"  # where the base type lives
    element: str | None = None  # of an array: the type of its elements
    element_kind: str = ""  # and its typtype
    checks: tuple[str, ...] = ()  # of its domains, over the word VALUE
    virtual: bool = False  # generated, but not stored
    sequence_readable: bool = True  # this role may ask the sequence where it stands


@dataclass(frozen=True, slots=True)
class SourceKey:
    """A primary key, unique constraint or unique index on plain columns."""

    name: str
    columns: tuple[str, ...]
    primary: bool
    nulls_distinct: bool = True
    deferrable: bool = False


@dataclass(frozen=True, slots=True)
class SourceReference:
    """A foreign key."""

    name: str
    columns: tuple[str, ...]
    table: tuple[str, str]  # schema and name of what it points to
    target_columns: tuple[str, ...]
    on_delete: str  # SQL words: "CASCADE", "SET NULL", …
    on_update: str
    deferrable: bool
    validated: bool
    deferred: bool = False  # initially
    match: str = "SIMPLE"  # or "FULL"
    unsayable: str = ""  # what no other database knows: "PERIOD", "SET NULL of some columns"


@dataclass(frozen=True, slots=True)
class SourceIndex:
    """An index that is not a key's."""

    name: str
    definition: str  # pg_get_indexdef
    unique: bool
    columns: tuple[str | None, ...]  # None where it is an expression
    descending: tuple[bool, ...]
    predicate: str | None
    method: str
    expressions: tuple[str, ...] = ()  # every key column as SQL, columns included


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """A check constraint."""

    name: str
    expression: str
    validated: bool = True  # False: rows from before may break it


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table, or the root of a partitioned one."""

    schema: str
    name: str
    columns: tuple[SourceColumn, ...]
    keys: tuple[SourceKey, ...] = ()
    references: tuple[SourceReference, ...] = ()
    indexes: tuple[SourceIndex, ...] = ()
    checks: tuple[SourceCheck, ...] = ()
    rows: int = 0  # the planner's estimate
    bytes: int = 0
    partitioned: bool = False
    parents: tuple[str, ...] = ()  # tables it inherits from (not: is a partition of)
    inherited: bool = False  # others inherit from it: read it with ONLY, they are tables of their own
    readable: bool = True  # this role may SELECT from it, and no policy hides rows


@dataclass(frozen=True, slots=True)
class Source:
    """A Postgres database as its catalogue shows it."""

    system: str  # identifier of the cluster and oid of the database
    version: int
    tables: tuple[SourceTable, ...]
    views: tuple[tuple[str, str, str], ...] = ()  # schema, name, definition
    left_behind: tuple[str, ...] = ()  # functions, triggers, policies, foreign tables, …: reported
    encoding: str = "UTF8"  # SQL_ASCII: nobody has checked what bytes its texts are


@dataclass(frozen=True, slots=True)
class TargetColumn:
    """A column of the target table and the source's expression for it."""

    name: str
    storage: Storage
    expression: str  # SQL over the aliases of TableCopy.source_from; cast to int8 | float8 | text | bytea
    # Of an ANY column only: a second expression, of type text, null wherever the first is not. The target holds
    # coalesce(expression, otherwise): numbers, and the text 'NaN', which no number of SQLite's is.
    otherwise: str = ""


@dataclass(frozen=True, slots=True)
class Reject:
    """Rows that cannot move, and why."""

    reason: str  # "orphan", "duplicate", "bad date", …: short, without values
    where: str  # SQL predicate over the aliases of TableCopy.source_from
    option: str  # the command-line option that decides it: "--on-orphan", …; "" where rows are always left out
    column: str | None = None
    follows: bool = False  # only because another row stays behind, for which the option has been asked already


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
    left_out: str = ""  # what `where` leaves out, in words for the report: "expired"
    rejects: tuple[Reject, ...] = ()
    row_id: str = "''"  # SQL text expression that names a source row in reports and the reject file
    create: tuple[str, ...] = ()  # DDL for carried tables, before the data; () for authstore's own
    indexes: tuple[str, ...] = ()  # DDL after the data
    sequence: tuple[str, str] | None = None  # (target column, source sequence): AUTOINCREMENT goes on from it
    common: str = ""  # WITH clause before the SELECT, without the word WITH, or ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that stands in the way, or that the operator must know."""

    kind: str  # "duplicate", "orphan", "bad-row", "secret", "unrecognised", "ambiguous", "left-behind", "type", …
    table: str  # "schema.table"
    message: str
    count: int = 0
    samples: tuple[str, ...] = ()  # row ids and masked values
    option: str = ""  # what decides it: "--on-orphan", …
    stops: bool = False  # undecided: move refuses to start


Choice = Literal["stop", "reject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveOptions:
    """The options of plan, move, verify and recover (command line: the same with dashes)."""

    schemas: tuple[str, ...] = ()
    prefix: str | None = None
    profile: str | None = None  # path of a TOML file
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    with_expired: bool = False
    naive_tz: str = "UTC"
    replace: bool = False
    on_bad_row: Choice = "stop"
    on_orphan: Choice = "stop"
    on_duplicate: Literal["stop", "keep-oldest", "merge"] = "stop"
    secrets: Literal["stop", "keep", "drop"] = "stop"
    # Three moments as ISO text (…T00:00:00.000000Z), bound by whoever runs the move, so that an expression gives the
    # same on every run; "" means the time of the snapshot.
    # moved_at: of the first move, kept in the ledger for ever: created_at and updated_at where the source has none.
    # sessions_at: when sessions count as created and last used. Kept in the ledger too, but renewed by a move more
    # than five minutes later (sessions are then copied again): with the first move's they would be idle at the last
    # catch-up.
    # judged_at: when expiry is judged: each move's own time; verify takes that of the last move from the ledger.
    moved_at: str = ""
    sessions_at: str = ""
    judged_at: str = ""


@dataclass(frozen=True, slots=True)
class Recognised:
    """A source table in its role, and which source column plays each field."""

    role: Role
    table: SourceTable
    fields: dict[str, str] = field(default_factory=dict)  # field of authstore → source column
    why: str = ""
    # False: an auth table all the same, never to be carried as it is, but left behind (reported by `auth_tables`):
    # Better Auth's verification, a second set of auth tables that --prefix or the profile leaves out. Not a target of
    # references.
    moved: bool = True


@dataclass(frozen=True, slots=True)
class UserChanges:
    """Which users do not arrive under their own id: what hangs on them, in carried tables too, follows.

    Ids are the target's text. `auth_tables.auth_plan` works them out in the snapshot, with the copies.
    """

    gone: tuple[str, ...] = ()  # rejected: rows that hang on them are rejected with them
    merged: dict[str, str] = field(default_factory=dict)  # duplicate → the oldest: rows that hang on them go there
    reasons: dict[str, tuple[str, str]] = field(default_factory=dict)  # of those gone: reason and option
