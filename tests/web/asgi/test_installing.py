"""Put into an application: in any order, several times, beside others on one host."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from authstore import ConfigurationError, StoreBusyError, StoreFullError, UserDisabledError, connect
from authstore.errors import AuthStoreError
from authstore.testing.web import sign_in
from authstore.web import Auth
from tests.web.conftest import BASE, SECRET, Browser

# In any order


def files(tmp_path: Path) -> StaticFiles:
    (tmp_path / "index.html").write_text("the front page")
    return StaticFiles(directory=tmp_path, html=True)


@pytest.mark.parametrize("catch_all", ["mount", "path", "mount at the prefix's parent"])
async def test_routes_that_take_everything_do_not_hide_ours(world: Any, tmp_path: Path, catch_all: str) -> None:
    app = FastAPI()
    if catch_all == "path":
        app.get("/{path:path}")(lambda path: path)
    else:
        app.mount("" if catch_all == "mount" else "/", files(tmp_path))
    world.auth.install(app)
    browser = Browser(app)
    assert "Sign in" in (await browser.get("/auth/sign-in")).text
    assert (await browser.get("/")).status_code == 200


async def test_a_page_of_the_applications_own_at_our_path_stays(world: Any) -> None:
    app = FastAPI()
    app.get("/auth/sign-in")(lambda: "my own")
    world.auth.install(app)
    assert (await Browser(app).get("/auth/sign-in")).json() == "my own"
    assert (await Browser(app).get("/auth/session")).json() is None


async def test_middleware_that_is_written_later_finds_the_user_too(world: Any) -> None:
    app = FastAPI()
    world.auth.install(app)
    seen: list[Any] = []

    @app.middleware("http")
    async def look(request: Request, call_next: Any) -> Response:
        seen.append(request.state.user)
        answer: Response = await call_next(request)
        return answer

    app.add_middleware(CORSMiddleware, allow_origins=["https://spa.example"])
    app.get("/")(lambda: "page")
    browser = Browser(app)
    await browser.get("/")
    user = await world.store.create_user()
    await sign_in(browser, user, auth=world.auth)
    await browser.get("/")
    assert seen[0] is None
    assert seen[1].id == user.id


# Several


async def test_two_sites_on_one_host_do_not_meet() -> None:
    async with connect("sqlite://") as first_store, connect("sqlite://") as second_store:
        browsers = []
        one = made_auth(first_store, "one", f"{BASE}/one")
        two = made_auth(second_store, "two", f"{BASE}/two")
        outer = Starlette(routes=[Mount("/one", app=with_page(one)), Mount("/two", app=with_page(two))])
        browser = Browser(outer)
        browsers.append(browser)
        ada, bob = await first_store.create_user(name="Ada"), await second_store.create_user(name="Bob")
        await sign_in(browser, ada, auth=one)
        await sign_in(browser, bob, auth=two)
        assert (await browser.get("/one/who")).json() == ada.id
        assert (await browser.get("/two/who")).json() == bob.id
        token = (await browser.get("/one/auth/csrf")).json()["csrf_token"]
        stolen = await browser.post("/two/auth/logout", data={"csrf_token": token})
        assert stolen.status_code == 403, "a token of one is none of the other, though the secrets are the same"
        assert (await browser.post("/one/auth/logout", data={"csrf_token": token})).status_code == 303
        assert (await browser.get("/one/who")).json() is None
        assert (await browser.get("/two/who")).json() == bob.id


async def test_a_cookie_of_one_site_is_worth_nothing_at_the_other_with_the_same_secrets() -> None:
    async with connect("sqlite://") as store:
        one, two = made_auth(store, "one"), made_auth(store, "two")
        session = await store.create_session((await store.create_user()).id)
        (_, value), (name, _) = one.cookie_for(session), two.cookie_for(session)
        answer = await Browser(with_page(two)).get("/who", headers={"cookie": f"{name}={value}"})
        assert answer.json() is None


async def test_two_in_one_application_each_know_their_own() -> None:
    async with connect("sqlite://") as staff_store, connect("sqlite://") as store:
        staff = made_auth(staff_store, "staff", prefix="/staff/auth")
        people = made_auth(store, "authstore")

        async def who(request: Request) -> Response:
            users = [auth.user_of(request) for auth in (staff, people)]
            told = request.state.user
            return JSONResponse([user and user.id for user in [*users, told]])

        app = Starlette(routes=[Route("/who", who)])
        people.install(app)
        staff.install(app)
        assert (app.state.authstore, app.state.staff) == (people, staff)
        assert app.url_path_for("staff:sign_in") == "/staff/auth/sign-in"
        assert app.url_path_for("authstore:sign_in") == "/auth/sign-in"
        browser = Browser(app)
        worker, ada = await staff_store.create_user(), await store.create_user()
        await sign_in(browser, worker, auth=staff)
        assert (await browser.get("/who")).json() == [worker.id, None, None]
        await sign_in(browser, ada, auth=people)
        assert (await browser.get("/who")).json() == [worker.id, ada.id, ada.id]
        token = (await browser.get("/staff/auth/csrf")).json()["csrf_token"]
        await browser.post("/staff/auth/logout", data={"csrf_token": token})
        assert (await browser.get("/who")).json() == [None, ada.id, ada.id]


async def test_two_of_the_same_name_in_one_application_are_refused() -> None:
    async with connect("sqlite://") as store:
        app = Starlette()
        made_auth(store, "authstore").install(app)
        with pytest.raises(ConfigurationError, match="cookie_name="):
            made_auth(store, "authstore").install(app)


async def test_of_two_at_the_same_prefix_in_one_application_the_log_warns(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever wanted to sign in at the one would do so at the other; whom a request is from each tells for itself."""
    async with connect("sqlite://") as store:
        app = Starlette()
        made_auth(store, "staff").install(app)
        made_auth(store, "people", prefix="/people/auth").install(app)
        assert caplog.messages == []
        made_auth(store, "authstore").install(app)
    [warning] = caplog.messages
    assert "'/auth'" in warning
    assert "prefix=" in warning


@pytest.mark.parametrize("name", ["", "a b", "a;b", "ü", "a=b", "x" * 65, "mine-browser", "__Host-\n"])
def test_a_name_that_is_no_cookies_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="cookie_name"):
        Auth("sqlite://", base_url=BASE, secrets=[SECRET], cookie_name=name)


def test_user_of_says_what_is_missing() -> None:
    auth = Auth("sqlite://", base_url=BASE, secrets=[SECRET])
    with pytest.raises(ConfigurationError, match=r"auth\.install"):
        auth.user_of(Request({"type": "http", "headers": []}))


def made_auth(store: Any, name: str, base_url: str = BASE, **options: Any) -> Auth:
    return Auth(store, base_url=base_url, secrets=[SECRET], cookie_name=name, **options)


def with_page(auth: Auth) -> Starlette:
    async def who(request: Request) -> Response:
        user = request.state.user
        return JSONResponse(user and user.id)

    app = Starlette(routes=[Route("/who", who)])
    auth.install(app)
    return app


# Errors in the application's own routes


def entered(world: Any, user: Any, app: FastAPI | None = None) -> Browser:
    app = app or FastAPI()
    world.auth.install(app)

    async def enter(request: Request) -> Response:
        response = PlainTextResponse("welcome")
        await world.auth.sign_in(request, response, user)
        return response

    async def leave(request: Request) -> Response:
        response = PlainTextResponse("bye")
        await world.auth.sign_out(request, response)
        return response

    async def token(request: Request) -> Response:
        return PlainTextResponse(str((await world.auth.fresh_account("pretend", "ada-1")).access_token))

    for path, endpoint in (("/enter", enter), ("/leave", leave), ("/token", token)):
        app.add_route(path, endpoint, methods=["GET", "POST"])
    return Browser(app)


async def test_a_disabled_user_is_told_so_in_a_way_in_of_the_applications_own(world: Any) -> None:
    user = await world.store.create_user()
    await world.store.update_user(user.id, disabled=True)
    browser = entered(world, user)
    answer = await browser.get("/enter", headers={"accept": "text/html"})
    assert (answer.status_code, "disabled" in answer.text) == (403, True)
    answer = await browser.get("/enter", headers={"accept": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (403, "disabled")


@pytest.mark.parametrize(
    "error", [StoreBusyError("busy"), StoreFullError("full")], ids=lambda each: type(each).__name__
)
@pytest.mark.parametrize("path", ["/enter", "/leave", "/token"])
async def test_a_store_that_does_not_answer_is_told_with_503(
    world: Any, monkeypatch: pytest.MonkeyPatch, path: str, error: Exception
) -> None:
    user = await world.store.create_user()
    browser = entered(world, user)
    await sign_in(browser, user, auth=world.auth)

    async def fail(*_: Any, **__: Any) -> None:
        raise error

    for name in ("create_session", "delete_session", "get_account"):
        monkeypatch.setattr(world.store, name, fail)
    answer = await browser.post(path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")


async def test_an_applications_own_answer_to_such_an_error_comes_first(world: Any) -> None:
    user = await world.store.create_user()
    await world.store.update_user(user.id, disabled=True)

    async def own(_request: Request, _error: Exception) -> Response:
        return PlainTextResponse("own", 418)

    for kind in (AuthStoreError, UserDisabledError):
        app = FastAPI(exception_handlers={kind: own})
        assert (await entered(world, user, app).get("/enter")).status_code == 418


# What concerns other applications on the host


async def test_the_limit_of_cookies_can_be_set_and_its_answer_read_by_an_allowed_origin(make_world: Any) -> None:
    world = await make_world(max_cookie_bytes=16_384, allowed_origins=["https://spa.example"])
    browser = world.new_browser()
    assert (await browser.get("/public", headers={"cookie": "a=" + "x" * 9000})).status_code == 200
    too_many = {"cookie": "a=" + "x" * 17_000}
    answer = await browser.get("/public", headers={**too_many, "origin": "https://spa.example"})
    assert answer.status_code == 431
    assert answer.headers["access-control-allow-origin"] == "https://spa.example"
    assert (answer.headers["access-control-allow-credentials"], answer.headers["vary"]) == ("true", "Origin")
    for headers in ({}, {"origin": "https://evil.example"}):
        answer = await browser.get("/public", headers={**too_many, **headers})
        assert (answer.status_code, "access-control-allow-origin" in answer.headers) == (431, False)
    with pytest.raises(ConfigurationError, match="max_cookie_bytes"):
        await make_world(max_cookie_bytes=10)


@pytest.mark.parametrize(("hsts", "header"), [(None, None), (0, "max-age=0"), (60, "max-age=60")])
async def test_what_is_said_of_https_can_be_set(make_world: Any, hsts: int | None, header: str | None) -> None:
    world = await make_world(hsts=hsts)
    answer = await world.new_browser().get("/auth/sign-in")
    assert answer.headers.get("strict-transport-security") == header


async def test_it_is_said_for_a_year_by_default(world: Any, browser: Any) -> None:
    answer = await browser.get("/auth/sign-in")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


# Asked under another name


@pytest.mark.parametrize(
    ("base", "host"),
    [
        ("http://localhost:8000", "127.0.0.1:8000"),
        ("http://127.0.0.1:8000", "localhost:8000"),
        ("http://localhost", "127.0.0.1"),
        ("http://localhost:8000", "[::1]:8000"),
        ("http://localhost:8000", "0.0.0.0:8000"),
    ],
)
async def test_another_name_of_this_machine_is_led_to_base_url(make_world: Any, base: str, host: str) -> None:
    world = await make_world(base_url=base, insecure_dev=True)
    answer = await world.new_browser().get("/auth/sign-in?next=/x", headers={"host": host})
    assert answer.headers["location"] == f"{base}/auth/sign-in?next=/x"


async def test_any_other_name_is_warned_of_once_with_both(world: Any, browser: Any, caplog: Any) -> None:
    for _ in range(3):
        assert (await browser.get("/auth/sign-in", headers={"host": "10.0.0.5:8000"})).status_code == 200
    warned = [record.getMessage() for record in caplog.records if "base_url" in record.getMessage()]
    assert len(warned) == 1
    assert "10.0.0.5:8000" in warned[0]
    assert "https://app.example" in warned[0]


async def test_nobody_can_fill_the_log_with_names(world: Any, browser: Any, caplog: Any) -> None:
    for number in range(20):
        await browser.get("/auth/sign-in", headers={"host": f"h{number}.example"})
    assert len([record for record in caplog.records if "base_url" in record.getMessage()]) == 3


@pytest.mark.parametrize("base", ["http://127.0.0.1:8000", "http://[::1]:8000"])
async def test_there_are_no_passkeys_at_an_ip_address(make_world: Any, base: str) -> None:
    world = await make_world(base_url=base, insecure_dev=True)
    browser = world.new_browser()
    page = await browser.get("/auth/sign-in", headers={"host": base.partition("//")[2]})
    assert "passkey" not in page.text.lower().replace("/static/passkey.js", "")
    assert (await browser.post("/auth/passkeys/sign-in/options")).status_code == 404


async def test_a_day_of_asking_brings_twenty_letters_to_one_address(world: Any) -> None:
    sent = 0
    for number in range(24 * 6):
        browser = world.new_browser()
        for _ in range(2):
            before = len(world.outbox.messages)
            await browser.submit("/auth/email", email="stranger@example.com")
            sent += len(world.outbox.messages) - before
        world.clock.advance(timedelta(minutes=10))
        if number % 36 == 0:
            await asyncio.sleep(0)
    assert sent == 20
    world.clock.advance(timedelta(days=1))
    await world.new_browser().submit("/auth/email", email="stranger@example.com")
    assert len(world.outbox.messages) == 21
