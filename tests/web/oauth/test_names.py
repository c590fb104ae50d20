"""What people are called: in any script, and also where a provider tells it but once."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from authstore.testing.web import Person
from authstore.web import oidc

ADA = Person("ada-1", "ada@example.com", name="Ada Lovelace", picture="https://pretend.example/ada.png")


NAMES = {
    "山田\u3000太郎": "山田\u3000太郎",
    "Ada\u00a0Lovelace": "Ada\u00a0Lovelace",
    "می\u200cخواهم": "می\u200cخواهم",
    "Ada 👩\u200d🔬": "Ada 👩\u200d🔬",
    "  Ada \u3000": "Ada",
    "x" * 1025: "x" * 1024,
    " ": None,
    "\u200b\u2060": None,
    "\u3164": None,
    "\u2800 \ufe0f": None,
    "Ada\nLovelace": None,
    "Ada\u202egnp.exe": None,
    "\u2066Ada\u2069": None,
    "A\u2028da": None,
    "\t Ada \r\n": "Ada",
    "Ada\u2028": "Ada",
    "A\x00da": None,
}


@pytest.mark.parametrize(("told", "kept"), NAMES.items(), ids=ascii)
async def test_a_name_is_kept_in_any_script_and_refused_where_it_plays_tricks(
    world: Any, browser: Any, told: str, kept: str | None
) -> None:
    await world.sign_in(browser, Person("p-1", "p@example.com", name=told))
    assert (await world.store.get_user(await browser.who())).name == kept


async def test_the_name_that_a_posted_form_brings_once_is_the_new_users(make_world: Any) -> None:
    """Apple tells it in the first form alone, unsigned, and never again."""
    world, browser, without_cookies = await posting_world(make_world)
    user = {"name": {"firstName": "Ada", "lastName": "Lovelace"}, "email": "eve@example.com"}
    again = await come_back_posting(world, browser, without_cookies, user=json.dumps(user))
    assert "Ada" not in again, "addresses are logged"
    assert (await browser.get(again)).status_code == 303
    signed_in = await world.store.get_user(await browser.who())
    assert (signed_in.name, signed_in.email) == ("Ada Lovelace", "p@example.com")
    again = await come_back_posting(world, browser, without_cookies, user=json.dumps({"name": {"firstName": "Eve"}}))
    await browser.get(again)
    assert (await world.store.get_user(signed_in.id)).name == "Ada Lovelace"


POSTED_USERS = [
    "",
    "null",
    "[]",
    "no json",
    "[" * 2000,
    '{"name": null}',
    '{"name": {"firstName": 7}}',
    '{"name": {"firstName": "a\\u202eb"}}',
    '{"name": "Ada"}',
]


@pytest.mark.parametrize("posted", POSTED_USERS)
async def test_a_posted_form_without_a_usable_name_signs_in_all_the_same(make_world: Any, posted: str) -> None:
    world, browser, without_cookies = await posting_world(make_world)
    again = await come_back_posting(world, browser, without_cookies, user=posted)
    assert (await browser.get(again)).status_code == 303
    assert (await world.store.get_user(await browser.who())).name is None


async def test_a_name_posted_with_a_made_up_state_is_nobodys(make_world: Any) -> None:
    world, browser, stranger = await posting_world(make_world)
    name = json.dumps({"name": {"firstName": "Eve"}})
    for state in ("x" * 43, "short", "\x00" * 43):
        posted = {"state": state, "code": "c", "user": name}
        await stranger.post("/auth/callback/posting", data=posted)
    again = await come_back_posting(world, browser, stranger)
    await browser.get(again)
    assert (await world.store.get_user(await browser.who())).name is None


async def posting_world(make_world: Any) -> tuple[Any, Any, Any]:
    world = await make_world()
    at = world.pretend
    params = {"response_mode": "form_post"}
    provider = oidc(
        "posting", at.client_id, at.client_secret, at.discovery_url, authorize_params=params, transport=at.transport
    )
    world = await make_world(store=world.store, providers=[provider])
    world.pretend = at
    return world, world.new_browser(), world.new_browser()


async def come_back_posting(world: Any, browser: Any, without_cookies: Any, **more: str) -> str:
    departure = (await browser.get("/auth/login/posting")).headers["location"]
    back = urlsplit(await world.pretend.approve(departure, Person("p-1", "p@example.com")))
    posted = {name: values[0] for name, values in parse_qs(back.query).items()}
    again = await without_cookies.post(back.path, data={**posted, **more})
    assert again.status_code == 303, again.text
    return str(again.headers["location"])
