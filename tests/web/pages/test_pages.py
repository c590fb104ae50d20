"""The pages: every sentence is in one place, templates can be replaced, and nothing in a page is obeyed."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import fields
from html.parser import HTMLParser
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

import authstore.web
from authstore import Adapter, ConfigurationError, User, connect
from authstore.testing.web import OpenIDProvider, Outbox, sign_in
from authstore.web import ENGLISH, GERMAN, LANGUAGES, Auth, Texts, github, oidc
from authstore.web import pages as room
from authstore.web.pages.colour import stylesheet_of

WEB = Path(authstore.web.__file__).parent
MARKED = Texts(**{field.name: f"[{field.name}]" for field in fields(Texts)})
SPOKEN = {"alt", "aria-label", "data-cancelled", "data-exists", "data-failed", "placeholder", "title"}
WORDS = re.compile(r'(?:told|leave_word)\([^"\n]*"(\w+)"')
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
    code = "".join(source.read_text(encoding="utf-8") for source in sources if source.parent.name != "texts")
    said = set(re.findall(r"texts\.(\w+)", code))
    said |= set(re.findall(r'"((?:ended_|error_title)\w*)"', code)) | {f"done_{each}" for each in WORDS.findall(code)}
    said |= {"link_terms", "link_privacy", "link_imprint", "link_help"}
    refusals = {f"error_{code}" for code in re.findall(r'(?:RefusedError|error_text|:)\(?\s*\(?"(\w+)"', code)}
    assert {field.name for field in fields(Texts)} - said - refusals == set()


def places_in(texts: Texts, field: str) -> list[str]:
    return sorted(re.findall(r"{(\w*)}", getattr(texts, field)))


@pytest.mark.parametrize("texts", LANGUAGES[1:], ids=lambda texts: texts.language)
def test_every_language_says_everything_with_the_same_places(texts: Texts) -> None:
    # The direction and what is the same in most languages apart.
    same = {field.name for field in fields(Texts) if getattr(texts, field.name) == getattr(ENGLISH, field.name)}
    assert same <= {"direction", "devices_passkeys", "devices_passkeys_unnamed", "email_placeholder"}
    for field in fields(Texts):
        assert places_in(texts, field.name) == places_in(ENGLISH, field.name), field.name
        assert getattr(texts, field.name) == getattr(texts, field.name).strip()


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("en;q=0.5, FR-ca;q=0.8", "fr"),
        ("da, ja;q=0.1", "ja"),
        ("da, *;q=0.1", "en"),
        ("de;Q=0.5, fr;Q=0.9", "fr"),
        ("es;q=0, en", "en"),
        ("es;q=zwei, de;q=0.1", "de"),
        ("xx" * 5000 + ",de", "en"),
    ],
)
async def test_a_browser_says_which_language_it_wants(open_site: Open, asked: str, language: str) -> None:
    page = await (await open_site()).get("/auth/sign-in", headers={"accept-language": asked})
    assert f'<html lang="{language}"' in page.text


async def test_the_letter_is_in_the_language_of_who_asks(open_site: Open) -> None:
    outbox = Outbox()
    client = await open_site(mailer=outbox)
    client.headers["accept-language"] = "de"
    token = (await client.get("/auth/csrf")).json()["csrf_token"]
    await client.post("/auth/email", data={"email": "ada@example.com", "csrf_token": token})
    assert outbox.last()["Subject"] == "Bei 0 anmelden"


async def test_only_the_languages_that_were_given_are_spoken(open_site: Open) -> None:
    page = await (await open_site(texts=GERMAN)).get("/auth/sign-in", headers={"accept-language": "en"})
    assert '<html lang="de"' in page.text
    with pytest.raises(ConfigurationError, match="texts"):
        await open_site(texts=[])


async def test_a_site_shows_its_logo_its_links_and_its_colour(open_site: Open) -> None:
    links = {"terms": "/terms", "Status": "https://status.example"}
    client = await open_site(logo="https://cdn.example/logo.svg", links=links, accent="#AA0044")
    page = await client.get("/auth/sign-in", headers={"accept-language": "de"})
    assert '<img class="logo" src="https://cdn.example/logo.svg" alt="0">' in page.text
    assert "img-src 'self' https://cdn.example;" in page.headers["content-security-policy"]
    assert '<a href="/terms">Nutzungsbedingungen</a>' in page.text
    assert '<a href="https://status.example">Status</a>' in page.text
    assert 'href="/auth/colour.css"' in page.text
    css = await client.get("/auth/colour.css")
    assert (css.headers["content-type"], "--strong:#aa0044" in css.text) == ("text/css; charset=utf-8", True)
    assert "colour.css" not in (await (await open_site()).get("/auth/sign-in")).text


@pytest.mark.parametrize(
    ("look", "written"),
    [({}, "#14563c;color:#ffffff"), ({"accent": "#7a1fa2"}, "#7a1fa2;color:#ffffff"), ({"accent": "#ffee00"}, "#")],
)
async def test_so_do_its_letters(open_site: Open, look: dict[str, str], written: str) -> None:
    outbox = Outbox()
    client = await open_site(mailer=outbox, **look)
    token = (await client.get("/auth/csrf")).json()["csrf_token"]
    await client.post("/auth/email", data={"email": "ada@example.com", "csrf_token": token})
    html = outbox.last().get_body(("html",))
    assert html is not None
    [(ground, ink)] = re.findall(r"background:(#\w{6});color:(#\w{6});font-weight", html.get_content())
    assert f"{ground};color:{ink}".startswith(written)
    assert contrast(ground, "#ffffff") >= 4.5
    assert contrast(ground, ink) >= 4.5


@pytest.mark.parametrize(
    "wrong", [{"accent": "red"}, {"accent": "#12"}, {"logo": "javascript:x"}, {"links": {"terms": "http://x"}}]
)
async def test_what_cannot_be_shown_is_refused(open_site: Open, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"accent|logo|links"):
        await open_site(**wrong)


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    darker, brighter = sorted((luminance(one), luminance(other)))
    return (brighter + 0.05) / (darker + 0.05)


@given(st.integers(0, 0xFFFFFF))
@settings(max_examples=100, deadline=None)
def test_any_colour_can_be_read_on_light_and_on_dark(number: int) -> None:
    light, dark = stylesheet_of(f"#{number:06x}").split("@media")
    for sheet, rules in (("#ffffff", light), ("#151d1a", dark)):
        colours = dict(re.findall(r"--([\w-]+):(#[0-9a-f]{6})", rules))
        assert contrast(colours["strong"], sheet) >= 4.5
        assert contrast(colours["on-strong"], colours["strong"]) >= 4.5
        assert contrast(colours["on-tint"], colours["tint"]) >= 4.5


def test_every_place_in_a_text_is_one_that_is_filled_in() -> None:
    places = {name for field in fields(Texts) for name in places_in(ENGLISH, field.name)}
    assert places <= {
        "site",
        "provider",
        "minutes",
        "device",
        "passkey",
        "time",
        "browser",
        "system",
        "days",
        "who",
        "reference",
    }


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


async def test_a_long_page_is_told_in_pieces_and_other_threads_run_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn of the event loop keeps Python's lock; the thread of a look-up gets it while the loop sleeps."""
    (tmp_path / "long.html").write_text("{% for number in range(50) %}<p>{{ number }}</p>{% endfor %}")
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", noted)
    monkeypatch.setattr(room, "perf_counter", count(step=0.001).__next__)  # each piece takes a millisecond
    page = await room.Pages(tmp_path).page_by_pieces("long.html", {})
    assert page.body == b"".join(b"<p>%d</p>" % number for number in range(50))
    assert len(pauses) >= 50
    assert min(pauses) > 0
