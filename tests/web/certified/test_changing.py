"""Providers change their keys, go away and come back, and nobody has to restart the site."""

import asyncio
from typing import Any

from tests.web.certified.certified import new_key
from tests.web.certified.conftest import CLIENT, OFFLINE
from tests.web.certified.visitor import AFTER

METADATA = "GET /.well-known/openid-configuration"


async def signs_in(world: Any, login: str = "ada") -> None:
    visitor = world.new_visitor()
    page = await visitor.sign_in(login)
    assert str(page.url) == AFTER, (page.text, world.provider.complaints()[-2000:])
    assert await visitor.who() == f"{login}@example.com"


async def test_a_new_key_is_fetched_when_a_token_names_it(make_world: Any) -> None:
    world = await make_world()
    await signs_in(world)
    world.provider.configure(CLIENT, keys=[new_key("next", "RS256")])
    world.provider.requests()
    await signs_in(world)
    asked = world.provider.requests()
    assert (asked.count("GET /jwks"), asked.count(METADATA)) == (1, 0)


async def test_a_new_key_under_an_old_name_is_fetched_when_a_signature_fails(make_world: Any) -> None:
    world = await make_world()
    await signs_in(world)
    world.provider.configure(CLIENT, keys=[new_key("rsa", "RS256")])
    await signs_in(world)


async def test_a_key_that_was_taken_back_signs_nobody_in(make_world: Any) -> None:
    """Whoever stole it goes on signing with it; the provider publishes another one under its name."""
    world = await make_world()
    await signs_in(world)
    stolen = new_key("rsa", "RS256")
    world.provider.configure(CLIENT, keys=[stolen])
    forger = world.new_visitor()
    await forger.sign_in("grace", stop_before="/auth/callback/corp")
    world.provider.configure(CLIENT, keys=[new_key("rsa", "RS256")])
    assert (await forger.open(forger.trail[-1])).status_code == 200, "signed when the code is redeemed"
    await signs_in(world)


async def test_signed_user_info_survives_a_change_of_keys(make_world: Any) -> None:
    client = {"userinfo_signed_response_alg": "ES256"}
    world = await make_world(client)
    await signs_in(world)
    world.provider.configure({**CLIENT, **client}, keys=[new_key("rsa", "RS256"), new_key("ec", "ES256")])
    await signs_in(world)


async def test_a_site_may_start_before_its_provider(make_world: Any) -> None:
    world = await make_world()
    world.provider.go_away()
    try:
        page = await world.visitor.open("/auth/login/corp?next=/after")
        assert page.status_code == 502
        assert "Corp" in page.text
    finally:
        world.provider.come_back()
    await signs_in(world)


async def test_metadata_that_is_due_is_kept_while_the_provider_does_not_tell_it(
    make_world: Any, monkeypatch: Any
) -> None:
    world = await make_world()
    await signs_in(world)
    world.clock.advance(7200)
    world.provider.configure(CLIENT, hidden=True)
    await signs_in(world)


async def test_all_who_wait_for_the_provider_wait_for_one_look_and_are_told_together(make_world: Any) -> None:
    world = await make_world()
    visitors = [world.new_visitor() for _ in range(10)]
    pages = await asyncio.gather(*(each.open("/auth/login/corp") for each in visitors))
    assert {page.status_code for page in pages} == {200}
    assert world.provider.requests().count(METADATA) == 1


async def test_a_refresh_while_the_provider_is_away_loses_nothing(make_world: Any) -> None:
    world = await make_world(provider={"accessTokenSeconds": {"client": 20}}, **OFFLINE)
    await signs_in(world)
    before = await world.account()
    world.clock.advance(60)
    world.provider.go_away()
    try:
        failed = await asyncio.gather(
            *(world.auth.fresh_account("corp", "ada") for _ in range(3)), return_exceptions=True
        )
    finally:
        world.provider.come_back()
    assert {type(error).__name__ for error in failed} == {"ProviderError"}
    assert await world.account() == before
    assert (await world.auth.fresh_account("corp", "ada")).expires_at > world.clock()
