"""Signing in by a link in a letter."""

import asyncio
import json
import time
from datetime import timedelta
from email.message import EmailMessage
from html import unescape
from typing import Any

import pytest

from authstore import ConfigurationError, SessionPolicy
from authstore.testing.web import Person, link_in, text_of
from authstore.web.counts import client_of
from authstore.web.texts import ENGLISH


async def test_a_letter_signs_in_and_makes_the_user(world: Any, browser: Any) -> None:
    link = await world.letter_to(browser, "Ada@Example.com", next="/notes")
    page = await browser.get(link)
    assert page.status_code == 200
    assert "ada@example.com" in page.text
    answer = await browser.submit(link)
    assert (answer.status_code, answer.headers["location"]) == (303, "/notes")
    user = await world.store.get_user_by_email("ada@example.com")
    assert user.email_verified == world.clock.now
    assert await browser.who() == user.id


async def test_the_form_of_the_page_is_all_it_takes(world: Any, browser: Any) -> None:
    page = await browser.get(await world.letter_to(browser, "ada@example.com"))
    inputs = [part.split(">")[0] for part in page.text.split("<input")[1:]]
    fields = {
        part.split('name="')[1].split('"')[0]: unescape(part.split('value="')[1].split('"')[0]) for part in inputs
    }
    assert (await browser.post("/auth/email/verify", data=fields)).status_code == 303


async def test_it_works_in_another_browser_and_for_scripts(world: Any, browser: Any) -> None:
    link = await world.letter_to(browser, "ada@example.com")
    elsewhere = world.new_browser(accept="application/json")
    given = dict(part.split("=") for part in link.split("?")[1].replace("%40", "@").split("&"))
    answer = await elsewhere.send_json("/auth/email/verify", **given)
    assert answer.json() == {"next": "/"}
    assert await elsewhere.who() is not None


@pytest.mark.parametrize("minutes", [10, 11])
async def test_a_link_dies_after_ten_minutes(world: Any, browser: Any, minutes: int) -> None:
    link = await world.letter_to(browser, "ada@example.com")
    world.clock.advance(timedelta(minutes=10, microseconds=-1))
    assert (await browser.get(link)).status_code == 200
    world.clock.advance(timedelta(minutes=minutes - 10, microseconds=1))
    assert (await browser.get(link)).status_code == 400
    assert (await browser.submit(link)).status_code == 400
    assert await browser.who() is None


@pytest.mark.parametrize(("allowed", "minutes"), [(timedelta(minutes=3), 3), (timedelta(hours=3), 10), (None, 10)])
async def test_the_policy_of_the_store_may_be_stricter(
    make_world: Any, allowed: timedelta | None, minutes: int
) -> None:
    world = await make_world(SessionPolicy(token_lifetime=allowed))
    browser = world.new_browser()
    link = await world.letter_to(browser, "ada@example.com")
    assert f"for {minutes} minutes" in text_of(world.outbox.last())
    world.clock.advance(timedelta(minutes=minutes, microseconds=-1))
    assert (await browser.get(link)).status_code == 200
    world.clock.advance(timedelta(microseconds=1))
    assert (await browser.get(link)).status_code == 400


async def test_looking_consumes_nothing_and_of_many_clicks_one_signs_in(world: Any, browser: Any) -> None:
    link = await world.letter_to(browser, "ada@example.com")
    for look in (browser.get, browser.head, browser.get):
        assert (await look(link)).status_code == 200
    token = await browser.csrf()
    clicks = [browser.post(link, data={"csrf_token": token}) for _ in range(10)]
    answers = await asyncio.gather(*clicks)
    assert sorted(answer.status_code for answer in answers)[0] == 303
    assert sum(answer.status_code == 303 for answer in answers) == 1


async def test_the_answer_tells_nothing_about_the_address(world: Any, browser: Any) -> None:
    await world.store.create_user(email="known@example.com")
    answers = [await browser.submit("/auth/email", email=f"{who}@example.com") for who in ("known", "unknown")]
    assert answers[0].headers["location"] == answers[1].headers["location"] == "/auth/email/sent"
    assert (await browser.get("/auth/email/sent")).status_code == 200


async def test_the_answer_does_not_wait_for_the_mailer_nor_fail_with_it(make_world: Any) -> None:
    started: list[float] = []

    async def failing(_message: EmailMessage) -> None:
        started.append(time.perf_counter())
        raise OSError("no route to host")

    world = await make_world(mailer=failing)
    browser = world.new_browser()
    assert (await browser.submit("/auth/email", email="ada@example.com")).status_code == 303
    assert len(started) == 1


async def test_a_letter_has_both_parts_and_says_all(world: Any, browser: Any) -> None:
    link = await world.letter_to(browser, "ada@example.com")
    letter = world.outbox.last()
    assert (letter["To"], letter["From"]) == ("ada@example.com", "no-reply@app.example")
    assert letter["Subject"] == "Sign in to app.example"
    assert [part.get_content_type() for part in letter.iter_parts()] == ["text/plain", "text/html"]
    html = letter.get_body(preferencelist=("html",))
    assert unescape(html.get_content()).count(link) >= 2
    assert link_in(letter) == link
    assert "10 minutes" in text_of(letter)


@pytest.mark.parametrize("local", ["=?utf-8?q?victim?=", "a=?us-ascii?q?b?=", "üñï", "o'neil", "a+b"])
async def test_a_letter_goes_to_exactly_the_address_that_was_asked_for(world: Any, browser: Any, local: str) -> None:
    """Python reads encoded words even inside addresses."""
    await browser.submit("/auth/email", email=f"{local}@example.com")
    (to,) = world.outbox.last()["To"].addresses
    assert (to.username, to.domain) == (local, "example.com")


@pytest.mark.parametrize("mail_from", [None, "Us <us@app.example>", "us@app.example"])
async def test_every_letter_has_an_id_and_a_date_of_its_own(make_world: Any, mail_from: str | None) -> None:
    """Large receivers refuse letters without (RFC 5322 §3.6.4)."""
    world = await make_world(mail_from=mail_from)
    for _ in range(2):
        await world.letter_to(world.new_browser(), "ada@example.com")
    numbers = {str(letter["Message-ID"]) for letter in world.outbox.messages}
    assert len(numbers) == 2
    assert all(number.startswith("<") and number.endswith("@app.example>") for number in numbers)
    assert world.outbox.last()["Date"].datetime == world.clock.now


async def test_an_address_gets_five_letters_in_ten_minutes(world: Any, browser: Any) -> None:
    for _ in range(8):
        await browser.submit("/auth/email", email="ada@example.com")
    assert len(world.outbox.messages) == 5
    await browser.submit("/auth/email", email="bob@example.com")
    assert len(world.outbox.messages) == 6
    world.clock.advance(timedelta(minutes=10))
    await browser.submit("/auth/email", email="ada@example.com")
    assert len(world.outbox.messages) == 7


async def test_the_ten_minutes_are_any_ten_minutes(world: Any, browser: Any) -> None:
    """At most five links live at once: a sixth letter would end the link of the first."""
    world.clock.advance(timedelta(minutes=9, seconds=50))
    first = await world.letter_to(browser, "ada@example.com")
    for _ in range(4):
        await browser.submit("/auth/email", email="ada@example.com")
    world.clock.advance(timedelta(seconds=20))
    for _ in range(5):
        await browser.submit("/auth/email", email="ada@example.com")
    assert len(world.outbox.messages) == 5
    assert (await browser.get(first)).status_code == 200
    world.clock.advance(timedelta(minutes=9, seconds=40))
    await browser.submit("/auth/email", email="ada@example.com")
    assert len(world.outbox.messages) == 6


@pytest.mark.parametrize(
    ("told", "counted_as"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "unknown"),
        ("testclient", "unknown"),
    ],
)
def test_a_client_is_counted_by_what_one_subscriber_has(told: str | None, counted_as: str) -> None:
    assert client_of(told) == counted_as


async def test_the_limits_hold_in_several_processes(make_world: Any) -> None:
    first = await make_world()
    second = await make_world(store=first.store)
    for world in (first, second):
        browser = world.new_browser()
        for _ in range(4):
            await browser.submit("/auth/email", email="ada@example.com")
    sent = len(first.outbox.messages) + len(second.outbox.messages)
    assert sent == 5


async def test_one_client_cannot_write_to_the_whole_world(make_world: Any) -> None:
    world = await make_world(mails_per_client=3)
    browser = world.new_browser()
    for number in range(6):
        assert (await browser.submit("/auth/email", email=f"user{number}@example.com")).status_code == 303
    assert len(world.outbox.messages) == 3


@pytest.mark.parametrize("typed", ["", "nobody", "a@b@c", "a b@example.com", "x" * 600])
async def test_what_is_no_address_is_said_so_on_the_page(world: Any, browser: Any, typed: str) -> None:
    answer = await browser.submit("/auth/email", email=typed)
    assert answer.status_code == 400
    assert ENGLISH.error_email in answer.text
    assert (await browser.send_json("/auth/email", email=typed)).json()["error"] == "email"
    assert world.outbox.messages == []


async def test_a_disabled_user_is_told_so_only_after_proving_the_address(world: Any, browser: Any) -> None:
    user = await world.store.create_user(email="ada@example.com")
    await world.store.update_user(user.id, disabled=True)
    answer = await browser.submit(await world.letter_to(browser, "ada@example.com"))
    assert answer.status_code == 403
    assert await browser.who() is None


async def test_whoever_took_an_address_without_proving_it_loses_every_way_in(world: Any, browser: Any) -> None:
    attacker = world.new_browser()
    await world.sign_in(attacker, Person("eve-1", "ada@example.com", email_verified=False))
    taken = await attacker.who()
    await world.store.create_authenticator(taken, "credential", b"key")
    await browser.submit(await world.letter_to(browser, "ada@example.com"))
    assert await browser.who() == taken
    assert await attacker.who() is None
    assert await world.store.list_accounts(taken) == []
    assert await world.store.list_authenticators(taken) == []


async def test_who_proves_an_address_while_signed_in_keeps_everything(world: Any, browser: Any) -> None:
    await world.sign_in(browser, Person("ada-1", "ada@example.com", email_verified=False))
    user = await browser.who()
    await browser.submit(await world.letter_to(browser, "ada@example.com"))
    assert await browser.who() == user
    assert len(await world.store.list_accounts(user)) == 1
    assert (await world.store.get_user(user)).email_verified == world.clock.now


async def test_signing_in_by_letter_ends_this_browsers_session_whoever_it_was(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    before = await browser.who()
    await browser.submit(await world.letter_to(browser, "bob@example.com"))
    assert await browser.who() not in (None, before)
    assert await world.store.list_sessions(before) == []


async def test_without_a_mailer_there_is_no_such_route(make_world: Any) -> None:
    world = await make_world(mailer=None)
    browser = world.new_browser()
    assert (await browser.submit("/auth/email", email="ada@example.com")).status_code == 404
    assert 'type="email"' not in (await browser.get("/auth/sign-in")).text


async def test_links_that_live_longer_than_ten_minutes_are_refused(make_world: Any) -> None:
    with pytest.raises(ConfigurationError, match="ten minutes"):
        await make_world(link_lifetime=timedelta(minutes=11))


ODD_TEXTS = ["a@b\ud800", "\ud800@b.example", "a\0@b.example"]


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
@pytest.mark.parametrize("address", ODD_TEXTS, ids=ascii)
async def test_posted_text_that_cannot_be_shown_again_is_refused(
    world: Any, browser: Any, address: str, accept: str
) -> None:
    token = await browser.csrf()
    body = json.dumps({"email": address, "csrf_token": token, "next": "/x\ud800"})
    headers = {"content-type": "application/json", "accept": accept, "x-csrf-token": token}
    answer = await browser.post("/auth/email", content=body, headers=headers)
    assert answer.status_code == 400
    assert world.outbox.messages == []


@pytest.mark.parametrize(
    "path", ["/auth/email/verify", "/auth/logout", "/auth/passkeys/sign-in", "/auth/passkeys/sign-in/options"]
)
@pytest.mark.parametrize("text", ["\ud800", "\0", "\udfff\ud800"], ids=ascii)
async def test_no_posted_text_makes_an_error_of_ours(browser: Any, path: str, text: str) -> None:
    token = await browser.csrf()
    fields = {"email": text, "token": text * 20, "credential": {"id": text, "response": {text: text}}, "next": text}
    for body in (fields, {**fields, "csrf_token": text}, {"credential": text}, {text: text}):
        headers = {"content-type": "application/json", "accept": "text/html", "x-csrf-token": token}
        answer = await browser.post(path, content=json.dumps(body), headers=headers)
        assert answer.status_code < 500


@pytest.mark.parametrize("next_path", ["/кабинет", "/%D0%BA%D0%B0%D0%B1%D0%B8%D0%BD%D0%B5%D1%82"])
async def test_a_page_whose_path_is_not_ascii_is_come_back_to(world: Any, browser: Any, next_path: str) -> None:
    link = await world.letter_to(browser, "ada@example.com", next=next_path)
    answer = await browser.submit(link.partition("app.example")[2])
    assert answer.headers["location"] == "/%D0%BA%D0%B0%D0%B1%D0%B8%D0%BD%D0%B5%D1%82"


async def test_a_page_of_an_allowed_origin_is_come_back_to(make_world: Any) -> None:
    world = await make_world(allowed_origins=["https://SPA.example:443"])
    browser = world.new_browser()
    link = await world.letter_to(browser, "ada@example.com", next="https://spa.example/board?x=1")
    answer = await browser.submit(link.partition("app.example")[2])
    assert answer.headers["location"] == "https://spa.example/board?x=1"
    link = await world.letter_to(browser, "ada@example.com", next="https://evil.example/")
    answer = await browser.submit(link.partition("app.example")[2])
    assert answer.headers["location"] == "/"
