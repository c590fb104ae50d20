"""A file of authstore's as a source: what is in it, under one read transaction, so that it is one moment's."""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from authstore.backends.sqlite import file
from authstore.errors import SchemaError
from authstore.mover.errors import SourceError
from authstore.mover.names import folded, quote
from authstore.mover.sqlite.building import lay_schema, own_indexes, own_tables, own_triggers, sequences_of, tables_of
from authstore.mover.sqlite.clauses import ColumnWords, column_words, deferrals_in
from authstore.mover.sqlite.file_tables import FileColumn, FileIndex, FileReference, FileTable, as_text
from authstore.mover.sqlite.ledger import TABLES, Ledger
from authstore.mover.sqlite.one_moment import begin_at_one_moment
from authstore.mover.sqlite.reading import teach_digests
from authstore.mover.sqlite.target_files import TargetFiles
from authstore.schema import APPLICATION_ID, migrations, pending

_MOST_COLUMNS = 1000  # of a row of results
_CONNECTIONS = 2
_CACHE = -16384  # KiB, of each
_About = TypeVar("_About")
_Answer = TypeVar("_Answer")


class SqliteSource:
    """The file, open. Nothing is written to it."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, system: str = "", others: Sequence[sqlite3.Connection] = ()
    ) -> None:
        """`system`: which store or database its rows are from, where that is not the file. `others`: connections that
        see what the first one sees."""
        self.connection = connection
        self.path = path
        self._system = system
        self._others = others
        ledger = Ledger(connection)
        self._is_moved = ledger.is_there()
        self.notes: Mapping[str, str] = ledger.notes() if self._is_moved else {}

    @property
    def system(self) -> str:
        """Which store this is, wherever the file lies: when its schema was made, and from where it was moved."""
        if self._system:
            return self._system
        (made,) = self.connection.execute("SELECT min(applied_at) FROM authstore_migrations").fetchone()
        return f"sqlite/{made}/{self.notes.get('source', '')}"

    def asked_of_each(
        self, question: Callable[["SqliteSource", _About], _Answer], about: Sequence[_About]
    ) -> list[_Answer]:
        """The answers to a question about each of these, asked over all connections at once."""
        idle: SimpleQueue[SqliteSource] = SimpleQueue()
        for connection in (self.connection, *self._others):
            idle.put(SqliteSource(connection, self.path, self._system))

        def ask(one: _About) -> _Answer:
            source = idle.get()
            try:
                return question(source, one)
            finally:
                idle.put(source)

        with ThreadPoolExecutor(1 + len(self._others)) as pool:
            return list(pool.map(ask, about))

    def definitions(self) -> Mapping[str, Any]:
        """What the tables were in Postgres, by their names here; "" is the database. Empty where nobody knows."""
        there = {name for (name,) in self.connection.execute("SELECT name FROM sqlite_master")}
        return Ledger(self.connection).sources() if self._is_moved and "authstore_move_sources" in there else {}

    @cached_property
    def sequences_moved(self) -> Mapping[str, int]:
        """Where AUTOINCREMENT stood when the file was moved here, by table."""
        found: Mapping[str, int] = json.loads(self.notes.get("sequences", "{}"))
        return found

    @cached_property
    def sequences(self) -> Mapping[str, int]:
        """Where it stands now."""
        return sequences_of(self.connection)

    def own_tables(self) -> Sequence[str]:
        """authstore's tables, but for the book of its migrations."""
        return sorted(own_tables() - {"authstore_migrations"})

    def carried_tables(self) -> Sequence[str]:
        """All others that hold rows of somebody's."""
        ours = {*own_tables(), *(TABLES if self._is_moved else ())}
        return [name for name in self.plain_tables() if name not in ours]

    def plain_tables(self) -> Sequence[str]:
        """Every table, but for virtual ones and what these are made of."""
        plain = self._tables_of_kind("table")
        return sorted(name for name in tables_of(self.connection) if name in plain)

    def virtual_tables(self) -> Iterator[tuple[str, int]]:
        """Those whose rows a module of SQLite's makes (of a full-text search, say), with how many that are; 0 where
        this SQLite lacks the module."""
        for name in sorted(self._tables_of_kind("virtual")):
            try:
                yield name, self.count(name)
            except sqlite3.OperationalError:
                yield name, 0

    def _tables_of_kind(self, kind: str) -> set[str]:
        found = self.connection.execute(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = ?", (kind,)
        )
        return {name for (name,) in found}

    def views(self) -> Mapping[str, str]:
        """How each view is made."""
        return dict(self.connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'view' ORDER BY name"))

    def triggers(self) -> Sequence[str]:
        """Those that somebody made."""
        found = self.connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY name")
        return [name for (name,) in found if name not in own_triggers()]

    @contextmanager
    def as_moved(self) -> Iterator["SqliteSource"]:
        """An empty file of authstore's as a move to here made it: with the tables, indexes and views that came along,
        as far as that is noted."""
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as memory:
            lay_schema(memory, ())
            for statement in (*own_indexes().values(), *json.loads(self.notes.get("made", "[]"))):
                with suppress(sqlite3.OperationalError):  # another SQLite made it, with functions that this one lacks
                    memory.execute(statement)
            yield SqliteSource(memory, self.path)

    def table(self, name: str) -> FileTable:
        """Everything that the file says about one of its tables."""
        ask = self.connection.execute
        (sql,) = ask("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)).fetchone()
        strict, unnumbered = ask(
            "SELECT strict, wr FROM pragma_table_list(?) WHERE schema = 'main'", (name,)
        ).fetchone()
        rows = ask(f"PRAGMA table_xinfo({quote(name)})").fetchall()
        words = column_words(sql)
        columns = tuple(
            FileColumn(
                column,
                "INTEGER" if strict and declared.upper() == "INT" else declared.upper(),
                bool(not_null),
                default,
                hidden > 1,
                *_said_of(words, column),
            )
            for _, column, declared, not_null, default, _, hidden in rows
            if hidden != 1
        )
        primary = tuple(row[1] for row in sorted((row for row in rows if row[5]), key=lambda row: row[5]))
        types = {row[1]: row[2].upper() for row in rows}  # INT counts nothing, though a strict table has both words
        counted = len(primary) == 1 and types[primary[0]] == "INTEGER" and not unnumbered
        return FileTable(
            name,
            sql,
            bool(strict),
            not unnumbered,
            columns,
            primary,
            counted,
            tuple(self._references(name, deferrals_in(sql)[::-1])),
            tuple(self._indexes(name)),
        )

    def _references(self, name: str, deferrals: Sequence[str]) -> Iterator[FileReference]:
        links: dict[int, list[tuple[Any, ...]]] = {}
        for number, _, *link in self.connection.execute(f"PRAGMA foreign_key_list({quote(name)})"):
            links.setdefault(number, []).append(tuple(link))
        for number, parts in links.items():
            parent, update, delete = self._called(parts[0][0]), parts[0][3], parts[0][4]
            targets = tuple(part[2] for part in parts)
            targets = self._primary(parent) if None in targets else self._columns_called(parent, targets)
            own = self._columns_called(name, [part[1] for part in parts])
            yield FileReference(own, parent, targets, delete, update, deferrals[number])

    def _called(self, table: str) -> str:
        """As the table itself is written: who refers to it may write its name in another case."""
        return next((name for name in tables_of(self.connection) if folded(name) == folded(table)), table)

    def _columns_called(self, table: str, columns: Sequence[str]) -> tuple[str, ...]:
        there = {folded(row[1]): row[1] for row in self.connection.execute(f"PRAGMA table_xinfo({quote(table)})")}
        return tuple(there.get(folded(column), column) for column in columns)

    def _primary(self, name: str) -> tuple[str, ...]:
        rows = self.connection.execute(f"PRAGMA table_info({quote(name)})").fetchall()
        return tuple(row[1] for row in sorted((row for row in rows if row[5]), key=lambda row: row[5]))

    def _indexes(self, name: str) -> Iterator[FileIndex]:
        found = self.connection.execute(
            "SELECT i.name, coalesce(m.sql, ''), i.\"unique\", i.partial FROM pragma_index_list(?) AS i"
            " LEFT JOIN sqlite_master AS m ON m.name = i.name WHERE i.origin <> 'pk' ORDER BY i.name",
            (name,),
        ).fetchall()
        for index, sql, unique, partial in found:
            columns = self.connection.execute("SELECT name FROM pragma_index_info(?) ORDER BY seqno", (index,))
            yield FileIndex(index, sql, bool(unique), tuple(column for (column,) in columns), bool(partial))

    def kinds(self, table: FileTable) -> Mapping[str, Mapping[str, int]]:
        """How many values of each kind (`typeof`) a column holds."""
        names = [column.name for column in table.columns]
        kinds = ("integer", "real", "text", "blob")
        counts = [f"count(*) FILTER (WHERE typeof({quote(name)}) = '{kind}')" for name in names for kind in kinds]
        row = self.connection.execute(f"SELECT {', '.join(counts)} FROM {quote(table.name)}").fetchone()
        return {name: dict(zip(kinds, row[at * 4 : at * 4 + 4], strict=True)) for at, name in enumerate(names)}

    def count(self, table: str, where: str = "TRUE") -> int:
        """The rows for which it is so."""
        (found,) = self.connection.execute(f"SELECT count(*) FROM {quote(table)} AS s WHERE {where}").fetchone()
        return int(found)

    def counts(self, table: str, wheres: Sequence[str]) -> list[int]:
        """The same for each of these, in as few passes as SQLite has columns in a row."""
        found: list[int] = []
        for first in range(0, len(wheres), _MOST_COLUMNS):
            sums = ", ".join(f"count(*) FILTER (WHERE {where})" for where in wheres[first : first + _MOST_COLUMNS])
            found += self.connection.execute(f"SELECT {sums} FROM {quote(table)} AS s").fetchone()
        return found

    def edges(self, table: str, column: str) -> tuple[Any, Any]:
        """The least and the greatest value of a column."""
        return tuple(
            self.connection.execute(f"SELECT min({quote(column)}), max({quote(column)}) FROM {quote(table)}").fetchone()
        )

    def samples(self, table: str, key: Sequence[str], where: str, most: int) -> Sequence[tuple[Any, ...]]:
        """The keys of a few of them; without a key, their numbers."""
        shown = ", ".join(map(quote, key)) or "rowid"
        return self.connection.execute(f"SELECT {shown} FROM {quote(table)} AS s WHERE {where} LIMIT {most}").fetchall()

    def rows(self, table: FileTable) -> Iterator[dict[str, Any]]:
        """Every row by its columns' names, those of the smallest key first."""
        names = [column.name for column in table.columns]
        order = ", ".join(map(quote, table.primary)) or "rowid"
        found = self.connection.execute(
            f"SELECT {', '.join(map(quote, names))} FROM {quote(table.name)} ORDER BY {order}"
        )
        for row in found:
            yield dict(zip(names, row, strict=True))

    def sample(self, table: str, column: str, most: int) -> list[Any]:
        """Some values of a column."""
        name = quote(column)
        found = self.connection.execute(f"SELECT {name} FROM {quote(table)} WHERE {name} IS NOT NULL LIMIT {most}")
        return [value for (value,) in found]

    def made_of(self, *kinds: str) -> list[tuple[str, str]]:
        """What there is of these kinds, each with its name."""
        found = self.connection.execute("SELECT type, name FROM sqlite_master ORDER BY type DESC, name").fetchall()
        return [(kind, name) for kind, name in found if kind in kinds]

    def rejected(self, table: FileTable, predicates: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        """The rows for which one of these holds, with which one."""
        whens = " ".join(f"WHEN {predicate} THEN {number}" for number, predicate in enumerate(predicates))
        names = [column.name for column in table.columns]
        columns = ", ".join(f'"s".{quote(name)}' for name in names)
        rows = f'SELECT CASE {whens} END AS why, {columns} FROM {quote(table.name)} AS "s"'
        for why, *row in self.connection.execute(f"SELECT * FROM ({rows}) WHERE why IS NOT NULL"):
            yield why, dict(zip(names, row, strict=True))


@contextmanager
def opened_source(files: TargetFiles, system: str = "", *, is_store: bool = True) -> Iterator[SqliteSource]:
    """The file for the length of a block. Raises `SourceError` where it is none of authstore's, or not up to date;
    `is_store`: it has to be one."""
    if not files.target.is_file():
        raise SourceError(f"there is no file {files.target}")
    try:
        with ExitStack() as opened:
            first, *others = (
                opened.enter_context(file.connect_to_read(files.target, file.Connection)) for _ in range(_CONNECTIONS)
            )
            for connection in (first, *others):
                connection.execute(f"PRAGMA cache_size = {_CACHE}")
            if not begin_at_one_moment(first, others):
                others = []
            if is_store:
                _check(first, files.target)
            else:
                first.text_factory = as_text
            teach_digests(first)
            yield SqliteSource(first, files.target, system, others)
    except sqlite3.Error as error:
        raise SourceError(f"{files.target} cannot be read: {error}") from error


def is_store(path: Path) -> bool:
    """Whether a file is one of authstore's. Raises `SourceError` where it cannot be read."""
    try:
        with file.connect_to_read(path, file.Connection) as connection:
            return file.is_ours(connection)
    except sqlite3.Error as error:
        raise SourceError(f"{path} cannot be read: {error}") from error


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        raise SourceError(
            f"{path} is no file of authstore's", hint="move it into a SQLite file of authstore's first: authstore move"
        )
    rows = connection.execute("SELECT version, sha256 FROM authstore_migrations ORDER BY version").fetchall()
    ran = [{"version": version, "sha256": sha256} for version, sha256 in rows]
    try:
        waiting = pending(ran, migrations("sqlite"))
    except SchemaError as error:
        raise SourceError(f"{path}: {error}") from error
    if waiting:
        raise SourceError(
            f"{path} is at schema version {len(rows)}",
            hint=f"run `authstore migrate sqlite:///{os.fspath(path)}` first",
        )


def _said_of(words: Mapping[str, ColumnWords], column: str) -> tuple[str, str]:
    found = words.get(folded(column), ColumnWords())
    return found.collation, found.formula
