"""What is asked for is told to a provider directly where it takes that (RFC 9126); the browser sees none of it."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import ECKey

from tests.web.certified.visitor import AFTER

OFFERED = {"features": {"pushedAuthorizationRequests": {"enabled": True}}}
REQUIRED = {
    "features": {"pushedAuthorizationRequests": {"enabled": True, "requirePushedAuthorizationRequests": True}},
}


async def signs_in(world: Any) -> list[str]:
    """Signs somebody in; what the provider was asked."""
    page = await world.visitor.sign_in()
    assert str(page.url) == AFTER, (page.text, world.provider.complaints()[-2000:])
    assert await world.visitor.who() == "ada@example.com"
    return list(world.provider.requests())


@pytest.mark.parametrize("configuration", [OFFERED, REQUIRED])
async def test_the_browser_carries_a_reference_and_nothing_else(make_world: Any, configuration: Any) -> None:
    world = await make_world(provider=configuration)
    assert "POST /request" in await signs_in(world)
    there = urlsplit(world.visitor.trail[0])
    asked = parse_qs(there.query)
    assert asked.keys() == {"client_id", "request_uri"}
    assert there.path == "/auth"


async def test_a_provider_that_does_not_offer_it_is_asked_through_the_browser(make_world: Any) -> None:
    world = await make_world()
    assert "POST /request" not in await signs_in(world)
    asked = parse_qs(urlsplit(world.visitor.trail[0]).query)
    assert asked.keys() >= {"state", "nonce", "code_challenge", "redirect_uri"}


async def test_a_client_may_be_required_to_push(make_world: Any) -> None:
    world = await make_world({"require_pushed_authorization_requests": True}, OFFERED)
    assert "POST /request" in await signs_in(world)


async def test_an_answer_as_a_form_can_be_asked_for_by_pushing(make_world: Any) -> None:
    world = await make_world(provider=REQUIRED, authorize_params={"response_mode": "form_post"})
    assert "POST /request" in await signs_in(world)


async def test_a_public_client_pushes_too(make_world: Any) -> None:
    client = {"client_secret": None, "token_endpoint_auth_method": "none"}
    world = await make_world(client, REQUIRED, client_secret=None)
    assert "POST /request" in await signs_in(world)


async def test_a_key_proves_who_pushes(make_world: Any) -> None:
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"})
    client = {
        "client_secret": None,
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [key.as_dict(private=False)]},
    }
    pem = key.as_pem(private=True).decode()
    options = {"client_secret": pem, "token_endpoint_auth_method": "private_key_jwt"}
    assert "POST /request" in await signs_in(await make_world(client, REQUIRED, **options))


async def test_a_refused_request_is_a_page_that_says_whose_fault_it_is(make_world: Any, caplog: Any) -> None:
    world = await make_world(provider=REQUIRED, client_secret="another-secret")
    page = await world.visitor.open("/auth/login/corp")
    assert page.status_code == 502
    assert "Corp" in page.text
    assert "invalid_client" in caplog.text
    assert "another-secret" not in caplog.text


async def test_nobody_is_sent_to_a_provider_whose_pushing_fails(make_world: Any) -> None:
    world = await make_world(provider=OFFERED)
    world.provider.fail_at("/request")
    page = await world.visitor.open("/auth/login/corp")
    assert page.status_code == 502
    assert world.visitor.trail == []
