"""People sign in at a certified provider, whatever it signs with and wherever it tells who they are."""

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from httpx2 import URL

from tests.web.certified.visitor import AFTER

ALGORITHMS = ["RS256", "ES256", "PS256", "EdDSA"]


async def signs_in(world: Any, login: str = "ada") -> None:
    page = await world.visitor.sign_in(login)
    assert str(page.url) == AFTER, (page.text, world.provider.complaints()[-2000:])
    assert await world.visitor.who() == f"{login}@example.com"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_each_asymmetric_signature_is_checked_and_accepted(make_world: Any, algorithm: str) -> None:
    await signs_in(await make_world({"id_token_signed_response_alg": algorithm}))


async def test_a_signature_by_a_shared_secret_proves_nothing(make_world: Any) -> None:
    algorithms = {"idTokenSigningAlgValues": ["HS256", "RS256"]}
    world = await make_world({"id_token_signed_response_alg": "HS256"}, {"enabledJWA": algorithms})
    assert (await world.visitor.sign_in()).status_code == 502
    assert await world.visitor.who() is None


@pytest.mark.parametrize("is_in_token", [True, False])
async def test_claims_are_found_in_the_id_token_or_else_at_the_user_info(make_world: Any, is_in_token: bool) -> None:
    world = await make_world(provider={"conformIdTokenClaims": not is_in_token})
    await signs_in(world)
    user = await world.store.get_user_by_email("ada@example.com")
    assert user.name == "Ada Lovelace"
    assert ("GET /me" in world.provider.requests()) is not is_in_token


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_user_info_may_come_signed(make_world: Any, algorithm: str) -> None:
    world = await make_world({"userinfo_signed_response_alg": algorithm})
    await signs_in(world)
    assert (await world.store.get_user_by_email("ada@example.com")).name == "Ada Lovelace"


async def test_two_people_are_two_users_and_come_back_as_themselves(make_world: Any) -> None:
    world = await make_world()
    await signs_in(world, "ada")
    other = world.new_visitor()
    await other.sign_in("grace")
    assert await other.who() == "grace@example.com"
    again = world.new_visitor()
    await again.sign_in("ada")
    assert await again.who() == "ada@example.com"
    assert len(await world.store.list_users()) == 2


async def test_ten_people_at_once_are_sent_to_the_provider_after_one_look_at_its_metadata(make_world: Any) -> None:
    world = await make_world()
    visitors = [world.new_visitor() for _ in range(10)]
    await asyncio.gather(*(visitor.sign_in(f"person{number}") for number, visitor in enumerate(visitors)))
    asked = world.provider.requests()
    assert asked.count("POST /token") == 10
    assert asked.count("GET /.well-known/openid-configuration") == 1
    assert asked.count("GET /jwks") == 1


@pytest.mark.parametrize("seconds", [20, 1])
async def test_an_access_token_that_soon_dies_is_good_for_signing_in(make_world: Any, seconds: int) -> None:
    world = await make_world(provider={"accessTokenSeconds": {"client": seconds}})
    await signs_in(world)
    expires_in = (await world.account()).expires_at - world.clock()
    assert expires_in.total_seconds() == seconds


async def test_the_answer_may_come_as_a_form(make_world: Any) -> None:
    await signs_in(await make_world(authorize_params={"response_mode": "form_post"}))


async def test_keys_are_known_until_a_token_names_another(make_world: Any) -> None:
    world = await make_world()
    await signs_in(world)
    world.provider.requests()
    await world.new_visitor().sign_in("grace")
    assert "GET /jwks" not in world.provider.requests()


@pytest.mark.parametrize(
    ("audiences", "status"), [((), 502), (("project",), 200), (("other",), 502), (("project", "other"), 200)]
)
async def test_a_token_for_others_too_is_accepted_where_those_are_trusted(
    make_world: Any, audiences: tuple[str, ...], status: int
) -> None:
    world = await make_world(provider={"furtherAudiences": ["project"]}, audiences=audiences)
    page = await world.visitor.sign_in()
    assert page.status_code == status
    assert (await world.visitor.who() is not None) is (status == 200)


async def test_somebody_who_cancels_is_told_so_and_may_try_again(make_world: Any) -> None:
    world = await make_world()
    asked = await world.visitor.open("/auth/login/corp?next=/after")
    page = await world.visitor.open(f"{asked.url}/abort")
    assert page.status_code == 400
    assert "You did not continue at Corp." in page.text
    await signs_in(world)


async def test_an_answer_counts_once_and_only_in_the_browser_that_asked(make_world: Any) -> None:
    world = await make_world()
    thief = world.new_visitor()
    await world.visitor.sign_in(stop_before="/auth/callback/corp")
    callback = world.visitor.trail[-1]
    assert (await thief.get(callback)).status_code == 400
    assert await thief.who() is None
    assert (await world.visitor.open(callback)).status_code == 200
    assert (await world.visitor.open(callback)).status_code == 400
    assert await world.visitor.who() == "ada@example.com"


async def test_a_stolen_code_is_worth_nothing_in_another_browsers_flow(make_world: Any) -> None:
    """PKCE and the nonce bind a code to the flow that asked for it."""
    world = await make_world()
    victim, thief = world.visitor, world.new_visitor()
    await victim.sign_in("ada", stop_before="/auth/callback/corp")
    await thief.sign_in("grace", stop_before="/auth/callback/corp")
    stolen = parse_qs(urlsplit(victim.trail[-1]).query)["code"][0]
    assert (await thief.get(str(URL(thief.trail[-1]).copy_set_param("code", stolen)))).status_code == 502
    assert await thief.who() is None


@pytest.mark.parametrize(("seconds", "status"), [(100, 200), (-100, 200), (-600, 502), (600, 200), (4000, 502)])
async def test_clocks_may_differ_by_two_minutes(make_world: Any, seconds: int, status: int) -> None:
    """A site that is behind gets tokens from the future; one that is an hour ahead, dead ones."""
    world = await make_world()
    world.clock.now += timedelta(seconds=seconds)
    page = await world.visitor.sign_in()
    assert page.status_code == status, page.text
