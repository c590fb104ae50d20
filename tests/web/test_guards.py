"""Pages of an application that want somebody to be signed in: where others are sent, whatever `Host` says."""

from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from authstore import ConfigurationError, User
from authstore.testing.web import sign_in
from authstore.web import Auth, page_user
from authstore.web.fastapi import PageUser
from tests.web.conftest import SECRET, Browser

HOSTS = ["evil.example", "10.0.0.5:8000", "app.example.evil.example", "localhost"]


async def page(request: Request) -> Response:
    return JSONResponse((await page_user(request)).id)


@requires("authenticated", redirect="authstore:sign_in")
async def required(request: Request) -> Response:
    return PlainTextResponse("in")


def starlette_app(auth: Auth) -> Starlette:
    inner = Starlette(routes=[Route("/page", page)])
    app = Starlette(
        routes=[
            Route("/page", page, methods=["GET", "POST"]),
            Route("/required/{name}", required),
            Mount("/inner", app=inner),
        ],
        middleware=[Middleware(AuthenticationMiddleware, backend=auth.backend)],
    )
    auth.install(app)
    return app


@pytest.fixture
async def visitor(world: Any) -> Browser:
    return Browser(starlette_app(world.auth))


def led(answer: Any) -> tuple[str, str | None]:
    """Where to, and where back."""
    location = answer.headers.get("location") or answer.headers["hx-redirect"]
    back = parse_qs(urlsplit(location).query).get("next", [None])[0]
    return location.partition("?")[0], back


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    ("path", "back"),
    [
        ("/page?a=1&b=%2F", "/page?a=1&b=%2F"),
        ("/required/x?tab=2", "/required/x?tab=2"),
        ("/required/%D1%8F", "/required/%D1%8F"),
        ("/required/a%20b", "/required/a%20b"),
        ("/inner/page", "/inner/page"),
    ],
)
async def test_an_anonymous_browser_is_sent_to_the_sites_own_page_and_back(
    visitor: Browser, host: str, path: str, back: str
) -> None:
    answer = await visitor.get(path, headers={"host": host})
    assert answer.status_code == 303
    assert led(answer) == ("https://app.example/auth/sign-in", back)


async def test_a_query_that_no_browser_escaped_is_kept(world: Any) -> None:
    app = starlette_app(world.auth)

    async def raw(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "query_string": 'q=ü "x"&y=%2F'.encode()}, receive, send)

    answer = await Browser(raw).get("/page")
    assert led(answer) == ("https://app.example/auth/sign-in", "/page?q=%C3%BC%20%22x%22&y=%2F")


async def test_behind_a_prefix_both_ways_have_it(make_world: Any) -> None:
    """The proxy takes the prefix off, and tells nobody."""
    world = await make_world(base_url="https://app.example/notes")
    visitor = Browser(starlette_app(world.auth))
    for path in ("/page?x=1", "/required/a?x=1"):
        answer = await visitor.get(path, headers={"host": "10.0.0.5"})
        assert led(answer) == ("https://app.example/notes/auth/sign-in", f"/notes{path}")


async def test_behind_a_prefix_that_the_server_is_told_of_it_is_there_once(make_world: Any) -> None:
    world = await make_world(base_url="https://app.example/notes")
    app = starlette_app(world.auth)

    async def at_root_path(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": "/notes"}, receive, send)

    answer = await Browser(at_root_path).get("/notes/page")
    assert led(answer) == ("https://app.example/notes/auth/sign-in", "/notes/page")


@pytest.mark.parametrize("server_root", ["", "/site"])
async def test_mounted_below_a_path_the_way_back_has_it_once(make_world: Any, server_root: str) -> None:
    world = await make_world(base_url=f"https://app.example{server_root}/notes")
    outer = Starlette(routes=[Mount("/notes", starlette_app(world.auth))])

    async def served(scope: Any, receive: Any, send: Any) -> None:
        path = server_root + scope["path"]
        await outer({**scope, "root_path": server_root, "path": path, "raw_path": path.encode()}, receive, send)

    visitor, at = Browser(served), f"{server_root}/notes"
    for path in ("/page", "/required/x", "/inner/page"):
        answer = await visitor.get(f"/notes{path}?tab=2")
        assert led(answer) == (f"https://app.example{at}/auth/sign-in", f"{at}{path}?tab=2")
    part = await visitor.get("/notes/page", headers={"hx-request": "true"})
    assert led(part) == (f"https://app.example{at}/auth/sign-in", f"{at}/page")
    assert f'action="{at}/auth/email"' in (await visitor.get("/notes/auth/sign-in")).text


@pytest.mark.parametrize("added", [{"root_path": "/notes"}, {"root_path": "/notes", "path": "/notes"}, {}], ids=str)
async def test_behind_a_proxy_that_takes_the_prefix_off_people_sign_in(make_world: Any, added: dict[str, str]) -> None:
    """A server that is told of the prefix puts it in front again, or leaves the path as the proxy made it."""
    app = FastAPI()

    async def served(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, **added, "path": added.get("path", "") + scope["path"]}, receive, send)

    world = await make_world(base_url="https://app.example/notes")
    world.auth.install(app)

    @app.get("/page")
    async def page(user: PageUser) -> str | None:
        return user.email

    visitor = Browser(served)
    assert led(await visitor.get("/page?tab=2"))[1] == "/notes/page?tab=2"
    assert (await visitor.get("/auth/static/pages.css")).status_code == 200
    token = await visitor.csrf()
    await visitor.post("/auth/email", data={"csrf_token": token, "email": "ada@example.com", "next": "/notes/page"})
    link = world.outbox.link().removeprefix("https://app.example/notes")
    assert (await visitor.get(link)).status_code == 200
    assert (await visitor.post(link, data={"csrf_token": token})).headers["location"] == "/notes/page"
    assert (await visitor.get("/page")).json() == "ada@example.com"
    stale = await visitor.post("/auth/sessions/revoke", data={"csrf_token": token, "all": "others"})
    assert 'action="/notes/auth/sessions/revoke"' in stale.text


async def test_htmx_is_told_in_its_own_way_and_comes_back_to_its_page(visitor: Browser) -> None:
    at = {"hx-request": "true", "hx-current-url": "https://app.example/board?x=1"}
    answer = await visitor.get("/page", headers=at)
    assert (answer.status_code, led(answer)) == (401, ("https://app.example/auth/sign-in", "/board?x=1"))
    answer = await visitor.get("/page", headers={**at, "hx-current-url": "https://evil.example/board"})
    assert led(answer) == ("https://app.example/auth/sign-in", None)
    answer = await visitor.get("/page", headers={"hx-request": "true"})
    assert led(answer) == ("https://app.example/auth/sign-in", "/page")


async def test_a_script_gets_401_and_a_form_comes_back_to_no_form(visitor: Browser) -> None:
    answer = await visitor.get("/page", headers={"accept": "application/json"})
    assert (answer.status_code, "location" in answer.headers) == (401, False)
    assert answer.headers["www-authenticate"] == "Cookie"
    assert led(await visitor.post("/page")) == ("https://app.example/auth/sign-in", None)


async def test_who_is_signed_in_is_let_in(world: Any, visitor: Browser) -> None:
    user = await world.store.create_user()
    await sign_in(visitor, user, auth=world.auth)
    assert (await visitor.get("/page")).json() == user.id
    assert (await visitor.get("/required/x")).text == "in"


async def test_in_fastapi_it_is_a_dependency(world: Any) -> None:
    app = FastAPI()
    world.auth.install(app)

    @app.get("/notes")
    async def notes(user: PageUser) -> str:
        return user.id

    @app.get("/more")
    async def more(user: Annotated[User, Depends(page_user)]) -> str:
        return user.id

    visitor = Browser(app)
    for path in ("/notes", "/more"):
        answer = await visitor.get(path, headers={"host": "evil.example"})
        assert led(answer) == ("https://app.example/auth/sign-in", path)
        assert (await visitor.get(path, headers={"accept": "application/json"})).status_code == 401


async def test_an_applications_own_error_pages_do_not_swallow_it(world: Any) -> None:
    from starlette.exceptions import HTTPException

    async def own(_request: Request, _error: Exception) -> Response:
        return PlainTextResponse("own", 418)

    app = Starlette(routes=[Route("/page", page)], exception_handlers={HTTPException: own})
    world.auth.install(app)
    assert (await Browser(app).get("/page")).status_code == 303


async def test_without_our_middleware_it_says_what_to_write() -> None:
    with pytest.raises(ConfigurationError, match=r"auth\.install"):
        await page_user(Request({"type": "http", "headers": [], "method": "GET", "path": "/"}))


def test_an_application_without_the_lifespan_says_so_at_the_first_request() -> None:
    auth = Auth("sqlite://", base_url="https://app.example", secrets=[SECRET])
    app = FastAPI()
    auth.install(app)
    app.get("/")(lambda: "page")
    client = TestClient(app, base_url="https://app.example")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"lifespan=auth\.lifespan"):
            client.get("/")
