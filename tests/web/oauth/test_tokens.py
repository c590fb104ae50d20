"""Access tokens: used as they come, kept with their lifetime, renewed, or else said to be used up."""

import json
from datetime import timedelta
from typing import Any

import pytest

from authstore import ConfigurationError
from authstore.testing.web import Lies, Person
from authstore.web import ProviderError, google, oidc
from tests.web.conftest import vouching
from tests.web.oauth.plain_provider import PlainProvider, arrive, plain

LIFETIMES = [1, 30, 60, 61, "45", 0, -1, "0", "", "never", None, True, 1e400, "NaN", [], 10**12]


@pytest.mark.parametrize("lifetime", LIFETIMES, ids=repr)
async def test_a_fresh_token_is_used_as_it_is_whatever_is_said_of_its_lifetime(
    make_world: Any, lifetime: object
) -> None:
    provider = PlainProvider(me={"id": 7, "name": "Ada"})
    provider.token = {"access_token": "a", "refresh_token": "r1", "expires_in": lifetime, "expires_at": "soon"}
    if lifetime == 1e400:
        provider.token["expires_in"] = "1e400"
    world = await make_world(providers=[plain(provider)])
    assert (await arrive(world, world.new_browser(), "plain")).status_code == 303
    account = await world.store.get_account("plain", "7")
    assert (account.access_token, account.refresh_token) == ("a", "r1")
    assert [form["grant_type"] for _, form in provider.token_requests] == ["authorization_code"]
    said = {1: 1, 30: 30, 60: 60, 61: 61, "45": 45}.get(lifetime) if isinstance(lifetime, (int, str)) else None
    expected = None if said is None or lifetime is True else world.clock.now + timedelta(seconds=said)
    assert account.expires_at == expected


async def test_what_an_application_fetches_goes_with_the_same_token(make_world: Any) -> None:
    async def identify(told: Any, fetch: Any) -> Any:
        from authstore.web import Identity

        return Identity(id=told["id"], name=(await fetch("https://plain.example/more"))["title"])

    provider = PlainProvider(me={"id": "7"}, more={"title": "Countess"})
    provider.token = {"access_token": "short", "refresh_token": "r1", "expires_in": 5}
    world = await make_world(providers=[plain(provider, identify=identify)])
    assert (await arrive(world, world.new_browser(), "plain")).status_code == 303
    assert provider.authorizations == ["Bearer short"] * 2


async def test_claims_at_the_user_info_are_asked_with_a_token_of_one_second(world: Any, browser: Any) -> None:
    world.pretend.lies = Lies(claims={"email": None, "name": None})
    world.pretend.token_seconds = 1
    assert (await world.sign_in(browser)).status_code == 303
    assert (await world.store.get_user(await browser.who())).name == "Ada Lovelace"


async def test_a_token_that_is_no_bearers_is_not_sent_as_one(make_world: Any) -> None:
    provider = PlainProvider(me={"id": 7})
    provider.token = {"access_token": "a", "token_type": "DPoP"}
    world = await make_world(providers=[plain(provider)])
    assert (await arrive(world, world.new_browser(), "plain")).status_code == 502
    assert provider.authorizations == []


# Later


async def linked(world: Any, **tokens: Any) -> None:
    user = await world.store.create_user(name="Ada")
    await world.store.link_account(user.id, "pretend", "ada-1", **tokens)


async def test_an_account_that_ran_out_and_has_no_refresh_token_needs_a_new_sign_in(world: Any) -> None:
    expired = world.clock.now - timedelta(hours=5)
    await linked(world, access_token="old", expires_at=expired)
    with pytest.raises(ProviderError, match="sign in there again"):
        await world.auth.fresh_account("pretend", "ada-1")


@pytest.mark.parametrize("tokens", [{}, {"access_token": ""}, {"access_token": "", "refresh_token": ""}], ids=str)
async def test_an_account_without_any_token_needs_a_new_sign_in(world: Any, tokens: dict[str, str]) -> None:
    await linked(world, **tokens)
    with pytest.raises(ProviderError, match="sign in there again"):
        await world.auth.fresh_account("pretend", "ada-1")


async def test_an_account_with_a_refresh_token_alone_is_refreshed(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    kept = await world.store.get_account("pretend", "ada-1")
    await world.store.unlink_account("pretend", "ada-1")
    await world.store.link_account(kept.user_id, "pretend", "ada-1", refresh_token=kept.refresh_token)
    assert (await world.auth.fresh_account("pretend", "ada-1")).access_token is not None


async def test_a_token_of_unknown_lifetime_is_taken_as_good(world: Any) -> None:
    await linked(world, access_token="good")
    assert (await world.auth.fresh_account("pretend", "ada-1")).access_token == "good"


SHAPES: list[Any] = [
    *({}, "", [], None, 7, [{"access_token": "x"}], {"token": "x"}),
    *({"access_token": told} for told in ("", None, "é", "a\nb")),
]


@pytest.mark.parametrize("answer", SHAPES, ids=repr)
async def test_a_refresh_that_brings_no_token_is_the_providers_fault(world: Any, browser: Any, answer: Any) -> None:
    await world.sign_in(browser)
    before = await world.store.get_account("pretend", "ada-1")
    world.clock.advance(timedelta(hours=1))
    world.pretend.lies = Lies(body=json.dumps(answer).encode())
    with pytest.raises(ProviderError, match="pretend"):
        await world.auth.fresh_account("pretend", "ada-1")
    assert (await world.store.get_account("pretend", "ada-1")).access_token == before.access_token


@pytest.mark.parametrize("answer", SHAPES, ids=repr)
async def test_a_code_that_brings_no_token_signs_nobody_in(make_world: Any, answer: Any) -> None:
    provider = PlainProvider(me={"id": 7})
    provider.token = answer
    world = await make_world(providers=[plain(provider)])
    assert (await arrive(world, world.new_browser(), "plain")).status_code == 502


async def test_a_message_about_a_provider_holds_no_address(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    world.clock.advance(timedelta(hours=1))
    told = {"error": "invalid_grant", "error_description": "ada@example.com is gone"}
    world.pretend.lies = Lies(status=400, body=json.dumps(told).encode())
    with pytest.raises(ProviderError, match="invalid_grant") as caught:
        await world.auth.fresh_account("pretend", "ada-1")
    assert "example.com" not in str(caught.value)


async def test_presets_ask_for_refresh_tokens_where_they_are_told_to(make_world: Any) -> None:
    provider = google("client", "client-secret", authorize_params={"access_type": "offline", "prompt": "consent"})
    assert provider.authorize_params == {"access_type": "offline", "prompt": "consent"}


TAKEN = ["state", "nonce", "redirect_uri", "client_id", "response_type", "code_challenge", "code_challenge_method"]


@pytest.mark.parametrize("name", [*TAKEN, "scope", "request", "request_uri"])
def test_what_the_flow_sets_cannot_be_set_beside_it(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        google("client", "secret", authorize_params={name: "x"})


@pytest.mark.parametrize("mode", ["fragment", "web_message", "query.jwt", ""])
def test_an_answer_comes_only_where_the_flow_looks_for_it(mode: str) -> None:
    with pytest.raises(ConfigurationError, match="response_mode"):
        google("client", "secret", authorize_params={"response_mode": mode})


# Whose word is a proof


async def test_what_a_generic_provider_calls_verified_is_an_address_and_no_proof(make_world: Any) -> None:
    """Whoever writes somebody's address down at such a provider must not share the user with its owner."""
    world = await make_world()
    at = world.pretend
    generic = oidc("corp", at.client_id, at.client_secret, at.discovery_url, transport=at.transport)
    world = await make_world(store=world.store, providers=[generic])
    squatter, owner = world.new_browser(), world.new_browser()
    departure = await squatter.get("/auth/login/corp")
    await squatter.get(await at.approve(departure.headers["location"], Person("eve-1", "ada@example.com")))
    squatted = await world.store.get_user(await squatter.who())
    assert (squatted.email, squatted.email_verified) == ("ada@example.com", None)
    link = await world.letter_to(owner, "ada@example.com")
    await owner.submit(link.partition("app.example")[2])
    assert await owner.who() == squatted.id
    assert await squatter.who() is None
    assert await world.store.list_accounts(squatted.id) == []


async def test_a_generic_provider_proves_addresses_where_it_is_trusted_by_name(make_world: Any) -> None:
    world = await make_world()
    at = world.pretend
    generic = oidc("corp", at.client_id, at.client_secret, at.discovery_url, transport=at.transport)
    world = await make_world(store=world.store, providers=[generic], trust_email_of=["corp"])
    browser = world.new_browser()
    departure = await browser.get("/auth/login/corp")
    await browser.get(await at.approve(departure.headers["location"], Person("ada-1", "ada@example.com")))
    assert (await world.store.get_user(await browser.who())).email_verified == world.clock.now


async def test_whoever_came_by_a_provider_that_verifies_keeps_it_after_a_letter(world: Any, browser: Any) -> None:
    assert vouching(oidc("x", "i", None, "http://127.0.0.1/.well-known/openid-configuration")).vouches
    await world.sign_in(browser)
    adas = await browser.who()
    elsewhere = world.new_browser()
    link = await world.letter_to(elsewhere, "ada@example.com")
    await elsewhere.submit(link.partition("app.example")[2])
    assert await elsewhere.who() == adas
    assert len(await world.store.list_accounts(adas)) == 1
