"""A real browser, a real server, real TLS: what the journeys need."""

import asyncio
import base64
import hashlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from authstore import connect
from authstore.testing.web import OpenIDProvider, Outbox, Person
from authstore.web import Auth, Provider, oidc
from authstore.web.fastapi import CurrentUser, OptionalUser
from tests.web.certified.certified import CertifiedProvider

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/19.1 Mobile/15E148 Safari/604.1"
)
# A page of the application's own, with a button to sign out everywhere.
LEAVING = """<!doctype html><link rel="icon" href="data:,"><title>Leave</title>
<form method="post" action="/auth/logout"><input type="hidden" name="csrf_token">
<input type="hidden" name="everywhere" value="1"><input type="hidden" name="next" value="/">
<button>Leave</button></form>
<script>fetch("/auth/csrf").then((answer) => answer.json()).then((said) => {
document.querySelector("[name=csrf_token]").value = said.csrf_token; document.title = "Leave now"; })</script>"""
ADA = Person("ada-1", "ada@example.com", name="Ada Lovelace")
GRACE = Person("grace-1", "grace@example.com", name="Grace Hopper")


@dataclass(frozen=True)
class Certificate:
    """A certificate for localhost, its key, and what makes Chromium trust exactly this one."""

    path: Path
    key_path: Path
    fingerprint: str


class Mailbox(Outbox):
    """Letters that the site's own thread sends after it has answered. Whoever looks for one waits until there is one
    that nobody has looked at."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: list[EmailMessage] = []

    def last(self, address: str | None = None) -> EmailMessage:
        found: list[EmailMessage] = []

        def has_come() -> bool:
            found[:] = [letter for letter in self._all(address) if letter not in self._seen]
            return bool(found)

        _wait_for(has_come)
        if not found:
            raise LookupError("no further letter was sent")
        self._seen.append(found[-1])
        return found[-1]

    def _all(self, address: str | None) -> list[EmailMessage]:
        return self.messages if address is None else self.to(address)


@dataclass
class Site:
    """A site that runs, and what the tests look at behind its back."""

    url: str
    outbox: Mailbox
    provider: OpenIDProvider
    other: OpenIDProvider
    auth: Auth
    providers_url: str
    database: str


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding
    public = key.public_key().public_bytes(encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "certificate.pem").write_bytes(signed.public_bytes(encoding.PEM))
    (folder / "key.pem").write_bytes(private)
    fingerprint = base64.b64encode(hashlib.sha256(public).digest()).decode()
    return Certificate(folder / "certificate.pem", folder / "key.pem", fingerprint)


def chromium_path(of_playwright: str) -> str:
    """Where Chromium is: the system's, or Playwright's own build; the tests fail where there is none."""
    found = os.environ.get("AUTHSTORE_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if found is None and Path(of_playwright).exists():
        return of_playwright
    if found is None:
        pytest.fail("no Chromium: install it (Debian: apt-get install chromium) or set AUTHSTORE_TEST_CHROMIUM to it")
    return found


# Not for the whole session: while Playwright's loop runs, no other asyncio test can.
@pytest.fixture(scope="module")
def chromium(certificate: Certificate) -> Iterator[Browser]:
    flags = [*FLAGS, f"--ignore-certificate-errors-spki-list={certificate.fingerprint}"]
    with sync_playwright() as playwright:
        path = chromium_path(playwright.chromium.executable_path)
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@dataclass
class Visitor:
    """Somebody at a browser of their own; notes whatever the browser complains about or fetches from elsewhere."""

    context: BrowserContext
    site: Site
    complaints: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def tab(self) -> Page:
        """A new tab."""
        return self.context.new_page()

    def note_message(self, message: ConsoleMessage) -> None:
        """Anything like a violation of the Content-Security-Policy ends here."""
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def note_request(self, request: Request) -> None:
        """Our pages load nothing from third parties."""
        if not request.url.startswith((self.site.url, self.site.providers_url, "data:", "blob:")):
            self.elsewhere.append(request.url)

    def forgive(self, *statuses: str) -> None:
        """Takes back complaints about answers with these statuses, which were wanted."""
        self.complaints = [text for text in self.complaints if not any(f"status of {one}" in text for one in statuses)]

    def session_cookie(self) -> dict[str, Any] | None:
        """The cookie that signs this browser in."""
        cookies = {cookie.get("name"): dict(cookie) for cookie in self.context.cookies()}
        return cookies.get("__Host-authstore")

    def remember_elsewhere(self, email: str) -> None:
        """Lets the user with this address have a session on a phone and a passkey, without a browser."""
        # Playwright's own loop runs in this thread.
        with ThreadPoolExecutor() as threads:
            threads.submit(asyncio.run, _add_phone_and_passkey(self.site.database, email)).result()

    def name_on_page(self, page: Page) -> str:
        """Whom the site thinks it has before it."""
        page.goto("/")
        return page.inner_text("#who")


NewVisitor = Callable[..., Visitor]


@pytest.fixture
def visitor_of(chromium: Browser, site: Site) -> Iterator[NewVisitor]:
    """Makes visitors; each has cookies, a screen and a taste (`color_scheme`, …) of their own."""
    visitors: list[Visitor] = []

    def make(**options: Any) -> Visitor:
        context = chromium.new_context(base_url=site.url, reduced_motion="reduce", **{"locale": "en-GB", **options})
        context.set_default_timeout(10_000)
        visitor = Visitor(context, site)
        context.on("console", visitor.note_message)
        context.on("request", visitor.note_request)
        visitors.append(visitor)
        return visitor

    yield make
    for visitor in visitors:
        visitor.context.close()
        assert visitor.complaints == []
        assert visitor.elsewhere == []


@pytest.fixture
def visitor(visitor_of: NewVisitor) -> Visitor:
    return visitor_of(viewport={"width": 1100, "height": 820})


@pytest.fixture
def site(certificate: Certificate, tmp_path: Path) -> Iterator[Site]:
    """An application with three providers, e-mail links and passkeys, served with TLS on localhost.

    The providers are served at 127.0.0.1: to a browser another site, as in real life.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        site, app = _build(f"https://localhost:{listener.getsockname()[1]}", tmp_path / "auth.db")
        with _served(app, listener, certificate):
            yield site


@dataclass(frozen=True)
class CertifiedSite:
    """A site where people sign in at a certified provider."""

    url: str
    provider: CertifiedProvider


@pytest.fixture
def certified_site(certificate: Certificate, certified: CertifiedProvider, tmp_path: Path) -> Iterator[CertifiedSite]:
    """Another one: "Corp" answers with a redirect and wants requests pushed, "Poster" with a form."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://localhost:{listener.getsockname()[1]}"
        certified.stop_clock(None)
        certified.configure(*_certified_clients(url), features={"pushedAuthorizationRequests": {"enabled": True}})
        secret, discovery_url = "the-secret-of-the-client", certified.discovery_url
        posting = {"response_mode": "form_post"}
        providers = [
            oidc("corp", "corp", secret, discovery_url),
            oidc("poster", "poster", secret, discovery_url, authorize_params=posting),
        ]
        store_url, secrets = f"sqlite:///{tmp_path / 'auth.db'}", ["a secret for the tests, long enough"]
        auth = Auth(store_url, base_url=url, secrets=secrets, providers=providers)
        app = FastAPI(lifespan=auth.lifespan)
        auth.install(app)
        _add_pages(app)
        with _served(app, listener, certificate):
            yield CertifiedSite(url, certified)


def _certified_clients(url: str) -> list[dict[str, Any]]:
    return [
        {
            "client_id": name,
            "client_secret": "the-secret-of-the-client",
            "redirect_uris": [f"{url}/auth/callback/{name}"],
            "post_logout_redirect_uris": [f"{url}/"],
            "require_pushed_authorization_requests": name == "corp",
        }
        for name in ("corp", "poster")
    ]


@contextmanager
def _served(app: FastAPI, listener: socket.socket, certificate: Certificate) -> Iterator[None]:
    """The application behind TLS, in a thread of its own."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            ssl_certfile=certificate.path,
            ssl_keyfile=str(certificate.key_path),
            timeout_graceful_shutdown=5,
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    _wait_for(lambda: server.started or not thread.is_alive())
    assert server.started, "the server did not start"
    yield
    server.should_exit = True
    thread.join()


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


def _build(url: str, database: Path) -> tuple[Site, FastAPI]:
    outbox, providers_url, store_url = Mailbox(), url.replace("localhost", "127.0.0.1"), f"sqlite:///{database}"
    pretend = OpenIDProvider(f"{providers_url}/pretend", people=(ADA, GRACE), ask=True)
    other = OpenIDProvider(f"{providers_url}/other", people=(Person("a-77", "ada@work.example", name="Ada at work"),))
    poster = OpenIDProvider(f"{providers_url}/poster", people=(GRACE,))
    auth = Auth(
        store_url,
        base_url=url,
        secrets=["a secret for the tests, long enough"],
        providers=[
            _registered("pretend", pretend),
            _registered("other", other),
            _registered("poster", poster, authorize_params={"response_mode": "form_post"}),
        ],
        mailer=outbox,
        name="Harbour Notes",
    )
    app = FastAPI(lifespan=auth.lifespan)
    auth.install(app)
    app.routes.append(auth.console())
    app.mount("/pretend", pretend.app)
    app.mount("/other", other.app)
    app.mount("/poster", poster.app)
    _add_pages(app)
    return Site(url, outbox, pretend, other, auth, providers_url, store_url), app


def _registered(name: str, provider: OpenIDProvider, **options: Any) -> Provider:
    secret, transport = provider.client_secret, provider.transport
    return oidc(name, provider.client_id, secret, provider.discovery_url, transport=transport, **options)


def _add_pages(app: FastAPI) -> None:
    @app.get("/")
    async def home(user: OptionalUser) -> HTMLResponse:
        who = "nobody" if user is None else user.email or user.id
        return HTMLResponse(f'<!doctype html><link rel="icon" href="data:,"><title>Home</title><p id="who">{who}</p>')

    @app.get("/me")
    async def me(user: CurrentUser) -> HTMLResponse:
        return HTMLResponse(
            f'<!doctype html><link rel="icon" href="data:,"><title>Me</title><p id="me">{user.email}</p>'
        )

    @app.get("/leave")
    async def leave() -> HTMLResponse:
        return HTMLResponse(LEAVING)


async def _add_phone_and_passkey(store_url: str, email: str) -> None:
    async with connect(store_url) as store:
        user = await store.get_user_by_email(email)
        assert user is not None
        await store.create_session(user.id, ip="2001:db8::7", user_agent=IPHONE)
        await store.create_authenticator(user.id, "credential-1", b"key", name="Safari on iPhone")
