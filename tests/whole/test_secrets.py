"""No secret shows itself: not in a repr, a log, an exception, the file, its log or its index."""

import asyncio
import logging
import sqlite3
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from authstore import Account, Adapter, connect
from authstore.errors import AuthStoreError

KEY = "the-key-that-must-not-show-itself"
GIVEN = "a-session-token-moved-from-elsewhere"
EMAIL = "ada.lovelace@example.com"
PROVIDER = {"access_token": "ya29-Vb3kQ", "refresh_token": "1//0gZx7wM", "id_token": "eyJhbGc-T9uLd"}
FRESH = "ya29-Nc8pJ"


@pytest.fixture(params=["keys", "no-keys"])
def keys(request: pytest.FixtureRequest) -> list[str]:
    return [KEY] if request.param == "keys" else []


@pytest.fixture
async def store(tmp_path: Path, keys: list[str]) -> AsyncIterator[Adapter]:
    async with connect(tmp_path / "auth.db", keys=keys) as opened:
        yield opened


async def live(store: Adapter) -> dict[str, Any]:
    """A life with secrets: everything it returned, and under `secrets` what must not show."""
    user = await store.create_user(email=EMAIL)
    account = await store.link_account(user.id, "google", "1", **PROVIDER)  # type: ignore[arg-type]
    session = await store.create_session(user.id)
    given = await store.create_session(user.id, token=GIVEN)
    rotated = await store.rotate_session((await store.create_session(user.id)).token or "")
    token = await store.create_verification_token(EMAIL)
    peeked = await store.peek_verification_token(EMAIL, token.token or "")
    found = await store.get_session_and_user(session.token or "")
    refreshed = await store.refresh_account("google", "1", _refresh)
    await store.touch_session(GIVEN)
    accounts = await store.list_accounts(user.id)
    secrets = [session.token, GIVEN, rotated and rotated.token, token.token, *PROVIDER.values(), FRESH]
    results = [user, account, session, given, rotated, token, peeked, found, refreshed, accounts, store]
    return {"secrets": [secret for secret in secrets if secret], "results": results}


async def _refresh(_: Account) -> dict[str, str]:
    return {"access_token": FRESH}


def leaks(text: str | bytes, secrets: list[str]) -> list[str]:
    """Those of the secrets, or of their random parts, that stand in the text."""
    raw = text.encode() if isinstance(text, str) else text
    parts = {part for secret in secrets for part in (secret, secret.rpartition(".")[2])}
    return [part for part in parts if part.encode() in raw]


async def test_no_repr_of_anything_shows_a_secret(store: Adapter) -> None:
    life = await live(store)
    for result in life["results"]:
        assert leaks(repr(result) + str(result) + f"{result}", [*life["secrets"], KEY]) == []


async def test_nothing_is_dumped_unless_it_is_asked_for(store: Adapter) -> None:
    life = await live(store)
    for result in life["results"]:
        dump = getattr(result, "model_dump_json", None)
        assert dump is None or leaks(dump() + str(result.model_dump()), life["secrets"]) == []


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    caplog.set_level(logging.DEBUG)
    for name in ("aiosqlite", "asyncio", "authstore"):
        caplog.set_level(logging.DEBUG, logger=name)
    yield caplog
    caplog.clear()


async def test_no_log_shows_a_secret_at_any_level(
    store: Adapter, everything_logged: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 0.0  # asyncio tells of every step, results and all
    loop.set_debug(True)
    try:
        life = await live(store)
        async with store.transaction() as transaction:
            await transaction.get_account("google", "1")
            await transaction.get_session(GIVEN)
    finally:
        loop.set_debug(False)
    assert {"aiosqlite", "asyncio"} <= {record.name for record in everything_logged.records}
    printed = capfd.readouterr()
    assert leaks(everything_logged.text + printed.out + printed.err, [*life["secrets"], KEY]) == []


FAILING: dict[str, Callable[[Adapter], Coroutine[Any, Any, Any]]] = {
    "taken address": lambda s: s.create_user(email=EMAIL),
    "address that is none": lambda s: s.create_user(email=f"{EMAIL} <x>"),
    "taken token": lambda s: s.create_session("ada", token=GIVEN),
    "short token": lambda s: s.create_session("ada", token=GIVEN[:15]),
    "token with NUL": lambda s: s.create_session("ada", token=GIVEN + "\0"),
    "unknown user": lambda s: s.create_session("nobody", token=GIVEN + "-other"),
    "account of another": lambda s: s.link_account("grace", "google", "1", **PROVIDER),  # type: ignore[arg-type]
    "tokens with NUL": lambda s: s.link_account("ada", "google", "2", access_token=PROVIDER["access_token"] + "\0"),
    "unknown token field": lambda s: s.sign_in_with_account(
        provider="google", provider_account_id="1", tokens={**PROVIDER, "secret": PROVIDER["access_token"]}
    ),
    "naive expiry": lambda s: s.create_verification_token(EMAIL, token=GIVEN, expires="2026-01-01T00:00"),  # type: ignore[arg-type]
    "taken verification token": lambda s: s.create_verification_token(EMAIL, token=GIVEN),
    "address not linked": lambda s: s.sign_in_with_account(
        provider="github", provider_account_id="1", email=EMAIL, tokens=PROVIDER
    ),
}


@pytest.mark.parametrize("name", FAILING)
async def test_no_exception_shows_a_secret_or_a_whole_address(name: str, store: Adapter) -> None:
    await store.create_user(id="ada", email=EMAIL)
    await store.create_user(id="grace")
    await store.create_session("ada", token=GIVEN)
    await store.create_verification_token(EMAIL, token=GIVEN)
    await store.link_account("ada", "google", "1", **PROVIDER)  # type: ignore[arg-type]
    with pytest.raises((AuthStoreError, ValueError, TypeError)) as failed:
        await FAILING[name](store)
    written = "".join(_without_source(failed.value))
    assert leaks(written + repr(failed.value) + repr(failed.value.args), [GIVEN, *PROVIDER.values(), EMAIL, KEY]) == []


def _without_source(error: BaseException | None) -> Iterator[str]:
    """What is printed of an error and all its causes, save the lines of this test that hold the secrets."""
    while error is not None:
        yield from traceback.format_exception_only(error)
        error = error.__cause__ or error.__context__


async def test_what_the_driver_says_is_not_repeated(store: Adapter, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "auth.db", isolation_level=None)) as connection:
        connection.execute(
            "CREATE TRIGGER tell BEFORE INSERT ON accounts"
            " WHEN new.provider = 'ya29' BEGIN SELECT RAISE(ABORT, 'ya29-Vb3kQ'); END"
        )
    user = await store.create_user()
    with pytest.raises(AuthStoreError) as failed:
        await store.link_account(user.id, "ya29", "1", **PROVIDER)  # type: ignore[arg-type]
    assert leaks(str(failed.value), list(PROVIDER.values())) == []


async def test_the_files_hold_no_token_not_even_in_the_log(tmp_path: Path, keys: list[str]) -> None:
    path = tmp_path / "auth.db"
    async with connect(path, keys=keys) as store:
        life = await live(store)
        raw = await asyncio.to_thread(_everything_on_disk, tmp_path)
        assert b"ada.lovelace" in raw, "the log was not looked at"
    raw += await asyncio.to_thread(_everything_on_disk, tmp_path)
    allowed = [] if keys else [*PROVIDER.values(), FRESH]  # plain without keys, as the contract says
    assert leaks(raw, [secret for secret in [*life["secrets"], KEY] if secret not in allowed]) == []


def _everything_on_disk(folder: Path) -> bytes:
    files = sorted(folder.iterdir())
    return b"".join(file.read_bytes() for file in files)


async def test_a_deleted_users_secrets_were_never_there_to_be_found(tmp_path: Path) -> None:
    async with connect(tmp_path / "auth.db", keys=[KEY]) as store:
        life = await live(store)
        user = await store.get_user_by_email(EMAIL)
        assert user is not None
        await store.delete_user(user.id)
    assert leaks(await asyncio.to_thread(_everything_on_disk, tmp_path), [*life["secrets"], KEY]) == []
