"""What the middleware finds out about a request, and what it costs."""

import time
from datetime import timedelta
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from authstore import SessionPolicy, StoreBusyError
from authstore.testing.web import sign_in


async def state(request: Request) -> Response:
    return JSONResponse(
        [request.state.user and request.state.user.id, request.state.session and request.state.session.id]
    )


async def test_state_holds_user_and_session_or_none(world: Any, browser: Any) -> None:
    world.app.add_route("/state", state)
    assert (await browser.get("/state")).json() == [None, None]
    user = await world.store.create_user()
    session = await sign_in(browser, user)
    assert (await browser.get("/state")).json() == [user.id, session.id]


async def test_an_expired_session_is_nobodys(world: Any, browser: Any) -> None:
    await sign_in(browser, await world.store.create_user())
    world.clock.advance(timedelta(days=7))
    assert await browser.who() is None


async def test_a_use_is_written_at_most_once_per_touch_every(world: Any, browser: Any) -> None:
    user = await world.store.create_user()
    session = await sign_in(browser, user)
    started = world.clock.now
    for minutes in (0, 4, 1, 2, 2):
        world.clock.advance(timedelta(minutes=minutes))
        await browser.get("/public")
    (listed,) = await world.store.list_sessions(user.id)
    assert listed.id == session.id
    assert listed.last_used_at == started + timedelta(minutes=5)


async def test_a_session_without_lifetime_slides_with_its_use(make_world: Any) -> None:
    world = await make_world(SessionPolicy(lifetime=None, idle=timedelta(hours=1)))
    browser = world.new_browser()
    await world.sign_in(browser)
    for _ in range(5):
        world.clock.advance(timedelta(minutes=50))
        assert await browser.who() is not None
    world.clock.advance(timedelta(hours=1))
    assert await browser.who() is None


async def test_the_policy_of_the_adapter_holds(make_world: Any) -> None:
    world = await make_world(SessionPolicy(lifetime=timedelta(hours=2), idle=None))
    other = await make_world(store=world.store)
    browser = other.new_browser()
    await sign_in(browser, await world.store.create_user())
    world.clock.advance(timedelta(hours=2))
    assert await browser.who() is None


@pytest.mark.parametrize("length", [8193, 60_000])
async def test_long_cookies_are_refused_before_anything_parses_them(browser: Any, length: int) -> None:
    started = time.perf_counter()
    answer = await browser.get("/public", headers={"cookie": 'x="' + "\\" * (length - 4) + '"'})
    assert answer.status_code == 431
    assert time.perf_counter() - started < 1


async def test_a_store_that_fails_is_said_to_be_unavailable(world: Any, browser: Any) -> None:
    await sign_in(browser, await world.store.create_user())
    await world.store.close()
    answer = await browser.get("/public")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert answer.headers["cache-control"] == "no-store"
    assert "not possible right now" in answer.text
    assert (await world.new_browser().get("/public")).status_code == 200, "who brings no session needs no store"


async def test_a_script_is_refused_in_its_own_way(world: Any, browser: Any) -> None:
    script = {"accept": "application/json"}
    session = await sign_in(browser, await world.store.create_user())
    bearer = {"authorization": f"Bearer {session.token}"}
    refusals = [
        await browser.get("/public", headers={**script, "cookie": "x" * 9000}),
        await browser.get("/public", headers={**script, **bearer}),
    ]
    await world.store.close()
    refusals.append(await browser.get("/public", headers=script))
    told = [(answer.status_code, answer.json()["error"]) for answer in refusals]
    assert told == [(431, "request"), (400, "request"), (503, "unavailable")]
    assert all(answer.json()["message"] for answer in refusals)


@pytest.mark.parametrize(("cookie", "code"), [(None, 1013), ("x" * 8193, 1009)], ids=["no store", "too long"])
async def test_a_websocket_that_cannot_be_let_in_is_closed(world: Any, cookie: str | None, code: int) -> None:
    session = await world.store.create_session((await world.store.create_user()).id)
    await world.store.close()
    line = cookie or "=".join(world.auth.cookie_for(session))
    headers = [(b"cookie", line.encode()), (b"origin", b"https://app.example")]
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    await world.app({"type": "websocket", "path": "/socket", "headers": headers}, receive, send)
    assert sent == [{"type": "websocket.close", "code": code}]


async def test_an_error_of_the_application_is_not_taken_for_one_of_the_look_up(world: Any, browser: Any) -> None:
    async def fail(_request: Request) -> Response:
        raise StoreBusyError("the application's own")

    world.app.add_route("/fail", fail)
    await sign_in(browser, await world.store.create_user())
    with pytest.raises(StoreBusyError):
        await browser.get("/fail")


async def test_what_signed_in_people_see_stays_out_of_shared_caches(world: Any, browser: Any) -> None:
    assert "cache-control" not in (await browser.get("/public")).headers
    await sign_in(browser, await world.store.create_user())
    assert (await browser.get("/public")).headers["cache-control"] == "private"
    world.app.add_route("/own", lambda _: JSONResponse({}, headers={"Cache-Control": "no-store"}))
    assert (await browser.get("/own")).headers.get_list("cache-control") == ["no-store"]


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"sec-fetch-site": "same-site"}, {"sec-fetch-site": "cross-site"}],
    ids=str,
)
async def test_another_site_cannot_use_the_cookie_to_change_something(
    world: Any, browser: Any, headers: dict[str, str]
) -> None:
    """Not in the application's own routes either."""
    world.app.add_route("/state", state, methods=["GET", "POST"])
    await sign_in(browser, await world.store.create_user())
    assert (await browser.post("/state", headers=headers)).json() == [None, None]
    assert (await browser.get("/state", headers=headers)).json() != [None, None]
    assert (await browser.post("/state", headers={"origin": "https://app.example"})).json() != [None, None]


async def test_a_page_of_an_allowed_origin_may(make_world: Any) -> None:
    world = await make_world(allowed_origins=["https://spa.example"])
    world.app.add_route("/state", state, methods=["POST"])
    browser = world.new_browser()
    await sign_in(browser, await world.store.create_user())
    allowed = {"origin": "https://spa.example", "sec-fetch-site": "cross-site"}
    assert (await browser.post("/state", headers=allowed)).json() != [None, None]


@requires("authenticated")
async def for_users(request: Request) -> Response:
    return JSONResponse([request.user.identity, request.user.display_name, request.user.is_authenticated])


@requires("editor")
async def for_editors(request: Request) -> Response:
    return JSONResponse(request.auth.scopes)


@pytest.mark.parametrize("is_installed", [True, False])
async def test_the_backend_serves_starlettes_requires(world: Any, is_installed: bool) -> None:
    app = Starlette(
        routes=[Route("/users", for_users), Route("/editors", for_editors)],
        middleware=[Middleware(AuthenticationMiddleware, backend=world.auth.backend)],
    )
    if is_installed:
        world.auth.install(app)
    browser = type(world.new_browser())(app)
    assert (await browser.get("/users")).status_code == 403
    user = await world.store.create_user(name="Ada")
    await sign_in(browser, user, auth=world.auth)
    assert (await browser.get("/users")).json() == [user.id, "Ada", True]
    assert (await browser.get("/editors")).status_code == 403
    await world.store.create_role("editor")
    await world.store.grant_role(user.id, "editor")
    assert (await browser.get("/editors")).json() == ["authenticated", "editor"]
    await browser.aclose()
