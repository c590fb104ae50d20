"""Sessions that the real libraries wrote are found at the new site by the cookie that the old one gave: no cart is
empty, and nobody is signed in or out by mistake."""

import runpy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from fastapi import FastAPI

from authstore import connect
from tests.whole.session_stores.conftest import Fill, Written

EXAMPLE = runpy.run_path(str(Path(__file__).parents[3] / "examples" / "replace_session_store.py"))
OURS = "__Host-authstore-visit"
KINDS = {
    "express": ((), "keyboard cat", "the newest secret"),
    "flask": (("msgpack", "bare"), "", ""),
    "flask signed": (("json", "signed"), "another key", "the key of a shop"),
    "starsessions": ((), "", ""),
    "django": ((), "", ""),
}


@asynccontextmanager
async def browser_at(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://shop.example") as browser,
    ):
        yield browser


async def seen(browser: httpx2.AsyncClient, name: str, value: str) -> dict[str, Any]:
    """What a browser sees that has this one cookie."""
    browser.cookies.clear()
    answer = await browser.get("/cart", headers={"cookie": f"{name}={value}"})
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("kind", KINDS)
async def test_what_the_real_library_wrote_is_found_by_its_cookie(
    fill: Fill, source: psycopg.Connection[Any], source_url: str, tmp_path: Path, kind: str
) -> None:
    more, wrong, secret = KINDS[kind]
    plain = kind.partition(" ")[0]
    written, target = fill(plain, *more), f"sqlite:///{tmp_path}/shop.db"
    if plain != "django":
        source.execute("CREATE TABLE users (id serial PRIMARY KEY, email text)")
        source.execute("INSERT INTO users (email) VALUES ('ada@example.com')")
    assert await EXAMPLE["bring"](plain, source_url, target)
    cookie = EXAMPLE["former_cookie"](plain, secret)
    name = cookie if isinstance(cookie, str) else cookie.name
    async with browser_at(EXAMPLE["new_site"](target, [cookie])) as browser:
        for one in written:
            signed_in = "ada@example.com" if one.user and plain != "django" else None
            assert await seen(browser, name, one.cookie) == {"user": signed_in, "cart": one.data.get("cart", [])}
            await _goes_on_with_a_cookie_of_ours(browser, one)
            for forged in (one.cookie[:-1], f"x{one.cookie}", one.cookie.replace(".", ".x", 1) + "=", ""):
                assert await seen(browser, name, forged) == {"user": None, "cart": []}
    if secret:
        async with browser_at(EXAMPLE["new_site"](target, [EXAMPLE["former_cookie"](plain, wrong)])) as browser:
            unsigned = written[0].cookie.partition(".")[0].removeprefix("s%3A")
            for value in (written[0].cookie, unsigned) if plain == "flask" else (unsigned,):
                assert await seen(browser, name, value) == {"user": None, "cart": []}
    await _holds_all_that_was_there(target, written, cookie)


async def _goes_on_with_a_cookie_of_ours(browser: httpx2.AsyncClient, one: Written) -> None:
    if not one.data:
        return
    ours = browser.cookies[OURS]
    assert await seen(browser, OURS, ours) == {"user": None, "cart": one.data["cart"]}


async def _holds_all_that_was_there(target: str, written: list[Written], cookie: Any) -> None:
    """Beside it stands what the libraries note themselves: `cookie`, `__metadata__`."""
    async with connect(target, create=False) as store:
        for one in written:
            token = one.cookie if isinstance(cookie, str) else cookie.token(one.cookie.encode())
            visit = await store.get_visit(token)
            assert visit is not None
            assert {
                key: value for key, value in visit.data.items() if key not in ("cookie", "__metadata__")
            } == one.data
