"""Who may come in, and what the application is told of it."""

import asyncio
import logging
import threading
from email.message import EmailMessage
from typing import Any

import pytest

from authstore import ConfigurationError, Event, connect
from authstore.testing.web import Outbox, Person, link_in
from authstore.web import Identity, invited_only
from authstore.web.telling import Telling
from tests.web.oauth.plain_provider import PlainProvider, arrive, plain

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
    async with world.app.router.lifespan_context(world.app):  # which ends when everything is told
        await world.sign_in(browser, ADA)
        await browser.submit("/auth/logout")
    told = [event.type for event in events if not event.type.startswith("verification-token")]
    assert told == ["user.created", "account.linked", "session.created", "session.ended"]
    assert events[-1].reason == "signed-out"
    assert [event.seq for event in events] == sorted({event.seq for event in events})


async def test_one_that_fails_or_hangs_is_left_and_the_next_is_told(caplog: pytest.LogCaptureFixture) -> None:
    told, third = list[str](), asyncio.Event()

    async def on_event(event: Event) -> None:
        told.append(event.type)
        if len(told) == 1:
            raise ZeroDivisionError
        if len(told) == 2:
            await asyncio.Event().wait()
        third.set()

    async with connect("sqlite://") as store:
        telling = Telling(on_event, seconds=0.02)
        telling.listen_to(store)
        for name in ("one", "two", "three"):
            await store.create_role(name)
        await third.wait()
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


@pytest.mark.parametrize("option", ["allow", "on_event", "mailer"])
@pytest.mark.parametrize("given", ["a text", Door, 7])
async def test_what_cannot_be_called_is_refused(make_world: Any, option: str, given: Any) -> None:
    with pytest.raises(ConfigurationError, match=option):
        await make_world(**{option: given})


@pytest.mark.parametrize("given", ["a text", Door])
def test_nor_is_it_taken_to_identify_people(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="identify"):
        plain(PlainProvider(), identify=given)


def wrapped(function: Any) -> Any:
    """Plain to look at, as what a decorator makes of an async function may be."""
    return lambda *arguments: function(*arguments)


async def test_whatever_is_called_may_be_plain(make_world: Any) -> None:
    """It runs in a thread, so that a mailer of the standard library holds nobody up."""
    threads: dict[str, int] = {}
    letters: list[EmailMessage] = []
    events: list[Event] = []

    def noted(what: str, answer: Any = None) -> Any:
        threads[what] = threading.get_ident()
        return answer

    def identify(claims: Any, _fetch: Any) -> Identity:
        return Identity(id=noted("identify", str(claims["id"])), email="bob@example.com")

    provider = PlainProvider(me={"id": 7})
    world = await make_world(
        providers=[plain(provider, client_secret=lambda: noted("client_secret", "s"), identify=identify)],
        allow=lambda identity: noted("allow", identity.email in ("ada@example.com", "bob@example.com")),
        mailer=lambda letter: noted("mailer", letters.append(letter)),
        on_event=lambda event: noted("on_event", events.append(event)),
    )
    browser = world.new_browser()
    async with world.app.router.lifespan_context(world.app):  # which ends when everything is told
        for address in ("eve@example.com", "ada@example.com"):
            await browser.submit("/auth/email", email=address)
        assert [str(letter["To"]) for letter in letters] == ["ada@example.com"]
        assert (await browser.submit(link_in(letters[0]))).status_code == 303
        assert (await arrive(world, world.new_browser(), "plain")).status_code == 303
    told = [event.type for event in events if event.type.startswith(("user", "session"))]
    assert told == ["user.created", "session.created"] * 2
    assert threads.keys() == {"identify", "client_secret", "allow", "mailer", "on_event"}
    assert threading.get_ident() not in threads.values()


async def test_whatever_is_called_may_be_a_plain_wrapper_of_what_is_not(make_world: Any) -> None:
    outbox, door = Outbox(), Door("ada@example.com")
    world = await make_world(mailer=wrapped(outbox), allow=wrapped(door))
    browser = world.new_browser()
    for address in ("eve@example.com", "ada@example.com"):
        await browser.submit("/auth/email", email=address)
    assert [str(letter["To"]) for letter in outbox.messages] == ["ada@example.com"]


async def test_a_plain_mailer_that_fails_changes_no_answer(make_world: Any, caplog: pytest.LogCaptureFixture) -> None:
    def mailer(_: EmailMessage) -> None:
        raise ZeroDivisionError

    browser = (await make_world(mailer=mailer)).new_browser()
    assert (await browser.submit("/auth/email", email="ada@example.com")).status_code == 303
    assert "the mailer failed: ZeroDivisionError" in caplog.text


async def test_a_plain_one_that_hangs_is_left_and_the_next_is_told(caplog: pytest.LogCaptureFixture) -> None:
    told, second, go_on = list[str](), asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def on_event(event: Event) -> None:
        told.append(event.type)
        if len(told) == 1:
            go_on.wait(60)
        loop.call_soon_threadsafe(second.set)

    async with connect("sqlite://") as store:
        telling = Telling(on_event, seconds=1.0)  # for the second's thread to begin, on a busy machine too
        telling.listen_to(store)
        await store.create_role("one")
        await store.create_role("two")
        await second.wait()
    go_on.set()
    assert told == ["role.created"] * 2
    assert "TimeoutError" in caplog.text


@pytest.mark.parametrize("is_trusted", [False, True])
async def test_allow_is_told_which_addresses_are_proved(make_world: Any, is_trusted: bool) -> None:
    """Whoever may write what they like at a provider must not get in by an address of the house."""
    door = Door("ada@example.com", "bob@example.com", "eve@example.com")
    told = {"id": 7, "email": "eve@example.com", "email_verified": True}
    trust_email_of = ["plain"] if is_trusted else []
    world = await make_world(providers=[plain(PlainProvider(me=told))], allow=door, trust_email_of=trust_email_of)
    await arrive(world, world.new_browser(), "plain")
    await world.letter_to(world.new_browser(), "ada@example.com")
    assert [(each.email, each.email_verified) for each in door.asked] == [
        ("eve@example.com", is_trusted),
        ("ada@example.com", True),
    ]
