"""What one database takes or refuses, the other does too, with the same error."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any

import pytest

from authstore import Adapter, SessionPolicy, StoreError, connect, ops
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


@pytest.mark.parametrize("lifetime", [None, timedelta(days=1)])
async def test_a_use_at_the_instant_of_the_last_is_no_event(url: str, lifetime: timedelta | None) -> None:
    clock = Clock(NOON)
    async with connect(url, clock=clock, policy=SessionPolicy(lifetime=lifetime, touch_every=timedelta(0))) as store:
        await store.create_user(id="ada")
        session = await store.create_session("ada")
        for microseconds in (0, 0, 1, 0, 60_000_000):
            clock.advance(timedelta(microseconds=microseconds))
            touched = await store.touch_session(session.token or "")
            assert touched is not None
            assert touched.last_used_at == clock()
        assert await store.events() == []


async def test_whoever_encrypts_tokens_anew_is_named(url: str) -> None:
    async with connect(url, clock=Clock(NOON), audit=timedelta(days=1)) as store:
        await store.create_user(id="ada")
        await store.link_account("ada", "github", "42", access_token="plain")
        newest = (await store.events())[-1].seq
    async with connect(url, clock=Clock(NOON + _HOUR), keys=["k" * 32]) as store:
        with ops.acting("admin:7"):
            assert await store.rekey() == 1
        [event] = await store.events(after=newest)
        assert (event.type, event.actor, event.at) == ("account.refreshed", "admin:7", NOON + _HOUR)


async def test_what_is_too_long_to_be_looked_up_by_is_refused_or_kept_whole(store: Adapter) -> None:
    long = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(5000))  # nothing that could be packed
    await store.create_user(id="ada")
    results = await asyncio.gather(
        store.create_user(id=long),
        store.link_account("ada", "github", long),
        store.sign_in_with_account(provider=long, provider_account_id="42"),
        store.create_role(long),
        store.create_authenticator("ada", long, b"key"),
        store.create_verification_token("ada", purpose=long),
        return_exceptions=True,
    )
    errors = [result for result in results if isinstance(result, BaseException)]
    assert all(type(error) is StoreError and "too long" in str(error) for error in errors)
    assert (len(errors), len(await store.list_users())) in [(0, 3), (6, 1)]


@pytest.mark.parametrize("write", ["create_user", "rekey", "transaction"])
async def test_who_waits_for_a_transaction_gets_away_at_once(store: Adapter, write: str) -> None:
    async def call() -> None:
        if write == "transaction":
            async with store.transaction():
                raise AssertionError("it waits")
        await (store.create_user(id="eve") if write == "create_user" else store.rekey())

    async with store.transaction() as inside:
        began = time.monotonic()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await call()
        assert time.monotonic() - began < 3
        await inside.create_user(id="ada")
    assert [user.id for user in await store.list_users()] == ["ada"]
    await store.create_user(id="eve")
