"""What a session came by is known for as long as it may live, and found from the provider's side."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from authstore import Adapter, Session, connect
from authstore.testing import Clock
from authstore.web.oauth.origins import _PAGE, Origin, origin_of, remember_origin, sessions_of

ADA = Origin("corp", "ada", "ada", "s1")


@pytest.fixture
async def store() -> AsyncIterator[Adapter]:
    async with connect("sqlite://") as opened:
        yield opened


async def begin(store: Adapter, origin: Origin) -> Session:
    """A session that came by this."""
    user = await store.get_user_by_account(origin.provider, origin.account_id)
    if user is None:
        user = await store.create_user()
        await store.link_account(user.id, origin.provider, origin.account_id)
    async with store.transaction() as inside:
        session = await inside.create_session(user.id)
        await remember_origin(inside, session, origin, session.expires)
    return session


async def test_a_session_knows_what_it_came_by(store: Adapter) -> None:
    first, second = await begin(store, ADA), await begin(store, replace(ADA, provider_session=None))
    assert await origin_of(store, first.id) == ADA
    assert await origin_of(store, second.id) == replace(ADA, provider_session=None)
    assert await origin_of(store, "another") is None


async def test_sessions_are_found_by_the_session_there_or_by_the_account(store: Adapter) -> None:
    first, second = await begin(store, ADA), await begin(store, replace(ADA, provider_session="s2"))
    again = await begin(store, ADA)
    await begin(store, Origin("corp", "bob", "bob", "s3"))
    assert set(await sessions_of(store, "corp", None, "s1")) == {first.id, again.id}
    assert await sessions_of(store, "corp", "ada", "s2") == (second.id,)
    assert await sessions_of(store, "corp", "bob", "s2") == ()
    assert set(await sessions_of(store, "corp", "ada", None)) == {first.id, second.id, again.id}


async def test_providers_do_not_meet(store: Adapter) -> None:
    """Two may call an account, or a session, by one name."""
    here = await begin(store, ADA)
    there = await begin(store, replace(ADA, provider="other"))
    assert await sessions_of(store, "corp", None, "s1") == (here.id,)
    assert await sessions_of(store, "other", None, "s1") == (there.id,)
    assert await sessions_of(store, "third", "ada", None) == ()


async def test_another_providers_session_of_one_user_lives_on(store: Adapter) -> None:
    here = await begin(store, ADA)
    await store.link_account(here.user_id, "other", "ada")
    there = await begin(store, replace(ADA, provider="other"))
    assert there.user_id == here.user_id
    assert await sessions_of(store, "corp", "ada", None) == (here.id,)


async def test_an_account_that_is_linked_otherwise_by_now_still_ends_what_came_by_it(store: Adapter) -> None:
    first = await begin(store, ADA)
    await store.unlink_account("corp", "ada")
    assert await sessions_of(store, "corp", "ada", None) == (first.id,)
    second = await begin(store, ADA)
    assert second.user_id != first.user_id
    assert set(await sessions_of(store, "corp", "ada", None)) == {first.id, second.id}


async def test_no_two_names_are_written_alike(store: Adapter) -> None:
    await begin(store, Origin("corp", "a", "a", "b"))
    assert await sessions_of(store, "corpa", None, "b") == ()
    assert await sessions_of(store, "cor", None, "pb") == ()


async def test_a_user_with_many_sessions_is_signed_out_of_all(store: Adapter) -> None:
    sessions = [await begin(store, replace(ADA, provider_session=None)) for _ in range(_PAGE + 20)]
    assert set(await sessions_of(store, "corp", "ada", None)) == {session.id for session in sessions}


async def test_of_one_session_there_the_last_hundred_here_are_known(store: Adapter) -> None:
    sessions = [await begin(store, ADA) for _ in range(120)]
    assert set(await sessions_of(store, "corp", None, "s1")) == {session.id for session in sessions[20:]}


async def test_it_is_forgotten_when_the_session_may_live_no_longer() -> None:
    clock = Clock()
    async with connect("sqlite://", clock=clock) as store:
        session = await begin(store, ADA)
        clock.set(session.expires - timedelta(microseconds=1))
        assert await origin_of(store, session.id) == ADA
        clock.set(session.expires)
        assert await origin_of(store, session.id) is None
        assert (await store.prune()).deleted["verification_tokens"] == 3
