"""Every other table of the file, as it is: its own words make it again, with references to the users led to ours."""

from collections.abc import Callable, Mapping, Sequence

from authstore.mover.copies import Reject, Role
from authstore.mover.foreign.catalog import SCHEMA
from authstore.mover.foreign.conversion import Conversion, LeftOut
from authstore.mover.foreign.roles import Row
from authstore.mover.foreign.values import NO_TEXT, has_no_text
from authstore.mover.foreign.wording import index_said, table_said
from authstore.mover.names import ROW_IDS, folded, label, literal, own_namespace, quote
from authstore.mover.options import MoveOptions
from authstore.mover.problems import SAMPLES, rejected, rows_said, virtual_behind
from authstore.mover.recognition.concealed import named_by
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.recognition.secrets import SECRET_FIELDS, says_secret
from authstore.mover.reports import Problem
from authstore.mover.sqlite.building import set_sequence
from authstore.mover.sqlite.connection import TargetConnection
from authstore.mover.sqlite.file_tables import FileReference, FileTable
from authstore.mover.sqlite.references import broken_references
from authstore.mover.sqlite.source import SqliteSource

_WITH_ID = ("users", "accounts", "sessions")  # roles whose rows keep the id that they had


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
        self._roles = {folded(one.table.name): one for one in roles.values()}
        self._users = users
        self._done = done
        self._options = options
        self._say = say
        self._space = own_namespace()
        self._names = {name: self._space.take_table(name, SCHEMA) for name in tables}  # the same whatever is left out
        self._tables = {name: table for name, table in tables.items() if self._is_wanted(name)}
        self._left = [name for name in tables if name not in self._tables]

    @property
    def names(self) -> tuple[str, ...]:
        """What all of them are called in the store, those included that are left behind."""
        return tuple(self._names.values())

    def bring(self) -> None:
        """Tables, rows and indexes; what else there is, is named."""
        for name, table in self._tables.items():
            self._make(name, table)
        for name, table in self._tables.items():
            self._copy(name, table)
        self._judge_orphans()
        for name, table in self._tables.items():
            self._index(name, table)
            if name in self._source.sequences:
                set_sequence(self._store, self._names[name], self._source.sequences[name])
        for name in self._left:
            count = self._source.count(name)
            self._say_left(label(SCHEMA, name), f"left behind with {rows_said(count)}, as `skip` and `only` say", count)
        for kind, name in self._source.made_of("view", "trigger"):
            self._say_left("", f"{kind} {name} stays behind: it may speak of tables that are authstore's now")
        self._done.problems += virtual_behind(self._source.virtual_tables())

    def _is_wanted(self, name: str) -> bool:
        names, options = {name, label(SCHEMA, name), self._names[name]}, self._options
        return not names & set(options.skip) and (not options.only or bool(names & set(options.only)))

    def _say_left(self, table: str, said: str, count: int = 0) -> None:
        self._done.problems.append(Problem("left-behind", table, said, count))

    def _make(self, name: str, table: FileTable) -> None:
        def led(parent: str, columns: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
            place = self._place(parent, columns)
            if place is None:
                self._say_left(label(SCHEMA, name), f"foreign key to {parent}: it does not come in that form")
            return place

        self._store.execute(table_said(table.sql, self._names[name], led))
        for column, what in self._secrets(table).items():
            said = f'column "{column}" refers to {what} and holds it in the clear'
            stops = self._options.is_undecided("secrets")
            self._done.problems.append(Problem("secret", label(SCHEMA, name), said, 0, (), "secrets", stops=stops))
        if self._names[name] != name:
            said = f'becomes "{self._names[name]}": its own name is authstore\'s'
            self._done.problems.append(Problem("name", label(SCHEMA, name), said))
        self._done.sources[self._names[name]] = name
        self._done.types[self._names[name]] = {
            column.name: (column.declared.lower(), column.declared or "ANY") for column in table.columns
        }

    def _secrets(self, table: FileTable) -> dict[str, str]:
        """The columns that refer to a token of the auth tables, each with whose."""
        found = {}
        for link in table.references:
            one = self._roles.get(folded(link.table))
            if one is None:
                continue
            for own, there in zip(link.columns, link.target_columns, strict=True):
                fields = [field for field, column in one.fields.items() if folded(column) == folded(there)]
                if set(fields) & SECRET_FIELDS:
                    found[own] = f"the {fields[0]} of {one.role}"
        return found

    def _place(self, parent: str, columns: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
        """Where the rows are now that a foreign key points to; None where they are not, or are known otherwise."""
        one = self._roles.get(folded(parent))
        if one is None:
            name = next((name for name in self._tables if folded(name) == folded(parent)), None)
            return (self._names[name], columns) if name is not None else None
        own = [folded(name) for name in (one.fields.get("id"),) if name]
        primary = next((key.columns for key in one.table.keys if key.primary), ())
        keys = [folded(name) for name in columns or primary]
        return (one.role, ("id",)) if one.role in _WITH_ID and keys == own else None

    def _copy(self, name: str, table: FileTable) -> None:
        columns = [column.name for column in table.columns if not column.generated]
        names, places = ", ".join(map(quote, columns)), ", ".join("?" * len(columns))
        follows = [link.columns[0] for link in table.references if self._is_to_users(link)]
        nothing = {column.name: "" if column.not_null else None for column in table.columns}
        dropped = self._secrets(table) if self._options.secrets == "drop" else ()
        count, unreadable = 0, []
        for row in self._source.rows(table):
            row.update((column, nothing[column]) for column in dropped)
            if has_no_text(row):
                unreadable.append(row)
                continue
            for column in follows:
                if str(row[column]) in self._users and self._users[str(row[column])] != str(row[column]):
                    row[column] = self._users[str(row[column])]
            statement = f"INSERT INTO {quote(self._names[name])} ({names}) VALUES ({places})"
            self._store.execute(statement, [row[column] for column in columns])
            count += 1
            if count % 5000 == 0:
                self._say(self._names[name], count)
        self._done.rows[self._names[name]] = count
        self._leave_unreadable(name, table, unreadable)

    def _leave_unreadable(self, name: str, table: FileTable, rows: Sequence[Row]) -> None:
        if not rows:
            return
        keys = [", ".join(named_by(table.primary, [row[column] for column in table.primary])) for row in rows]
        secrets = tuple(column.name for column in table.columns if says_secret(column.name))
        self._done.left_out += [
            LeftOut(self._names[name], name, key, NO_TEXT, row, secrets) for key, row in zip(keys, rows, strict=True)
        ]
        samples, reject = tuple(filter(None, keys[:SAMPLES])), Reject(NO_TEXT, "", "on_bad_row")
        self._done.problems.append(rejected(label(SCHEMA, name), reject, len(rows), samples, self._options))

    def _is_to_users(self, link: FileReference) -> bool:
        place = self._place(link.table, link.target_columns)
        return place is not None and place[0] == "users"

    def _judge_orphans(self) -> None:
        """Rows that point to nothing, there or here; those that hang on them too."""
        found = True
        while found:
            found = False
            for name in map(self._names.__getitem__, self._tables):
                for (_, parent), count in broken_references(self._store, name).items():
                    found |= self._leave(name, parent, count)

    def _leave(self, name: str, parent: str, count: int) -> bool:
        """Whether rows were taken away, so that others may point to nothing now."""
        table, stops = self._tables[self._done.sources[name]], self._options.is_undecided("on_orphan")
        key, where = ", ".join(map(quote, table.primary)) or _row_id(table) or "NULL", self._astray(table, name, parent)
        found = self._store.execute(f"SELECT * FROM {quote(name)} WHERE {where}").fetchall()
        keys = [
            ", ".join(named_by(table.primary or ("",), row))
            for row in self._store.execute(f"SELECT {key} FROM {quote(name)} WHERE {where}").fetchall()
        ]
        said = f"{rows_said(count)} of {name} cannot move: points to no row of {parent}"
        self._done.problems.append(
            Problem("orphan", name, said, count, tuple(keys[:SAMPLES]), "on_orphan", stops=stops)
        )
        if stops or not found:
            return False
        self._store.execute(f"DELETE FROM {quote(name)} WHERE {where}")
        columns = [column.name for column in table.columns]
        secrets = tuple(filter(says_secret, columns))
        for row_key, values in zip(keys, found, strict=True):
            row, why = dict(zip(columns, values, strict=True)), f"points to no row of {parent}"
            self._done.left_out.append(LeftOut(name, table.name, row_key, why, row, secrets))
        self._done.rows[name] -= len(found)
        return True

    def _astray(self, table: FileTable, name: str, parent: str) -> str:
        """The predicate of the rows that point to no row of `parent`: by their number, where they have one."""
        row_id = _row_id(table)
        if row_id:
            broken = f"pragma_foreign_key_check({quote(name)}) WHERE parent = {literal(parent)}"
            return f"{row_id} IN (SELECT rowid FROM {broken})"
        parts = []
        for link in table.references:
            place = self._place(link.table, link.target_columns)
            if place is not None and place[0] == parent:
                pairs = [
                    (f"{quote(name)}.{quote(one)}", quote(to)) for one, to in zip(link.columns, place[1], strict=True)
                ]
                same = " AND ".join(f"p.{to} = {one}" for one, to in pairs)
                given = " AND ".join(f"{one} IS NOT NULL" for one, _ in pairs)
                parts.append(f"({given} AND NOT EXISTS (SELECT 1 FROM {quote(parent)} AS p WHERE {same}))")
        return f"({' OR '.join(parts)})"

    def _index(self, name: str, table: FileTable) -> None:
        for index in table.indexes:
            if index.sql:
                own = self._names[name]
                self._store.execute(index_said(index.sql, self._space.take_index(own, index.name), own))


def _row_id(table: FileTable) -> str:
    """What the number of a row is called in this table; "" where its rows have none, or it has no name left."""
    taken = {folded(column.name) for column in table.columns}
    return next((name for name in ROW_IDS if name not in taken), "") if table.is_numbered else ""
