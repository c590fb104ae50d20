"""Whoever signs out at the provider is signed out here, by a token that it sends behind the browser's back."""

import asyncio
import json
import socket
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import uvicorn
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from authstore import StoreBusyError
from authstore.web import Identity
from tests.web.certified.certified import new_key, signing_keys
from tests.web.certified.conftest import CLIENT
from tests.web.certified.visitor import Form

EVENT = "http://schemas.openid.net/event/backchannel-logout"
PATH = "/auth/backchannel-logout/corp"


@asynccontextmanager
async def reachable(app: Any) -> AsyncIterator[str]:
    """The site at a loopback port, for the provider's own requests."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


async def sign_out_there(world: Any, visitor: Any) -> None:
    """By a page of the provider, as if the site had nothing to do with it."""
    page = await visitor.get(f"{world.provider.issuer}/session/end")
    await visitor.submit(Form.of(page))


@pytest.mark.parametrize("names_session", [True, False])
async def test_signing_out_there_signs_out_here(make_world: Any, names_session: bool) -> None:
    world = await make_world()
    async with reachable(world.app) as url:
        registered = {
            **CLIENT,
            "backchannel_logout_uri": url + PATH,
            "backchannel_logout_session_required": names_session,
        }
        world.provider.configure(registered)
        here, elsewhere, somebody_else = world.visitor, world.new_visitor(), world.new_visitor()
        for visitor, login in ((here, "ada"), (elsewhere, "ada"), (somebody_else, "grace")):
            await visitor.sign_in(login)
        await sign_out_there(world, here)
    assert await here.who() is None
    assert (await elsewhere.who() is not None) is names_session, "without a session named, all of the account end"
    assert await somebody_else.who() == "grace@example.com"


async def test_sessions_that_came_another_way_live_on(make_world: Any) -> None:
    world = await make_world()
    await world.visitor.sign_in()
    user = await world.store.get_user_by_account("corp", "ada")
    by_letter = await world.store.create_session(user.id)
    assert (await told(world, sub="ada")).status_code == 200
    assert [session.id for session in await world.store.list_sessions(user.id)] == [by_letter.id]


async def test_what_came_by_an_account_ends_though_it_is_unlinked_by_now(make_world: Any) -> None:
    world = await make_world()
    await world.visitor.sign_in()
    assert await world.store.unlink_account("corp", "ada")
    assert await world.visitor.who() == "ada@example.com"
    assert (await told(world, sub="ada")).status_code == 200
    assert await world.visitor.who() is None


async def test_one_session_there_may_be_several_here(make_world: Any) -> None:
    world = await make_world(
        {"backchannel_logout_uri": "https://app.example" + PATH, "backchannel_logout_session_required": True}
    )
    await world.visitor.sign_in()
    first = world.visitor.cookies
    session_id = await provider_session(world)
    again = world.new_visitor()
    for cookie in first.jar:
        if cookie.domain == "127.0.0.1":
            again.cookies.jar.set_cookie(cookie)
    await again.sign_in()
    assert await again.who() == "ada@example.com"
    assert (await told(world, sid=session_id)).status_code == 200
    assert await world.visitor.who() is None
    assert await again.who() is None


async def test_a_session_of_another_account_does_not_end_by_its_name(make_world: Any) -> None:
    world = await make_world(
        {"backchannel_logout_uri": "https://app.example" + PATH, "backchannel_logout_session_required": True}
    )
    await world.visitor.sign_in()
    assert (await told(world, sub="grace", sid=await provider_session(world))).status_code == 200
    assert await world.visitor.who() == "ada@example.com"


async def test_an_unknown_session_is_signed_out_already(make_world: Any) -> None:
    world = await make_world()
    assert (await told(world, sub="nobody")).status_code == 200
    assert (await told(world, sid="none")).status_code == 200


async def test_a_token_counts_once(make_world: Any) -> None:
    world = await make_world()
    token = signed(logout_claims(world, sub="ada"))
    assert (await sent(world, token)).status_code == 200
    await world.visitor.sign_in()
    assert (await sent(world, token)).status_code == 400
    world.clock.advance(60)
    assert (await sent(world, token)).status_code == 400
    assert await world.visitor.who() == "ada@example.com"


async def test_what_a_busy_store_could_not_end_ends_when_it_is_told_again(
    make_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world()
    await world.visitor.sign_in()
    token = signed(logout_claims(world, sub="ada"))

    async def busy(*_: Any, **__: Any) -> Any:
        raise StoreBusyError("waited the whole busy timeout")

    with monkeypatch.context() as patched:
        patched.setattr(type(world.store), "revoke_session", busy)
        assert (await sent(world, token)).status_code == 503
    assert await world.visitor.who() == "ada@example.com"
    answers = await asyncio.gather(*(sent(world, token) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]
    assert await world.visitor.who() is None


async def test_accounts_that_are_called_otherwise_here_are_found_by_what_they_are_called_there(make_world: Any) -> None:
    async def identify(claims: Any, _fetch: Any) -> Any:
        return Identity(id=f"employee-{claims['sub']}", email=claims["email"])

    world = await make_world(identify=identify)
    await world.visitor.sign_in()
    assert await world.visitor.who() == "ada@example.com"
    assert (await told(world, sub="ada")).status_code == 200
    assert await world.visitor.who() is None


CHANGES = {
    "another issuer": {"iss": "https://other.example"},
    "for somebody else": {"aud": "another-client"},
    "for others too": {"aud": ["client", "another-client"]},
    "no time": {"iat": None},
    "from the future": {"iat": 10_000},
    "from long ago": {"iat": -10_000},
    "no end": {"exp": None},
    "over": {"exp": -1000},
    "good for days": {"exp": 200_000},
    "no name": {"jti": None},
    "an empty name": {"jti": ""},
    "a number for a name": {"jti": 7},
    "no event": {"events": None},
    "another event": {"events": {"http://schemas.openid.net/event/other": {}}},
    "an event that is no object": {"events": {EVENT: "yes"}},
    "events in a list": {"events": [EVENT]},
    "an ID token": {"nonce": "n"},
    "about nobody": {"sub": None},
    "about an empty name": {"sub": ""},
    "about a number": {"sub": 7},
    "about an empty session": {"sid": ""},
}


@pytest.mark.parametrize("what", CHANGES)
async def test_what_is_not_wholly_right_signs_nobody_out(make_world: Any, what: str) -> None:
    world = await make_world()
    await world.visitor.sign_in()
    claims = {**logout_claims(world, sub="ada"), **CHANGES[what]}
    for name in ("iat", "exp"):
        if isinstance(CHANGES[what].get(name), int):
            claims[name] += int(world.clock().timestamp())
    answer = await sent(world, signed({name: value for name, value in claims.items() if value is not None}))
    assert answer.status_code == 400
    assert answer.headers["cache-control"] == "no-store"
    assert await world.visitor.who() == "ada@example.com"


async def test_what_the_provider_did_not_sign_signs_nobody_out(make_world: Any) -> None:
    world = await make_world()
    await world.visitor.sign_in()
    claims = logout_claims(world, sub="ada")
    forged = [
        signed(claims, key=new_key("rsa", "RS256")),
        signed(claims, {"alg": "HS256"}, OctKey.import_key(CLIENT["client_secret"]).as_dict()),
        unsigned(claims),
        signed(claims, {"typ": "at+jwt"}),
        signed(claims, {"kid": "another"}),
        "not a token",
        "",
        "x" * 20_000,
    ]
    for token in forged:
        assert (await sent(world, token)).status_code == 400, token[:40]
    assert await world.visitor.who() == "ada@example.com"


async def test_who_sends_rubbish_makes_the_site_ask_the_provider_for_keys_but_seldom(make_world: Any) -> None:
    world = await make_world()
    await world.visitor.sign_in()
    world.provider.requests()
    for seconds in (0, 5, 5, 1):
        world.clock.advance(seconds)
        for _ in range(3):
            await sent(world, signed(logout_claims(world, sub="ada"), {"kid": str(uuid4())}))
    assert world.provider.requests().count("GET /jwks") == 1


async def test_there_is_no_such_place_for_other_providers(make_world: Any) -> None:
    world = await make_world()
    assert (await world.visitor.post("/auth/backchannel-logout/other", data={"logout_token": "x"})).status_code == 404
    assert (await world.visitor.get(PATH)).status_code == 405


def logout_claims(world: Any, **about: str) -> dict[str, Any]:
    now = int(world.clock().timestamp())
    return {
        "iss": world.provider.issuer,
        "aud": "client",
        "iat": now,
        "exp": now + 120,
        "jti": str(uuid4()),
        "events": {EVENT: {}},
        **about,
    }


def signed(claims: Any, header: Any = None, key: Any = None) -> str:
    """A token by the provider's first key, unless another one is given."""
    described = {"alg": "RS256", "kid": "rsa", "typ": "logout+jwt", **(header or {})}
    kind = OctKey if described["alg"] == "HS256" else RSAKey
    return jwt.encode(described, claims, kind.import_key(key or signing_keys()[0]), algorithms=[described["alg"]])


def unsigned(claims: dict[str, Any]) -> str:
    parts = ({"alg": "none", "typ": "logout+jwt"}, claims)
    return ".".join(urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


async def sent(world: Any, token: str) -> httpx2.Response:
    """What the provider is answered."""
    return await world.visitor.post(PATH, data={"logout_token": token}, headers={"accept": "application/json"})


async def told(world: Any, **about: str) -> httpx2.Response:
    return await sent(world, signed(logout_claims(world, **about)))


async def provider_session(world: Any) -> str:
    """What the provider calls the session that somebody has there."""
    payload = jwt.decode((await world.account()).id_token, RSAKey.import_key(signing_keys()[0]), algorithms=["RS256"])
    return str(payload.claims["sid"])
