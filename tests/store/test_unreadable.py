"""What plain SQL left in a row that no store would write: `StoreCorruptError` with the table and the id, in every
reading method, and for nobody but who asked for that row.

And provider tokens that no key opens: they stop nothing else.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from authstore import Account, Adapter, KeyUnavailableError, Permission, StoreCorruptError, connect
from authstore.backends.sqlite import inspecting

TOKEN = "moved-token-0123456789"
OLD, NEW = "an old secret of at least 32 characters", "a new secret of at least 32 characters!"

BAD_INSTANT = "2096-02-31T00:00:00.000000Z"
BAD_DATA = {
    "infinite": '{"a":1e999}',
    "nul": '{"a":"\\u0000"}',
    "nul-in-key": '{"\\u0000":1}',
    "surrogate": '{"a":"\\ud800"}',
    "long": '{"a":' + "9" * 5000 + "}",
    "deep": '{"a":' + "[" * 300 + "]" * 300 + "}",
    "deep-objects": '{"a":' * 300 + "1" + "}" * 300,
}
Ask = Callable[[Adapter], Awaitable[Any]]


async def full(path: Path) -> None:
    """A store with one row in every table, and a bystander."""
    async with connect(path) as store:
        await store.create_user(id="ada", email="ada@example.com")
        await store.link_account("ada", "github", "42", access_token="a")
        await store.create_session("ada", token=TOKEN)
        await store.create_verification_token("ada@example.com", token="123456")
        await store.create_authenticator("ada", "key", b"public")
        await store.create_role("editor", permissions=[Permission(resource="post", action="write")])
        await store.grant_role("ada", "editor")
        await store.create_session((await store.create_user(id="eve")).id, token="another-" + TOKEN)


async def _refresh(account: Account) -> dict[str, Any]:
    return {}


READERS: dict[str, dict[str, Ask]] = {
    "users": {
        "get_user": lambda store: store.get_user("ada"),
        "get_user_by_email": lambda store: store.get_user_by_email("ada@example.com"),
        "get_user_by_account": lambda store: store.get_user_by_account("github", "42"),
        "list_users": lambda store: store.list_users(),
        "list_users_with_role": lambda store: store.list_users_with_role("editor"),
        "update_user": lambda store: store.update_user("ada", name="Ada"),
        "get_session_and_user": lambda store: store.get_session_and_user(TOKEN),
        "sign_in": lambda store: store.sign_in_with_account(provider="github", provider_account_id="42"),
    },
    "accounts": {
        "get_account": lambda store: store.get_account("github", "42"),
        "list_accounts": lambda store: store.list_accounts("ada"),
        "link_account": lambda store: store.link_account("ada", "github", "42", scope="email"),
        "refresh_account": lambda store: store.refresh_account("github", "42", _refresh),
    },
    "sessions": {
        "get_session": lambda store: store.get_session(TOKEN),
        "get_session_and_user": lambda store: store.get_session_and_user(TOKEN),
        "touch_session": lambda store: store.touch_session(TOKEN),
        "update_session": lambda store: store.update_session(TOKEN, merge={"a": 1}),
        "rotate_session": lambda store: store.rotate_session(TOKEN),
        "list_sessions": lambda store: store.list_sessions("ada"),
    },
    "verification_tokens": {
        "peek": lambda store: store.peek_verification_token("ada@example.com", "123456"),
        "use": lambda store: store.use_verification_token("ada@example.com", "123456"),
    },
    "authenticators": {
        "get_authenticator": lambda store: store.get_authenticator("key"),
        "list_authenticators": lambda store: store.list_authenticators("ada"),
        "update_counter": lambda store: store.update_authenticator_counter("key", 1),
    },
    "roles": {
        "get_role": lambda store: store.get_role("editor"),
        "list_roles": lambda store: store.list_roles(),
        "get_roles": lambda store: store.get_roles("ada"),
        "update_role": lambda store: store.update_role("editor", description="Edits"),
    },
}
INSTANTS = {
    "users": "created_at",
    "accounts": "updated_at",
    "sessions": "created_at",
    "verification_tokens": "expires",
    "authenticators": "created_at",
}
TEXTS = {
    "users": "image",
    "accounts": "scope",
    "sessions": "user_agent",
    "authenticators": "name",
    "roles": "description",
}
NO_TEXT = b"latin-1: \xe9t\xe9"
OF_ADA = {"users": "id", "verification_tokens": "identifier", "authenticators": "user_id", "roles": "name"}


def spoil(path: Path, table: str, column: str, value: str | bytes) -> object:
    """Writes the value into the row of Ada's; its key."""
    owner = {"accounts": "user_id", "sessions": "user_id", **OF_ADA}[table]
    whose = {"verification_tokens": "ada@example.com", "roles": "editor"}.get(table, "ada")
    key = {"authenticators": "credential_id", "roles": "name"}.get(table, "id")
    with closing(sqlite3.connect(path)) as connection, connection:
        text = value if isinstance(value, bytes) else value.encode()
        connection.execute(f"UPDATE {table} SET {column} = CAST(? AS TEXT) WHERE {owner} = ?", (text, whose))
        found = connection.execute(f"SELECT {key} FROM {table} WHERE {owner} = ?", (whose,)).fetchall()
    [(id,)] = found
    return id


CASES = [
    pytest.param(table, column, value, id=f"{table}-{name}")
    for table in READERS
    for name, column, value in [
        *([("instant", INSTANTS[table], BAD_INSTANT)] if table in INSTANTS else []),
        *((name, "data", value) for name, value in BAD_DATA.items()),
        ("bytes-in-data", "data", b'{"a":"\xff"}'),
        *([("bytes", TEXTS[table], NO_TEXT)] if table in TEXTS else []),
    ]
]


@pytest.mark.parametrize(("table", "column", "value"), CASES)
async def test_every_reading_method_says_which_row_cannot_be_read(
    tmp_path: Path, table: str, column: str, value: str | bytes
) -> None:
    path = tmp_path / "auth.db"
    await full(path)
    id = spoil(path, table, column, value)
    async with connect(path) as store:
        for name, ask in READERS[table].items():
            with pytest.raises(StoreCorruptError) as corrupt:
                await ask(store)
            assert (corrupt.value.table, corrupt.value.id) == (table, id), name
            assert table in str(corrupt.value)
            assert str(id) in str(corrupt.value)
            assert "e999" not in str(corrupt.value)
            assert "02-31" not in str(corrupt.value)
            assert "latin" not in str(corrupt.value)
            async with store.transaction() as transaction:
                with pytest.raises(StoreCorruptError) as corrupt:
                    await ask(transaction)
                assert (corrupt.value.table, corrupt.value.id) == (table, id), name
                assert await transaction.get_user("eve") is not None
        assert await store.get_session_and_user("another-" + TOKEN) is not None
        assert await store.get_user("eve") is not None


@pytest.mark.parametrize("value", [*BAD_DATA.values(), b'{"a":"\xff"}'], ids=[*BAD_DATA, "bytes"])
@pytest.mark.parametrize("table", ["users", "sessions"])
async def test_of_those_who_ask_together_one_fails(tmp_path: Path, table: str, value: str | bytes) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        people = [await store.create_user(id=f"u{number}") for number in range(40)]
        sessions = [await store.create_session(user.id) for user in people]
        spoiled = people[7].id if table == "users" else sessions[7].id
        with closing(sqlite3.connect(path)) as connection, connection:
            text = value if isinstance(value, bytes) else value.encode()
            connection.execute(f"UPDATE {table} SET data = CAST(? AS TEXT) WHERE id = ?", (text, spoiled))
        asked = (store.get_session_and_user(str(session.token)) for session in sessions)
        answers = await asyncio.gather(*asked, return_exceptions=True)
    [failed] = [answer for answer in answers if isinstance(answer, BaseException)]
    assert answers.index(failed) == 7
    assert isinstance(failed, StoreCorruptError)
    assert (failed.table, failed.id) == (table, spoiled)


async def test_events_and_ends_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    await full(path)
    async with connect(path) as store:
        await store.delete_session(TOKEN)
        *others, last = await store.events()
        seq = last.seq
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE changes SET actor = CAST(? AS TEXT) WHERE seq = ?", (NO_TEXT, seq))
            connection.execute("UPDATE ended_tokens SET reason = CAST(? AS TEXT)", (NO_TEXT,))
        with pytest.raises(StoreCorruptError) as corrupt:
            await store.events()
        assert (corrupt.value.table, corrupt.value.id) == ("changes", seq)
        assert await store.events(limit=len(others)) == others
        with pytest.raises(StoreCorruptError) as corrupt:
            await store.why_ended(TOKEN)
        assert corrupt.value.table == "ended_tokens"


async def test_what_cannot_be_read_can_be_ended_and_deleted(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    await full(path)
    spoil(path, "sessions", "user_agent", NO_TEXT)
    spoil(path, "users", "name", NO_TEXT)
    async with connect(path) as store:
        assert await store.revoke_sessions("ada") == 1
        assert await store.delete_user("ada") is True
        assert (await store.prune()).remaining == 0
        assert [user.id for user in await store.list_users()] == ["eve"]


async def test_an_id_that_is_no_text_is_named_and_stops_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    await full(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("UPDATE users SET id = CAST(x'616461ff' AS TEXT) WHERE id = 'ada'")
    async with connect(path, cache=100) as store:
        with pytest.raises(StoreCorruptError) as corrupt:
            await store.list_users()
        assert (corrupt.value.table, corrupt.value.id) == ("users", "ada\udcff")
        with pytest.raises(StoreCorruptError) as corrupt:
            await store.get_session_and_user(TOKEN)
        assert corrupt.value.table == "sessions"  # whose user_id went along
        assert await store.get_session_and_user("another-" + TOKEN) is not None
        assert (await store.prune()).remaining == 0
        assert {table for table, _ in inspecting.undecodable(path)} == {
            *("accounts", "authenticators", "changes", "sessions", "user_roles", "users"),
        }


async def test_rows_with_bytes_that_are_no_text_are_found(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    await full(path)
    assert inspecting.undecodable(path) == ()
    ids = {table: spoil(path, table, column, NO_TEXT) for table, column in TEXTS.items()}
    ids["verification_tokens"] = spoil(path, "verification_tokens", "data", b'{"a":"\xff"}')
    assert dict(inspecting.undecodable(path)) == ids


async def test_escapes_and_depth_that_json_allows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    data: dict[str, Any] = {"control": "\x01\x1f", "face": "\U0001f600", "deep": [[[[1.5e300]]]], "many": [{}] * 150}
    async with connect(path) as store:
        user = await store.create_user(data=data)
        session = await store.create_session(user.id, data=data)
        assert await store.get_session_and_user(str(session.token)) == (session, user)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute('UPDATE users SET data = \'{"face":"\\ud83d\\ude00"}\'')
        found = await store.get_session_and_user(str(session.token))
        assert found is not None
        assert found[1].data == {"face": "\U0001f600"}


async def locked_out(path: Path) -> None:
    """An account whose tokens are under a key that was lost."""
    async with connect(path, keys=[OLD]) as store:
        user = await store.create_user(id="ada")
        await store.link_account(user.id, "github", "42", access_token="a", refresh_token="r", scope="email")
        await store.link_account(user.id, "gitlab", "7", access_token="b")


@pytest.mark.parametrize("keys", [[], [NEW]], ids=["no key", "another key"])
async def test_a_token_that_no_key_opens_stops_only_who_needs_it(tmp_path: Path, keys: list[str]) -> None:
    path = tmp_path / "auth.db"
    await locked_out(path)
    async with connect(path, keys=keys) as store:
        listed = await store.list_accounts("ada")
        assert [account.unreadable for account in listed] == [("access_token", "refresh_token"), ("access_token",)]
        assert [account.access_token for account in listed] == [None, None]
        with pytest.raises(KeyUnavailableError):
            await store.get_account("github", "42")
        with pytest.raises(KeyUnavailableError):
            await store.refresh_account("github", "42", _refresh)
        linked = await store.link_account("ada", "github", "42", scope="repo")
        assert (linked.scope, linked.unreadable) == ("repo", ("access_token", "refresh_token"))
        signed_in = await store.sign_in_with_account(
            provider="github", provider_account_id="42", tokens={"access_token": "new", "refresh_token": "newer"}
        )
        assert (signed_in.account.access_token, signed_in.account.unreadable) == ("new", ())
        stored = await store.get_account("github", "42")
        assert stored == signed_in.account
        assert await store.unlink_account("gitlab", "7") is True


async def test_a_token_that_was_not_replaced_is_still_there_for_its_key(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    await locked_out(path)
    async with connect(path, keys=[NEW]) as store:
        half = await store.link_account("ada", "github", "42", access_token="new")
        assert (half.access_token, half.refresh_token, half.unreadable) == ("new", None, ("refresh_token",))
    async with connect(path, keys=[NEW, OLD]) as store:
        account = await store.get_account("github", "42")
        assert account is not None
        assert (account.access_token, account.refresh_token) == ("new", "r")


async def test_what_no_key_opens_can_be_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    await locked_out(path)
    async with connect(path, keys=[NEW]) as store:
        await store.link_account("ada", "gitlab", "7", access_token="new")
        with pytest.raises(KeyUnavailableError, match="forget_unreadable"):
            await store.rekey()
        assert await store.forget_unreadable() == 1
        assert await store.forget_unreadable() == 0
        assert await store.rekey() == 0
        account = await store.get_account("github", "42")
        assert account is not None
        assert (account.access_token, account.refresh_token, account.scope) == (None, None, "email")
        kept = await store.get_account("gitlab", "7")
        assert kept is not None
        assert kept.access_token == "new"
