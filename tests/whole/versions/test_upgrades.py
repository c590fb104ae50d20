"""An older version and this one serve a store at once while it is brought up to date; and the way back."""

import asyncio
import hashlib
import re
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from authstore import Adapter, Event, connect
from authstore.tokens import named_session
from tests.whole.versions.installed import HERE, Serving, Version, unpacked

BUSY_SECONDS = 5.0  # for so long a call may wait for its turn, and no longer
THIS = Version(None)


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Version]:
    """Older versions by their newest migration: the one that was released, and the one before this."""
    return {schema: unpacked(schema, tmp_path_factory.mktemp(f"schema{schema}")) for schema in (1, 4)}


def test_the_archives_are_what_the_readme_says() -> None:
    said = dict(re.findall(r"`(\w+\.zip)`.*`([0-9a-f]{64})`", (HERE / "README.md").read_text("utf-8")))
    assert said == {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in HERE.glob("*.zip")}


class Ledger:
    """What all processes were told."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def tokens(self, what: str) -> list[str]:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [line.removeprefix(f"{what} ") for line in lines if line.startswith(f"{what} ")]

    async def grown(self, by: int) -> None:
        """Waits until so many more sessions have ended."""
        enough = len(self.tokens("ended")) + by
        for _ in range(600):
            if len(self.tokens("ended")) >= enough:
                return
            await asyncio.sleep(0.1)
        raise TimeoutError("the processes do nothing any more")


async def upgraded_under_load(old: Version, url: str, folder: Path, **options: Any) -> tuple[Ledger, set[str]]:
    """Two processes of the older version serve from the beginning, two of this one since the upgrade. Gives what all
    were told, and the sessions that were about to end before the upgrade was done."""
    ledger = Ledger(folder / "ledger")
    async with AsyncExitStack() as stack:

        async def both(version: Version, name: str, **options: Any) -> list[Serving]:
            started = (version.serving(f"{name}-{number}", url, ledger.path, **options) for number in (1, 2))
            return await asyncio.gather(*map(stack.enter_async_context, started))

        processes = await both(old, "old")
        await ledger.grown(by=20)
        await said(THIS, folder, "migrate", url)
        before = set(ledger.tokens("ending"))
        await ledger.grown(by=20)  # by the older ones alone
        processes += await both(THIS, "new", **options)
        await ledger.grown(by=40)
        for report in await asyncio.gather(*(process.ended() for process in processes)):
            assert report["wrong"] == []
            assert report["calls"]["look at another's"] > 10
            assert report["calls"]["delete_session"] > 2
            assert max(report["longest"].values()) < BUSY_SECONDS, report["longest"]
    return ledger, before


async def said(version: Version, folder: Path, *arguments: str) -> str:
    """What a command that must work prints."""
    done = await version.run(*arguments, cwd=folder)
    assert done.status == 0, done.errors
    return done.output


async def assert_refuses(old: Version, folder: Path, *arguments: str) -> None:
    """An older version that begins after the upgrade says what to do."""
    done = await old.run(*arguments, cwd=folder)
    assert (done.status, "upgrade authstore" in " ".join(done.errors.split())) == (1, True), done.errors


async def assert_nothing_was_lost(store: Adapter, ledger: Ledger) -> None:
    """Who was told that something is there finds it, and nobody's ended session is back."""
    ended = set(ledger.tokens("ended"))
    assert set(ledger.tokens("ending")) == ended
    for token in ledger.tokens("made"):
        found = await store.get_session_and_user(token)
        assert (found is None) == (token in ended)
        if found is not None:
            session, user = found
            assert (user.name, user.email) == ("Ada", f"{user.id}@example.com")
            assert session.last_used_at > session.created_at
            assert [account.provider_account_id for account in await store.list_accounts(user.id)] == [user.id]


async def assert_the_log_is_whole(store: Adapter, ledger: Ledger, before: set[str]) -> None:
    """What the older version did since the upgrade is in the log, each once."""
    events: list[Event] = []
    while more := await store.events(after=events[-1].seq if events else 0, limit=1000):
        events += more
    noted = Counter(event.session_id for event in events if event.type == "session.ended")
    linked = Counter(event.user_id for event in events if event.type == "account.linked")
    assert {*noted.values(), *linked.values()} == {1}
    for token in set(ledger.tokens("ended")) - before:
        assert noted[named_session(token)] == 1
        why = await store.why_ended(token)
        assert why is not None
        assert why.reason in ("revoked", "signed-out")


@pytest.mark.slow
@pytest.mark.parametrize("schema", [1, 4])
async def test_an_older_version_and_this_one_serve_one_file_while_it_is_upgraded(
    schema: int, older: dict[int, Version], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/auth.db"
    ledger, before = await upgraded_under_load(older[schema], url, tmp_path, cache=1000)
    async with connect(url) as store:
        await assert_nothing_was_lost(store, ledger)
        await assert_the_log_is_whole(store, ledger, before)


@pytest.mark.slow
async def test_an_older_version_and_this_one_serve_one_postgres_while_it_is_upgraded(
    older: dict[int, Version], source_url: str, tmp_path: Path
) -> None:
    ledger, before = await upgraded_under_load(older[4], source_url, tmp_path)
    async with connect(source_url) as store:
        await assert_nothing_was_lost(store, ledger)
        await assert_the_log_is_whole(store, ledger, before)


async def role_names(url: str | Path) -> list[str]:
    """By this version, which brings the store up to date."""
    async with connect(url) as store:
        return [role.name for role in await store.list_roles()]


async def test_the_way_back_of_a_file(older: dict[int, Version], tmp_path: Path) -> None:
    old, path = older[4], tmp_path / "auth.db"
    url = f"sqlite:///{path}"
    await said(old, tmp_path, "init", url)
    await said(old, tmp_path, "roles", "create", "before", "--url", url)
    await said(old, tmp_path, "backup", url, "before-upgrade.db")
    async with connect(path) as store:
        await store.create_role("after")
    await assert_refuses(old, tmp_path, "roles", "list", "--url", url)
    await said(old, tmp_path, "restore", "before-upgrade.db", url)
    assert "before" in (listed := await said(old, tmp_path, "roles", "list", "--url", url))
    assert "after" not in listed
    (aside,) = tmp_path.glob("auth.db.set-aside-*")
    assert await role_names(aside) == ["after", "before"]


async def test_the_way_back_on_postgres(
    older: dict[int, Version], source_url: str, source: psycopg.Connection, tmp_path: Path
) -> None:
    old, elsewhere = older[4], f"{source_url}?options=-csearch_path%3Dauth2"
    await said(old, tmp_path, "init", source_url)
    await said(old, tmp_path, "backup", source_url, "before-upgrade.db")
    async with connect(source_url) as store:
        await store.create_role("after")
    await assert_refuses(old, tmp_path, "restore", "before-upgrade.db", source_url)
    source.execute("CREATE SCHEMA auth2")
    await said(old, tmp_path, "restore", "before-upgrade.db", elsewhere)
    assert source.execute("SELECT max(version) FROM auth2.authstore_migrations").fetchall() == [(4,)]
    assert await role_names(source_url) == ["after"]
    assert await role_names(elsewhere) == []
