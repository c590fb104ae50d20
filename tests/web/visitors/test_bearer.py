"""`Authorization: Bearer`: a session's token, for clients that are no browsers."""

from typing import Any

import pytest

from authstore import User
from authstore.testing.web import sign_in


async def token_of(world: Any, email: str = "ada@example.com") -> tuple[User, str]:
    user = await world.store.create_user(email=email)
    session = await world.store.create_session(user.id)
    return user, session.token


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_a_sessions_token_counts_as_that_session(world: Any, scheme: str) -> None:
    user, token = await token_of(world)
    client = world.new_browser(authorization=f"{scheme} {token}")
    answer = await client.get("/public")
    assert answer.json() == {"user": user.id}
    assert answer.headers["cache-control"] == "private"
    assert await client.who() == user.id


async def test_no_cookie_is_set_and_no_token_of_a_page_asked(world: Any) -> None:
    user, token = await token_of(world)
    other = await world.store.create_session(user.id)
    client = world.new_browser(authorization=f"Bearer {token}", accept="application/json")
    for answer in (
        await client.get("/auth/session"),
        await client.get("/auth/sessions"),
        await client.get("/auth/csrf"),
        await client.post("/auth/sessions/revoke", json={"session_id": other.id}),
        await client.post("/auth/passkeys/register/options", json={}),
        await client.post("/auth/logout", json={}),
    ):
        assert answer.status_code == 200, answer.text
        assert "set-cookie" not in answer.headers
    assert await world.store.list_sessions(user.id) == []
    assert (await client.get("/auth/session")).json() is None


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer " + "x" * 5000, "Bearer \xff\xfe", "Basic {}", "{}"])
async def test_anything_else_is_nobody_or_none_of_our_business(world: Any, header: str) -> None:
    _, token = await token_of(world)
    client = world.new_browser()
    written = {"authorization": header.format(token).encode("latin-1")}
    assert (await client.get("/public", headers=written)).json() == {"user": None}


async def test_another_scheme_beside_a_cookie_is_the_applications(world: Any, browser: Any) -> None:
    user, _ = await token_of(world)
    await sign_in(browser, user)
    assert (await browser.get("/public", headers={"authorization": "Basic YTpi"})).json() == {"user": user.id}


async def test_a_living_cookie_beside_it_is_refused(world: Any, browser: Any) -> None:
    user, token = await token_of(world)
    await sign_in(browser, user)
    bearer = {"authorization": f"Bearer {token}"}
    answer = await browser.get("/public", headers=bearer)
    assert (answer.status_code, "not both" in answer.text) == (400, True)
    assert (
        await browser.get("/public", headers={"authorization": "Bearer no-token-of-ours-at-all"})
    ).status_code == 400
    for session in await world.store.list_sessions(user.id):
        if session.ip is not None or session.user_agent is not None:
            await world.store.revoke_session(session.id)
    assert (await browser.get("/public", headers=bearer)).json() == {"user": user.id}


async def test_a_session_that_ended_counts_no_more(world: Any) -> None:
    user, token = await token_of(world)
    client = world.new_browser(authorization=f"Bearer {token}")
    await world.store.revoke_sessions(user.id)
    assert (await client.get("/public")).json() == {"user": None}


async def test_signing_out_empties_what_a_client_kept_of_pages(world: Any) -> None:
    _, token = await token_of(world)
    client = world.new_browser(authorization=f"Bearer {token}", accept="application/json")
    assert (await client.post("/auth/logout", json={})).headers["clear-site-data"] == '"cache"'


async def test_a_bearer_of_nobody_spares_no_form_its_token(world: Any, browser: Any) -> None:
    link = await world.letter_to(browser, "ada@example.com")
    unknown = {"authorization": "Bearer no-token-of-ours-at-all"}
    assert (await browser.post(link, headers=unknown)).status_code == 403
    assert await world.store.list_users() == []
