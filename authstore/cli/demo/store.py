"""The first chapter: a store on a file, from the first user to the last trace."""

import os
import secrets
import sqlite3
import stat
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from authstore import Adapter, Session, User, connect
from authstore.cli.demo.story import Story
from authstore.testing import Clock

_PROVIDER_TOKEN = "gho_" + secrets.token_hex(16)


async def tour(story: Story, folder: Path) -> None:
    """Signs a user in and out of a real SQLite file."""
    story.chapter("The store: one SQLite file")
    clock = Clock()
    file = folder / "auth.db"
    async with connect(file, clock=clock, keys=[os.urandom(32)]) as store:
        story.step(f"open sqlite:///{file.name}: made with its schema, readable by its owner alone")
        story.shows(f"{file.name}, mode {stat.filemode(file.stat().st_mode)}, {file.stat().st_size // 1024} KB")
        user = await _create_user(story, store)
        session = await _sign_in(story, store, user, file)
        await _expire(story, store, session, clock)
        await _delete(story, store, user, file)


async def _create_user(story: Story, store: Adapter) -> User:
    story.step('create_user(email="Ada@Example.COM") and link her account at GitHub')
    user = await store.create_user(email="Ada@Example.COM", name="Ada Lovelace")
    story.expect(user.email == "ada@example.com", f"the address has one form: {user.email}")
    account = await store.link_account(user.id, "github", "1815", access_token=_PROVIDER_TOKEN)
    story.shows(f"{account.provider} account {account.provider_account_id}, its access token encrypted in the file")
    return user


async def _sign_in(story: Story, store: Adapter, user: User, file: Path) -> Session:
    story.step("sign in: create_session gives the token that goes into the cookie, this once")
    session = await store.create_session(user.id, ip="203.0.113.7", user_agent="Firefox")
    token = session.token or ""
    story.shows(f"a token of {len(token)} characters; session {session.id}, until {session.expires:%Y-%m-%d %H:%M} UTC")
    story.step("the next request brings the cookie: get_session_and_user(token)")
    found = await store.get_session_and_user(token)
    story.expect(found is not None and found[1].id == user.id, f"this is {user.name}")
    stored = _secrets_in(file)
    story.expect(token not in stored, f"the file knows only its SHA-256, {stored[0][:16]}…")
    story.expect(_PROVIDER_TOKEN not in stored, f"and of the access token only ciphertext, {stored[1][:16]}…")
    return session


async def _expire(story: Story, store: Adapter, session: Session, clock: Clock) -> None:
    token = session.token or ""
    story.step("eight days pass without a visit (the clock is an argument of connect())")
    clock.advance(timedelta(days=8))
    story.expect(await store.get_session_and_user(token) is None, "the session is dead: idle for more than 7 days")
    story.expect(await store.touch_session(token) is None, "and nothing revives it")
    story.step("prune()")
    report = await store.prune()
    story.expect(report.deleted["sessions"] == 1, f"deleted {report.deleted['sessions']} dead session")


async def _delete(story: Story, store: Adapter, user: User, file: Path) -> None:
    story.step("sign in once more, mail a link, then delete the user")
    await store.create_session(user.id)
    await store.create_verification_token("ada@example.com")
    await store.delete_user(user.id)
    left = _rows(file)
    story.expect(not any(left.values()), "nothing is left: " + ", ".join(f"{name} {n}" for name, n in left.items()))


def _query(file: Path, sql: str) -> list[Any]:
    """What any SQL tool sees; the tables are part of the contract."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        return list(connection.execute(sql).fetchone())


def _secrets_in(file: Path) -> list[str]:
    return _query(
        file,
        "SELECT hex(token_hash), hex(access_token_encrypted), coalesce(access_token, '') FROM sessions, accounts",
    )


def _rows(file: Path) -> dict[str, int]:
    tables = ("users", "accounts", "sessions", "verification_tokens")
    counts = _query(
        file,
        "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM accounts), (SELECT count(*) FROM sessions),"
        " (SELECT count(*) FROM verification_tokens)",
    )
    return dict(zip(tables, counts, strict=True))
