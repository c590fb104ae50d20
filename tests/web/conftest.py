"""A FastAPI application with sign-in, in this process: two OpenID providers, letters, passkeys, a clock to move."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from authstore import Adapter, SessionPolicy, connect
from authstore.testing.web import OpenIDProvider, Outbox, Person
from authstore.web import Auth, Provider, oidc
from authstore.web.fastapi import OptionalUser
from tests.web.certified.certified import CertifiedProvider, certified_provider

BASE = "https://app.example"
SECRET = "0123456789abcdef0123456789abcdef"
ADA = Person("ada-1", "ada@example.com", name="Ada Lovelace")
BOB = Person("bob-1", "bob@example.com", name="Bob")


class MovableClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


class Browser(httpx2.AsyncClient):
    """Keeps cookies and follows no redirect by itself."""

    def __init__(self, app: Any, base_url: str = BASE, **headers: str) -> None:
        transport = httpx2.ASGITransport(app)
        super().__init__(transport=transport, base_url=base_url, headers={"user-agent": "Firefox/1 Linux", **headers})

    async def csrf(self) -> str:
        return str((await self.get("/auth/csrf")).json()["csrf_token"])

    async def submit(self, path: str, **fields: str) -> httpx2.Response:
        return await self.post(path, data={"csrf_token": await self.csrf(), **fields})

    async def send_json(self, path: str, **fields: Any) -> httpx2.Response:
        return await self.post(path, json=fields, headers={"x-csrf-token": await self.csrf()})

    async def who(self) -> str | None:
        answer = (await self.get("/auth/session")).json()
        return None if answer is None else str(answer["user"]["id"])

    def cookie(self, name: str = "__Host-authstore") -> str | None:
        return next((cookie.value for cookie in self.cookies.jar if cookie.name == name), None)


@dataclass
class World:
    """The application, and what stands around it."""

    auth: Auth
    app: FastAPI
    store: Adapter
    clock: MovableClock
    outbox: Outbox
    pretend: OpenIDProvider
    other: OpenIDProvider
    new_browser: Callable[..., Browser]

    async def sign_in(self, browser: Browser, person: Person = ADA, provider: str = "pretend") -> httpx2.Response:
        """Signs in at a provider and comes back."""
        departure = await browser.get(f"/auth/login/{provider}?next=/after")
        assert departure.status_code == 303, departure.text
        at = self.pretend if provider == "pretend" else self.other
        return await browser.get(await at.approve(departure.headers["location"], person))

    async def letter_to(self, browser: Browser, address: str, **fields: str) -> str:
        """Asks for a letter: the link in it."""
        answer = await browser.submit("/auth/email", email=address, **fields)
        assert answer.status_code == 303
        return self.outbox.link()


def vouching(provider: Provider) -> Provider:
    """As a preset whose provider verifies addresses itself."""
    return replace(provider, vouches=True)


MakeWorld = Callable[..., Awaitable[World]]


@pytest.fixture
async def make_world() -> AsyncIterator[MakeWorld]:
    """Builds a world; keywords go to `Auth`."""
    async with AsyncExitStack() as stack:

        async def make(policy: SessionPolicy | None = None, store: Adapter | None = None, **options: Any) -> World:
            clock, outbox = MovableClock(), Outbox()
            pretend = OpenIDProvider("https://pretend.example", clock=clock)
            other = OpenIDProvider("https://other.example", clock=clock)
            if store is None:
                opening = connect("sqlite://", clock=clock, policy=policy or SessionPolicy())
                store = await stack.enter_async_context(opening)
            providers = [
                vouching(oidc(name, at.client_id, at.client_secret, at.discovery_url, transport=at.transport))
                for name, at in (("pretend", pretend), ("other", other))
            ]
            given = {"base_url": BASE, "secrets": [SECRET], "providers": providers, "mailer": outbox, **options}
            auth = Auth(store, **given)
            app = FastAPI(lifespan=auth.lifespan)
            auth.install(app)
            app.get("/public")(_public)

            def new_browser(**headers: str) -> Browser:
                browser = Browser(app, **headers)
                stack.push_async_callback(browser.aclose)
                return browser

            return World(auth, app, store, clock, outbox, pretend, other, new_browser)

        yield make


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world()


@pytest.fixture
def browser(world: World) -> Browser:
    return world.new_browser()


@pytest.fixture(scope="session")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CertifiedProvider]:
    """The process, for all tests; each makes of it the provider that it needs."""
    with certified_provider(tmp_path_factory.mktemp("certified")) as provider:
        yield provider


async def _public(user: OptionalUser) -> dict[str, str | None]:
    return {"user": None if user is None else user.id}
