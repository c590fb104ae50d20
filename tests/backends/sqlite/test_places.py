"""Where a store's file stands: replaced under a running store, and on file systems that lack something."""

import asyncio
import errno
import os
from pathlib import Path
from typing import Any, NoReturn

import pytest

from authstore import Adapter, StoreNotFoundError, connect


async def connected(path: Path) -> Adapter:
    return await connect(path)


async def replaced(path: Path) -> None:
    """Puts another store in the place of this one."""
    async with connect(path.with_name("other.db")) as other:
        await other.create_user(id="other")
    os.replace(path.with_name("other.db"), path)


async def test_who_reads_learns_what_a_writer_found_out(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        session = await store.create_session((await store.create_user(id="ada")).id)
        await replaced(path)
        with pytest.raises(StoreNotFoundError):
            await store.revoke_session(session.id)
        asks: list[Any] = [
            store.get_session_and_user(str(session.token)), store.get_user("ada"), store.list_users(),
            store.peek_verification_token("ada", "123456"),
        ]  # fmt: skip
        answers = await asyncio.gather(*asks, return_exceptions=True)
        assert [type(answer) for answer in answers] == [StoreNotFoundError] * len(asks)
        health = await store.health()
        assert (health.ok, health.status) == (False, "fail")


async def test_a_transaction_that_is_open_at_that_moment_is_not_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        await store.create_user(id="ada")

        async def change() -> None:
            async with store.transaction() as transaction:
                await transaction.create_user(id="lost")
                await replaced(path)

        with pytest.raises(StoreNotFoundError):
            await change()
        with pytest.raises(StoreNotFoundError):
            await store.get_user("ada")


async def test_many_writes_at_that_moment_are_acknowledged_or_found_lost(tmp_path: Path) -> None:
    path, kept = tmp_path / "auth.db", tmp_path / "kept.db"
    async with connect(tmp_path / "other.db"):
        pass
    async with connect(path) as store:
        os.link(path, kept)
        calls = [asyncio.create_task(store.create_user(id=f"u{number}")) for number in range(400)]
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        before = {call.result().id for call in calls if call.done()}
        await asyncio.to_thread(os.replace, tmp_path / "other.db", path)
        results = await asyncio.gather(*calls, return_exceptions=True)
        late = [store.create_user(id="late"), store.get_user("u0")]
        assert [type(each) for each in await asyncio.gather(*late, return_exceptions=True)] == [StoreNotFoundError] * 2
    assert before
    assert {type(result) for result in results if isinstance(result, BaseException)} <= {StoreNotFoundError}


@pytest.mark.parametrize("reason", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
async def test_where_hard_links_do_not_exist_a_file_is_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    def link(*_: object, **__: object) -> NoReturn:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(os, "link", link)
    path = tmp_path / "folder" / "auth.db"
    stores = await asyncio.gather(*(connected(path) for _ in range(6)))  # all first
    for number, store in enumerate(stores):
        await store.create_user(id=f"u{number}")
        await store.close()
    async with connect(path, create=False) as store:
        assert len(await store.list_users()) == 6
    assert [entry.name for entry in path.parent.iterdir()] == ["auth.db"]
    assert path.stat().st_mode & 0o777 == 0o600
