"""A Postgres database as its catalogue describes it."""

from dataclasses import dataclass

QualifiedName = tuple[str, str]  # schema and name


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
    guards: tuple[tuple[str, bool], ...] = ()  # of a cut-over: on which tables, and whether they refuse every write
    elsewhere: tuple[SourceTable, ...] = ()  # of schemas that were not asked for: their names alone
    encoding: str = "UTF8"  # SQL_ASCII: nobody has checked what bytes its texts are
