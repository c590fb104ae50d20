"""Invitations: a mailed link that makes the user, with roles."""

from datetime import timedelta
from email.message import EmailMessage
from html import unescape
from typing import Any

import pytest

from authstore import ConfigurationError, InvalidEmailError, RoleNotFoundError
from authstore.testing.web import text_of
from authstore.web import invited_only


async def accept(browser: Any, link: str) -> Any:
    """As a person does: opens the link, presses the button."""
    page = await browser.get(link)
    assert page.status_code == 200, page.text
    inputs = [part.split(">")[0] for part in page.text.split("<input")[1:]]
    fields = {
        part.split('name="')[1].split('"')[0]: unescape(part.split('value="')[1].split('"')[0]) for part in inputs
    }
    return await browser.post("/auth/invitation", data=fields)


async def test_an_invitation_makes_the_user_with_roles_where_nobody_else_may_come(make_world: Any) -> None:
    world = await make_world(allow=invited_only)
    await world.store.create_role("editor")
    assert await world.auth.invite("Ada@example.com", roles=["editor"], by="admin:7", next="/welcome")
    letter = world.outbox.last()
    assert (letter["To"], letter["Subject"]) == ("ada@example.com", "You are invited to app.example")
    assert "for 7 days" in text_of(letter)
    browser = world.new_browser()
    world.clock.advance(timedelta(days=6))
    answer = await accept(browser, world.outbox.link())
    assert (answer.status_code, answer.headers["location"]) == (303, "/welcome")
    user = await world.store.get_user_by_email("ada@example.com")
    assert await browser.who() == user.id
    assert user.email_verified == world.clock.now
    assert [role.name for role in await world.store.get_roles(user.id)] == ["editor"]
    grants = [event for event in await world.store.events() if event.type == "role.granted"]
    assert [(event.user_id, event.actor) for event in grants] == [(user.id, "admin:7")]


async def test_it_works_once_and_looking_consumes_nothing(world: Any, browser: Any) -> None:
    await world.auth.invite("ada@example.com")
    link = world.outbox.link()
    assert (await browser.head(link)).status_code == 200
    assert (await accept(browser, link)).status_code == 303
    assert (await browser.get(link)).status_code == 400
    assert (await browser.submit("/auth/invitation", **_query(link))).status_code == 400


async def test_it_dies_and_stands_for_no_sign_in(world: Any, browser: Any) -> None:
    await world.auth.invite("ada@example.com")
    link = world.outbox.link()
    assert (await browser.submit("/auth/email/verify", **_query(link))).status_code == 400
    world.clock.advance(timedelta(days=7))
    assert (await browser.get(link)).status_code == 400


async def test_who_is_there_already_gets_the_roles(world: Any, browser: Any) -> None:
    user = await world.store.create_user(email="ada@example.com", name="Ada")
    await world.store.create_role("editor")
    await world.auth.invite("ada@example.com", roles=["editor"])
    await accept(browser, world.outbox.link())
    assert await browser.who() == user.id
    assert [role.name for role in await world.store.get_roles(user.id)] == ["editor"]


async def test_a_role_that_went_meanwhile_stops_nobody(world: Any, browser: Any) -> None:
    await world.store.create_role("editor")
    await world.auth.invite("ada@example.com", roles=["editor"])
    await world.store.delete_role("editor")
    assert (await accept(browser, world.outbox.link())).status_code == 303


async def test_a_disabled_user_is_not_let_in_by_it(world: Any, browser: Any) -> None:
    user = await world.store.create_user(email="ada@example.com")
    await world.auth.invite("ada@example.com")
    await world.store.update_user(user.id, disabled=True)
    assert (await accept(browser, world.outbox.link())).status_code == 403


async def test_what_cannot_be_is_said_to_who_invites(make_world: Any) -> None:
    world = await make_world()
    with pytest.raises(InvalidEmailError):
        await world.auth.invite("no address")
    with pytest.raises(RoleNotFoundError, match="'boss'"):
        await world.auth.invite("ada@example.com", roles=["boss"])
    await world.store.create_role("b")
    with pytest.raises(ConfigurationError, match=r"\['b'\]"):
        await world.auth.invite("ada@example.com", roles="b")
    world.outbox.failure = OSError("no route")
    with pytest.raises(OSError, match="no route"):
        await world.auth.invite("ada@example.com")
    with pytest.raises(ConfigurationError, match="mailer"):
        await (await make_world(mailer=None)).auth.invite("ada@example.com")


async def test_invitations_count_among_the_letters_of_a_day(make_world: Any) -> None:
    sent: list[EmailMessage] = []

    async def mailer(message: EmailMessage) -> None:
        sent.append(message)

    world = await make_world(mailer=mailer, mails_per_address_a_day=2)
    assert [await world.auth.invite("ada@example.com") for _ in range(3)] == [True, True, False]
    assert len(sent) == 2


def _query(link: str) -> dict[str, str]:
    return dict(part.split("=") for part in link.split("?")[1].replace("%40", "@").split("&"))
