"""Providers change their keys, go away and come back, and nobody has to restart the site."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from authstore.web.oauth.signatures import ProviderKeys
from tests.web.certified.certified import new_key
from tests.web.certified.conftest import CLIENT, OFFLINE
from tests.web.certified.visitor import AFTER

METADATA = "GET /.well-known/openid-configuration"


async def signs_in(world: Any, login: str = "ada") -> None:
    visitor = world.new_visitor()
    page = await visitor.sign_in(login)
    assert str(page.url) == AFTER, (page.text, world.provider.complaints()[-2000:])
    assert await visitor.who() == f"{login}@example.com"


async def signed_in_account(world: Any) -> Any:
    await signs_in(world)
    return await world.account()


def told(document: Any) -> Callable[[], Awaitable[Any]]:
    async def tell() -> Any:
        return document

    return tell


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


async def test_keys_of_kinds_that_nobody_here_knows_are_passed_over(make_world: Any) -> None:
    world = await make_world()
    strange = {"kty": "EC", "crv": "secp256k1", "kid": "strange", "x": "AA", "y": "AA"}
    client = world.auth._clients["corp"]
    published = await client._published_keys()
    assert len(published["keys"]) == 4
    keys = ProviderKeys("corp", told({"keys": [strange, {"kty": "AKP"}, {}, None, *published["keys"]]}), world.clock)
    token = (await signed_in_account(world)).id_token
    assert (await keys.verified(token, ["RS256"])).claims["sub"] == "ada"


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


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks"])
async def test_what_is_known_of_a_provider_stays_while_it_cannot_be_asked_again(make_world: Any, path: str) -> None:
    world = await make_world()
    await signs_in(world)
    world.clock.advance(7200)
    world.provider.fail_at(path)
    world.provider.requests()
    await signs_in(world)
    await signs_in(world, "grace")
    assert world.provider.requests().count(f"GET {path}") == 1, "whoever does not answer is left in peace for a minute"
    world.clock.advance(61)
    world.provider.fail_at()
    await signs_in(world)
    assert world.provider.requests().count(f"GET {path}") == 1


async def test_metadata_and_keys_are_asked_for_again_after_an_hour(make_world: Any) -> None:
    world = await make_world()
    await signs_in(world)
    for seconds, asked in ((3599, 0), (1, 1), (3600, 1)):
        world.clock.advance(seconds)
        world.provider.requests()
        await signs_in(world)
        requests = world.provider.requests()
        assert (requests.count("GET /jwks"), requests.count(METADATA)) == (asked, asked), seconds


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
