"""The session of this browser: who, tokens for scripts, signing out."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from authstore.testing.web import Lies, sign_in


async def test_the_session_as_json_shows_no_secret_and_nothing_of_the_applications(world: Any, browser: Any) -> None:
    assert (await browser.get("/auth/session")).json() is None
    user = await world.store.create_user(email="ada@example.com", data={"note": "difficult"})
    session = await sign_in(browser, user)
    answer = await browser.get("/auth/session")
    assert answer.json()["user"]["email"] == "ada@example.com"
    assert answer.json()["session"]["id"] == session.id
    assert session.token is not None
    assert session.token not in answer.text
    assert "difficult" not in answer.text


async def test_signing_out_ends_the_session_in_the_store_and_the_cookie(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    stolen, user = browser.cookie(), await browser.who()
    answer = await browser.submit("/auth/logout")
    assert answer.headers["clear-site-data"] == '"cache"'
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert browser.cookie() is None
    assert await world.store.list_sessions(user) == []
    browser.cookies.set("__Host-authstore", stolen, domain="app.example")
    assert await browser.who() is None


async def test_signing_out_leads_where_it_was_asked_to_and_answers_scripts(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    assert (await browser.submit("/auth/logout", next="/bye")).headers["location"] == "/bye"
    await world.sign_in(browser)
    assert (await browser.send_json("/auth/logout")).json() == {"signed_out": True}


@pytest.mark.parametrize(
    ("wanted", "back_to"),
    [
        ("/bye?a=1", "https://app.example/bye?a=1"),
        ("https://spa.example/bye", "https://spa.example/bye"),
        ("HTTPS://SPA.example:443", "https://spa.example/"),
        ("https://app.example/bye", "https://app.example/bye"),
        ("//evil.example", "https://app.example/"),
    ],
)
async def test_who_signs_out_at_the_provider_too_comes_back_where_they_wanted(
    make_world: Any, wanted: str, back_to: str
) -> None:
    world = await make_world(allowed_origins=["https://spa.example"])
    world.pretend.lies = Lies(metadata={"end_session_endpoint": "https://pretend.example/end"})
    browser = world.new_browser()
    await world.sign_in(browser)
    answer = await browser.submit("/auth/logout", everywhere="1", next=wanted)
    assert parse_qs(urlsplit(answer.headers["location"]).query)["post_logout_redirect_uri"] == [back_to]


async def test_a_page_of_an_allowed_origin_may_be_called_as_ours_are(make_world: Any) -> None:
    browser = (await make_world(allowed_origins=["https://spa.example"])).new_browser()
    for wanted, leads_to in (
        ("https://spa.example/auth/login/done", "https://spa.example/auth/login/done"),
        ("https://app.example/auth/login/other", "/"),
        ("/auth/login/other", "/"),
    ):
        assert (await browser.post("/auth/logout", data={"next": wanted})).headers["location"] == leads_to


async def test_who_is_not_signed_in_can_sign_out_too(browser: Any) -> None:
    assert (await browser.submit("/auth/logout")).status_code == 303


async def test_the_token_may_come_as_a_field_or_as_a_header(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    token = await browser.csrf()
    assert (await browser.post("/auth/logout", headers={"x-csrf-token": token})).status_code == 303
    await world.sign_in(browser)
    assert (await browser.post("/auth/logout", data={"csrf_token": await browser.csrf()})).status_code == 303


async def test_a_token_is_good_for_its_session_alone(world: Any, browser: Any) -> None:
    other = world.new_browser()
    await world.sign_in(browser)
    await world.sign_in(other)
    token = await other.csrf()
    assert (await browser.post("/auth/logout", data={"csrf_token": token})).status_code == 403
    assert await browser.who() is not None


async def test_a_body_that_is_too_long_or_makes_no_sense_is_refused(world: Any, browser: Any) -> None:
    token = {"x-csrf-token": await browser.csrf()}
    json = {**token, "content-type": "application/json", "accept": "application/json"}
    assert (await browser.post("/auth/logout", content=b"x" * 70_000, headers=json)).status_code == 413
    for body in (b"{", b"[1]", b"[" * 60_000, b"\xff"):
        answer = await browser.post("/auth/logout", content=body, headers=json)
        assert (answer.status_code, answer.json()["error"]) == (400, "request")
    form = {**token, "content-type": "application/x-www-form-urlencoded"}
    assert (await browser.post("/auth/logout", content=b"a=1&" * 50, headers=form)).status_code == 400
    assert (
        await browser.post("/auth/logout", content=b"a", headers={**token, "content-type": "x/y"})
    ).status_code == 415


async def test_a_body_that_breaks_off_is_no_error_of_ours(world: Any) -> None:
    answers: list[int] = []
    arriving = [{"type": "http.request", "body": b"csrf", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return arriving.pop(0)

    async def send(message: Any) -> None:
        answers.append(message.get("status", 0))

    headers = [(b"host", b"app.example"), (b"content-type", b"application/x-www-form-urlencoded")]
    scope = {"type": "http", "method": "POST", "path": "/auth/email", "raw_path": b"/auth/email", "root_path": ""}
    scope |= {"scheme": "https", "query_string": b"", "headers": headers, "server": None, "client": None}
    await world.app(scope, receive, send)
    assert answers[0] == 400


async def test_every_answer_of_ours_carries_the_headers(world: Any, browser: Any) -> None:
    for path in ("/auth/sign-in", "/auth/session", "/auth/csrf", "/auth/login/nobody", "/auth/email/sent"):
        headers = (await browser.get(path)).headers
        assert headers["cache-control"] == "no-store", path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "strict-origin"
        assert headers["strict-transport-security"].startswith("max-age=")
    page = await browser.get("/auth/sign-in")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "<style" not in page.text
    assert "<script>" not in page.text


async def test_static_files_are_served_and_only_they(browser: Any) -> None:
    answer = await browser.get("/auth/static/pages.css")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert (await browser.get("/auth/static/../auth.py")).status_code == 404
    assert (await browser.get("/auth/static/%2e%2e/auth.py")).status_code == 404


@pytest.mark.parametrize("accept", ["application/json", "Application/JSON", "APPLICATION/JSON;q=0.5, */*"])
async def test_a_script_is_known_by_what_it_accepts_however_it_is_written(browser: Any, accept: str) -> None:
    answer = await browser.get("/auth/sessions", headers={"accept": accept})
    assert (answer.status_code, answer.json()["error"]) == (401, "sign_in")
