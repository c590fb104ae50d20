"""A SQLite file as a catalogue, in Postgres' words, so that roles are recognised by one set of rules."""

from collections.abc import Mapping

from authstore.mover.catalog import Source, SourceColumn, SourceKey, SourceReference, SourceTable
from authstore.mover.names import folded
from authstore.mover.recognition.aliases import normalised
from authstore.mover.recognition.profile import Profile, ProfileTable
from authstore.mover.sqlite.file_tables import FileColumn, FileTable
from authstore.mover.sqlite.source import SqliteSource

SCHEMA = "main"
_FAMILIES = (
    ("BOOL", "bool", "B"),
    ("INT", "int8", "N"),
    ("DATE", "timestamp", "D"),
    ("TIME", "timestamp", "D"),
    ("BLOB", "bytea", "U"),
    ("REAL", "float8", "N"),
    ("FLOA", "float8", "N"),
    ("DOUB", "float8", "N"),
    ("NUM", "numeric", "N"),
    ("DEC", "numeric", "N"),
)


def catalog_of(source: SqliteSource, tables: Mapping[str, FileTable]) -> Source:
    """The tables of the file."""
    return Source(f"sqlite/{source.path}", 0, tuple(_table(source, table) for table in tables.values()))


def _table(source: SqliteSource, table: FileTable) -> SourceTable:
    keys = [SourceKey("primary key", table.primary, primary=True)] if table.primary else []
    for index in table.indexes:
        names = tuple(name for name in index.columns if name is not None)
        if index.unique and not index.partial and len(names) == len(index.columns):
            keys.append(SourceKey(index.name, names, primary=False))
    return SourceTable(
        SCHEMA,
        table.name,
        tuple(_column(table, column, place) for place, column in enumerate(table.columns, 1)),
        tuple(keys),
        tuple(
            SourceReference(
                f"to {link.table}", link.columns, (SCHEMA, link.table), link.target_columns, link.on_delete,
                link.on_update, deferrable=False, validated=True,
            )
            for link in table.references
        ),
        rows=source.count(table.name),
    )  # fmt: skip


def _column(table: FileTable, column: FileColumn, place: int) -> SourceColumn:
    base, category = next(
        ((base, category) for word, base, category in _FAMILIES if word in column.declared), ("text", "S")
    )
    return SourceColumn(
        name=column.name,
        type=column.declared.lower() or "any",
        base=base,
        kind="b",
        category=category,
        modifier=-1,
        nullable=not column.not_null and column.name not in table.primary,
        default=None,
        identity="",
        generated=None,
        collation=None,
        sequence=None,
        position=place,
    )


def lucia(tables: Mapping[str, FileTable]) -> Profile | None:
    """What a profile would say of Lucia's tables, if these are.

    There a session's id is its token (or, as later guides have it, the token's SHA-256), and a user needs no address.
    """
    sessions = [
        table for table in tables.values() if _names(table) >= {"id", "userid", "expiresat"} and _is_bare(table)
    ]
    if len(sessions) != 1:
        return None
    (session,) = sessions
    columns = {normalised(column.name): column.name for column in session.columns}
    users = [link.table for link in session.references if link.columns == (columns["userid"],)]
    if len(users) != 1:
        return None
    told = {"sessions": ProfileTable(session.name, {"token": columns["id"], "id": ""})}
    user = next(table for name, table in tables.items() if folded(name) == folded(users[0]))
    key = user.primary[0]
    told["users"] = ProfileTable(user.name, {} if "email" in _names(user) else {"id": key, "email": key})
    for table in tables.values():
        names = {normalised(column.name): column.name for column in table.columns}
        own = names.get("provideruserid")
        if own and names.keys() >= {"providerid", "userid"}:
            told["accounts"] = ProfileTable(table.name, {"provider_account_id": own})
    return Profile(told, origin="Lucia's tables")  # type: ignore[arg-type]  # the keys are roles


def _names(table: FileTable) -> set[str]:
    return {normalised(column.name) for column in table.columns}


def _is_bare(table: FileTable) -> bool:
    """A session without a token of its own, in a table that says it is one."""
    return "session" in normalised(table.name) and not _names(table) & {"token", "sessiontoken", "identifier"}
