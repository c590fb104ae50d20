"""A write that is one statement by itself, and more under an audit: still all or nothing."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from authstore import connect
from authstore.database import Unit
from authstore.errors import StoreError
from authstore.sql import Decides, queries
from authstore.store.log.acting import said
from authstore.store.log.changes import LogState


async def test_a_write_whose_event_cannot_be_chained_did_not_happen(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path, audit=timedelta(days=1)) as store:
        user = await store.create_user(email="ada@example.com")
        with closing(sqlite3.connect(path)) as other, other:
            other.execute(
                "CREATE TRIGGER refuse BEFORE UPDATE OF chain ON changes BEGIN SELECT raise(ABORT, 'no chain'); END"
            )
        with pytest.raises(StoreError):
            await store.create_session(user.id)
        with pytest.raises(StoreError):
            await store.create_user(email="grace@example.com")
        assert await store.list_sessions(user.id) == []
        assert await store.get_user_by_email("grace@example.com") is None


async def test_what_one_of_many_waiting_writes_is_refused_takes_no_other_with_it(tmp_path: Path) -> None:
    async with connect(tmp_path / "auth.db") as store:
        ada, banned = await store.create_user(), await store.create_user()
        await store.update_user(banned.id, disabled=True)
        outcomes = await asyncio.gather(
            *(store.create_session(user.id) for user in (ada, banned) * 20), return_exceptions=True
        )
        made = [each for each in outcomes if not isinstance(each, BaseException)]
        assert len(made) == 20
        assert {each.id for each in await store.list_sessions(ada.id)} == {each.id for each in made}


@pytest.mark.parametrize("wrapper", ["an audit", "who acts"])
def test_what_is_a_whole_unit_by_itself_is_a_part_where_more_follows(wrapper: str) -> None:
    def alone() -> Unit[str]:
        yield queries.get_user.alone(id="ada")
        return "done"

    log = LogState()
    log.note({"audit_seconds": 1})
    unit = log.keeping(alone, look=False) if wrapper == "an audit" else said(alone, datetime.now(UTC), None)
    told = [next(unit)]
    while told[-1].query.name != "get_user":
        told.append(unit.send([]))
    assert told[-1].decides is Decides.NOTHING
