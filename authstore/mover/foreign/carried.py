"""Every other table of the file, as it is: its own words make it again, with references to the users led to ours."""

import re
from collections.abc import Callable, Mapping

from authstore.mover.copies import Role
from authstore.mover.foreign.conversion import Conversion, LeftOut
from authstore.mover.names import folded, own_namespace, quote
from authstore.mover.options import MoveOptions
from authstore.mover.problems import SAMPLES
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.reports import Problem
from authstore.mover.sqlite.connection import TargetConnection
from authstore.mover.sqlite.references import broken_references
from authstore.mover.sqlite.source import FileTable, SqliteSource

_NAME = r'(?:"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|[A-Za-z_\u0080-\U0010ffff][\w$]*)'
_REFERENCE = re.compile(rf"\bREFERENCES\s+({_NAME})(\s*\(\s*({_NAME})\s*\))?", re.IGNORECASE)
_HEAD = re.compile(rf"(CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?)({_NAME})", re.IGNORECASE)
_INDEX = r"(CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?:IF\s+NOT\s+EXISTS\s+)?)"
_ON = re.compile(rf"{_INDEX}({_NAME})(\s+ON\s+)({_NAME})", re.IGNORECASE)
_KEYS: Mapping[str, str] = {"users": "id", "accounts": "id", "sessions": "id"}


class CarriedTables:
    """All of them, brought in one go."""

    def __init__(
        self,
        source: SqliteSource,
        store: TargetConnection,
        tables: Mapping[str, FileTable],
        roles: Mapping[Role, Recognised],
        users: Mapping[str, str],
        done: Conversion,
        options: MoveOptions,
        say: Callable[[str, int], None],
    ) -> None:
        self._source = source
        self._store = store
        self._tables = tables
        self._own = {folded(one.table.name): role for role, one in roles.items()}
        self._users = users
        self._done = done
        self._options = options
        self._say = say
        space = own_namespace()
        self._names = {name: space.take_table(name, "main") for name in tables}
        self._space = space

    def bring(self) -> None:
        """Tables, rows and indexes; what else there is, is named."""
        for name, table in self._tables.items():
            self._make(name, table)
        for name, table in self._tables.items():
            self._copy(name, table)
        self._judge_orphans()
        for name, table in self._tables.items():
            self._index(name, table)
        for kind, name in self._source.made_of("view", "trigger"):
            said = f"{kind} {name} stays behind: it may speak of tables that are authstore's now"
            self._done.problems.append(Problem("left-behind", "", said))

    def _make(self, name: str, table: FileTable) -> None:
        sql = _HEAD.sub(lambda found: f"{found[1]}{quote(self._names[name])}", table.sql, count=1)
        self._store.execute(_REFERENCE.sub(self._led, sql))
        if self._names[name] != name:
            said = f'becomes "{self._names[name]}": its own name is authstore\'s'
            self._done.problems.append(Problem("name", f"main.{name}", said))
        self._done.sources[self._names[name]] = name

    def _led(self, found: "re.Match[str]") -> str:
        """A reference to where its table is now."""
        pointed = _plain(found[1])
        role = self._own.get(folded(pointed))
        if role is not None:
            return f"REFERENCES {quote(role)} ({quote(_KEYS.get(role, 'id'))})"
        name = next((name for name in self._names if folded(name) == folded(pointed)), pointed)
        return f"REFERENCES {quote(self._names.get(name, name))}{found[2] or ''}"

    def _copy(self, name: str, table: FileTable) -> None:
        columns = [column.name for column in table.columns if not column.generated]
        names, places = ", ".join(map(quote, columns)), ", ".join("?" * len(columns))
        follows = [link.columns[0] for link in table.references if self._own.get(folded(link.table)) == "users"]
        count = 0
        for row in self._source.rows(table):
            for column in follows:
                if str(row[column]) in self._users and self._users[str(row[column])] != str(row[column]):
                    row[column] = self._users[str(row[column])]
            statement = f"INSERT INTO {quote(self._names[name])} ({names}) VALUES ({places})"
            self._store.execute(statement, [row[column] for column in columns])
            count += 1
            if count % 5000 == 0:
                self._say(self._names[name], count)
        self._done.rows[self._names[name]] = count

    def _judge_orphans(self) -> None:
        """Rows that point to nothing, there or here; those that hang on them too."""
        found = True
        while found:
            found = False
            for name in self._names.values():
                for (_, parent), count in broken_references(self._store, name).items():
                    found |= self._leave(name, parent, count)

    def _leave(self, name: str, parent: str, count: int) -> bool:
        """Whether rows were taken away, so that others may point to nothing now."""
        check = f"SELECT rowid FROM pragma_foreign_key_check({quote(name)}) WHERE parent = ?"
        numbers = [number for (number,) in self._store.execute(check, (parent,)).fetchall()]
        stops = self._options.is_undecided("on_orphan") or None in numbers  # a table without row numbers
        said = f"{count} rows of {name} point to no row of {parent}"
        samples = tuple(str(number) for number in numbers[:SAMPLES])
        self._done.problems.append(Problem("orphan", name, said, count, samples, "on_orphan", stops=stops))
        if stops:
            return False
        for number in numbers:
            self._leave_row(name, number, parent)
        self._done.rows[name] -= count
        return True

    def _leave_row(self, name: str, number: int, parent: str) -> None:
        cursor = self._store.execute(f"DELETE FROM {quote(name)} WHERE rowid = ? RETURNING *", (number,))
        columns = [column[0] for column in cursor.description]
        row = dict(zip(columns, cursor.fetchall()[0], strict=True))
        source = self._done.sources[name]
        self._done.left_out.append(LeftOut(name, source, str(number), f"points to no row of {parent}", row))

    def _index(self, name: str, table: FileTable) -> None:
        for index in table.indexes:
            if index.sql:
                head = f"{quote(self._space.take_index(self._names[name], index.name))} ON {quote(self._names[name])}"
                found = _ON.match(index.sql)
                if found is not None:
                    self._store.execute(f"{found[1]}{head}{index.sql[found.end() :]}")


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"').replace("``", "`") if name[0] in '"`[' else name
