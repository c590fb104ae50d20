"""What the sign-in page knows of who comes back."""

from datetime import timedelta
from typing import Any

import pytest

from authstore import SessionPolicy
from authstore.testing.web import Person

ADA = Person("ada-1", "ada@example.com", name="Ada Lovelace")


async def page_of(browser: Any) -> str:
    return str((await browser.get("/auth/sign-in", headers={"accept": "text/html"})).text)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("revoked", "signed out on another device"),
        ("stolen", "two places at once"),
        ("an operator's own", "You were signed out. Sign in again"),
    ],
)
async def test_it_says_why_one_was_signed_out(world: Any, browser: Any, reason: str, said: str) -> None:
    await world.sign_in(browser, ADA)
    user = await world.store.get_user_by_email("ada@example.com")
    await world.store.revoke_sessions(user.id, reason=reason)
    assert said in await page_of(browser)


async def test_it_says_that_time_was_up_or_the_user_is_disabled(make_world: Any) -> None:
    world = await make_world(SessionPolicy(lifetime=timedelta(days=30), idle=timedelta(days=7)))
    browser = world.new_browser()
    await world.sign_in(browser, ADA)
    world.clock.advance(timedelta(days=8))
    assert "had not been here for a while" in await page_of(browser)
    await world.sign_in(browser, ADA)
    user = await world.store.get_user_by_email("ada@example.com")
    await world.store.update_user(user.id, disabled=True)
    assert "this user has been disabled" in await page_of(browser)


async def test_nothing_is_said_to_who_signed_out_or_was_never_here(world: Any, browser: Any) -> None:
    assert "signed out" not in await page_of(browser)
    await world.sign_in(browser, ADA)
    kept = browser.cookie()
    await browser.submit("/auth/logout")
    browser.cookies.set("__Host-authstore", kept, domain="app.example")
    assert "signed out" not in await page_of(browser)


async def test_a_new_sign_in_replaces_the_session_of_this_browser(world: Any, browser: Any) -> None:
    await world.sign_in(browser, ADA)
    token = world.auth.site.visitors.cookies.presented_token(f"__Host-authstore={browser.cookie()}".encode())
    await world.sign_in(browser, ADA)
    assert (await world.store.why_ended(token)).reason == "replaced"


async def test_who_is_signed_in_goes_on_as_they_are(world: Any, browser: Any) -> None:
    await world.sign_in(browser, ADA)
    page = (await browser.get("/auth/sign-in?next=/notes")).text
    assert '<a class="button primary breakable" href="/notes">Continue as Ada Lovelace</a>' in page


@pytest.mark.parametrize("way", ["pretend", "email"])
async def test_the_way_that_was_taken_last_is_marked_even_when_signed_out(world: Any, browser: Any, way: str) -> None:
    assert "Last used" not in await page_of(browser)
    if way == "pretend":
        await world.sign_in(browser, ADA)
    else:
        await browser.submit(await world.letter_to(browser, "ada@example.com"))
    await browser.submit("/auth/logout")
    page = await page_of(browser)
    assert page.count("Last used") == 1
    marked = page[: page.index("Last used")].rpartition("<span>" if way == "pretend" else "</svg>")[2]
    assert marked.startswith("Continue with Pretend" if way == "pretend" else "E-mail me a link")


@pytest.mark.parametrize("planted", ["<script>", "x" * 100, ""])
async def test_what_somebody_wrote_into_the_cookie_is_not_shown(world: Any, browser: Any, planted: str) -> None:
    page = await browser.get("/auth/sign-in", headers={"cookie": f"__Host-authstore-last={planted}"})
    assert "Last used" not in page.text


async def test_many_providers_stand_two_in_a_row_each_with_its_name(make_world: Any) -> None:
    from authstore.web import discord, github, gitlab, google

    providers = [make("id", "secret") for make in (github, google, gitlab, discord)]
    world = await make_world(providers=providers)
    page = await page_of(world.new_browser())
    assert page.count('class="button tile"') == 4
    assert 'aria-label="Continue with GitHub"' in page
    world = await make_world(providers=providers[:3])
    assert 'class="button tile"' not in await page_of(world.new_browser())


async def test_an_error_has_a_title_of_its_kind_and_a_reference_that_is_in_the_log(
    world: Any, browser: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "authstore.web")
    for path, title in (
        ("/auth/login/none", "There is nothing here"),
        ("/auth/email/verify?email=a&token=b", "Too late"),
    ):
        page = (await browser.get(path, headers={"accept": "text/html"})).text
        assert f"<h1>{title}</h1>" in page
        reference = page.partition("quote <code>")[2].partition("</code>")[0]
        assert len(reference) == 8
        assert f"reference {reference}" in caplog.text
