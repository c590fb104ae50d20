"""The six digits in a letter, and what clients without a browser do with them."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from authstore import connect
from authstore.testing.web import text_of


def code_in(letter: EmailMessage) -> str:
    found = re.search(r"^(\d{6})$", text_of(letter), re.MULTILINE)
    assert found is not None
    return found[1]


def other_than(code: str) -> str:
    """A code that is wrong."""
    return f"{(int(code) + 1) % 10**6:06}"


async def ask(world: Any, browser: Any, email: str = "ada@example.com", **fields: str) -> str:
    assert (await browser.submit("/auth/email", email=email, **fields)).status_code == 303
    return code_in(world.outbox.last())


SPELT: dict[str, Callable[[str], str]] = {
    "as it stands": str,
    "with space around": " {} ".format,
    "in two halves": lambda code: f"{code[:3]} {code[3:]}",
    "with a dash": lambda code: f"{code[:3]}-{code[3:]}",
    "on a Japanese keyboard": lambda code: "".join(chr(0xFF10 + int(digit)) for digit in code),
    "on an Arabic keyboard": lambda code: "".join(chr(0x0660 + int(digit)) for digit in code),
}


@pytest.mark.parametrize("spelt", SPELT.values(), ids=SPELT.keys())
async def test_a_code_signs_in_where_it_was_asked_for(world: Any, browser: Any, spelt: Callable[[str], str]) -> None:
    code = await ask(world, browser, next="/notes")
    given = spelt(code)
    answer = await browser.submit("/auth/email/code", email=" Ada@example.COM", code=given)
    assert (answer.status_code, answer.headers["location"]) == (303, "/notes")
    assert (await world.store.get_user_by_email("ada@example.com")).id == await browser.who()


async def test_the_page_shows_the_address_and_takes_the_code(world: Any) -> None:
    browser = world.new_browser(accept="text/html")
    code = await ask(world, browser, next="/notes")
    page = (await browser.get("/auth/email/sent")).text
    assert "<strong>ada@example.com</strong>" in page
    assert page.count('name="next" value="/notes"') == 1  # "send it again" goes on to the same place
    wrong = await browser.submit("/auth/email/code", email="ada@example.com", code=other_than(code))
    assert wrong.status_code == 400
    assert "not the code" in wrong.text
    assert 'name="code"' in wrong.text


async def test_nobody_elses_browser_can_use_it_or_use_it_up(world: Any, browser: Any) -> None:
    code, stranger = await ask(world, browser), world.new_browser()
    for _ in range(6):
        assert (await stranger.submit("/auth/email/code", email="ada@example.com", code=code)).status_code == 400
    assert (await browser.submit("/auth/email/code", email="ada@example.com", code=code)).status_code == 303


async def test_after_five_wrong_ones_the_letter_is_dead_link_included(world: Any, browser: Any) -> None:
    code = await ask(world, browser)
    link = world.outbox.link()
    for _ in range(5):
        answer = await browser.send_json("/auth/email/code", email="ada@example.com", code=other_than(code))
        assert (answer.status_code, answer.json()["error"]) == (400, "code")
    answer = await browser.send_json("/auth/email/code", email="ada@example.com", code=code)
    assert (answer.status_code, answer.json()["error"]) == (400, "code")
    assert (await browser.get(link)).status_code == 400
    assert (await browser.submit(link)).status_code == 400
    assert await world.store.list_users() == []
    assert (
        await browser.submit("/auth/email/code", email="ada@example.com", code=await ask(world, browser))
    ).status_code == 303


async def test_four_wrong_ones_do_no_harm(world: Any, browser: Any) -> None:
    code = await ask(world, browser)
    for _ in range(4):
        await browser.submit("/auth/email/code", email="ada@example.com", code=other_than(code))
    assert (await browser.submit(world.outbox.link())).status_code == 303


async def test_a_letter_is_used_once_by_whichever_way(world: Any, browser: Any) -> None:
    code = await ask(world, browser)
    link = world.outbox.link()
    assert (await browser.submit("/auth/email/code", email="ada@example.com", code=code)).status_code == 303
    assert (await browser.submit(link)).status_code == 400
    code = await ask(world, browser)
    assert (await browser.submit(world.outbox.link())).status_code == 303
    assert (await browser.submit("/auth/email/code", email="ada@example.com", code=code)).status_code == 400


async def test_the_code_of_an_older_letter_is_none(world: Any, browser: Any) -> None:
    old, new = await ask(world, browser), await ask(world, browser)
    if old != new:
        assert (await browser.submit("/auth/email/code", email="ada@example.com", code=old)).status_code == 400
    assert (await browser.submit("/auth/email/code", email="ada@example.com", code=new)).status_code == 303


async def test_a_letter_to_oneself_gives_no_guesses_at_others(world: Any, browser: Any) -> None:
    mine = await ask(world, browser, "eve@example.com")
    assert (await browser.submit("/auth/email/code", email="ada@example.com", code=mine)).status_code == 400


async def test_a_code_dies_with_its_letter(world: Any, browser: Any) -> None:
    code = await ask(world, browser)
    world.clock.advance(timedelta(minutes=10))
    assert (await browser.submit("/auth/email/code", email="ada@example.com", code=code)).status_code == 400


async def test_what_stands_in_the_store_tells_no_code(make_world: Any, tmp_path: Path) -> None:
    async with connect(tmp_path / "auth.db") as store:
        world = await make_world(store=store)
        code = await ask(world, world.new_browser())
        with closing(sqlite3.connect(tmp_path / "auth.db")) as plain:
            kept = "\n".join(map(str, plain.execute("SELECT identifier, purpose, data FROM verification_tokens")))
        assert "letter" in kept
        assert re.search(rf"(?<![0-9a-f]){code}(?![0-9a-f])", kept) is None


async def test_a_native_client_gets_a_token_by_a_flow(world: Any) -> None:
    client = world.new_browser()
    asked = await client.post("/auth/email", json={"email": "ada@example.com"})
    assert asked.status_code == 200
    assert "set-cookie" not in asked.headers
    assert set(asked.json()) == {"flow"}
    flow, code = asked.json()["flow"], code_in(world.outbox.last())
    wrong = await client.post("/auth/token", json={"flow": flow, "code": other_than(code)})
    assert (wrong.status_code, wrong.json()["error"]) == (400, "code")
    given = await client.post("/auth/token", json={"flow": flow, "code": code})
    assert given.status_code == 200
    assert set(given.json()) == {"token", "expires"}
    assert "set-cookie" not in given.headers
    assert given.headers["cache-control"] == "no-store"
    session, user = await world.store.get_session_and_user(given.json()["token"])
    assert user.email == "ada@example.com"
    assert session.model_dump(mode="json")["expires"] == given.json()["expires"]
    assert (await client.post("/auth/token", json={"flow": flow, "code": code})).status_code == 400


async def test_a_flow_has_five_guesses_too(world: Any) -> None:
    client = world.new_browser()
    flow = (await client.post("/auth/email", json={"email": "ada@example.com"})).json()["flow"]
    code = code_in(world.outbox.last())
    for _ in range(5):
        await client.post("/auth/token", json={"flow": flow, "code": other_than(code)})
    assert (await client.post("/auth/token", json={"flow": flow, "code": code})).status_code == 400
    assert (await client.submit(world.outbox.link())).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"content-type": "text/plain"}],
)
async def test_no_other_site_can_make_a_browser_ask(world: Any, headers: dict[str, str]) -> None:
    client = world.new_browser()
    answer = await client.post("/auth/email", content=b'{"email": "ada@example.com"}', headers=headers)
    assert answer.status_code in (403, 415)
    assert world.outbox.messages == []


async def test_a_form_needs_its_token_as_ever(world: Any, browser: Any) -> None:
    assert (await browser.post("/auth/email", data={"email": "ada@example.com"})).status_code == 403
    await browser.csrf()
    assert (await browser.post("/auth/email", json={"email": "ada@example.com"})).status_code == 403
    code = await ask(world, browser)
    answer = await browser.post("/auth/email/code", data={"email": "ada@example.com", "code": code})
    assert answer.status_code == 403
