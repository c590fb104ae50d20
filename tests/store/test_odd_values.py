"""What one database takes or refuses, the other does too, with the same error."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any

import pytest

from authstore import Adapter, connect
from authstore.testing import Clock

NOON = datetime(2031, 10, 26, 12, tzinfo=UTC)
_HOUR = timedelta(hours=1)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a new store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/auth.db"
    source: str = request.getfixturevalue("source_url")
    return source


@pytest.fixture
async def store(url: str) -> AsyncIterator[Adapter]:
    async with connect(url, clock=Clock(NOON)) as opened:
        yield opened


class _Berlin(tzinfo):
    """The night in which an hour comes twice: 02:00 to 03:00, first of summer time, then of winter time."""

    def utcoffset(self, when: datetime | None) -> timedelta:
        return timedelta(hours=1 if when is not None and when.fold else 2)

    def dst(self, when: datetime | None) -> timedelta:
        return self.utcoffset(when) - timedelta(hours=1)

    def fromutc(self, when: datetime) -> datetime:
        return when + timedelta(hours=2)


TWICE = datetime(2031, 10, 27, 2, 30, tzinfo=_Berlin())
GIVEN: list[tuple[Any, datetime]] = [
    ("2031-10-27T00:30:00+00:00", datetime(2031, 10, 27, 0, 30, tzinfo=UTC)),
    ("2031-10-27T00:30:00.000001Z", datetime(2031, 10, 27, 0, 30, 0, 1, tzinfo=UTC)),
    ("2031-10-27 06:15+05:45", datetime(2031, 10, 27, 0, 30, tzinfo=UTC)),
    (datetime(2031, 10, 27, 6, 15, tzinfo=timezone(timedelta(hours=5, minutes=45))), TWICE.astimezone(UTC)),
]


async def test_an_expiry_is_an_instant_however_it_is_written(store: Adapter) -> None:
    await store.create_user(id="ada")
    session = await store.create_session("ada")
    for given, meant in [*GIVEN, (TWICE, TWICE.astimezone(UTC)), (TWICE.replace(fold=1), GIVEN[0][1] + _HOUR)]:
        updated = await store.update_session(session.token or "", expires=given)
        assert updated is not None
        assert updated.expires == meant
        assert updated.expires.tzinfo is UTC
        assert await store.get_session(session.token or "") == updated
        made = await store.create_session("ada", expires=given)
        assert made.expires == meant
        visit = await store.open_visit(expires=given)
        assert visit.expires == meant


@pytest.mark.parametrize("given", ["2031-10-27", "tomorrow", "", 5, None, NOON.replace(tzinfo=None), NOON.date()])
async def test_what_is_no_instant_is_no_expiry(store: Adapter, given: Any) -> None:
    await store.create_user(id="ada")
    session = await store.create_session("ada")
    for token in (session.token or "", "unknown-token-0123456789"):
        with pytest.raises(ValueError):
            await store.update_session(token, expires=given)
    assert await store.get_session(session.token or "") == session


@pytest.mark.parametrize(
    "now",
    [
        datetime(2031, 1, 1),
        "2031-01-01T00:00:00Z",
        1925000000,
        None,
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
    ],
    ids=str,
)
async def test_a_clock_that_gives_no_instant_opens_no_store(url: str, now: Any) -> None:
    with pytest.raises(ValueError):
        async with connect(url, clock=lambda: now):
            raise AssertionError("it opened")
