"""The login chapter: an application with a provider, e-mail links and roles, walked through and then served."""

import logging
import secrets
import socket
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import httpx2
import uvicorn
from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse

from authstore import connect
from authstore.cli.demo.pages import home_page, letters_page
from authstore.cli.demo.story import Story
from authstore.testing.web import FORGERIES, Lies, OpenIDProvider, Outbox, Person
from authstore.web import Auth, oidc
from authstore.web.fastapi import CurrentUser, OptionalUser, require_role

PORT: Final = 8000
_PEOPLE: Final = (
    Person("ada-1", "ada@example.com", name="Ada Lovelace"),
    Person("grace-1", "grace@example.com", name="Grace Hopper"),
)


class DemoSite:
    """The application on a database, with its provider and its letters, all in this process."""

    def __init__(self, database: str, port: int = PORT) -> None:
        self.url = f"http://localhost:{port}"
        self.database = database
        self.outbox = Outbox()
        self.provider = OpenIDProvider(f"{self.url}/provider", people=_PEOPLE, ask=True)
        self.auth = Auth(
            self.database,
            base_url=self.url,
            secrets=[secrets.token_hex()],
            providers=[
                oidc(
                    "pretend",
                    self.provider.client_id,
                    self.provider.client_secret,
                    self.provider.discovery_url,
                    transport=self.provider.transport,
                )
            ],
            mailer=self.outbox,
            insecure_dev=True,
            name="Harbour Notes",
        )
        self.app = self._application()

    def _application(self) -> FastAPI:
        app = FastAPI(lifespan=self.auth.lifespan)
        self.auth.install(app)
        app.mount("/provider", self.provider.app)

        @app.get("/", response_class=HTMLResponse)
        async def home(user: OptionalUser) -> str:
            return home_page(user)

        @app.get("/letters", response_class=HTMLResponse)
        async def letters() -> str:
            return letters_page(self.outbox.messages)

        @app.get("/me")
        async def me(user: CurrentUser) -> dict[str, str | None]:
            return {"id": user.id, "email": user.email, "name": user.name}

        @app.get("/engine-room", dependencies=[Depends(require_role("engineer"))])
        async def engine_room() -> dict[str, str]:
            return {"pressure": "fine"}

        return app


async def tour(story: Story, folder: Path, *, is_check: bool) -> None:
    """Walks through the application once; then, unless it is only a check, serves it until Ctrl-C."""
    story.chapter("The login: a FastAPI application")
    site = DemoSite(_database_in(folder))
    async with site.app.router.lifespan_context(site.app), _browser(site) as browser:
        await _by_provider(story, site, browser)
        await _by_letter(story, site, browser)
        await _a_role(story, site, browser)
        await _attacks(story, site)
        await _sign_out(story, browser)
    if not is_check:
        await _serve(story, folder)


def _database_in(folder: Path) -> str:
    return f"sqlite:///{folder / 'web.db'}"


def _browser(site: DemoSite) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(site.app), base_url=site.url, headers={"accept": "text/html"}
    )


async def _submit(browser: httpx2.AsyncClient, path: str, **fields: str) -> httpx2.Response:
    token = (await browser.get("/auth/csrf")).json()["csrf_token"]
    return await browser.post(path, data={"csrf_token": token, **fields})


async def _by_provider(story: Story, site: DemoSite, browser: httpx2.AsyncClient) -> None:
    story.step("GET /me, signed in as nobody")
    story.expect((await browser.get("/me")).status_code == 401, "401")
    story.step("GET /auth/login/pretend: off to the provider, with state, nonce and PKCE")
    departure = (await browser.get("/auth/login/pretend?next=/me")).headers["location"]
    asked = parse_qs(urlsplit(departure).query)
    story.shows(f"{departure.partition('?')[0]}, code_challenge_method={asked['code_challenge_method'][0]}")
    story.step("Ada agrees at the provider; the browser comes back to /auth/callback/pretend")
    arrival = await browser.get(await site.provider.approve(departure))
    story.expect(arrival.headers.get("location") == "/me", "the code is redeemed, the ID token checked, a session made")
    cookie = arrival.headers["set-cookie"].partition("=")[0]
    story.shows(f"the cookie {cookie}: HttpOnly, SameSite=Lax (over https also Secure and __Host-)")
    story.step("GET /me")
    story.shows((await browser.get("/me")).text)


async def _by_letter(story: Story, site: DemoSite, browser: httpx2.AsyncClient) -> None:
    story.step("sign out; POST /auth/email asks for a link to grace@example.com")
    await _submit(browser, "/auth/logout")
    await _submit(browser, "/auth/email", email="Grace@Example.com", next="/me")
    link = site.outbox.link("grace@example.com")
    story.shows(f"a letter: {link[:60]}…")
    story.step("a mail scanner follows the link before Grace does")
    async with _browser(site) as scanner:
        await scanner.get(link)
        story.expect((await scanner.get("/me")).status_code == 401, "it sees a page with a button, and is nobody")
    story.step("Grace follows it and clicks on the button")
    given = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    await _submit(browser, "/auth/email/verify", **given)
    me = await browser.get("/me")
    story.expect(me.status_code == 200 and "grace@example.com" in me.text, me.text)
    story.step("the same link once more")
    story.expect((await browser.get(link)).status_code >= 400, "used up")


async def _a_role(story: Story, site: DemoSite, browser: httpx2.AsyncClient) -> None:
    story.step('GET /engine-room, which asks for require_role("engineer")')
    story.expect((await browser.get("/engine-room")).status_code == 403, "403")
    async with connect(site.database) as store:
        user = await store.get_user_by_email("grace@example.com")
        await store.create_role("engineer")
        await store.grant_role(user.id if user else "", "engineer")
    story.step("somebody grants it, in another process if you like")
    story.expect((await browser.get("/engine-room")).status_code == 200, "200, at the next request")


async def _attacks(story: Story, site: DemoSite) -> None:
    # What the provider says of itself was read at the first sign-in and is believed for an hour.
    lies = [lie for lie in FORGERIES.values() if not lie.metadata]
    story.step(f"the provider lies, in {len(lies)} ways: wrong audience, no signature, another nonce, …")
    log = logging.getLogger("authstore.web")
    log.disabled = True
    refused = [await _is_refused(site, lie) for lie in lies]
    log.disabled = False
    site.provider.lies = Lies()
    story.expect(all(refused), f"{refused.count(True)} of {len(lies)} end in nobody being signed in")


async def _is_refused(site: DemoSite, lie: Lies) -> bool:
    site.provider.lies = lie
    async with _browser(site) as victim:
        departure = (await victim.get("/auth/login/pretend")).headers["location"]
        await victim.get(await site.provider.approve(departure))
        return (await victim.get("/me")).status_code == 401


async def _sign_out(story: Story, browser: httpx2.AsyncClient) -> None:
    story.step("sign out, then try the old cookie again")
    before = dict(browser.cookies)
    await _submit(browser, "/auth/logout")
    answer = await browser.get("/me", headers={"cookie": "; ".join(f"{k}={v}" for k, v in before.items())})
    story.expect(answer.status_code == 401, "401: the session is gone in the store, not only in the browser")


async def _serve(story: Story, folder: Path) -> None:
    with _listener() as listener:
        port = listener.getsockname()[1]
        site = DemoSite(_database_in(folder), port)
        story.step(f"served now: open {site.url}/ and click on “Sign in” (letters: {site.url}/letters)")
        story.shows("Ctrl-C ends it")
        await uvicorn.Server(uvicorn.Config(site.app, log_level="warning")).serve(sockets=[listener])


def _listener() -> socket.socket:
    """The usual port, or any free one where that is taken."""
    try:
        return socket.create_server(("127.0.0.1", PORT))
    except OSError:
        return socket.create_server(("127.0.0.1", 0))
