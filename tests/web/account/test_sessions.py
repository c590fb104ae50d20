"""The session of this browser: who, tokens for scripts, signing out."""

from typing import Any

from authstore.testing.web import sign_in


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
