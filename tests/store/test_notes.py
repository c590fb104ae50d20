"""What whoever looks after a store leaves for the next look."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from authstore import connect
from authstore.store import Store
from authstore.store.notes import Note
from authstore.testing import Clock

NOON = datetime(2031, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a new store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/auth.db"
    source: str = request.getfixturevalue("source_url")
    return source


async def test_a_note_is_there_for_whoever_opens_the_store_next_until_another_takes_its_place(url: str) -> None:
    clock = Clock(NOON)
    async with connect(url, clock=clock) as store:
        assert isinstance(store, Store)
        assert await store.get_note("backup") is None
        await store.put_note("backup", {"bytes": 1})
        await store.put_note("look")
    async with connect(url) as store:
        assert isinstance(store, Store)
        assert await store.get_note("backup") == Note(NOON, {"bytes": 1})
        made = await store.put_note("backup", {"bytes": 2})
        assert await store.get_note("backup") == made
        assert await store.get_note("look") == Note(NOON, {})
