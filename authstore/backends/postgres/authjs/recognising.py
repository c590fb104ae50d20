"""Which tables of a database are Auth.js's, by the columns they have: its Prisma, Drizzle, pg and Supabase adapters."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from authstore.backends.postgres.driver import Connection
from authstore.errors import ConfigurationError, SchemaError

_SECONDS = 10.0
_COLUMNS = """
SELECT tables.oid::int8 AS table_id, schemas.nspname::text AS schema, tables.relname::text AS name,
    columns.attname::text AS column, types.typname::text AS type, columns.attnotnull AS is_required,
    columns.atthasdef OR columns.attidentity <> '' AS has_default
FROM pg_class AS tables
JOIN pg_namespace AS schemas ON schemas.oid = tables.relnamespace
JOIN pg_attribute AS columns ON columns.attrelid = tables.oid AND columns.attnum > 0 AND NOT columns.attisdropped
JOIN pg_type AS types ON types.oid = columns.atttypid
WHERE tables.relkind IN ('r', 'p') AND schemas.nspname NOT IN ('pg_catalog', 'information_schema')
    AND (pg_table_is_visible(tables.oid) OR schemas.nspname = 'next_auth')
ORDER BY tables.oid, columns.attnum
"""
_UNIQUE = """
SELECT indrelid::int8 AS table_id, ARRAY(SELECT attname::text FROM pg_attribute
    WHERE attrelid = indrelid AND attnum = ANY (indkey::int2[])) AS columns
FROM pg_index WHERE indisunique AND indisvalid AND indpred IS NULL AND indexprs IS NULL
"""

# The columns of each role, without case and punctuation. The first ones are what it is known by.
_ROLES: Mapping[str, tuple[int, Mapping[str, str]]] = {
    "accounts": (
        3,
        {
            "user_id": "userid",
            "provider": "provider",
            "provider_account_id": "provideraccountid",
            "id": "id",
            "type": "type",
            "access_token": "accesstoken",
            "refresh_token": "refreshtoken",
            "id_token": "idtoken",
            "token_type": "tokentype",
            "scope": "scope",
            "session_state": "sessionstate",
            "expires_at": "expiresat",
            "created_at": "createdat",
            "updated_at": "updatedat",
        },
    ),
    "sessions": (
        3,
        {
            "token": "sessiontoken",
            "user_id": "userid",
            "expires": "expires",
            "id": "id",
            "created_at": "createdat",
            "updated_at": "updatedat",
        },
    ),
    "authenticators": (
        4,
        {
            "credential_id": "credentialid",
            "user_id": "userid",
            "public_key": "credentialpublickey",
            "counter": "counter",
            "provider_account_id": "provideraccountid",
            "device_type": "credentialdevicetype",
            "backed_up": "credentialbackedup",
            "transports": "transports",
        },
    ),
    "verification_tokens": (3, {"identifier": "identifier", "token": "token", "expires": "expires", "id": "id"}),
    "users": (
        3,
        {
            "email": "email",
            "email_verified": "emailverified",
            "id": "id",
            "name": "name",
            "image": "image",
            "created_at": "createdat",
            "updated_at": "updatedat",
        },
    ),
}
_ABSENT = {"verification_tokens": "userid", "users": "userid"}
_NEEDED = ("users", "accounts", "sessions")
_TEXTS = frozenset({"text", "varchar", "bpchar", "citext"})
_IDS = _TEXTS | {"uuid", "int4", "int8"}
_INSTANTS = frozenset({"timestamp", "timestamptz"})
_TYPES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("id", "user_id"), _IDS),
    **dict.fromkeys(("expires", "created_at", "updated_at", "email_verified"), _INSTANTS),
    "expires_at": _INSTANTS | {"int4", "int8"},
    "counter": frozenset({"int4", "int8"}),
    "backed_up": frozenset({"bool"}),
}
# What must be unique, or two who write at once leave two.
UNIQUE: Mapping[str, tuple[str, ...]] = {
    "users": ("email",),
    "accounts": ("provider", "provider_account_id"),
    "sessions": ("token",),
    "verification_tokens": ("identifier", "token"),
    "authenticators": ("credential_id",),
}


class Column(NamedTuple):
    """A column as the catalogue has it."""

    name: str
    type: str
    is_required: bool
    has_default: bool


class Table(NamedTuple):
    """A table in its role. `columns`: by field. `unfilled`: a column that must be given, and nobody here knows."""

    role: str
    schema: str
    name: str
    columns: Mapping[str, Column]
    unfilled: str | None
    is_unique: bool


class _Found(NamedTuple):
    id: int
    schema: str
    name: str
    columns: Sequence[Column]

    def named(self) -> dict[str, Column]:
        return {re.sub(r"[^a-z0-9]", "", column.name.lower()): column for column in self.columns}


async def recognise(connection: Connection) -> dict[str, Table]:
    """The tables by their roles. Raises `SchemaError`, `ConfigurationError`."""
    columns: dict[tuple[int, str, str], list[Column]] = defaultdict(list)
    for row in await connection.fetch_tuples(_COLUMNS, (), _SECONDS):
        column = Column(row["column"], row["type"], row["is_required"], row["has_default"])
        columns[row["table_id"], row["schema"], row["name"]].append(column)
    unique: dict[int, list[set[str]]] = defaultdict(list)
    for row in await connection.fetch_tuples(_UNIQUE, (), _SECONDS):
        unique[row["table_id"]].append(set(row["columns"]))
    left = [_Found(*key, of_it) for key, of_it in columns.items()]
    tables = {}
    for role in _ROLES:
        chosen = _choose(role, left)
        if chosen is not None:
            left.remove(chosen)
            tables[role] = _table(role, chosen, unique[chosen.id])
    if missing := [role for role in _NEEDED if role not in tables]:
        raise SchemaError(
            f"there are no tables of Auth.js in this database and schema that hold {', '.join(missing)}:"
            " name their schema in the URL, ?options=-csearch_path%3D…"
        )
    return tables


def _choose(role: str, tables: Sequence[_Found]) -> _Found | None:
    known_by, fields = _ROLES[role]
    wanted = set(list(fields.values())[:known_by])
    found = [one for one in tables if wanted <= set(one.named()) and _ABSENT.get(role) not in one.named()]
    if len(found) > 1:
        names = ", ".join(f"{one.schema}.{one.name}" for one in found)
        raise ConfigurationError(f"more than one table could hold {role}: {names}; name one schema in search_path")
    return found[0] if found else None


def _table(role: str, found: _Found, unique: Sequence[set[str]]) -> Table:
    named, fields = found.named(), _ROLES[role][1]
    columns = {field: named[name] for field, name in fields.items() if name in named}
    for field, column in columns.items():
        if column.type not in _TYPES.get(field, _TEXTS) or ":" in column.name:
            raise SchemaError(f"the column {column.name} of {found.schema}.{found.name} is {column.type}: not known")
    known = {column.name for column in columns.values()}
    unfilled = next(
        (one.name for one in found.columns if one.is_required and not one.has_default and one.name not in known), None
    )
    needed = {columns[field].name for field in UNIQUE[role]}
    return Table(role, found.schema, found.name, columns, unfilled, any(one <= needed for one in unique))
