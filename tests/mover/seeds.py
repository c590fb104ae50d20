"""Databases as they are found: the schemas that real tools make, filled with ordinary and nasty rows.

`seed` fills whatever columns a table really has, so a test may change a schema first and seed it then.
"""

import base64
import hashlib
import random
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
from psycopg import sql

SCHEMAS: dict[str, str] = {
    path.stem: path.read_text("utf-8") for path in sorted((Path(__file__).parent / "schemas").glob("*.sql"))
}

_PLURAL = {
    "users": "users",
    "accounts": "accounts",
    "sessions": "sessions",
    "verification_tokens": "verification_tokens",
}
_SINGULAR = {"users": "user", "accounts": "account", "sessions": "session", "verification_tokens": "verificationToken"}
_PRISMA = {"users": "User", "accounts": "Account", "sessions": "Session", "verification_tokens": "VerificationToken"}
_ROLES = {name: name for name in ("roles", "permissions", "role_permissions", "user_roles")}

# Which table plays which role in each schema: what `recognise` has to find out.
TABLES: dict[str, dict[str, str]] = {
    "better_auth": {**_SINGULAR, "verification_tokens": "verification"},
    "drizzle_default": {**_SINGULAR, "authenticators": "authenticator"},
    "drizzle_docs_nopk": {**_SINGULAR, "authenticators": "authenticator"},
    "neon_adapter": {**_PLURAL, "verification_tokens": "verification_token"},
    "nextauth_v3_prisma": {**_PRISMA, "verification_tokens": "VerificationRequest"},
    "nextauth_v3_sql": {**_PLURAL, "verification_tokens": "verification_requests"},
    "noormme": {**_PLURAL, **_ROLES},
    "pg_adapter": {**_PLURAL, "verification_tokens": "verification_token"},
    "prisma_mapped": _PLURAL,
    "prisma_v4": _PRISMA,
    "prisma_v5": {**_PRISMA, "authenticators": "Authenticator"},
    "supabase": {role: f"next_auth.{table}" for role, table in _PLURAL.items()},
    "t3_drizzle_snake": {
        role: f"project1_{table}" for role, table in {**_SINGULAR, "verification_tokens": "verification_token"}.items()
    },
    "typeorm": _PLURAL,
}


@dataclass(frozen=True, slots=True)
class SeededUser:
    """A user as seeded; `email` is canonical."""

    id: str
    email: str
    verified: datetime | None


@dataclass(frozen=True, slots=True)
class SeededSession:
    """A session as seeded."""

    token: str
    user_id: str
    expires: datetime


@dataclass(slots=True)
class Seeded:
    """What was put in. `ordinary` rows must all arrive; `nasty` counts the rest by (role, kind of problem)."""

    users: list[SeededUser] = field(default_factory=list)
    sessions: list[SeededSession] = field(default_factory=list)  # living ones
    accounts: list[tuple[str, str, str]] = field(default_factory=list)  # provider, its id, user id
    tokens: list[tuple[str, str, datetime]] = field(default_factory=list)  # identifier, token, expires
    credentials: list[tuple[str, bytes, str]] = field(default_factory=list)  # id, public key, user id
    expired: Counter[str] = field(default_factory=Counter)  # by role
    nasty: Counter[tuple[str, str]] = field(default_factory=Counter)


def create(connection: psycopg.Connection[Any], name: str) -> None:
    """The bare tables of a schema."""
    connection.execute(cast(LiteralString, SCHEMAS[name]))


def seed(
    connection: psycopg.Connection[Any],
    name: str,
    users: int = 20,
    nasty: bool = False,
    *,
    now: datetime | None = None,
    tables: Mapping[str, str] | None = None,
    make: bool = True,
) -> Seeded:
    """Makes the schema (unless `make` is false) and fills it: per user an account, two or three sessions, at times a
    verification token, a passkey; for every tenth session one that is expired. `tables` overrides the roles' tables.
    """
    if make:
        create(connection, name)
    moment = (now or datetime.now(UTC)).replace(microsecond=123000)
    seeder = _Seeder(connection, dict(tables or TABLES[name]), moment)
    seeder.ordinary(users)
    if nasty:
        seeder.nasty()
    if name == "noormme":
        seed_application(connection, [user.id for user in seeder.seeded.users])
    seeder.settle_sequences()
    return seeder.seeded


class _Seeder:
    """Writes rows under normalised names into the columns that a table has."""

    def __init__(self, connection: psycopg.Connection[Any], tables: dict[str, str], now: datetime) -> None:
        self._connection = connection
        self._tables = {role: _Table(connection, name) for role, name in tables.items()}
        self._now = now
        self._random = random.Random(7)
        self._numbers = count(1)
        self.seeded = Seeded()

    def ordinary(self, users: int) -> None:
        people = [self._user(number) for number in range(1, users + 1)]
        self._tables["users"].copy(people)
        self._tables["accounts"].copy(self._account(person) for person in people)
        self._tables["sessions"].copy(row for person in people for row in self._sessions(person))
        self._tables["verification_tokens"].copy(self._token(person) for person in people[::4])
        if "authenticators" in self._tables:
            self._tables["authenticators"].copy(self._passkey(person) for person in people[::5])
        if "roles" in self._tables:
            self._grant(people)

    def _user(self, number: int) -> dict[str, Any]:
        email = f"user{number}@example.com"
        verified = self._now - timedelta(days=number % 400) if number % 3 else None
        row = {
            "id": self._tables["users"].new_id(number),
            "name": f'Ünsal O\'{number} \\ "quoted"\n{number}',
            "email": email.title() if number % 7 == 0 else email,
            "emailverified": verified,
            "image": f"https://img.example/{number}.png" if number % 2 else None,
            "createdat": self._now - timedelta(days=500, hours=number),
            "updatedat": self._now - timedelta(days=3),
        }
        self.seeded.users.append(SeededUser(str(row["id"]), email, verified))
        return row

    def _account(
        self, person: Mapping[str, Any], provider: str = "github", number: str | None = None
    ) -> dict[str, Any]:
        own = number or f"{next(self._numbers):07d}"
        expires = self._now + timedelta(hours=1)
        if number is None:
            self.seeded.accounts.append((provider, own, str(person["id"])))
        return {
            "id": self._tables["accounts"].new_id(),
            "userid": person["id"],
            "type": "oauth",
            "providertype": "oauth",
            "provider": provider,
            "providerid": provider,
            "provideraccountid": own,
            "accountid": own,
            "compoundid": hashlib.sha256(f"{provider}:{own}:{self._random.random()}".encode()).hexdigest(),
            "accesstoken": f"gho_{self._random.getrandbits(160):040x}",
            "refreshtoken": None,
            "idtoken": "e30.e30.c2ln",
            "scope": "read:user,user:email",
            "tokentype": "bearer",
            "sessionstate": None,
            "expiresat": int(expires.timestamp()),
            "accesstokenexpires": expires,
            "accesstokenexpiresat": expires,
            "refreshtokenexpiresin": 15_897_600,
            "createdat": self._now - timedelta(days=400),
            "updatedat": self._now - timedelta(days=2),
        }

    def _sessions(self, person: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        for _ in range(self._random.choice((2, 3))):
            number = next(self._numbers)
            alive = number % 10 > 0
            row = self._session(person, self._now + timedelta(days=20 if alive else -1, minutes=number % 500))
            if alive:
                token = str(row["sessiontoken"])
                self.seeded.sessions.append(SeededSession(token, str(person["id"]), row["expires"]))
            else:
                self.seeded.expired["sessions"] += 1
            yield row

    def _session(self, person: Mapping[str, Any], expires: Any, token: str | None = None) -> dict[str, Any]:
        secret = token or str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        return {
            "id": self._tables["sessions"].new_id(),
            "userid": person["id"],
            "expires": expires,
            "expiresat": expires,
            "sessiontoken": secret,
            "token": secret,
            "accesstoken": f"{self._random.getrandbits(256):064x}",
            "createdat": self._now - timedelta(days=9),
            "updatedat": self._now - timedelta(days=1),
            "ipaddress": "192.0.2.7",
            "useragent": "Mozilla/5.0 (X11; Linux x86_64)",
        }

    def _token(self, person: Mapping[str, Any]) -> dict[str, Any]:
        row = self._verification(str(person["email"]).lower(), self._now + timedelta(hours=20))
        self.seeded.tokens.append((row["identifier"], row["token"], row["expires"]))
        return row

    def _verification(self, identifier: str, expires: Any, token: str | None = None) -> dict[str, Any]:
        secret = token or f"{self._random.getrandbits(256):064x}"
        return {
            "id": self._tables["verification_tokens"].new_id(),
            "identifier": identifier,
            "token": secret,
            "value": secret,
            "expires": expires,
            "expiresat": expires,
            "createdat": self._now,
            "updatedat": self._now,
        }

    def _passkey(self, person: Mapping[str, Any]) -> dict[str, Any]:
        raw, key = self._random.randbytes(33), self._random.randbytes(77)
        self.seeded.credentials.append((base64.urlsafe_b64encode(raw).rstrip(b"=").decode(), key, str(person["id"])))
        return {
            "credentialid": base64.b64encode(raw).decode(),
            "userid": person["id"],
            "provideraccountid": base64.b64encode(raw).decode(),
            "credentialpublickey": base64.b64encode(key).decode(),
            "counter": self._random.randrange(100),
            "credentialdevicetype": self._random.choice(("singleDevice", "multiDevice")),
            "credentialbackedup": True,
            "transports": "usb,nfc",
        }

    def _grant(self, people: Sequence[Mapping[str, Any]]) -> None:
        names = enumerate(("admin", "editor"))
        roles = [{"id": uuid.UUID(int=n), "name": name, "description": name} for n, name in names]
        rights = [
            {"id": uuid.UUID(int=n), "name": f"post.{action}", "resource": "post", "action": action}
            for n, action in enumerate(("read", "write", "delete"))
        ]
        self._tables["roles"].copy(roles)
        self._tables["permissions"].copy(rights)
        pairs = [(roles[0], right) for right in rights] + [(roles[1], right) for right in rights[:2]]
        self._tables["role_permissions"].copy({"roleid": a["id"], "permissionid": b["id"]} for a, b in pairs)
        grants = ({"userid": p["id"], "roleid": roles[n % 5 > 0]["id"]} for n, p in enumerate(people))
        self._tables["user_roles"].copy(grants)

    def nasty(self) -> None:
        """Each row alone, where the schema lets it in at all."""
        first, second, third = ({"id": user.id} for user in self.seeded.users[:3])
        ghost = {"id": self._tables["users"].new_id(999_999)}
        later = self._now + timedelta(days=5)
        self._nasty_users(first)
        for person in (ghost, {"id": None}):
            self._try("accounts", "orphan", self._account(person, number=f"ghost{person['id']}"))
            self._try("sessions", "orphan", self._session(person, later))
        if self._tables["accounts"].has("type", "providertype"):
            row = {**self._account(second, number="saml1"), "type": "saml", "providertype": "saml"}
            self._try("accounts", "bad-row", row)
        twin = self._account(max(first, second, third, key=str), *self.seeded.accounts[0][:2])
        self._try("accounts", "duplicate", self._youngest("accounts", twin))
        self._try("accounts", "", {**self._account(third, number="ms"), "expiresat": int(later.timestamp() * 1000)})
        self._nasty_sessions(second, later)
        if self._tables["verification_tokens"].has("token"):
            self._nasty_tokens(later)
        if "authenticators" in self._tables:
            self._try("authenticators", "bad-row", {**self._passkey(second), "credentialid": "not base64!"})
            self.seeded.credentials.pop()

    def _nasty_users(self, first: Mapping[str, Any]) -> None:
        addresses = {
            " USER1@EXAMPLE.com": "duplicate",
            "not an address": "bad-row",
            "\u212aelvin@example.com": "bad-row",
            "": "",
            "jörg@bücher.example": "",
        }
        for number, (address, kind) in enumerate(addresses.items()):
            row = {**self._user(900_000 + number), "email": address, "emailverified": None, "createdat": self._now}
            row = self._youngest("users", row) if kind == "duplicate" else row
            self.seeded.users.pop()
            self._try("users", kind, row)
        row = {**self._user(910_000), "emailverified": "infinity"}
        self.seeded.users.pop()
        self._try("users", "bad-row", row)

    def _nasty_sessions(self, person: Mapping[str, Any], later: datetime) -> None:
        twin = self._session(person, later, self.seeded.sessions[0].token)
        self._try("sessions", "duplicate", self._youngest("sessions", twin))
        self._try("sessions", "bad-row", self._session(person, later, "short"))
        self._try("sessions", "bad-row", self._session(person, "infinity"))
        self._try("sessions", "bad-row", self._session(person, "20000-01-01 00:00:00"))

    def _nasty_tokens(self, later: datetime) -> None:
        identifier, token, _ = self.seeded.tokens[0]
        twin = self._verification(identifier, later, token)
        self._try("verification_tokens", "duplicate", self._youngest("verification_tokens", twin))
        self._try("verification_tokens", "bad-row", self._verification(identifier, later, "123456"))
        self._try("verification_tokens", "expired", self._verification(identifier, self._now - timedelta(days=1)))

    def _youngest(self, role: str, row: Mapping[str, Any]) -> dict[str, Any]:
        return {**row, "id": self._tables[role].last_id(), "createdat": self._now}

    def _try(self, role: str, kind: str, row: Mapping[str, Any]) -> None:
        try:
            with self._connection.transaction():
                self._tables[role].copy([row])
        except (psycopg.IntegrityError, psycopg.DataError):
            return
        if kind == "expired":
            self.seeded.expired[role] += 1
        elif kind:
            self.seeded.nasty[role, kind] += 1

    def settle_sequences(self) -> None:
        for table in self._tables.values():
            table.settle_sequence()


class _Table:
    """One table of the source and how its columns want their values."""

    def __init__(self, connection: psycopg.Connection[Any], name: str) -> None:
        self._connection = connection
        schema, _, table = name.rpartition(".")
        self._name = sql.Identifier(*filter(None, (schema, table)))
        shown = connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            [self._name.as_string(connection)],
        ).fetchall()
        self._types: dict[str, str] = dict(shown)
        self._column = {re.sub("[^a-z0-9]", "", name.lower()): name for name in self._types}
        self._ids = count(1)

    def has(self, *names: str) -> bool:
        return any(name in self._column for name in names)

    def new_id(self, number: int | None = None) -> Any:
        """An id of the column's type, the same for the same number."""
        own = next(self._ids) if number is None else number
        kind = self._types.get(self._column.get("id", ""), "text")
        if kind in ("integer", "bigint"):
            return own
        made = uuid.uuid5(uuid.NAMESPACE_OID, f"{self._name}{own}")
        return made if kind == "uuid" else "c" + made.hex[:24]

    def last_id(self) -> Any:
        """An id that sorts after all others."""
        kind = self._types.get(self._column.get("id", ""), "text")
        if kind in ("integer", "bigint"):
            return 2_000_000_000
        return uuid.UUID(int=2**128 - 1) if kind == "uuid" else "zzzz"

    def copy(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Writes what of each row the table has columns for."""
        ready = [dict(row) for row in rows]
        names = [(name, column) for name, column in self._column.items() if any(name in row for row in ready)]
        columns = sql.SQL(", ").join(sql.Identifier(column) for _, column in names)
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(self._name, columns)
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in ready:
                copy.write_row([_as_type(row.get(name), self._types[column]) for name, column in names])

    def settle_sequence(self) -> None:
        if self._types.get("id") in ("integer", "bigint"):
            statement = "SELECT setval(pg_get_serial_sequence({}, 'id'), max(id)) FROM {}"
            name = sql.Literal(self._name.as_string(self._connection))
            self._connection.execute(sql.SQL(statement).format(name, self._name))


def _as_type(value: Any, kind: str) -> Any:
    match value:
        case datetime() if kind.startswith(("character", "text")):
            return str(int(value.timestamp() * 1000))
        case datetime() if kind in ("integer", "bigint"):
            return int(value.timestamp() * (1000 if kind == "bigint" else 1))
        case datetime() if kind == "boolean":
            return True
        case None if kind == "boolean":
            return False
        case datetime() if kind.startswith("timestamp") and "without" in kind:
            return value.replace(tzinfo=None)
        case _:
            return value


def seed_application(connection: psycopg.Connection[Any], user_ids: Sequence[str]) -> None:
    """The tables of noormme's own application."""
    connection.execute("""
        INSERT INTO ai_models (slug, price, capabilities) VALUES
        ('small', 0.000001, '{text}'), ('large', 12.500000, '{text,image,"with, comma"}'), ('free', NULL, '{}')""")
    connection.execute(
        """
        INSERT INTO generation_history (user_id, model_id, prompt, metadata, duration, thumbnail, created_at)
        SELECT id::uuid, 1 + n %% 3, 'prompt ' || n, jsonb_build_object('n', n, 'big', 12345678901234567890),
               interval '1 month 2 days' + n * interval '1.5 seconds', decode('00ff10', 'hex'),
               timestamptz '2024-01-01' + n * interval '1 hour'
        FROM unnest(%s::text[]) WITH ORDINALITY AS u (id, n)""",
        [list(user_ids)],
    )
    connection.execute(
        """
        INSERT INTO user_preferences SELECT id::uuid, (ARRAY['light', 'dark', NULL])[1 + n %% 3], '{"a": [1, 2]}'
        FROM unnest(%s::text[]) WITH ORDINALITY AS u (id, n)""",
        [list(user_ids)],
    )
    connection.execute(
        """
        INSERT INTO api_keys (user_id, key_hash, last_used, ip, revoked)
        SELECT id::uuid, sha256(id::bytea), CASE WHEN n %% 2 = 0 THEN now() END,
               ('192.0.2.' || n %% 250)::inet, n %% 5 = 0
        FROM unnest(%s::text[]) WITH ORDINALITY AS u (id, n)""",
        [list(user_ids)],
    )
