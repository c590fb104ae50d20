"""A site in this process, a certified provider in another, and one clock for both, which stands until it is moved."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from authstore import Account, Adapter, connect
from authstore.web import Auth, oidc
from tests.web.certified.certified import CertifiedProvider
from tests.web.certified.visitor import BASE, Visitor

SECRET = "0123456789abcdef0123456789abcdef"
CLIENT: Mapping[str, Any] = {
    "client_id": "client",
    "client_secret": "the-secret-of-the-client",
    "redirect_uris": [f"{BASE}/auth/callback/corp"],
    "post_logout_redirect_uris": [f"{BASE}/auth/logged-out"],
    "grant_types": ["authorization_code", "refresh_token"],
}
OFFLINE: Mapping[str, Any] = {
    "scope": "openid email profile offline_access",
    "authorize_params": {"prompt": "consent"},  # without it nobody gets a refresh token (OpenID Connect Core §11)
}


class Clock:
    """The site's, and the provider's: both stand still until they are moved."""

    def __init__(self, provider: CertifiedProvider) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        self._provider = provider
        provider.stop_clock(self.now)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self._provider.stop_clock(self.now)


@dataclass
class World:
    """A site, the provider that people sign in with there, and what the tests look at behind their backs."""

    auth: Auth
    app: FastAPI
    store: Adapter
    provider: CertifiedProvider
    clock: Clock
    visitor: Visitor
    new_visitor: Callable[[], Visitor]

    async def account(self, login: str = "ada") -> Account:
        """What the store knows of somebody's account at the provider."""
        found = await self.store.get_account("corp", login)
        assert found is not None
        return found


MakeWorld = Callable[..., Awaitable[World]]


@pytest.fixture
async def make_world(certified: CertifiedProvider) -> AsyncIterator[MakeWorld]:
    """Builds a world.

    client: laid over the registration of the site at the provider. provider: of the provider's own configuration.
    Other keywords go to `oidc`.
    """
    async with AsyncExitStack() as stack:

        async def make(
            client: Mapping[str, Any] | None = None, provider: Mapping[str, Any] | None = None, **options: Any
        ) -> World:
            registered = {name: value for name, value in {**CLIENT, **(client or {})}.items() if value is not None}
            certified.configure(registered, **(provider or {}))
            certified.requests()
            clock = Clock(certified)
            store = await stack.enter_async_context(connect("sqlite://", clock=clock))
            secret = options.pop("client_secret", registered.get("client_secret"))
            corp = oidc("corp", "client", secret, certified.discovery_url, **options)
            auth = Auth(store, base_url=BASE, secrets=[SECRET], providers=[corp])
            app = FastAPI(lifespan=auth.lifespan)
            auth.install(app)
            app.get("/after")(_after)

            def new_visitor() -> Visitor:
                visitor = Visitor(app)
                stack.push_async_callback(visitor.aclose)
                return visitor

            return World(auth, app, store, certified, clock, new_visitor(), new_visitor)

        yield make
        certified.stop_clock(None)


async def _after() -> HTMLResponse:
    return HTMLResponse("back again")
