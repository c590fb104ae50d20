"""The pages: every sentence is in one place, templates can be replaced, and nothing in a page is obeyed."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

import authstore.web
from authstore import Adapter, User, connect
from authstore.testing.web import OpenIDProvider, Outbox, sign_in
from authstore.web import ENGLISH, Auth, Texts, github, oidc

WEB = Path(authstore.web.__file__).parent
MARKED = Texts(**{field.name: f"[{field.name}]" for field in fields(Texts)})
SPOKEN = {"alt", "aria-label", "data-cancelled", "data-exists", "data-failed", "placeholder", "title"}
SCRIPT = '"><script>alert(1)</script>'

Open = Callable[..., Awaitable[httpx2.AsyncClient]]


class Words(HTMLParser):
    """Whatever a person sees or hears of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.found.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in SPOKEN]


@pytest.fixture
async def store() -> AsyncIterator[Adapter]:
    async with connect("sqlite://") as store:
        yield store


@pytest.fixture
async def open_site(store: Adapter) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def make(**options: Any) -> httpx2.AsyncClient:
            provider = OpenIDProvider()
            pretend = oidc("pretend", "client", "secret", provider.discovery_url, transport=provider.transport)
            defaults = {"providers": [github("id", "secret"), pretend], "mailer": Outbox(), "name": "0"}
            secrets = ["0123456789abcdef0123456789abcdef"]
            auth = Auth(store, base_url="https://app.example", secrets=secrets, **{**defaults, **options})
            app = Starlette(lifespan=auth.lifespan)
            auth.install(app)
            await stack.enter_async_context(app.router.lifespan_context(app))
            client = httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app), base_url="https://app.example", headers={"accept": "text/html"}
            )
            return await stack.enter_async_context(client)

        yield make


async def make_full_user(store: Adapter) -> User:
    """With something to show in every place of the account page, in no words of ours."""
    user = await store.create_user(email="1@1.1", name="2")
    await store.link_account(user.id, "github", "3")
    await store.create_session(user.id, ip="203.0.113.7", user_agent="4")
    await store.create_authenticator(user.id, "5", b"key")
    return user


async def pages_of(client: httpx2.AsyncClient, store: Adapter) -> dict[str, str]:
    token = (await store.create_verification_token("1@1.1")).token
    paths = {
        "sign-in": "/auth/sign-in",
        "sent": "/auth/email/sent",
        "confirm": f"/auth/email/verify?email=1@1.1&token={token}",
        "error": "/auth/login/none",
    }
    pages = {name: (await client.get(path)).text for name, path in paths.items()}
    await sign_in(client, await make_full_user(store))
    pages["devices"] = (await client.get("/auth/sessions")).text
    return pages


async def test_no_page_says_a_word_that_is_not_in_the_texts(open_site: Open, store: Adapter) -> None:
    pages = await pages_of(await open_site(texts=MARKED), store)
    for name, page in pages.items():
        said = " ".join(Words(page).found)
        left = re.sub(r"\[\w+\]|UTC|GitHub|Pretend|authstore\.testing", " ", said)
        assert re.findall(r"[^\W\d_]{2,}", left) == [], name
        assert 'lang="[language]"' in page


def test_every_text_is_said_somewhere() -> None:
    sources = [*WEB.rglob("*.py"), *WEB.rglob("*.html")]
    code = "".join(source.read_text(encoding="utf-8") for source in sources if source.name != "texts.py")
    said = set(re.findall(r"texts\.(\w+)", code))
    refusals = {f"error_{code}" for code in re.findall(r'(?:RefusedError|error_text|:)\(?\s*\(?"(\w+)"', code)}
    assert {field.name for field in fields(Texts)} - said - refusals == set()


def test_every_place_in_a_text_is_one_that_is_filled_in() -> None:
    places = {name for field in fields(Texts) for name in re.findall(r"{(\w*)}", getattr(ENGLISH, field.name))}
    assert places <= {"site", "provider", "minutes", "device", "passkey", "time", "browser", "system", "days"}


async def test_a_template_of_ones_own_comes_before_ours(open_site: Open, tmp_path: Path) -> None:
    (tmp_path / "base.html").write_text("<p>Our own frame</p>{% block content %}{% endblock %}", encoding="utf-8")
    page = (await (await open_site(templates=tmp_path)).get("/auth/sign-in")).text
    assert page.startswith("<p>Our own frame</p>")
    assert "E-mail me a link" in page


async def test_what_people_call_themselves_is_shown_and_not_obeyed(open_site: Open, store: Adapter) -> None:
    client = await open_site(name=SCRIPT)
    user = await store.create_user(name=SCRIPT)
    await store.link_account(user.id, "github", SCRIPT)
    await store.create_session(user.id, ip=SCRIPT, user_agent=SCRIPT)
    await store.create_authenticator(user.id, "1", b"key", name=SCRIPT)
    await sign_in(client, user)
    for path in ("/auth/sessions", "/auth/sign-in", "/auth/login/none"):
        page = (await client.get(path)).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


@pytest.mark.parametrize(
    ("options", "missing"),
    [({"mailer": None}, 'type="email"'), ({"passkeys": False}, "data-passkey"), ({"providers": []}, "/auth/login/")],
)
async def test_only_ways_in_that_are_set_up_are_offered(open_site: Open, options: dict[str, Any], missing: str) -> None:
    assert missing in (await (await open_site()).get("/auth/sign-in")).text
    assert missing not in (await (await open_site(**options)).get("/auth/sign-in")).text


async def test_a_site_without_any_way_in_says_so(open_site: Open) -> None:
    page = (await (await open_site(mailer=None, passkeys=False, providers=[])).get("/auth/sign-in")).text
    assert "No way to sign in is set up yet." in page


@pytest.mark.parametrize("name", ["pages.css", "passkey.js", "times.js", "mark.svg"])
async def test_a_static_file_is_served_as_what_it_is(open_site: Open, name: str) -> None:
    answer = await (await open_site()).get(f"/auth/static/{name}")
    kinds = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    assert answer.headers["content-type"].startswith(kinds[name.rpartition(".")[2]])
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["../texts.py", "%2e%2e/texts.py", "..%2ftexts.py", "", "none.css", "../templates/base.html"]
)
async def test_nothing_else_is_served(open_site: Open, path: str) -> None:
    assert (await (await open_site()).get(f"/auth/static/{path}")).status_code == 404


async def test_a_form_may_end_wherever_the_page_of_next_sends_people_on_to(make_world: Any) -> None:
    """`form-action` is held against every redirect that follows: to a front end elsewhere, to a provider's logout."""
    page = await (await make_world()).new_browser().get("/auth/sign-in")
    policy = page.headers["content-security-policy"]
    assert "form-action 'self' https:;" in policy
    assert "script-src 'self';" in policy
