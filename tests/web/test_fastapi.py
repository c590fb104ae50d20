"""The FastAPI dependencies."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import Depends, FastAPI, WebSocket
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

import authstore
from authstore import ConfigurationError, Permission, StoreUnavailableError, User, connect
from authstore.testing.web import sign_in
from authstore.web import Auth
from authstore.web.fastapi import (
    CurrentSession,
    CurrentUser,
    OptionalUser,
    current_user,
    require_fresh,
    require_permission,
    require_role,
)
from tests.calls import Calls

USER = User(id="u", created_at=datetime(2026, 1, 1, tzinfo=UTC), updated_at=datetime(2026, 1, 1, tzinfo=UTC))


def add_routes(app: FastAPI) -> None:
    @app.get("/me")
    async def me(user: CurrentUser) -> str:
        return user.id

    @app.get("/maybe")
    async def maybe(user: OptionalUser) -> str | None:
        return user.id if user else None

    @app.get("/session")
    async def session(session: CurrentSession) -> str:
        return session.id

    @app.get("/editors")
    async def editors(user: Annotated[User, Depends(require_role("editor"))]) -> str:
        return user.id

    @app.delete("/posts", dependencies=[Depends(require_permission("post", "delete"))])
    async def delete_posts() -> None: ...

    @app.get("/keys", dependencies=[Depends(require_fresh(timedelta(minutes=5)))])
    async def keys() -> None: ...

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, user: CurrentUser) -> None:
        await websocket.accept()
        await websocket.send_text(user.id)
        await websocket.close()


async def _nothing() -> None: ...


async def _grant(world: Any, user: User) -> None:
    if await world.store.get_role("editor") is None:
        await world.store.create_role("editor")
    await world.store.grant_role(user.id, "editor")


async def _annotated(user: Annotated[User, require_role("editor")]) -> str:
    return user.id


EDITOR: Any = require_role("editor")


async def _default(user: User = EDITOR) -> str:
    return user.id


@pytest.fixture
async def signed_in(world: Any, browser: Any) -> User:
    add_routes(world.app)
    user: User = await world.store.create_user(email="ada@example.com")
    await sign_in(browser, user)
    return user


async def test_an_anonymous_request_gets_401(world: Any, browser: Any) -> None:
    add_routes(world.app)
    for path in ("/me", "/session", "/editors", "/keys"):
        answer = await browser.get(path)
        assert answer.status_code == 401, path
        assert "www-authenticate" in answer.headers
    assert (await browser.delete("/posts")).status_code == 401
    assert (await browser.get("/maybe")).json() is None


async def test_who_is_signed_in_is_handed_in(signed_in: User, browser: Any) -> None:
    assert (await browser.get("/me")).json() == signed_in.id
    assert (await browser.get("/maybe")).json() == signed_in.id
    assert isinstance((await browser.get("/session")).json(), str)


async def test_a_role_opens_what_needs_it(world: Any, signed_in: User, browser: Any) -> None:
    await world.store.create_role("editor")
    assert (await browser.get("/editors")).status_code == 403
    await world.store.grant_role(signed_in.id, "editor")
    assert (await browser.get("/editors")).json() == signed_in.id
    await world.store.revoke_role(signed_in.id, "editor")
    assert (await browser.get("/editors")).status_code == 403


async def test_a_requirement_holds_where_depends_was_forgotten(world: Any, browser: Any) -> None:
    """FastAPI would take it for a default value, and let everybody in."""
    world.app.get("/listed", dependencies=[require_role("editor")])(_nothing)
    world.app.get("/annotated")(_annotated)
    world.app.get("/default")(_default)
    for status in (401, 403, 200):
        answers = [await browser.get(path) for path in ("/listed", "/annotated", "/default")]
        assert [answer.status_code for answer in answers] == [status] * 3
        if status == 401:
            user = await world.store.create_user()
            await sign_in(browser, user)
        else:
            await _grant(world, user)


@pytest.mark.parametrize("requirement", [require_role, require_permission, require_fresh])
async def test_a_requirement_without_arguments_lets_nobody_in(world: Any, browser: Any, requirement: Any) -> None:
    """FastAPI would read them from the query: `?name=whatever`."""
    world.app.get("/closed/{name}", dependencies=[Depends(requirement)])(_nothing)
    await sign_in(browser, await world.store.create_user())
    sent = {
        "name": "x",
        "resource": "x",
        "action": "x",
        "limit": "PT1H",
        "call the requirement with its arguments": "1",
    }
    assert (await browser.get("/closed/1", params=sent)).status_code == 422


def test_equal_requirements_are_equal_and_others_are_not() -> None:
    assert require_role("a") == require_role("a") != require_role("b")
    assert hash(require_permission("a", "b")) == hash(require_permission("a", "b"))
    assert require_permission("a", "b") != require_permission("b", "a")
    assert len({require_role("a"), require_role("a"), require_fresh(timedelta(1)), require_fresh(timedelta(2))}) == 3
    assert repr(require_permission("post", "delete")) == "require_permission('post', 'delete')"


async def test_a_permission_of_a_role_opens_what_needs_it(world: Any, signed_in: User, browser: Any) -> None:
    assert (await browser.delete("/posts")).status_code == 403
    await world.store.create_role("editor", permissions=[Permission(resource="post", action="delete")])
    await world.store.grant_role(signed_in.id, "editor")
    assert (await browser.delete("/posts")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "asked"), [("GET", "/editors", "get_roles"), ("DELETE", "/posts", "has_permission")]
)
async def test_a_store_that_cannot_say_what_is_permitted_gives_503(
    world: Any, signed_in: User, browser: Any, monkeypatch: pytest.MonkeyPatch, method: str, path: str, asked: str
) -> None:
    async def fails(*_: object) -> None:
        raise StoreUnavailableError("gone")

    monkeypatch.setattr(world.store, asked, fails)
    answer = await browser.request(method, path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")


async def test_what_must_be_fresh_is_refused_later(world: Any, signed_in: User, browser: Any) -> None:
    world.clock.advance(timedelta(minutes=5, microseconds=-1))
    assert (await browser.get("/keys")).status_code == 200
    world.clock.advance(timedelta(microseconds=1))
    assert (await browser.get("/keys")).status_code == 403


async def test_all_are_overridable(world: Any, browser: Any) -> None:
    add_routes(world.app)
    world.app.dependency_overrides[current_user] = lambda: USER
    assert (await browser.get("/me")).json() == "u"
    world.app.dependency_overrides[require_role("editor")] = lambda: USER
    assert (await browser.get("/editors")).json() == "u"
    world.app.dependency_overrides[require_permission("post", "delete")] = lambda: None
    assert (await browser.delete("/posts")).status_code == 200


async def test_they_are_in_openapi(world: Any) -> None:
    add_routes(world.app)
    schema = world.app.openapi()
    scheme = schema["components"]["securitySchemes"]["authstore"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "cookie", "__Host-authstore")
    for path, method in (("/me", "get"), ("/editors", "get"), ("/posts", "delete"), ("/keys", "get")):
        assert {"authstore": []} in schema["paths"][path][method]["security"], path
    assert not any(path.startswith("/auth") for path in schema["paths"])


async def test_openapi_names_the_cookie_that_is_set_and_bearers(make_world: Any) -> None:
    world = await make_world(cookie_name="staff")
    second = Auth(world.store, base_url="https://app.example", secrets=["x" * 32], cookie_name="other")
    second.install(world.app)
    add_routes(world.app)
    for _ in range(2):
        schema = world.app.openapi()
        schemes = schema["components"]["securitySchemes"]
        assert schemes["authstore"]["name"] == "__Host-staff"
        assert schemes["authstoreBearer"]["scheme"] == "bearer"
        assert schema["paths"]["/me"]["get"]["security"] == [{"authstore": []}, {"authstoreBearer": []}]


async def test_without_the_middleware_the_mistake_is_named(world: Any) -> None:
    app = FastAPI()
    add_routes(app)
    browser = type(world.new_browser())(app)
    with pytest.raises(ConfigurationError, match=r"auth\.install\(app\)"):
        await browser.get("/me")
    await browser.aclose()


def sockets_app(auth: Auth) -> FastAPI:
    app = FastAPI(lifespan=auth.lifespan)
    auth.install(app)
    add_routes(app)
    return app


@pytest.fixture
def client() -> Any:
    auth = Auth("sqlite://", base_url="https://app.example", secrets=["s" * 32])
    with TestClient(sockets_app(auth), base_url="https://app.example") as client:
        yield client


def test_a_websocket_has_its_user(client: Any) -> None:
    auth = client.app.state.authstore
    user = client.portal.call(auth.store.create_user)
    sign_in(client, user)
    with client.websocket_connect("wss://app.example/socket") as socket:
        assert socket.receive_text() == user.id


def test_an_anonymous_websocket_is_refused(client: Any) -> None:
    with pytest.raises(WebSocketDisconnect) as refused, client.websocket_connect("wss://app.example/socket"):
        pass
    assert refused.value.code == 1008


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://app.example"])
def test_a_websocket_from_another_site_is_anonymous(client: Any, origin: str) -> None:
    auth = client.app.state.authstore
    sign_in(client, client.portal.call(auth.store.create_user))
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        client.websocket_connect("wss://app.example/socket", headers={"origin": origin}),
    ):
        pass
    assert refused.value.code == 1008


async def test_a_signed_in_request_is_not_sent_from_hand_to_hand(tmp_path: Path) -> None:
    """Each call takes half a microsecond and more, where other requests come between."""
    settings: Any = {"base_url": "https://app.example", "secrets": "0123456789abcdef0123456789abcdef"}
    url, calls = f"sqlite:///{tmp_path / 'auth.db'}", Calls(Path(authstore.__file__).parent)
    async with connect(url) as store:
        user = await store.create_user(email="ada@example.com")
        session = await store.create_session(user.id)
        name, cookie = Auth(store, **settings).cookie_for(session)
    auth = Auth(url, **settings)
    app = FastAPI(lifespan=auth.lifespan)
    auth.install(app)
    add_routes(app)
    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://app.example")
    async with app.router.lifespan_context(app), client:
        for _ in range(3):
            with calls.counted() as names:
                answer = await client.get("/me", headers={"cookie": f"{name}={cookie}"})
            assert answer.json() == user.id
    assert 20 < len(names) < 95, names
