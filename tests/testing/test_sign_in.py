"""Being signed in at once: with the async clients of httpx2 and httpx, and with Starlette's TestClient."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import httpx
import httpx2
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from authstore import User, UserDisabledError, UserNotFoundError, connect
from authstore.testing.web import sign_in
from authstore.web import Auth
from authstore.web.fastapi import CurrentUser

SECRET = "a secret for the tests, long enough"


def make_app(auth: Auth) -> FastAPI:
    app = FastAPI(lifespan=auth.lifespan)
    auth.install(app)

    @app.get("/me")
    async def me(user: CurrentUser) -> str:
        return user.id

    return app


@pytest.fixture
async def auth() -> AsyncIterator[Auth]:
    async with connect("sqlite://") as store:
        yield Auth(store, base_url="https://app.example", secrets=[SECRET])


@pytest.fixture
async def app(auth: Auth) -> AsyncIterator[FastAPI]:
    app = make_app(auth)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def user(auth: Auth) -> User:
    return await auth.store.create_user(email="ada@example.com")


@pytest.mark.parametrize("base_url", ["https://app.example", "http://testserver", "https://localhost:8443"])
async def test_an_httpx2_client_is_signed_in(app: FastAPI, user: User, base_url: str) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=base_url) as client:
        assert (await client.get("/me")).status_code == 401
        session = await sign_in(client, user)
        assert session.user_id == user.id
        assert (await client.get("/me")).json() == user.id


async def test_an_httpx_client_is_signed_in(app: FastAPI, user: User) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://app.example") as client:
        await sign_in(client, user)
        assert (await client.get("/me")).json() == user.id


async def test_a_user_can_be_named_by_id(app: FastAPI, user: User) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://app.example") as client:
        await sign_in(client, user.id)
        assert (await client.get("/me")).json() == user.id


async def test_signing_in_again_is_being_somebody_else(app: FastAPI, auth: Auth, user: User) -> None:
    other = await auth.store.create_user(email="grace@example.com")
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://app.example") as client:
        await sign_in(client, user)
        await sign_in(client, other)
        assert (await client.get("/me")).json() == other.id


async def test_signing_out_works_as_in_a_browser(app: FastAPI, user: User) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://app.example") as client:
        await sign_in(client, user)
        token = (await client.get("/auth/csrf")).json()["csrf_token"]
        await client.post("/auth/logout", headers={"x-csrf-token": token})
        assert (await client.get("/me")).status_code == 401
        assert not [cookie for cookie in client.cookies.jar if cookie.name == "__Host-authstore"]


async def test_nobody_is_signed_in_who_does_not_exist_or_is_disabled(app: FastAPI, auth: Auth, user: User) -> None:
    await auth.store.update_user(user.id, disabled=True)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://app.example") as client:
        with pytest.raises(UserNotFoundError):
            await sign_in(client, "nobody")
        with pytest.raises(UserDisabledError):
            await sign_in(client, user)


async def test_a_client_that_cannot_be_signed_in_says_why(app: FastAPI, auth: Auth, user: User) -> None:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app)) as homeless:
        with pytest.raises(ValueError, match="base_url"):
            await sign_in(homeless, user)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(FastAPI()), base_url="https://x.example") as strange:
        with pytest.raises(LookupError, match="auth="):
            await sign_in(strange, user)
        assert (await sign_in(strange, user, auth=auth)).user_id == user.id


@pytest.fixture
def test_client() -> Iterator[TestClient]:
    auth = Auth("sqlite://", base_url="https://app.example", secrets=[SECRET])
    with TestClient(make_app(auth)) as client:
        yield client


def test_a_test_client_is_signed_in_without_await(test_client: TestClient) -> None:
    auth = test_client.app.state.authstore  # type: ignore[attr-defined] # typed as any ASGI application

    async def create() -> User:
        user: User = await auth.store.create_user(email="ada@example.com")
        return user

    assert test_client.portal is not None
    user = test_client.portal.call(create)
    assert test_client.get("/me").status_code == 401
    sign_in(test_client, user)
    assert test_client.get("/me").json() == user.id


def test_a_test_client_that_was_not_entered_says_so(user: User) -> None:
    client = TestClient(make_app(Auth("sqlite://", base_url="https://app.example", secrets=[SECRET])))
    with pytest.raises(ValueError, match="with TestClient"):
        sign_in(client, user)


def test_pytest_is_not_needed() -> None:
    blocked = "import sys; sys.modules['pytest'] = None; import authstore.testing.web"
    subprocess.run([sys.executable, "-c", blocked], check=True)
