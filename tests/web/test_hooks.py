"""Who may come in, and what the application is told of it."""

import asyncio
import logging
from typing import Any

import pytest

from authstore import ConfigurationError, Event, connect
from authstore.testing.web import Person
from authstore.web import Identity, invited_only
from authstore.web.telling import Telling

ADA = Person("ada-1", "Ada@EXAMPLE.com", name="Ada Lovelace")


class Door:
    """An `allow` that lets some addresses in."""

    def __init__(self, *allowed: str) -> None:
        self.allowed = allowed
        self.asked: list[Identity] = []

    async def __call__(self, identity: Identity) -> bool:
        self.asked.append(identity)
        return identity.email in self.allowed


async def test_whether_a_user_may_be_made_is_asked_with_the_address_in_its_one_form(make_world: Any) -> None:
    door = Door("ada@example.com")
    world = await make_world(allow=door)
    assert (await world.sign_in(world.new_browser(), ADA)).status_code == 303
    assert [(each.provider, each.email, each.name) for each in door.asked] == [
        ("pretend", "ada@example.com", "Ada Lovelace")
    ]
    assert (await world.sign_in(world.new_browser(), ADA)).status_code == 303
    assert len(door.asked) == 1  # known by now


@pytest.mark.parametrize("allow", [invited_only, Door("somebody@else.example")])
async def test_nobody_else_is_made_by_a_provider_and_nothing_is_left(make_world: Any, allow: Any) -> None:
    world = await make_world(allow=allow)
    browser = world.new_browser(accept="text/html")
    answer = await world.sign_in(browser, ADA)
    assert answer.status_code == 403
    assert "people who were invited" in answer.text
    assert await browser.who() is None
    assert await world.store.list_users() == []


async def test_refused_ones_get_no_letter_and_everybody_the_same_answer(make_world: Any) -> None:
    world = await make_world(allow=Door("allowed@example.com"))
    await world.store.create_user(email="known@example.com")
    answers = []
    for who in ("known", "allowed", "stranger"):
        browser = world.new_browser()
        answer = await browser.submit("/auth/email", email=f"{who}@example.com")
        page = (await browser.get("/auth/email/sent")).text.replace(f"{who}@", "@")
        answers.append((answer.status_code, dict(answer.headers) | {"set-cookie": ""}, page.count("input")))
    assert answers[0] == answers[1] == answers[2]
    assert [str(letter["To"]) for letter in world.outbox.messages] == ["known@example.com", "allowed@example.com"]


async def test_who_is_known_is_not_asked_about(make_world: Any) -> None:
    door = Door()
    world = await make_world(allow=door)
    user = await world.store.create_user(email="ada@example.com", email_verified=world.clock.now)
    browser = world.new_browser()
    assert (await browser.submit(await world.letter_to(browser, "ada@example.com"))).status_code == 303
    departure = await browser.get("/auth/login/pretend?intent=link")
    linked = await browser.get(await world.pretend.approve(departure.headers["location"], ADA))
    assert linked.status_code == 303
    assert [account.user_id for account in await world.store.list_accounts(user.id)] == [user.id]
    assert door.asked == []


async def test_what_was_allowed_when_it_was_mailed_is_asked_again(make_world: Any) -> None:
    door = Door("ada@example.com")
    world = await make_world(allow=door)
    browser = world.new_browser()
    link = await world.letter_to(browser, "ada@example.com")
    door.allowed = ()
    assert (await browser.submit(link)).status_code == 403
    assert await world.store.list_users() == []


@pytest.mark.parametrize("answer", [None, 1, "yes"])
async def test_only_true_lets_in_and_an_exception_refuses(
    make_world: Any, caplog: pytest.LogCaptureFixture, answer: Any
) -> None:
    async def allow(_: Identity) -> Any:
        if answer is None:
            raise ZeroDivisionError("ada@example.com")
        return answer

    world = await make_world(allow=allow)
    with caplog.at_level(logging.ERROR, "authstore.web"):
        assert (await world.sign_in(world.new_browser(), ADA)).status_code == 403
    assert await world.store.list_users() == []
    if answer is None:
        assert "ZeroDivisionError" in caplog.text
        assert "ada@example.com" not in caplog.text.lower()


async def test_allow_may_ask_the_store(make_world: Any) -> None:
    async def allow(_: Identity) -> bool:
        return len(await world.store.list_users()) < 1

    world = await make_world(allow=allow)
    assert (await world.sign_in(world.new_browser(), ADA)).status_code == 303
    assert (await world.sign_in(world.new_browser(), Person("bob-1", "bob@example.com"))).status_code == 403


async def test_every_event_of_the_process_is_told_in_order(make_world: Any) -> None:
    events: list[Event] = []

    async def on_event(event: Event) -> None:
        events.append(event)

    world = await make_world(on_event=on_event)
    browser = world.new_browser()
    await world.sign_in(browser, ADA)
    await browser.submit("/auth/logout")
    await asyncio.sleep(0.01)
    told = [event.type for event in events if not event.type.startswith("verification-token")]
    assert told == ["user.created", "account.linked", "session.created", "session.ended"]
    assert events[-1].reason == "signed-out"
    assert [event.seq for event in events] == sorted({event.seq for event in events})


async def test_one_that_fails_or_hangs_is_left_and_the_next_is_told(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []

    async def on_event(event: Event) -> None:
        told.append(event.type)
        if len(told) == 1:
            raise ZeroDivisionError
        if len(told) == 2:
            await asyncio.sleep(60)

    async with connect("sqlite://") as store:
        telling = Telling(on_event, seconds=0.02)
        telling.listen_to(store)
        for name in ("one", "two", "three"):
            await store.create_role(name)
        await asyncio.sleep(0.2)
    assert told == ["role.created"] * 3
    assert [word for word in ("ZeroDivisionError", "TimeoutError") if word in caplog.text] == [
        "ZeroDivisionError",
        "TimeoutError",
    ]


async def test_what_is_waiting_at_the_end_is_told(make_world: Any) -> None:
    told: list[str] = []

    async def on_event(event: Event) -> None:
        await asyncio.sleep(0.01)
        told.append(event.type)

    world = await make_world(on_event=on_event)
    async with world.app.router.lifespan_context(world.app):
        await world.store.create_role("one")
        await world.store.create_role("two")
    assert told == ["role.created"] * 2


@pytest.mark.parametrize("option", ["allow", "on_event"])
async def test_what_cannot_be_called_is_refused(make_world: Any, option: str) -> None:
    with pytest.raises(ConfigurationError, match=option):
        await make_world(**{option: "a text"})
