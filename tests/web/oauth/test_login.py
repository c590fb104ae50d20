"""Signing in at a provider."""

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from authstore.testing.web import FORGERIES, Lies, Person
from authstore.web import oidc

ADA = Person("ada-1", "ada@example.com", name="Ada Lovelace", picture="https://pretend.example/ada.png")
BOB = Person("bob-1", "bob@example.com", name="Bob")


async def test_the_whole_way_makes_a_user_an_account_and_a_session(world: Any, browser: Any) -> None:
    answer = await world.sign_in(browser, ADA)
    assert (answer.status_code, answer.headers["location"]) == (303, "/after")
    user = await world.store.get_user_by_account("pretend", "ada-1")
    assert (user.email, user.name, user.image) == ("ada@example.com", "Ada Lovelace", "https://pretend.example/ada.png")
    assert user.email_verified == world.clock.now
    assert await browser.who() == user.id
    account = await world.store.get_account("pretend", "ada-1")
    assert account.type == "oidc"
    assert None not in (account.access_token, account.refresh_token, account.id_token)
    assert account.expires_at == world.clock.now + timedelta(hours=1)


async def test_the_departure_has_state_nonce_and_pkce_s256(world: Any, browser: Any) -> None:
    departure = await browser.get("/auth/login/pretend")
    asked = parse_qs(urlsplit(departure.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == ["https://app.example/auth/callback/pretend"]
    assert all(len(asked[name][0]) >= 43 for name in ("state", "nonce", "code_challenge"))


async def test_signing_in_again_ends_this_browsers_session_whoever_it_was(world: Any, browser: Any) -> None:
    await world.sign_in(browser, ADA)
    adas, token = await browser.who(), browser.cookie()
    await world.sign_in(browser, BOB)
    assert await browser.who() != adas
    assert await world.store.list_sessions(adas) == []
    assert browser.cookie() != token


async def test_many_tabs_may_run_at_once_and_finish_in_any_order(world: Any, browser: Any) -> None:
    locations = [(await browser.get(f"/auth/login/pretend?next=/{n}")).headers["location"] for n in range(8)]
    backs = [await world.pretend.approve(location, ADA) for location in locations]
    answers = await asyncio.gather(*(browser.get(back) for back in reversed(backs)))
    assert [answer.headers["location"] for answer in answers] == [f"/{n}" for n in reversed(range(8))]


async def test_an_answer_is_good_once_and_in_its_own_browser(world: Any, browser: Any) -> None:
    stranger = world.new_browser()
    await stranger.get("/auth/sign-in")
    back = await world.pretend.approve((await browser.get("/auth/login/pretend")).headers["location"], ADA)
    assert (await stranger.get(back)).status_code == 400
    assert (await browser.get(back)).status_code == 303
    assert (await browser.get(back)).status_code == 400


async def test_of_many_who_bring_one_answer_exactly_one_gets_in(world: Any, browser: Any) -> None:
    back = await world.pretend.approve((await browser.get("/auth/login/pretend")).headers["location"], ADA)
    answers = await asyncio.gather(*(browser.get(back) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [303] + [400] * 9


async def test_an_answer_for_one_provider_does_nothing_at_another(world: Any, browser: Any) -> None:
    back = await world.pretend.approve((await browser.get("/auth/login/pretend")).headers["location"], ADA)
    assert (await browser.get(back.replace("/callback/pretend", "/callback/other"))).status_code == 400


async def test_an_answer_that_took_more_than_ten_minutes_is_refused(world: Any, browser: Any) -> None:
    back = await world.pretend.approve((await browser.get("/auth/login/pretend")).headers["location"], ADA)
    world.clock.advance(timedelta(minutes=10))
    assert (await browser.get(back)).status_code == 400
    assert await browser.who() is None


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
async def test_no_forgery_signs_anybody_in(world: Any, browser: Any, forgery: Lies) -> None:
    world.pretend.lies = forgery
    departure = await browser.get("/auth/login/pretend")
    if departure.status_code == 303:
        answer = await browser.get(await world.pretend.approve(departure.headers["location"], ADA))
        assert answer.status_code in (400, 502)
    assert await browser.who() is None
    assert await world.store.list_users() == []


async def test_state_is_looked_at_before_error(world: Any, browser: Any) -> None:
    """Authlib's own callback reports `error=` of a response that nobody asked for."""
    answer = await browser.get("/auth/callback/pretend?error=access_denied&state=made-up")
    assert "did not continue" not in answer.text
    assert answer.status_code == 400


async def test_who_cancels_at_the_provider_is_told_so(world: Any, browser: Any) -> None:
    world.pretend.lies = Lies(error="access_denied")
    departure = await browser.get("/auth/login/pretend")
    answer = await browser.get(await world.pretend.approve(departure.headers["location"]))
    assert "You did not continue at Pretend" in answer.text


async def test_a_discovery_document_cannot_configure_the_http_client(world: Any, browser: Any) -> None:
    """Authlib hands it all to the client as keyword arguments: `verify`, `proxy`, `transport`."""
    world.pretend.lies = Lies(
        metadata={"verify": False, "proxy": "http://evil.example", "transport": "x", "scope": "all"}
    )
    assert (await world.sign_in(browser, ADA)).status_code == 303


async def test_algorithms_that_prove_nothing_are_not_accepted_even_if_advertised(world: Any, browser: Any) -> None:
    advertised = {"id_token_signing_alg_values_supported": ["none", "HS256", "RS256"]}
    world.pretend.lies = Lies(signature="none", metadata=advertised)
    assert (await world.sign_in(browser, ADA)).status_code == 502
    world.pretend.lies = Lies(signature="public-key-as-secret", metadata=advertised)
    assert (await world.sign_in(browser, ADA)).status_code == 502


@pytest.mark.parametrize("url", ["http://pretend.example/token", "file:///etc/passwd", "//pretend.example/token", 7])
async def test_endpoints_that_are_not_https_are_not_used(world: Any, browser: Any, url: Any) -> None:
    world.pretend.lies = Lies(metadata={"token_endpoint": url})
    assert (await browser.get("/auth/login/pretend")).status_code == 502


async def test_keys_that_change_at_the_provider_are_fetched_anew(world: Any, browser: Any) -> None:
    await world.sign_in(browser, ADA)
    world.pretend._signer = type(world.pretend._signer)(world.pretend.issuer)
    assert (await world.sign_in(browser, ADA)).status_code == 303


async def test_an_address_that_is_none_is_left_out(world: Any, browser: Any) -> None:
    await world.sign_in(browser, Person("eve-1", "eve@example.com, ada@example.com"))
    assert (await world.store.get_user(await browser.who())).email is None


async def test_the_address_is_asked_of_the_user_info_where_the_id_token_has_none(world: Any, browser: Any) -> None:
    world.pretend.lies = Lies(claims={"email": None, "email_verified": None})
    await world.sign_in(browser, ADA)
    assert (await world.store.get_user(await browser.who())).email == "ada@example.com"


async def test_an_address_counts_as_verified_only_by_whoever_gave_it(world: Any, browser: Any) -> None:
    world.pretend.lies = Lies(claims={"email": None}, userinfo={"email_verified": False})
    await world.sign_in(browser, ADA)
    assert (await world.store.get_user(await browser.who())).email_verified is None


async def test_user_info_of_somebody_else_is_refused(world: Any, browser: Any) -> None:
    world.pretend.lies = Lies(claims={"email": None}, userinfo={"sub": "bob-1"})
    assert (await world.sign_in(browser, ADA)).status_code == 502
    assert await browser.who() is None


async def test_another_site_cannot_start_a_sign_in_only_a_click_here_can(world: Any, browser: Any) -> None:
    answer = await browser.get("/auth/login/pretend?next=/x", headers={"sec-fetch-site": "cross-site"})
    assert answer.headers["location"] == "/auth/sign-in?next=%2Fx"
    assert world.pretend.seen == []


async def test_a_second_provider_is_linked_while_signed_in(world: Any, browser: Any) -> None:
    await world.sign_in(browser, ADA)
    adas, token = await browser.who(), browser.cookie()
    await world.sign_in(browser, Person("ada-2", "countess@example.com"), "other")
    assert await browser.who() == adas
    assert browser.cookie() != token
    assert [account.provider for account in await world.store.list_accounts(adas)] == ["pretend", "other"]
    assert len(await world.store.list_sessions(adas)) == 1


async def test_the_buttons_of_the_sign_in_page_never_link(world: Any, browser: Any) -> None:
    """Who finds somebody signed in at a shared computer must not end up with that user's account."""
    await world.sign_in(browser, ADA)
    adas = await browser.who()
    departure = await browser.get("/auth/login/other?intent=sign-in")
    await browser.get(await world.other.approve(departure.headers["location"], BOB))
    assert await browser.who() != adas
    assert len(await world.store.list_accounts(adas)) == 1


async def test_linking_needs_to_be_signed_in_and_not_long_ago(world: Any, browser: Any) -> None:
    assert (await browser.get("/auth/login/other?intent=link")).status_code == 401
    await world.sign_in(browser, ADA)
    world.clock.advance(timedelta(hours=1))
    for url in ("/auth/login/other?intent=link", "/auth/login/other"):
        answer = await browser.get(url)
        assert answer.headers["location"].startswith("/auth/confirm?action=")
        assert (await browser.get(url, headers={"accept": "application/json"})).status_code == 403
    assert world.other.seen == []
    await world.sign_in(browser, ADA)
    assert (await browser.get("/auth/login/other?intent=link")).status_code == 303


async def test_what_was_begun_signed_in_is_not_finished_by_somebody_else(world: Any, browser: Any) -> None:
    await world.sign_in(browser, ADA)
    departure = await browser.get("/auth/login/other?intent=link")
    await world.sign_in(browser, BOB)
    back = await world.other.approve(departure.headers["location"], Person("x", "x@example.com"))
    assert (await browser.get(back)).status_code == 400
    assert await world.store.get_account("other", "x") is None


async def test_an_address_somebody_has_already_is_not_linked_by_itself(world: Any, browser: Any) -> None:
    await world.store.create_user(email="ada@example.com", email_verified=world.clock.now)
    answer = await world.sign_in(browser, ADA)
    assert answer.status_code == 409
    assert "Sign in that way first" in answer.text
    assert await browser.who() is None


async def test_a_disabled_user_is_told_so(world: Any, browser: Any) -> None:
    await world.sign_in(browser, ADA)
    await world.store.update_user(await browser.who(), disabled=True)
    answer = await world.sign_in(browser, ADA)
    assert answer.status_code == 403
    assert "disabled" in answer.text


async def test_the_answer_of_a_provider_that_posts_is_repeated_as_a_get(make_world: Any) -> None:
    """Apple: the form comes from another site, so the browser sends no SameSite=Lax cookie with it."""
    world = await make_world()
    provider = oidc(
        "posting",
        "client",
        "client-secret",
        world.pretend.discovery_url,
        authorize_params={"response_mode": "form_post"},
        transport=world.pretend.transport,
    )
    world = await make_world(store=world.store, providers=[provider])
    browser, without_cookies = world.new_browser(), world.new_browser()
    departure = (await browser.get("/auth/login/posting")).headers["location"]
    assert "response_mode=form_post" in departure
    back = urlsplit(await world.pretend.approve(departure, ADA))
    posted = {name: values[0] for name, values in parse_qs(back.query).items()}
    again = await without_cookies.post(back.path, data=posted, headers={"sec-fetch-site": "cross-site"})
    assert again.status_code == 303
    assert again.headers["location"].startswith("/auth/callback/posting?")


async def test_an_unknown_provider_is_not_found(browser: Any) -> None:
    assert (await browser.get("/auth/login/nobody")).status_code == 404
    assert (await browser.get("/auth/callback/nobody?state=x")).status_code == 404


async def test_two_processes_share_what_was_begun(make_world: Any) -> None:
    first = await make_world()
    second = await make_world(store=first.store)
    browser, elsewhere = first.new_browser(), second.new_browser()
    location = (await browser.get("/auth/login/pretend")).headers["location"]
    elsewhere.cookies = browser.cookies
    back = await second.pretend.approve(location, ADA)
    assert (await elsewhere.get(back)).status_code == 303
