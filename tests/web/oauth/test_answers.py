"""What providers answer, and how: half, too much, not at all, or that something went wrong there."""

import gzip
import json
from typing import Any

import httpx2
import pytest
from starlette.responses import JSONResponse, Response

from authstore.testing.web import Lies, Person
from authstore.web import github, oauth2, oidc
from tests.web.oauth.plain_provider import PlainProvider, arrive, plain

ADA = Person("ada-1", "ada@example.com", name="Ada Lovelace", picture="https://pretend.example/ada.png")


ERRORS = ["server_error", "invalid_scope", "temporarily_unavailable", "consent_required", "login_required"]


@pytest.mark.parametrize("error", ERRORS)
async def test_only_who_left_is_told_to_have_left(world: Any, browser: Any, caplog: Any, error: str) -> None:
    world.pretend.lies = Lies(error=error, response={"error_description": "user ada@example.com is\nodd"})
    departure = await browser.get("/auth/login/pretend")
    answer = await browser.get(await world.pretend.approve(departure.headers["location"]))
    assert answer.status_code == 400
    assert "did not continue" not in answer.text
    assert "did not sign you in" in answer.text
    assert error in caplog.text
    assert "is\\nodd" in caplog.text
    assert "example.com" not in caplog.text


@pytest.mark.parametrize(
    "lies", [Lies(error="server_error"), Lies(body=b"{}"), Lies(response={"code": None}), Lies(response={"iss": "x"})]
)
async def test_who_links_an_account_is_told_that_it_was_not_linked(world: Any, browser: Any, lies: Lies) -> None:
    await world.sign_in(browser, ADA)
    world.other.lies = lies
    answer = await world.sign_in(browser, ADA, provider="other")
    assert "was not linked" in answer.text
    assert "sign you in" not in answer.text
    assert [account.provider for account in await world.store.list_accounts(await browser.who())] == ["pretend"]


async def test_what_the_id_token_lacks_comes_from_the_user_info(world: Any, browser: Any) -> None:
    world.pretend.lies = Lies(claims={"name": None, "picture": None})
    await world.sign_in(browser, ADA)
    user = await world.store.get_user(await browser.who())
    assert (user.name, user.image, user.email) == (ADA.name, ADA.picture, ADA.email)
    assert user.email_verified is not None, "the address and who verified it are the ID token's"


@pytest.mark.parametrize("missing", ["name", "picture", "email"])
async def test_each_claim_that_is_missing_is_asked_for(world: Any, browser: Any, missing: str) -> None:
    world.pretend.lies = Lies(claims={missing: None})
    await world.sign_in(browser, ADA)
    user = await world.store.get_user(await browser.who())
    assert None not in (user.name, user.image, user.email)


@pytest.mark.parametrize(
    "claims", [{"name": "", "picture": " "}, {"name": 7, "picture": []}, {"email": "", "name": None}]
)
async def test_a_claim_with_nothing_in_it_is_missing(world: Any, browser: Any, claims: Any) -> None:
    world.pretend.lies = Lies(claims=claims)
    await world.sign_in(browser, ADA)
    user = await world.store.get_user(await browser.who())
    assert (user.name, user.image, user.email) == (ADA.name, ADA.picture, ADA.email)


TRUSTED = {
    "said by user info alone": ({"email_verified": None}, {}, 303),
    "said by neither": ({"email_verified": None}, {"email_verified": None}, 409),
    "said of another address": ({"email_verified": None}, {"email": "eve@example.com"}, 409),
    "denied by user info": ({"email_verified": None}, {"email_verified": False}, 409),
    "denied by the ID token": ({"email_verified": False}, {}, 409),
    "denied by user info, asked for a name": ({"name": None}, {"email_verified": False}, 303),
}


@pytest.mark.parametrize(("claims", "user_info", "status"), TRUSTED.values(), ids=TRUSTED.keys())
async def test_whether_an_address_is_verified_may_stand_in_the_user_info_beside_the_same_address(
    make_world: Any, claims: Any, user_info: Any, status: int
) -> None:
    world = await make_world(trust_email_of=["pretend"])
    owner = await world.store.create_user(email="ada@example.com", email_verified=world.clock.now)
    world.pretend.lies = Lies(claims=claims, userinfo=user_info)
    browser = world.new_browser()
    assert (await world.sign_in(browser, ADA)).status_code == status
    assert await browser.who() == (owner.id if status == 303 else None)


NOT_TOLD = {
    "forbidden": (httpx2.Response(403), 303),
    "not there": (httpx2.Response(404), 303),
    "failing": (httpx2.Response(500), 303),
    "a page": (httpx2.Response(200, html="<h1>Down for maintenance</h1>"), 303),
    "nothing": (httpx2.Response(204), 303),
    "a list": (httpx2.Response(200, json=[]), 303),
    "no JSON at all": (httpx2.Response(200, content=b"\xff\xfe"), 303),
    "nobody's": (httpx2.Response(200, json={"sub": None, "name": "Somebody"}), 303),
    "too much": (httpx2.Response(200, content=b" " * ((1 << 20) + 1)), 303),
    "a bad token": (httpx2.Response(401), 502),
}


@pytest.mark.parametrize(("told", "expected"), NOT_TOLD.values(), ids=NOT_TOLD.keys())
async def test_user_info_that_is_not_told_ends_no_sign_in(
    make_world: Any, told: httpx2.Response, expected: int
) -> None:
    world = await make_world()
    at = world.pretend

    class Refusing:
        async def handle_async_request(self, request: Any) -> Any:
            if request.url.path.endswith("/userinfo"):
                return told
            return await at.transport.handle_async_request(request)

    made = oidc("half", at.client_id, at.client_secret, at.discovery_url, transport=Refusing())
    world = await make_world(store=world.store, providers=[made])
    at.lies = Lies(claims={"name": None})
    browser = world.new_browser()
    departure = await browser.get("/auth/login/half")
    assert (await browser.get(await at.approve(departure.headers["location"], ADA))).status_code == expected
    if expected == 303:
        assert (await world.store.get_user(await browser.who())).name is None


SIZES = {"more than a mebibyte": ((1 << 20) + 1, 502), "just a mebibyte": (1 << 20, 303)}


@pytest.mark.parametrize(("size", "status"), SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize("answer", ["token", "me"])
async def test_an_answer_is_read_up_to_a_mebibyte(make_world: Any, size: int, status: int, answer: str) -> None:
    told = {"token": {"access_token": "a"}, "me": {"id": 7}}
    spare = size - len(json.dumps({**told[answer], "x": ""}, separators=(",", ":")))
    told[answer]["x"] = "x" * spare
    provider = PlainProvider(me=told["me"])
    provider.token = told["token"]
    world = await make_world(providers=[plain(provider)])
    assert (await arrive(world, world.new_browser(), "plain")).status_code == status


async def test_what_unfolds_to_more_than_a_mebibyte_is_not_read(make_world: Any) -> None:
    packed = gzip.compress(json.dumps({"id": 7, "x": "x" * (64 << 20)}).encode())
    assert len(packed) < 1 << 20
    packed_answer = Response(packed, headers={"content-encoding": "gzip", "content-type": "application/json"})
    world = await make_world(providers=[plain(PlainProvider(me=packed_answer))])
    assert (await arrive(world, world.new_browser(), "plain")).status_code == 502


async def test_a_transport_needs_no_more_than_to_answer(make_world: Any) -> None:
    provider = PlainProvider(me={"id": 7})

    class Bare:
        async def handle_async_request(self, request: Any) -> Any:
            return await provider.transport.handle_async_request(request)

    made = oauth2(
        "bare",
        "id",
        "secret",
        authorize_url="https://plain.example/authorize",
        token_url="https://plain.example/token",
        userinfo_url="https://plain.example/me",
        transport=Bare(),
    )
    world = await make_world(providers=[made])
    assert (await arrive(world, world.new_browser(), "bare")).status_code == 303


NULLS = [{"sub": None, "id": 77}, {"sub": None, "id": "77"}, {"id": 77}, {"sub": "77", "id": 1}, {"sub": "", "id": 77}]
NULLS += [{"sub": False, "id": 77}, {"sub": [], "id": "77"}, {"sub": " ", "id": 77}]


@pytest.mark.parametrize("told", NULLS, ids=str)
async def test_null_beside_a_good_field_is_as_if_it_were_not_there(make_world: Any, told: Any) -> None:
    world = await make_world(providers=[plain(PlainProvider(me={**told, "picture": None, "email": None}))])
    await arrive(world, world.new_browser(), "plain")
    assert await world.store.get_account("plain", "77") is not None


@pytest.mark.parametrize("number", ["", " ", "  ", None, True, 7.5, {}], ids=repr)
async def test_an_id_that_would_be_everybodys_signs_nobody_in(make_world: Any, number: Any) -> None:
    world = await make_world(providers=[plain(PlainProvider(me={"id": number}))])
    assert (await arrive(world, world.new_browser(), "plain")).status_code == 502
    assert await world.store.list_users() == []


@pytest.mark.parametrize("status", [403, 404, 500])
@pytest.mark.parametrize("scope", ["read:user", "read:user user:email"])
async def test_github_signs_in_without_an_address_where_it_tells_none(make_world: Any, status: int, scope: str) -> None:
    provider = PlainProvider(user={"id": 1, "login": "ada"}, user_emails=JSONResponse({"message": "no"}, status))
    world = await make_world(providers=[github("id", "secret", scope=scope, transport=provider.transport)])
    assert (await arrive(world, world.new_browser(), "github")).status_code == 303
    assert (await world.store.get_user_by_account("github", "1")).email is None


async def test_github_that_calls_the_token_bad_signs_nobody_in(make_world: Any) -> None:
    provider = PlainProvider(user={"id": 1, "login": "ada"}, user_emails=JSONResponse({"message": "no"}, 401))
    world = await make_world(providers=[github("id", "secret", transport=provider.transport)])
    assert (await arrive(world, world.new_browser(), "github")).status_code == 502


@pytest.mark.parametrize(
    ("audience", "party", "audiences", "status"),
    [
        (["client", "project"], "client", (), 502),
        (["client", "project"], "client", ("project",), 303),
        (["client", "project"], None, ("project",), 502),
        (["client", "project", "third"], "client", ("project",), 502),
        (["project"], "client", ("project",), 502),
        ("client", None, ("project",), 303),
    ],
)
async def test_an_id_token_may_be_for_others_too_where_they_are_trusted(
    make_world: Any, audience: Any, party: Any, audiences: Any, status: int
) -> None:
    world = await make_world()
    at = world.pretend
    made = oidc("shared", at.client_id, at.client_secret, at.discovery_url, audiences=audiences, transport=at.transport)
    world = await make_world(store=world.store, providers=[made])
    at.lies = Lies(claims={"aud": audience, "azp": party})
    browser = world.new_browser()
    departure = await browser.get("/auth/login/shared")
    assert (await browser.get(await at.approve(departure.headers["location"], ADA))).status_code == status


@pytest.mark.parametrize("error", [RuntimeError("ada@example.com"), Exception("of another library"), LookupError()])
@pytest.mark.parametrize("what", ["transport", "client_secret"])
async def test_whatever_an_applications_own_part_raises_is_told_as_the_providers_absence(
    make_world: Any, caplog: Any, what: str, error: Exception
) -> None:
    provider = PlainProvider(me={"id": 7})
    wellbeing = provider.transport.handle_async_request

    async def fail(*_: Any) -> Any:
        raise error

    class Carrier:
        handle_async_request = staticmethod(fail if what == "transport" else wellbeing)

    provider.transport = Carrier()  # type: ignore[assignment] # no more than the protocol asks for
    world = await make_world(providers=[plain(provider, fail if what == "client_secret" else "secret")])
    answer = await arrive(world, world.new_browser(), "plain")
    assert answer.status_code == 502
    assert type(error).__name__ in caplog.text
    assert "ada@example.com" not in caplog.text
