"""The store's other units of work on PostgreSQL, and each by hand: its SQL in one transaction, by asyncpg."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import asyncpg

from authstore import Adapter
from authstore.backends.postgres.texts import text
from authstore.sql import queries
from authstore.tokens import new_secret
from benchmarks.peers import LIFETIME, new_id

END_GRACES = text(queries.end_graces.postgres)

Call = Callable[[Any], Awaitable[object]]
Prepare = Callable[[asyncpg.Pool, int], Awaitable[Sequence[Any]]]


class Pair(NamedTuple):
    """A unit: what each call takes is made before its round; then the store's way, and by hand."""

    prepare: Prepare
    ours: Callable[[Adapter], Call]
    by_hand: Callable[[asyncpg.Pool], Call]


async def _users(pool: asyncpg.Pool, count: int) -> list[str]:
    now = datetime.now(UTC)
    ids = [new_id(now) for _ in range(count)]
    rows = [(id, f"{id}@example.com", "User", False, "{}", now, now) for id in ids]
    columns = ("id", "email", "name", "disabled", "data", "created_at", "updated_at")
    await pool.copy_records_to_table("users", records=rows, columns=columns)
    return ids


async def _sessions(pool: asyncpg.Pool, count: int) -> list[str]:
    then = datetime.now(UTC) - timedelta(minutes=10)  # a touch is due
    users = await _users(pool, count)
    tokens = [f"{new_id(then)}.{new_secret()}" for _ in users]
    columns = (
        "id",
        "token_hash",
        "token_indexed",
        "user_id",
        "expires",
        "created_at",
        "last_used_at",
        "authenticated_at",
    )
    rows = [
        (token.partition(".")[0], _hash(token), False, user, then + LIFETIME, then, then, then)
        for token, user in zip(tokens, users, strict=True)
    ]
    await pool.copy_records_to_table("sessions", records=rows, columns=columns)
    return tokens


async def _accounts(pool: asyncpg.Pool, count: int) -> list[str]:
    users, now = await _users(pool, count), datetime.now(UTC)
    columns = ("id", "user_id", "provider", "provider_account_id", "type", "data", "created_at", "updated_at")
    rows = [(new_id(now), user, "github", user, "oidc", "{}", now, now) for user in users]
    await pool.copy_records_to_table("accounts", records=rows, columns=columns)
    return users


async def _verification_tokens(pool: asyncpg.Pool, count: int) -> list[str]:
    now = datetime.now(UTC)
    addresses = [f"{new_id(now)}@example.com" for _ in range(count)]
    columns = ("identifier", "purpose", "token_hash", "expires", "data", "created_at")
    rows = [(a, "sign-in", _hash(a), now + timedelta(minutes=10), "{}", now) for a in addresses]
    await pool.copy_records_to_table("verification_tokens", records=rows, columns=columns)
    return addresses


async def _names(pool: asyncpg.Pool, count: int) -> list[str]:
    return [new_id(datetime.now(UTC)) for _ in range(count)]


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _in_transaction(work: Callable[[asyncpg.Connection, Any], Awaitable[object]]) -> Callable[[asyncpg.Pool], Call]:
    def bound(pool: asyncpg.Pool) -> Call:
        async def call(given: Any) -> None:
            async with pool.acquire() as connection, connection.transaction():
                await work(connection, given)

        return call

    return bound


async def _create_user(connection: asyncpg.Connection, name: str) -> None:
    now = datetime.now(UTC)
    await connection.execute(
        "INSERT INTO users (id, email, name, disabled, data, created_at, updated_at)"
        " VALUES ($1, $2, 'User', false, '{}', $3, $3)",
        new_id(now),
        f"{name}@example.com",
        now,
    )


async def _update_user(connection: asyncpg.Connection, user: str) -> None:
    row = await connection.fetchrow("SELECT * FROM users WHERE id = $1 FOR NO KEY UPDATE", user)
    await connection.execute(
        "UPDATE users SET email = $2, name = 'Ada', data = $3, updated_at = $4 WHERE id = $1",
        *(user, row["email"], row["data"], datetime.now(UTC)),
    )


async def _delete_user(connection: asyncpg.Connection, user: str) -> None:
    email = await connection.fetchval("DELETE FROM users WHERE id = $1 RETURNING email", user)
    await connection.execute("DELETE FROM verification_tokens WHERE identifier = $1", email)


async def _find(connection: asyncpg.Connection, token: str) -> asyncpg.Record:
    row = await connection.fetchrow(
        "SELECT sessions.*, users.disabled FROM sessions JOIN users ON users.id = sessions.user_id"
        " WHERE sessions.id = $1 FOR NO KEY UPDATE OF sessions",
        token.partition(".")[0],
    )
    if row is None or row["token_hash"] != _hash(token) or row["disabled"]:
        raise AssertionError("a session was not found")
    return row


async def _rotate(connection: asyncpg.Connection, token: str) -> None:
    row = await _find(connection, token)
    new, now = f"{row['id']}.{new_secret()}", datetime.now(UTC)
    await connection.execute(END_GRACES.sql, *END_GRACES.values({"session_id": row["id"], "now": now}))
    await connection.execute(
        "INSERT INTO ended_tokens (token_hash, reason, at) VALUES ($1, 'rotated', $2)", row["token_hash"], now
    )
    await connection.execute("UPDATE sessions SET token_hash = $2 WHERE id = $1", row["id"], _hash(new))


async def _touch(connection: asyncpg.Connection, token: str) -> None:
    row = await _find(connection, token)
    await connection.execute("UPDATE sessions SET last_used_at = $2 WHERE id = $1", row["id"], datetime.now(UTC))


async def _sign_out(connection: asyncpg.Connection, token: str) -> None:
    row = await _find(connection, token)
    await connection.execute(
        "INSERT INTO ended_tokens (token_hash, reason, at) VALUES ($1, 'signed-out', $2)",
        row["token_hash"],
        datetime.now(UTC),
    )
    await connection.execute("DELETE FROM sessions WHERE id = $1", row["id"])


async def _use(connection: asyncpg.Connection, address: str) -> None:
    row = await connection.fetchrow(
        "DELETE FROM verification_tokens WHERE identifier = $1 AND purpose = 'sign-in' AND token_hash = $2 RETURNING *",
        address,
        _hash(address),
    )
    if row is None:
        raise AssertionError("a token was not found")
    await connection.execute("DELETE FROM verification_tokens WHERE identifier = $1 AND purpose = 'sign-in'", address)


async def _first_sign_in(connection: asyncpg.Connection, name: str) -> None:
    now = datetime.now(UTC)
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", name)
    account = "SELECT * FROM accounts WHERE provider = 'github' AND provider_account_id = $1"
    if await connection.fetchrow(account, name) or await connection.fetchrow(
        "SELECT * FROM users WHERE email = $1", f"{name}@example.com"
    ):
        raise AssertionError("somebody new was known")
    user = new_id(now)
    await connection.execute(
        "INSERT INTO users (id, email, email_verified, name, disabled, data, created_at, updated_at)"
        " VALUES ($1, $2, $3, 'User', false, '{}', $3, $3)",
        *(user, f"{name}@example.com", now),
    )
    await connection.execute(
        "INSERT INTO accounts (id, user_id, provider, provider_account_id, type, access_token, data, created_at,"
        " updated_at) VALUES ($1, $2, 'github', $3, 'oidc', 'gho', '{}', $4, $4)",
        *(new_id(now), user, name, now),
    )


async def _returning(connection: asyncpg.Connection, name: str) -> None:
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", name)
    account = await connection.fetchrow(
        "SELECT * FROM accounts WHERE provider = 'github' AND provider_account_id = $1", name
    )
    await connection.fetchrow("SELECT * FROM users WHERE id = $1 FOR NO KEY UPDATE", account["user_id"])
    await connection.execute(
        "UPDATE accounts SET access_token = 'gho', updated_at = $2 WHERE id = $1", account["id"], datetime.now(UTC)
    )


def _sign_in(store: Adapter) -> Call:
    def call(name: str) -> Awaitable[object]:
        return store.sign_in_with_account(
            provider="github",
            provider_account_id=name,
            email=f"{name}@example.com",
            email_verified=True,
            name="User",
            tokens={"access_token": "gho"},
        )

    return call


PAIRS: dict[str, Pair] = {
    "create_user": Pair(
        _names,
        lambda store: lambda name: store.create_user(email=f"{name}@example.com", name="User"),
        _in_transaction(_create_user),
    ),
    "update_user": Pair(
        _users, lambda store: lambda user: store.update_user(user, name="Ada"), _in_transaction(_update_user)
    ),
    "delete_user": Pair(_users, lambda store: store.delete_user, _in_transaction(_delete_user)),
    "first sign-in": Pair(_names, _sign_in, _in_transaction(_first_sign_in)),
    "returning sign-in": Pair(_accounts, _sign_in, _in_transaction(_returning)),
    "rotate_session": Pair(_sessions, lambda store: store.rotate_session, _in_transaction(_rotate)),
    "touch_session": Pair(_sessions, lambda store: store.touch_session, _in_transaction(_touch)),
    "delete_session": Pair(_sessions, lambda store: store.delete_session, _in_transaction(_sign_out)),
    "use_verification_token": Pair(
        _verification_tokens,
        lambda store: lambda address: store.use_verification_token(address, address),
        _in_transaction(_use),
    ),
}
