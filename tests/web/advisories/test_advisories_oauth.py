"""What has gone wrong between logins and providers elsewhere must not go wrong here."""

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from authstore.testing.web import FORGERIES, Lies, Person

MALLORY = Person("mallory-1", "mallory@evil.example")


def params_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_nobody_is_signed_in_by(forgery: str, site: Any, visitor: Any) -> None:
    site.pretend.lies = FORGERIES[forgery]
    answer = await visitor.sign_in_at(site.pretend)
    assert 400 <= answer.status_code < 600
    assert (await visitor.who(), visitor.session_cookie) == (None, None)
    assert await site.store.list_users() == []


async def test_a_provider_that_was_caught_lying_can_be_used_again_once_it_is_honest(site: Any, visitor: Any) -> None:
    site.pretend.lies = FORGERIES["an unsigned ID token"]
    await visitor.sign_in_at(site.pretend)
    site.pretend.lies = Lies()
    await visitor.sign_in_at(site.pretend)
    assert await visitor.who() is not None


async def test_login_csrf_another_browsers_answer_signs_nobody_in(site: Any, new_visitor: Any) -> None:
    """RFC 6749 §10.12: the attacker's own answer, opened in the victim's browser."""
    attacker, victim = new_visitor(), new_visitor()
    answer_url = await site.pretend.approve(await attacker.depart(), MALLORY)
    await victim.get("/auth/sign-in")
    await victim.depart()
    assert (await victim.get(answer_url)).status_code == 400
    assert await victim.who() is None
    assert await site.store.list_users() == []


async def test_a_stolen_answer_is_worth_nothing_in_the_thiefs_browser(site: Any, new_visitor: Any) -> None:
    """RFC 9700 §4.5, code injection: the code leaked, the browser's cookie and the PKCE verifier did not."""
    victim, thief = new_visitor(), new_visitor()
    stolen = params_of(await site.pretend.approve(await victim.depart()))
    own = params_of(await site.pretend.approve(await thief.depart(), MALLORY))
    answer = await thief.get(f"/auth/callback/pretend?{urlencode({**own, 'code': stolen['code']})}")
    assert answer.status_code >= 400
    assert await thief.who() is None


async def test_an_answer_works_once(site: Any, visitor: Any) -> None:
    answer_url = await site.pretend.approve(await visitor.depart())
    assert (await visitor.get(answer_url)).status_code == 303
    first = visitor.session_cookie
    assert (await visitor.get(answer_url)).status_code == 400
    assert visitor.session_cookie == first


async def test_an_answer_of_one_provider_does_not_count_at_another(site: Any, visitor: Any) -> None:
    """RFC 9207 §1, mix-up: the flow began at one provider and comes back by the other's door."""
    answer_url = await site.pretend.approve(await visitor.depart())
    assert (await visitor.get(answer_url.replace("/callback/pretend", "/callback/other"))).status_code == 400
    assert await visitor.who() is None


async def test_a_code_is_never_shown_to_another_provider(site: Any, visitor: Any) -> None:
    """RFC 9700 §4.4, mix-up, where neither provider names itself in its answers."""
    unnamed = {"authorization_response_iss_parameter_supported": None}
    site.pretend.lies = site.other.lies = Lies(metadata=unnamed, response={"iss": None})
    answer_url = await site.pretend.approve(await visitor.depart())
    await visitor.get(answer_url.replace("/callback/pretend", "/callback/other"))
    assert "token" not in [seen.endpoint for seen in site.other.seen]
    assert await visitor.who() is None


async def test_every_flow_has_a_state_a_nonce_and_a_challenge_of_its_own(visitor: Any) -> None:
    flows = [params_of(await visitor.depart()) for _ in range(3)]
    for name in ("state", "nonce", "code_challenge"):
        assert len({flow[name] for flow in flows}) == 3
        assert all(len(flow[name]) >= 43 or name == "nonce" for flow in flows)
    assert {flow["code_challenge_method"] for flow in flows} == {"S256"}
    assert {flow["redirect_uri"] for flow in flows} == {"https://app.example/auth/callback/pretend"}


async def test_the_verifier_and_the_nonce_stay_on_the_server(site: Any, visitor: Any) -> None:
    departure = await visitor.depart()
    await visitor.get(await site.pretend.approve(departure))
    verifier = next(seen.params["code_verifier"] for seen in site.pretend.seen if seen.endpoint == "token")
    cookies = "".join(cookie.value or "" for cookie in visitor.cookies.jar)
    assert verifier not in departure + cookies
    assert params_of(departure)["nonce"] not in cookies


async def test_an_error_answer_without_our_state_is_not_believed(visitor: Any) -> None:
    """Anybody can send a browser to the callback with an error: its text must not reach the page."""
    words = "Call 555-0100 to unlock your account"
    answer = await visitor.get(f"/auth/callback/pretend?{urlencode({'error': words, 'error_description': words})}")
    assert answer.status_code == 400
    assert "555-0100" not in answer.text


async def test_a_callback_with_parameters_twice_is_refused(site: Any, visitor: Any) -> None:
    """RFC 6749 §3.1: parameters must not be included more than once."""
    answer_url = await site.pretend.approve(await visitor.depart())
    twice = f"{answer_url}&{urlencode({'state': 'another', 'code': 'another'})}"
    assert (await visitor.get(twice)).status_code == 400
    assert await visitor.who() is None


async def test_the_user_info_of_somebody_else_is_not_mixed_in(site: Any, visitor: Any) -> None:
    """OpenID Connect Core §5.3.2: a substituted access token names another subject."""
    site.pretend.lies = Lies(claims={"email": None, "email_verified": None}, userinfo={"sub": "victim"})
    assert (await visitor.sign_in_at(site.pretend)).status_code >= 400
    assert await site.store.list_users() == []


async def test_a_slow_provider_does_not_hold_up_other_requests(site: Any, new_visitor: Any) -> None:
    import asyncio

    slow, quick = new_visitor(), new_visitor()
    site.pretend.lies = Lies(delay=3600)
    waiting = asyncio.create_task(slow.sign_in_at(site.pretend))
    while not any(seen.endpoint == "token" for seen in site.pretend.seen):
        assert not waiting.done()
        await asyncio.sleep(0)
    assert (await quick.get("/auth/sign-in")).status_code == 200
    assert not waiting.done()
    waiting.cancel()


@pytest.mark.parametrize("path", ["/auth/login/unknown", "/auth/callback/unknown?code=1&state=2"])
async def test_a_provider_that_does_not_exist_is_simply_not_found(visitor: Any, path: str) -> None:
    assert (await visitor.get(path)).status_code == 404


async def test_looking_at_a_login_url_with_head_starts_nothing(site: Any, visitor: Any) -> None:
    assert (await visitor.head("/auth/login/pretend")).status_code == 405
    assert site.pretend.seen == []


@pytest.mark.parametrize("dest", ["image", "iframe", "empty", "script", "object"])
async def test_a_picture_in_a_page_of_ours_links_no_account(site: Any, visitor: Any, dest: str) -> None:
    """What users write may hold <img src="/auth/login/other">: where the browser is signed in at the provider as the
    attacker, following its redirects would link the attacker's account to the victim's user."""
    await visitor.sign_in_at(site.pretend)
    victim, embedded = await visitor.who(), {"sec-fetch-site": "same-origin", "sec-fetch-dest": dest}
    answer = await visitor.get("/auth/login/other", headers=embedded)
    assert answer.headers["location"].startswith("/auth/sign-in")
    answer_url = await site.other.approve(await visitor.depart("other"), MALLORY)
    assert (await visitor.get(answer_url, headers={**embedded, "sec-fetch-site": "cross-site"})).status_code == 400
    assert [account.provider for account in await site.store.list_accounts(victim)] == ["pretend"]


@pytest.mark.parametrize(
    "wanted",
    [
        "/auth/login/other?intent=link",
        "/auth/%6cogin/other",
        "/auth/%2e/login/other",
        "/x/../auth/login/other",
        "/x/%2e%2E/auth/login/other#x",
        "https://app.example/auth/login/other",
    ],
)
async def test_signing_in_does_not_go_on_to_link_an_account(visitor: Any, wanted: str) -> None:
    """Somebody's link to the sign-in page must not end in an account linked without a word."""
    answer = await visitor.follow(await visitor.letter_to("ada@example.com", wanted))
    assert answer.headers["location"] == "/"


async def test_a_browser_that_says_it_goes_there_itself_is_let_through(site: Any, visitor: Any) -> None:
    said = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    departure = await visitor.get("/auth/login/pretend", headers=said)
    answer_url = await site.pretend.approve(departure.headers["location"])
    assert (await visitor.get(answer_url, headers={**said, "sec-fetch-site": "cross-site"})).status_code == 303
    assert await visitor.who() is not None


@pytest.mark.parametrize(
    "picture", ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "//evil.example", 7]
)
async def test_a_picture_is_an_address_on_the_web(site: Any, visitor: Any, picture: Any) -> None:
    """Applications put it into their pages as it is."""
    site.pretend.lies = Lies(claims={"picture": picture})
    await visitor.sign_in_at(site.pretend)
    assert (await site.store.get_user(await visitor.who())).image is None


@pytest.mark.parametrize(
    "body",
    [b"[" * 50_000, b'{"a":' * 50_000, b"[]", b"7", b"\xff", b'{"access_token": "x", "token_type": 7, "id_token": {}}'],
    ids=lambda body: ascii(body)[:24],
)
async def test_nonsense_of_a_provider_ends_on_a_page_that_says_so(site: Any, visitor: Any, body: bytes) -> None:
    site.pretend.lies = Lies(body=body)
    answer = await visitor.sign_in_at(site.pretend)
    assert answer.status_code == 502
    assert "did not sign you in" in answer.text
