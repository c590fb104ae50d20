"""A site with two providers and e-mail links, in this process, and the browsers that visit it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from authstore import Adapter, Session, User, connect
from authstore.testing.web import OpenIDProvider, Outbox, Person
from authstore.web import Auth, oidc

BASE = "https://app.example"
SECRET = "a secret for the tests, long enough"


@dataclass
class Site:
    """The site, and what stands behind it."""

    app: Starlette
    store: Adapter
    outbox: Outbox
    pretend: OpenIDProvider
    other: OpenIDProvider


class Visitor(httpx2.AsyncClient):
    """A browser: keeps cookies, says where its requests come from, follows no redirect by itself."""

    def __init__(self, site: Site) -> None:
        super().__init__(
            transport=httpx2.ASGITransport(site.app, raise_app_exceptions=False),
            base_url=BASE,
            headers={"accept": "text/html", "user-agent": "Browser/1.0"},
        )
        self.site = site

    async def csrf_token(self) -> str:
        """A token as a page of the site holds it."""
        return str((await self.get("/auth/csrf")).json()["csrf_token"])

    async def submit(self, path: str, **fields: str) -> httpx2.Response:
        """Fills in a form of the site."""
        data = {"csrf_token": await self.csrf_token(), **fields}
        return await self.post(path, data=data, headers={"origin": BASE, "sec-fetch-site": "same-origin"})

    async def depart(self, provider: str = "pretend", next_path: str = "/") -> str:
        """Clicks on a provider's button: the URL at the provider."""
        answer = await self.get(f"/auth/login/{provider}", params={"next": next_path})
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    async def sign_in_at(self, provider: OpenIDProvider, person: Person | None = None) -> httpx2.Response:
        """Signs in at a provider and comes back; the answer, which is the first one where that was a refusal."""
        name = "pretend" if provider is self.site.pretend else "other"
        departure = await self.get(f"/auth/login/{name}")
        if departure.status_code != 303:
            return departure
        return await self.get(await provider.approve(departure.headers["location"], person))

    async def letter_to(self, address: str, next_path: str = "/") -> str:
        """Asks for a letter: the link in it."""
        await self.submit("/auth/email", email=address, next=next_path)
        return self.site.outbox.link()

    async def follow(self, link: str) -> httpx2.Response:
        """Opens a link from a letter and clicks on the button."""
        page = await self.get(link)
        assert page.status_code == 200
        given = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
        return await self.submit("/auth/email/verify", **given)

    async def who(self) -> str | None:
        """The id of the user this browser is signed in as."""
        answer = (await self.get("/who")).json()
        return None if answer is None else str(answer)

    @property
    def session_cookie(self) -> str | None:
        """The value of the cookie that signs this browser in."""
        return next((cookie.value for cookie in self.cookies.jar if cookie.name == "__Host-authstore"), None)


NewVisitor = Callable[[], Visitor]


async def _who(request: Request) -> JSONResponse:
    user: User | None = request.state.user
    session: Session | None = request.state.session
    assert (user is None) == (session is None)
    return JSONResponse(None if user is None else user.id)


@dataclass
class Build:
    """How a test wants its site: keyword arguments of `Auth`."""

    options: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def build(request: pytest.FixtureRequest) -> Build:
    return Build(getattr(request, "param", {}))


@pytest.fixture
async def site(tmp_path: Path, build: Build) -> AsyncIterator[Site]:
    pretend, other = OpenIDProvider("https://pretend.example"), OpenIDProvider("https://other.example")
    outbox = Outbox()
    async with connect(f"sqlite:///{tmp_path / 'auth.db'}", durability="relaxed") as store:
        options = {
            "base_url": BASE,
            "secrets": [SECRET],
            "providers": [_registered("pretend", pretend), _registered("other", other)],
            "mailer": outbox,
            **build.options,
        }
        auth = Auth(store, **options)
        app = Starlette(routes=[Route("/who", _who), Route("/", _who)], lifespan=auth.lifespan)
        auth.install(app)
        async with app.router.lifespan_context(app):
            yield Site(app, store, outbox, pretend, other)


def _registered(name: str, provider: OpenIDProvider) -> Any:
    made = oidc(name, provider.client_id, provider.client_secret, provider.discovery_url, transport=provider.transport)
    return replace(made, vouches=True)


@pytest.fixture
async def new_visitor(site: Site) -> AsyncIterator[NewVisitor]:
    async with AsyncExitStack() as stack:
        visitors: list[Visitor] = []

        def make() -> Visitor:
            visitors.append(Visitor(site))
            return visitors[-1]

        yield make
        for visitor in visitors:
            stack.push_async_callback(visitor.aclose)


@pytest.fixture
def visitor(new_visitor: NewVisitor) -> Visitor:
    return new_visitor()
