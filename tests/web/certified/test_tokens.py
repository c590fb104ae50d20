"""Access tokens are refreshed by one, refresh tokens rotate, and whoever used a stolen one ends the grant."""

import asyncio
from typing import Any

import httpx2
import pytest

from authstore.web import ProviderError
from tests.web.certified.conftest import CLIENT, OFFLINE

LIVES = {"accessTokenSeconds": {"client": 20}}


async def test_a_token_that_is_good_is_given_as_it_is(make_world: Any) -> None:
    world = await make_world(**OFFLINE)
    await world.visitor.sign_in()
    world.provider.requests()
    account = await world.auth.fresh_account("corp", "ada")
    assert account == await world.account()
    assert world.provider.requests() == []


async def test_of_many_who_need_a_fresh_token_one_asks_and_all_get_it(make_world: Any) -> None:
    world = await make_world(provider=LIVES, **OFFLINE)
    await world.visitor.sign_in()
    before = await world.account()
    world.clock.advance(19)
    world.provider.requests()
    fresh = await asyncio.gather(*(world.auth.fresh_account("corp", "ada") for _ in range(20)))
    assert world.provider.requests().count("POST /token") == 1
    assert {account.access_token for account in fresh} == {(await world.account()).access_token}
    after = await world.account()
    assert after.access_token != before.access_token
    assert after.refresh_token != before.refresh_token, "the provider rotates"
    assert await told_by(world, after.access_token) == "ada@example.com"


async def test_refresh_tokens_rotate_for_as_long_as_one_comes_back(make_world: Any) -> None:
    world = await make_world(provider=LIVES, **OFFLINE)
    await world.visitor.sign_in()
    seen = {(await world.account()).refresh_token}
    for _ in range(5):
        world.clock.advance(3600)
        account = await world.auth.fresh_account("corp", "ada")
        assert account.expires_at > world.clock()
        assert await told_by(world, account.access_token) == "ada@example.com"
        seen.add(account.refresh_token)
    assert len(seen) == 6


async def test_a_refresh_token_that_does_not_rotate_is_kept(make_world: Any) -> None:
    world = await make_world(provider={**LIVES, "rotatesRefreshTokens": False}, **OFFLINE)
    await world.visitor.sign_in()
    kept = (await world.account()).refresh_token
    for _ in range(2):
        world.clock.advance(60)
        account = await world.auth.fresh_account("corp", "ada")
        assert account.refresh_token == kept
        assert await told_by(world, account.access_token) == "ada@example.com"


async def test_a_stolen_refresh_token_ends_the_grant_until_somebody_signs_in_again(make_world: Any) -> None:
    world = await make_world(provider=LIVES, **OFFLINE)
    await world.visitor.sign_in()
    stolen = (await world.account()).refresh_token
    world.clock.advance(60)
    await world.auth.fresh_account("corp", "ada")
    assert (await refreshed_by_thief(world, stolen)).json()["error"] == "invalid_grant"

    world.clock.advance(60)
    with pytest.raises(ProviderError) as refusal:
        await world.auth.fresh_account("corp", "ada")
    assert stolen not in str(refusal.value)

    await world.visitor.sign_in()
    account = await world.auth.fresh_account("corp", "ada")
    assert await told_by(world, account.access_token) == "ada@example.com"


async def test_a_thief_who_was_first_is_found_out_when_the_site_refreshes(make_world: Any) -> None:
    world = await make_world(provider=LIVES, **OFFLINE)
    await world.visitor.sign_in()
    loot = (await refreshed_by_thief(world, (await world.account()).refresh_token)).json()
    world.clock.advance(60)
    with pytest.raises(ProviderError):
        await world.auth.fresh_account("corp", "ada")
    assert (await refreshed_by_thief(world, loot["refresh_token"])).json()["error"] == "invalid_grant"


async def test_signing_in_by_a_token_of_one_second_spends_no_refresh_token(make_world: Any) -> None:
    """What would be refreshed on the way to the user info would be lost, and its use later counted as theft."""
    world = await make_world(provider={"accessTokenSeconds": {"client": 1}}, **OFFLINE)
    await world.visitor.sign_in()
    assert world.provider.requests().count("POST /token") == 1
    world.clock.advance(60)
    account = await world.auth.fresh_account("corp", "ada")
    assert account.expires_at > world.clock()


async def told_by(world: Any, access_token: str) -> str:
    """What the provider's user info says to whoever shows this token."""
    async with httpx2.AsyncClient(verify=False) as client:
        answer = await client.get(f"{world.provider.issuer}/me", headers={"authorization": f"Bearer {access_token}"})
    return str(answer.json()["email"])


async def refreshed_by_thief(world: Any, refresh_token: str) -> httpx2.Response:
    """Somebody who has the client's secret too."""
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    async with httpx2.AsyncClient(verify=False) as client:
        credentials = (CLIENT["client_id"], CLIENT["client_secret"])
        return await client.post(f"{world.provider.issuer}/token", data=form, auth=credentials)
