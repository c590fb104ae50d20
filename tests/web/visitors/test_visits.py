"""`request.session`, kept in the store: loaded for browsers that have one, written once, key by key."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from authstore import ConfigurationError, SessionPolicy, StoreBusyError, connect
from authstore.web import Auth, BrowserSession
from tests.web.conftest import SECRET, Browser, MakeWorld, World

COOKIE = "__Host-authstore-visit"


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    world = await make_world(visits=True)
    world.app.add_route("/cart", _cart)
    world.app.add_route("/add/{what}", _add, methods=["GET", "POST"])
    world.app.add_route("/in-place/{what}", _add_in_place)
    world.app.add_route("/remove/{key}", _remove)
    world.app.add_route("/flash", _flash)
    world.app.add_route("/flashes", _flashes)
    world.app.add_route("/odd", _odd)
    world.app.add_route("/fails", _fails)
    world.app.add_route("/stream", _stream)
    return world


async def _cart(request: Request) -> JSONResponse:
    return JSONResponse(dict(request.session))


async def _add(request: Request) -> JSONResponse:
    request.session[request.path_params["what"]] = True
    return JSONResponse(dict(request.session))


async def _add_in_place(request: Request) -> JSONResponse:
    request.session.setdefault("basket", {"things": []})["things"].append(request.path_params["what"])
    return JSONResponse(dict(request.session))


async def _remove(request: Request) -> JSONResponse:
    request.session.pop(request.path_params["key"], None)
    return JSONResponse(dict(request.session))


async def _flash(request: Request) -> PlainTextResponse:
    session: Any = request.session
    session.flash("Saved.")
    session.flash("Careful!", kind="warning")
    return PlainTextResponse("")


async def _flashes(request: Request) -> JSONResponse:
    session: Any = request.session
    return JSONResponse(session.flashes())


async def _odd(request: Request) -> PlainTextResponse:
    request.session["object"] = object()
    return PlainTextResponse("")


async def _fails(request: Request) -> PlainTextResponse:
    request.session["half"] = "done"
    raise RuntimeError("on purpose")


async def _stream(request: Request) -> StreamingResponse:
    request.session["streamed"] = 1
    return StreamingResponse(iter(["a", "b"]))


async def cart(browser: Browser) -> Any:
    return (await browser.get("/cart")).json()


async def test_a_cookie_is_set_once_something_is_in_it(world: World) -> None:
    browser = world.new_browser()
    assert (await browser.get("/cart")).headers.get_list("set-cookie") == []
    await browser.get("/add/tea")
    assert browser.cookie(COOKIE) is not None
    assert await cart(browser) == {"tea": True}
    assert await cart(world.new_browser()) == {}


async def test_the_cookie_is_signed_http_only_and_shows_nothing(world: World) -> None:
    answer = await world.new_browser().get("/add/darjeeling")  # long enough not to stand in a token by chance
    [line] = answer.headers.get_list("set-cookie")
    assert line.startswith(f"{COOKIE}=")
    assert {"Path=/", "HttpOnly", "SameSite=Lax", "Secure", "Max-Age=2592000"} <= set(line.split("; "))
    assert "darjeeling" not in line
    browser = world.new_browser()
    token = line.partition("=")[2].partition(";")[0].rpartition(".")[0]
    for forged in [token, f"{token}.{'x' * 43}", "x" * 5000]:
        answer = await browser.get("/cart", headers={"cookie": f"{COOKIE}={forged}"})
        assert answer.json() == {}


async def test_what_did_not_change_is_not_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = world.new_browser()
    await browser.get("/in-place/tea")
    written: list[Any] = []
    change = type(world.store).change_visit

    async def noted(self: Any, token: str, **what: Any) -> Any:
        written.append(what["merge"])
        return await change(self, token, **what)

    monkeypatch.setattr(type(world.store), "change_visit", noted)
    await cart(browser)
    await browser.get("/add/milk")
    await browser.get("/add/milk")
    await browser.get("/in-place/sugar")
    assert written == [{"milk": True}, {"basket": {"things": ["tea", "sugar"]}}]


async def test_two_tabs_lose_nothing(world: World) -> None:
    browser = world.new_browser()
    await browser.get("/add/first")
    await asyncio.gather(*(browser.get(f"/add/{number}") for number in range(10)))
    assert await cart(browser) == {"first": True, **{str(number): True for number in range(10)}}


async def test_a_key_that_is_removed_is_gone_and_an_empty_visit_ends(world: World) -> None:
    browser = world.new_browser()
    await browser.get("/add/tea")
    await browser.get("/add/milk")
    kept = browser.cookie(COOKIE)
    assert (await browser.get("/remove/tea")).json() == {"milk": True}
    assert await cart(browser) == {"milk": True}
    answer = await browser.get("/remove/milk")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    again = world.new_browser()
    assert (await again.get("/cart", headers={"cookie": f"{COOKIE}={kept}"})).json() == {}


async def test_flashes_are_told_once_in_their_order(world: World) -> None:
    browser = world.new_browser()
    await browser.get("/flash")
    assert (await browser.get("/flashes")).json() == [["info", "Saved."], ["warning", "Careful!"]]
    assert (await browser.get("/flashes")).json() == []


async def test_signing_in_and_out_keeps_the_visit_under_a_new_token(world: World) -> None:
    browser = world.new_browser()
    await browser.get("/add/tea")
    before = browser.cookie(COOKIE)
    await world.sign_in(browser)
    signed_in = browser.cookie(COOKIE)
    assert signed_in not in (None, before)
    assert await cart(browser) == {"tea": True}
    await browser.submit("/auth/logout")
    assert await browser.who() is None
    assert browser.cookie(COOKIE) not in (None, before, signed_in)
    assert await cart(browser) == {"tea": True}
    planted = world.new_browser()  # whoever knew the token from before knows nothing now
    for old in (before, signed_in):
        assert (await planted.get("/cart", headers={"cookie": f"{COOKIE}={old}"})).json() == {}


async def test_a_client_with_a_bearer_token_gets_no_cookie(world: World) -> None:
    session = await world.store.create_session((await world.store.create_user()).id)
    client = world.new_browser(authorization=f"Bearer {session.token}")
    answer = await client.get("/add/apples")
    assert answer.json() == {"apples": True}
    assert "set-cookie" not in answer.headers
    browser = world.new_browser()
    await browser.get("/add/pears")
    both = await browser.get("/add/apples", headers={"authorization": f"Bearer {session.token}"})
    assert "set-cookie" not in both.headers
    assert (await browser.get("/cart")).json() == {"pears": True, "apples": True}


async def test_another_site_that_makes_the_browser_post_changes_nothing(world: World) -> None:
    browser = world.new_browser()
    await browser.get("/add/tea")
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    answer = await browser.post("/add/evil", headers=foreign)
    assert answer.json() == {"evil": True}  # it did not see what was there
    assert "set-cookie" not in answer.headers
    assert await cart(browser) == {"tea": True}


async def test_use_keeps_a_visit_alive(make_world: MakeWorld) -> None:
    world = await make_world(policy=SessionPolicy(idle=timedelta(days=2)), visits=True)
    world.app.add_route("/cart", _cart)
    world.app.add_route("/add/{what}", _add)
    browser = world.new_browser()
    await browser.get("/add/tea")
    for _ in range(5):
        world.clock.advance(timedelta(days=1))
        assert await cart(browser) == {"tea": True}
    world.clock.advance(timedelta(days=2))
    assert await cart(browser) == {}
    await browser.get("/add/milk")
    assert await cart(browser) == {"milk": True}


async def test_what_is_no_json_is_the_applications_error_and_keeps_nothing(world: World) -> None:
    browser = world.new_browser()
    await browser.get("/add/tea")
    with pytest.raises(TypeError):
        await browser.get("/odd")
    with pytest.raises(RuntimeError):
        await browser.get("/fails")
    assert await cart(browser) == {"tea": True}


async def test_an_answer_whose_visit_cannot_be_kept_does_not_go_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = world.new_browser()
    await browser.get("/add/tea")

    async def busy(*_: Any, **__: Any) -> Any:
        raise StoreBusyError("on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(type(world.store), "change_visit", busy)
        for path in ("/add/milk", "/stream"):
            answer = await browser.get(path)
            assert answer.status_code == 503
            assert "milk" not in answer.text
        assert (await browser.get("/cart")).json() == {"tea": True}
    with monkeypatch.context() as patch:
        patch.setattr(type(world.store), "get_visit", busy)
        assert (await browser.get("/cart")).status_code == 503
    await browser.get("/stream")
    assert await cart(browser) == {"tea": True, "streamed": 1}


@pytest.mark.parametrize("what", ["reading", "signing in", "signing out"])
async def test_where_nothing_would_be_lost_a_busy_store_stops_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Who signed in and was told that it failed would have a session that nobody knows of, and none of their own."""
    browser = world.new_browser()
    await browser.get("/add/tea")
    if what == "signing out":
        await world.sign_in(browser)
    token, before = await browser.csrf(), browser.cookie(COOKIE)
    world.clock.advance(timedelta(minutes=6))  # a use is due to be noted

    async def busy(*_: Any, **__: Any) -> Any:
        raise StoreBusyError("on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(type(world.store), "change_visit", busy)
        match what:
            case "reading":
                assert (await browser.get("/cart")).status_code == 200
            case "signing in":
                assert (await world.sign_in(browser)).status_code == 303
            case _:
                assert (await browser.post("/auth/logout", data={"csrf_token": token})).status_code == 303
        assert (await browser.who() is not None) is (what == "signing in")
    assert browser.cookie(COOKIE) == before
    assert await cart(browser) == {"tea": True}


async def test_what_belongs_to_a_browser_stays_out_of_shared_caches(world: World) -> None:
    browser = world.new_browser()
    assert (await browser.get("/add/tea")).headers["cache-control"] == "private"
    assert (await browser.get("/cart")).headers["cache-control"] == "private"


async def test_without_visits_there_is_no_session(make_world: MakeWorld) -> None:
    world = await make_world()
    world.app.add_route("/cart", _cart)
    with pytest.raises(AssertionError, match="SessionMiddleware"):
        await world.new_browser().get("/cart")


@pytest.mark.parametrize("name", ["shop-visit", "shop-browser"])
async def test_a_site_is_not_named_as_a_cookie_of_another(name: str) -> None:
    async with connect("sqlite://") as store:
        with pytest.raises(ConfigurationError, match="cookie_name"):
            Auth(store, base_url="https://app.example", secrets=[SECRET], cookie_name=name)


def test_a_web_socket_reads_its_visit_and_writes_into_it(tmp_path: Any) -> None:
    auth = Auth(tmp_path / "a.db", base_url="https://app.example", secrets=[SECRET], visits=True)
    app = FastAPI(lifespan=auth.lifespan)
    auth.install(app)
    app.add_route("/cart", _cart)
    app.add_route("/add/{what}", _add)

    @app.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_json(dict(socket.session))
        socket.session["talked"] = 1
        await socket.close()

    with TestClient(app, base_url="https://app.example") as client:
        client.get("/add/tea")
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        headers = {"cookie": cookie, "origin": "https://app.example"}
        with client.websocket_connect("wss://app.example/talk", headers=headers) as socket:
            assert socket.receive_json() == {"tea": True}
        assert client.get("/cart").json() == {"tea": True, "talked": 1}
        with client.websocket_connect("wss://app.example/talk", headers={"cookie": ""}) as socket:
            assert socket.receive_json() == {}
        assert client.get("/cart").json() == {"tea": True, "talked": 1}


def test_a_session_shows_nothing_of_what_is_in_it() -> None:
    session = BrowserSession(None)
    session["card"] = "4111"
    assert "4111" not in repr(session)
    with pytest.raises(TypeError, match="text"):
        session[1] = 2  # type: ignore[index] # on purpose


SID = "zGCqJZT0GbFr8HQ3Pt5h0nqzTkZ4M2aD"


async def test_a_former_systems_cookie_finds_its_visit_until_ours_is_there(make_world: MakeWorld) -> None:
    world = await make_world(visits=True, former_cookies=["sessionid"])
    world.app.add_route("/cart", _cart)
    world.app.add_route("/add/{what}", _add)
    await world.store.open_visit(token=SID, data={"tea": 2})
    browser = world.new_browser()
    browser.cookies.set("sessionid", SID, domain="app.example")
    answers = await asyncio.gather(*(browser.get("/cart", headers={"cookie": f"sessionid={SID}"}) for _ in range(3)))
    assert [answer.json() for answer in answers] == [{"tea": 2}] * 3  # at the same time: none is too late
    assert all(f"{COOKIE}={SID}." in answer.headers["set-cookie"] for answer in answers)
    assert (await browser.get("/cart")).headers.get_list("set-cookie") == []
    await browser.get("/add/milk")
    browser.cookies.delete("sessionid")
    assert await cart(browser) == {"tea": 2, "milk": True}


async def test_signing_in_ends_what_the_former_systems_cookie_finds(make_world: MakeWorld) -> None:
    world = await make_world(visits=True, former_cookies=["sessionid"])
    world.app.add_route("/cart", _cart)
    await world.store.create_user(email="ada@example.com", email_verified=world.clock.now)
    await world.store.open_visit(token=SID, data={"tea": 2})
    browser = world.new_browser()
    browser.cookies.set("sessionid", SID, domain="app.example")
    await browser.submit(await world.letter_to(browser, "ada@example.com"))
    assert await cart(browser) == {"tea": 2}
    assert await world.store.get_visit(SID) is None
    assert browser.cookie("sessionid") is None


@pytest.mark.parametrize("value", ["", "x" * 15, SID[:-1], SID + "a", "x" * 5000])
async def test_a_former_cookie_that_finds_no_visit_is_a_new_visitors(make_world: MakeWorld, value: str) -> None:
    world = await make_world(visits=True, former_cookies=["sessionid"])
    world.app.add_route("/cart", _cart)
    world.app.add_route("/add/{what}", _add)
    await world.store.open_visit(token=SID, data={"tea": 2})
    browser = world.new_browser()
    browser.cookies.set("sessionid", value, domain="app.example")
    assert await cart(browser) == {}
    await browser.get("/add/milk")
    assert await cart(browser) == {"milk": True}


async def test_beside_a_cookie_of_ours_a_former_one_counts_for_nothing(make_world: MakeWorld) -> None:
    world = await make_world(visits=True, former_cookies=["sessionid"])
    world.app.add_route("/cart", _cart)
    await world.store.open_visit(token=SID, data={"tea": 2})
    answer = await world.new_browser().get("/cart", headers={"cookie": f"{COOKIE}={SID}.forged; sessionid={SID}"})
    assert answer.json() == {}
    assert answer.headers.get_list("set-cookie") == []


async def test_another_site_cannot_spend_a_former_cookie(make_world: MakeWorld) -> None:
    world = await make_world(visits=True, former_cookies=["sessionid"])
    world.app.add_route("/add/{what}", _add, methods=["POST"])
    visit = await world.store.open_visit(token=SID, data={"tea": 2})
    headers = {"cookie": f"sessionid={SID}", "origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    answer = await world.new_browser().post("/add/milk", headers=headers)
    assert answer.json() == {"milk": True}
    assert await world.store.get_visit(SID) == visit
