"""The mapped queries: names from the catalogue, quoted, put where `queries.sql` has braces."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.resources import files

from authstore.backends.postgres.authjs.recognising import Column, Table
from authstore.sql import Queries

_PLACE = re.compile(r"\{(\w+)(?:([.!'])(\w+)(?:([:?])(\w+))?)?\}")
_NAMED = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_TO_BASE64 = "(translate(:{0}::text, '-_', '+/') || repeat('=', (4 - length(:{0}::text) % 4) % 4))"
# What a model wants and no table has.
_CONSTANT = {
    "users": {"disabled": "false", "data": "'{}'", "name": "NULL", "image": "NULL", "email_verified": "NULL"},
    "accounts": {
        "type": "'oauth'",
        "data": "'{}'",
        **{f"{name}_encrypted": "NULL" for name in ("access_token", "refresh_token", "id_token")},
        **dict.fromkeys(
            ("access_token", "refresh_token", "id_token", "token_type", "scope", "session_state", "expires_at"), "NULL"
        ),
    },
    "authenticators": {
        "device_type": "NULL",
        "backed_up": "false",
        "transports": "'[]'",
        "name": "NULL",
        "data": "'{}'",
        "last_used_at": "NULL",
    },
}
_NEVER_CHANGED = frozenset({"id", "created_at"})


def quote(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


class Mapped:
    """One table in the words of SQL; in every statement its alias is its role."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.full_name = f"{quote(table.schema)}.{quote(table.name)}"

    @cached_property
    def has_numbers(self) -> bool:
        """Whether its ids are numbers that the database gives."""
        column = self.table.columns.get("id")
        return column is not None and column.type in ("int4", "int8")

    def place(self, kind: str, field: str, how: str, parameter: str) -> str:
        """What stands for one pair of braces."""
        if kind == "!":
            return quote(self.table.columns[field].name)
        if kind == "'":
            return literal(self.full_name if field == "name" else self.table.columns[field].name)
        if how == ":":
            return self.value(field, parameter)
        if how == "?":
            type = self.table.columns[field].type
            return f"nullif(:{parameter}::text, '')::{type}"
        made = {
            "row": self._row,
            "prefixed": self._prefixed,
            "names": self._names,
            "values": self._values,
            "changes": self._changes,
            "known": self._known,
            "made": self._made,
            "order": self._order,
        }.get(field)
        return made() if made else self.column(field)

    def column(self, field: str) -> str:
        """A column, to compare with."""
        return f"{self.table.role}.{quote(self.table.columns[field].name)}"

    def value(self, field: str, parameter: str) -> str:
        """A parameter as this column holds it."""
        column = self.table.columns[field]
        if self.table.role == "authenticators":
            special = {
                "credential_id": _TO_BASE64,
                "provider_account_id": _TO_BASE64,
                "public_key": "translate(encode(:{0}::bytea, 'base64'), E'\\n', '')",
                "counter": ":{0}::bigint",
                "device_type": "CASE WHEN :{0}::text = 'multi_device' THEN 'multiDevice' ELSE 'singleDevice' END",
                "transports": "(SELECT string_agg(value, ',') FROM json_array_elements_text(:{0}::json))",
            }.get(field)
            if special:
                return special.format("credential_id" if field == "provider_account_id" else parameter)
        if column.type == "timestamp":
            return f"(:{parameter}::timestamptz AT TIME ZONE 'UTC')"
        if column.type in ("timestamptz", "bool"):
            return f":{parameter}::{column.type}"
        if field == "expires_at":
            return f"floor(extract(epoch FROM :{parameter}::timestamptz))::{column.type}"
        return f":{parameter}::text" + (f"::{column.type}" if column.type in ("uuid", "int4", "int8") else "")

    def _read(self, field: str, column: Column) -> str:
        name = self.column(field)
        if self.table.role == "authenticators":
            special = {
                "credential_id": "rtrim(translate({0}, '+/', '-_'), '=')",
                "public_key": "decode({0}, 'base64')",
                "counter": "{0}",
                "device_type": "CASE WHEN {0} = 'multiDevice' THEN 'multi_device' ELSE 'single_device' END",
                "transports": "(SELECT coalesce(json_agg(way), '[]') FROM unnest(string_to_array({0}, ',')) AS way)",
            }.get(field)
            if special:
                return special.format(name)
        if column.type == "timestamp":
            return f"({name} AT TIME ZONE 'UTC')"
        if column.type in ("timestamptz", "bool"):
            return name
        return f"to_timestamp({name})" if field == "expires_at" else f"{name}::text"

    def _row(self, prefix: str = "") -> str:
        columns = {field: self._read(field, column) for field, column in self.table.columns.items()}
        unknown = {"created_at": "timestamptz 'epoch'", "updated_at": "timestamptz 'epoch'"}
        if self.table.role == "sessions":
            unknown = {"id": self._known(), "created_at": "NULL::timestamptz"}
        if self.table.role == "accounts" and "id" not in columns:
            unknown["id"] = f"{self.column('provider')} || '/' || {self.column('provider_account_id')}"
        said = {**_CONSTANT.get(self.table.role, {}), **unknown, **columns}
        return ", ".join(f"{text} AS {prefix}{field}" for field, text in said.items())

    def _prefixed(self) -> str:
        return self._row("user__")

    def _written(self) -> list[str]:
        is_counted = self.has_numbers and self.table.role not in ("users", "accounts")
        return [field for field in self.table.columns if not (field == "id" and is_counted)]

    def _names(self) -> str:
        return ", ".join(quote(self.table.columns[field].name) for field in self._written())

    def _values(self) -> str:
        return ", ".join(self.value(field, field) for field in self._written())

    def _changes(self) -> str:
        fields = [field for field in self.table.columns if field not in _NEVER_CHANGED]
        return ", ".join(f"{quote(self.table.columns[field].name)} = {self.value(field, field)}" for field in fields)

    def _known(self) -> str:
        """What a session is known by in public: its id, else what does not tell its token."""
        if "id" in self.table.columns:
            return f"{self.column('id')}::text"
        return f"encode(sha256(convert_to({self.column('token')}::text, 'UTF8')), 'hex')"

    def _made(self) -> str:
        if "created_at" in self.table.columns:
            return self.column("created_at")
        return self.column("expires") if self.table.role == "sessions" else "1"

    def _order(self) -> str:
        is_text = self.table.columns["id"].type not in ("uuid", "int4", "int8")
        return self.column("id") + (' COLLATE "C"' if is_text else "")


def mapped_queries(tables: Mapping[str, Mapped]) -> Queries:
    """The queries that these tables can answer."""
    text = files("authstore.backends.postgres.authjs").joinpath("queries.sql").read_text("utf-8")
    head, *parts = _NAMED.split(text)
    kept: Sequence[str] = [
        f"-- name: {name}\n{_PLACE.sub(lambda found: _placed(tables, found), body)}"
        for name, body in zip(parts[::2], parts[1::2], strict=True)
        if {found[1] for found in _PLACE.finditer(body)} <= set(tables) and _is_possible(name, tables)
    ]
    return Queries(head + "".join(kept))


def _is_possible(name: str, tables: Mapping[str, Mapped]) -> bool:
    counted = {"next_user_id": "users", "next_account_id": "accounts"}.get(name)
    return counted is None or tables[counted].has_numbers


def _placed(tables: Mapping[str, Mapped], found: "re.Match[str]") -> str:
    role, kind, field, how, parameter = found.groups()
    table = tables[role]
    if kind is None:
        return f"{table.full_name} AS {role}"
    return table.place(kind, field, how or "", parameter or "")
