"""Why somebody is signed in, or is not any more."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from authstore import SessionPolicy, connect, ops
from authstore.testing import Clock

POLICY = SessionPolicy(lifetime=timedelta(days=30), idle=timedelta(days=7))


@pytest.fixture
def clock() -> Clock:
    """A clock that a test moves."""
    return Clock(datetime(2031, 1, 1, tzinfo=UTC))


async def test_a_living_session_tells_when_it_will_die_and_what_of(tmp_path: Path, clock: Clock) -> None:
    async with connect(tmp_path / "auth.db", clock=clock, policy=POLICY) as store:
        session = await store.create_session((await store.create_user()).id)
        for told in (
            await ops.explain_session(store, id=session.id),
            await ops.explain_session(store, token=session.token),
        ):
            assert (told.state, told.ends, told.ends_of, told.ended) == (
                "alive", clock() + timedelta(days=7), "idle", None,
            )  # fmt: skip
            assert told.session is not None
            assert told.session.token is None
        clock.advance(timedelta(days=7))
        told = await ops.explain_session(store, id=session.id)
        assert told.ended is not None
        assert (told.state, told.ended.reason, told.ended.at) == ("ended", "idle", clock())


async def test_an_ended_session_tells_why_when_and_by_whom(tmp_path: Path, clock: Clock) -> None:
    async with connect(tmp_path / "auth.db", clock=clock, policy=POLICY) as store:
        session = await store.create_session((await store.create_user()).id)
        clock.advance(timedelta(hours=1))
        with ops.acting("admin:7"):
            await store.revoke_session(session.id)
        for told in (
            await ops.explain_session(store, id=session.id),
            await ops.explain_session(store, token=session.token),
        ):
            assert told.ended is not None
            assert (told.state, told.ended.reason, told.ended.at, told.ended.by) == (
                "ended", "revoked", clock(), "admin:7",
            )  # fmt: skip
        assert [event.type for event in (await ops.explain_session(store, id=session.id)).events] == ["session.ended"]


async def test_a_disabled_user_explains_their_sessions(tmp_path: Path, clock: Clock) -> None:
    async with connect(tmp_path / "auth.db", clock=clock, policy=POLICY) as store:
        user = await store.create_user()
        session = await store.create_session(user.id)
        await store.update_user(user.id, disabled=True)
        told = await ops.explain_session(store, token=session.token)
        assert told.ended is not None
        assert told.ended.reason == "user-disabled"


async def test_asking_for_a_token_that_was_replaced_ends_nothing(tmp_path: Path, clock: Clock) -> None:
    async with connect(tmp_path / "auth.db", clock=clock, policy=POLICY) as store:
        session = await store.create_session((await store.create_user()).id)
        assert session.token is not None
        new = await store.rotate_session(session.token, grace=timedelta(seconds=5))
        clock.advance(timedelta(minutes=1))
        told = await ops.explain_session(store, token=session.token)
        assert told.ended is not None
        assert told.ended.reason == "rotated"
        assert new is not None
        assert new.token is not None
        assert await store.get_session(new.token) is not None
        assert (await ops.explain_session(store, token=new.token)).state == "alive"


@pytest.mark.parametrize("token", ["x", "x" * 43, "id." + "x" * 43, "\ud800" * 20])
async def test_of_what_never_was_nothing_is_known(tmp_path: Path, token: str) -> None:
    async with connect(tmp_path / "auth.db") as store:
        assert (await ops.explain_session(store, token=token)).state == "unknown"
        assert (await ops.explain_session(store, id="nobody")).state == "unknown"
        with pytest.raises(ValueError, match="id, or its token"):
            await ops.explain_session(store)


async def test_a_file_is_asked_without_being_opened_for_writing(tmp_path: Path) -> None:
    async with connect(tmp_path / "auth.db") as store:
        session = await store.create_session((await store.create_user()).id)
        await asyncio.gather(*(store.create_session(session.user_id) for _ in range(3)))
    assert (await ops.explain_session(tmp_path / "auth.db", id=session.id)).state == "alive"
