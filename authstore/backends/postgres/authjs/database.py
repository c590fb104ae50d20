"""A database that answers the store's statements from the tables of Auth.js."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from pydantic import JsonValue

from authstore.backends.postgres.authjs.mapping import Mapped, mapped_queries
from authstore.backends.postgres.authjs.recognising import Table
from authstore.database import Database, Found, Lookup, Row, Unit
from authstore.email import canonical_email
from authstore.errors import InvalidEmailError, NotSupportedError, StoreReadOnlyError
from authstore.observers import Watch
from authstore.sql import Query, Statement

T = TypeVar("T")

_TYPED = re.compile(r":(\w+)::text::(uuid|int4|int8)")
# What is noted of a write elsewhere, and has no place here.
_UNSAID = frozenset(
    {
        "say_who_acts",
        "say_no_more",
        "say_no_more_after",
        "note_endings",
        "list_unnoted_sessions",
        "insert_probe",
        "delete_probe",
        "insert_change",
    }
)
_NOTHING_WITHOUT_TABLE = frozenset({"delete_verification_tokens", "delete_authenticators"})
_SAID_BY_OTHERS = frozenset({"insert_user_and_account"})  # too
_INSERTS = {
    "insert_user": "users",
    "insert_account": "accounts",
    "insert_session": "sessions",
    "insert_token": "verification_tokens",
    "insert_authenticator": "authenticators",
}
_HELD_NOWHERE: Mapping[str, object] = {"data": "{}", "disabled": False}


class Tables:
    """The recognised tables, and the queries in their words."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self.mapped = {role: Mapped(table) for role, table in tables.items()}
        self.queries = mapped_queries(self.mapped)
        self.not_unique = [table for table in tables.values() if not table.is_unique]
        self._typed: dict[str, list[tuple[str, str]]] = {}

    def statement(self, statement: Statement) -> Statement | None:
        """The statement in the words of these tables; `None` where there is nothing to ask.

        Raises `NotSupportedError` for what they cannot hold.
        """
        name, parameters = statement.query.name, statement.parameters
        if name in _UNSAID:
            return None
        self._refuse(name, parameters)
        query: Query | None = self.queries.__dict__.get(name)
        if query is None:
            if name in _NOTHING_WITHOUT_TABLE | _SAID_BY_OTHERS or not statement.query.sqlite:
                return None
            raise not_held(name)
        if not all(_fits(parameters[parameter], type) for parameter, type in self._types(query)):
            return None
        return statement._replace(query=query)

    def refuse_to_write(self) -> None:
        """Raises `StoreReadOnlyError` where two who write at once could leave two of one."""
        for table in self.not_unique:
            raise StoreReadOnlyError(
                f"{table.schema}.{table.name} has no unique index: it is only read, until"
                " `authstore migrate URL --add-indexes` has made one"
            )

    def _refuse(self, name: str, parameters: Mapping[str, Any]) -> None:
        role = _INSERTS.get(name)
        if role and role in self.mapped and (column := self.mapped[role].table.unfilled):
            raise NotSupportedError(f"the column {column} of {self.mapped[role].full_name} has to be filled")
        table = self.mapped.get(role or ("users" if name == "update_user" else ""))
        if table and role != "authenticators":  # whose values are never nothing
            for field, held in table.table.columns.items():
                if held.is_required and not held.has_default and parameters.get(field, "") is None:
                    raise not_held(f"{role or 'users'} without {field}")
            for field, nothing in _HELD_NOWHERE.items():
                if parameters.get(field, nothing) != nothing:
                    raise not_held(field)

    def _types(self, query: Query) -> list[tuple[str, str]]:
        if query.name not in self._typed:
            self._typed[query.name] = [(name, type) for name, type in _TYPED.findall(query.postgres)]
        return self._typed[query.name]


def not_held(what: str) -> NotSupportedError:
    """What a caller gets who asks for something that the tables have no place for."""
    return NotSupportedError(f"the tables of Auth.js cannot hold this: {what}")


class AuthJsDatabase:
    """The verbs of a database, on these tables."""

    def __init__(self, database: Database, tables: Tables) -> None:
        self._database = database
        self.tables = tables

    async def one(self, statement: Statement) -> Row | None:
        """See `authstore.database.Database`."""
        rows = await self.all(statement)
        return rows[0] if rows else None

    async def all(self, statement: Statement) -> list[Row]:
        """See `authstore.database.Database`."""
        asked = self.tables.statement(statement)
        return _canonical(await self._database.all(asked)) if asked else []

    def lookup(self, lookup: Lookup, key: str) -> Awaitable[Found | None]:  # noqa: ARG002 - the protocol's
        """See `authstore.database.Database`."""
        raise not_held("hashed tokens")

    async def unit(self, make: Callable[[], Unit[T]]) -> T:
        """See `authstore.database.Database`."""
        self.tables.refuse_to_write()
        return await self._database.unit(lambda: self._said(make()))

    def _said(self, unit: Unit[T]) -> Unit[T]:
        try:
            statement = next(unit)
            while True:
                asked = self.tables.statement(statement)
                statement = unit.send(_canonical((yield asked)) if asked else [])
        except StopIteration as finished:
            result: T = finished.value
            return result
        finally:
            unit.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Database]:
        """See `authstore.database.Database`."""
        self.tables.refuse_to_write()
        async with self._database.transaction() as inner:
            yield AuthJsDatabase(inner, self.tables)

    def watch(self, watch: Watch) -> None:
        """See `authstore.database.Database`."""
        self._database.watch(watch)

    def change_log(self) -> None:
        """See `authstore.database.Database`."""
        raise not_held("a change log")

    async def explain(self, query: Query) -> list[str]:
        """See `authstore.database.Database`."""
        return await self._database.explain(query)

    async def facts(self) -> dict[str, JsonValue]:
        """See `authstore.database.Database`."""
        await self._database.one(self.tables.queries.list_users(after="", limit=1))
        tables: dict[str, JsonValue] = {role: table.full_name for role, table in self.tables.mapped.items()}
        return {"backend": "postgresql", "tables": tables, "is_read_only": bool(self.tables.not_unique)}

    async def copy_to(self, path: Path) -> None:
        """See `authstore.database.Database`."""
        raise not_held(f"what {path.name} would be a copy of: move it there, `authstore move`")

    async def close(self) -> None:
        """See `authstore.database.Database`."""
        await self._database.close()


def _fits(value: Any, type: str) -> bool:
    """Whether an id could stand in a column of this type at all."""
    try:
        return value == str(UUID(value)) if type == "uuid" else value == str(int(value)) and 0 <= int(value) < 2**31
    except (ValueError, TypeError):
        return False


def _canonical(rows: list[Row]) -> list[Row]:
    """With addresses in their one form, whoever wrote them."""
    return [_with_address(row, "user__email" if "user__email" in row else "email") for row in rows]


def _with_address(row: Row, field: str) -> Row:
    email = row.get(field)
    if email is None:
        return row
    try:
        return {**row, field: canonical_email(email)}
    except InvalidEmailError:
        return row
