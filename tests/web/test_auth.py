"""`Auth`: what it takes, what it refuses, when it opens and closes the store."""

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from authstore import ConfigurationError, SessionPolicy, StoreClosedError, connect
from authstore.expiry import utc_now
from authstore.testing.web import sign_in
from authstore.web import Auth, ConsoleMailer, Http, Limits, Look, Storage, github
from authstore.web.address import Address
from authstore.web.options import Hooks, Options

SECRET = "s" * 32
BASE = "https://app.example"


def holds(folder: Path, text: bytes) -> bool:
    return any(text in file.read_bytes() for file in folder.iterdir())


async def test_a_url_is_opened_and_closed_by_the_lifespan(tmp_path: Path) -> None:
    auth = Auth(f"sqlite:///{tmp_path}/sub/auth.db", base_url=BASE, secrets=[SECRET])
    async with auth.lifespan(FastAPI()):
        store = auth.store
        assert (await store.health()).ok
    with pytest.raises(StoreClosedError):
        await store.list_users()
    with pytest.raises(ConfigurationError, match="lifespan"):
        _ = auth.store


async def test_a_path_is_a_file_and_policy_and_keys_reach_the_store(tmp_path: Path) -> None:
    policy = SessionPolicy(lifetime=timedelta(hours=1))
    auth = Auth(tmp_path / "auth.db", base_url=BASE, secrets=[SECRET], policy=policy, keys=["k" * 32])
    async with auth.lifespan():
        user = await auth.store.create_user()
        session = await auth.store.create_session(user.id)
        assert session.expires - session.created_at == timedelta(hours=1)
        await auth.store.link_account(user.id, "p", "1", access_token="the-access-token")
    assert not holds(tmp_path, b"the-access-token")


async def test_an_open_store_stays_open_and_keeps_its_policy() -> None:
    async with connect("sqlite://", policy=SessionPolicy(lifetime=timedelta(hours=1))) as store:
        auth = Auth(store, base_url=BASE, secrets=[SECRET])
        async with auth.lifespan():
            user = await auth.store.create_user()
        session = await store.create_session(user.id)
        assert session.expires - session.created_at == timedelta(hours=1)


@pytest.mark.parametrize(
    "option",
    [
        {"policy": SessionPolicy()},
        {"keys": [SECRET]},
        {"clock": utc_now},
        {"storage": Storage(policy=SessionPolicy.aal3())},
    ],
    ids=["policy", "keys", "clock", "in a group"],
)
async def test_what_would_be_without_effect_on_an_open_store_is_refused(option: dict[str, Any]) -> None:
    async with connect("sqlite://") as store:
        with pytest.raises(ConfigurationError, match="pass it to connect"):
            Auth(store, base_url=BASE, secrets=[SECRET], **option)


async def test_an_option_is_given_by_itself_or_in_its_group_and_never_twice() -> None:
    limits = Limits(fresh_for=timedelta(minutes=5))
    auth = Auth("sqlite://", base_url=BASE, secrets=[SECRET], limits=limits, mails_per_address=2, look=Look(home="/in"))
    assert auth.site.settings.limits == replace(limits, mails_per_address=2)
    assert auth.site.settings.home == "/in"
    with pytest.raises(ConfigurationError, match="fresh_for is given twice"):
        Auth("sqlite://", base_url=BASE, secrets=[SECRET], limits=limits, fresh_for=timedelta(hours=2))
    with pytest.raises(TypeError, match="'colour'"):
        Auth("sqlite://", base_url=BASE, secrets=[SECRET], colour="red")  # type: ignore[arg-type]


async def test_every_member_of_a_group_can_be_given_by_itself() -> None:
    members = {each.name for group in (Storage, Limits, Look, Http, Hooks) for each in fields(group)}
    assert members - {"policy"} == set(Options.__annotations__)


async def test_an_application_may_have_a_lifespan_of_its_own() -> None:
    auth = Auth("sqlite://", base_url=BASE, secrets=[SECRET])

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> Any:
        async with auth.lifespan(app):
            yield

    app = FastAPI(lifespan=lifespan)
    auth.install(app)
    async with app.router.lifespan_context(app):
        assert (await auth.store.health()).ok


async def test_dead_rows_are_deleted_while_the_application_runs() -> None:
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    auth = Auth(
        "sqlite://", base_url=BASE, secrets=[SECRET], clock=lambda: now[0], prune_every=timedelta(milliseconds=20)
    )
    async with auth.lifespan():
        user = await auth.store.create_user()
        session = await auth.store.create_session(user.id)
        now[0] += timedelta(days=365)
        ended = await auth.store.why_ended(session.token or "")
        while ended is not None:  # told as long as the row is there
            await asyncio.sleep(0.01)
            ended = await auth.store.why_ended(session.token or "")
        now[0] -= timedelta(days=365)
        assert await auth.store.list_sessions(user.id) == []


@pytest.mark.parametrize(
    "base_url",
    [
        "app.example",
        "http://app.example",
        "ftp://app.example",
        "https://",
        "https://a@b",
        "https://a/?x",
        "https://a:x",
        "",
        None,
        b"https://app.example",
        "https://m\u00fcnchen.example",
        "https://app.example/caf\u00e9",
        "https://app.example/a b",
        "https://app.example//evil.example",
        "https://app.ex\nample",
        "https://app.example\\x",
        "https://*.example",
        "https://app.example.",
        'https://app.example/"x',
    ],
)
def test_an_address_that_cannot_work_is_refused(base_url: Any) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        Auth("sqlite://", base_url=base_url, secrets=[SECRET])


@pytest.mark.parametrize(
    ("base_url", "origin", "host", "path"),
    [
        ("https://App.Example:443/x/", "https://app.example", "app.example", "/x"),
        ("https://app.example:8443", "https://app.example:8443", "app.example", ""),
        (
            "https://xn--mnchen-3ya.example/~a/b-c/",
            "https://xn--mnchen-3ya.example",
            "xn--mnchen-3ya.example",
            "/~a/b-c",
        ),
        ("https://[2001:DB8::1]:444/", "https://[2001:db8::1]:444", "2001:db8::1", ""),
        ("https://my_service", "https://my_service", "my_service", ""),
    ],
)
def test_an_address_is_read_as_browsers_do(base_url: str, origin: str, host: str, path: str) -> None:
    address = Address.parse(base_url)
    assert (address.origin, address.host, address.path) == (origin, host, path)


@pytest.mark.parametrize(
    "options",
    [
        {"prefix": "auth"},
        {"prefix": "/auth/"},
        {"prefix": ""},
        {"trust_email_of": ["github"]},
        {"trust_email_of": "github"},
        {"providers": [github("a", "b"), github("c", "d")]},
        {"fresh_for": timedelta(0)},
        {"mails_per_address": 0},
        {"allowed_origins": ["spa.example"]},
        {"allowed_origins": ["http://spa.example"]},
        {"allowed_origins": ["https://spa.example/app"]},
        {"allowed_origins": "https://spa.example"},
        {"links": [("Terms", "/terms")]},
        {"hsts": "31536000"},
        {"hsts": True},
        {"max_cookie_bytes": 8192.5},
        {"prune_every": 3600},
        {"invitation_lifetime": 7},
        {"fresh_for": None},
        {"mails_per_client": "3"},
        {"policy": "strict"},
        {"visits": "yes"},
        {"cookie_name": None},
        {"prune_every": timedelta(0)},
        {"link_lifetime": timedelta(0)},
        {"prefix": "//evil.example"},
        {"prefix": "/{name}"},
        {"home": "https://evil.example/"},
        {"home": "//evil.example"},
        {"home": "start"},
        {"name": "Two\nlines"},
        {"providers": github("a", "b")},
        {"providers": [github]},
        {"mailer": "smtp://localhost"},
        {"mailer": ConsoleMailer},
        {"mailer": ConsoleMailer(), "mail_from": "nobody"},
        {"mailer": ConsoleMailer(), "mail_from": "a@b.example\nBcc: c@d.example"},
        {"mailer": ConsoleMailer(), "mail_from": "a@b.example, c@d.example"},
        {"templates": "no such folder"},
        {"links": {7: "/terms"}},
        {"links": {"\n": "/terms"}},
        {"allowed_origins": None},
        {"former_cookies": None},
        {"trust_email_of": None},
        {"trust_email_of": 7},
    ],
    ids=",".join,
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Auth("sqlite://", base_url=BASE, secrets=[SECRET], **options)


OPTIONS = """
base_url secrets providers mailer prefix trust_email_of policy clock prune_every storage limits look http hooks allow
on_event texts templates mail_from logo links former_cookies allowed_origins cookie_name rp_id hsts max_cookie_bytes
visits accent home link_lifetime mails_per_address sign_ins_per_client fresh_for invitation_lifetime name
"""


@pytest.mark.parametrize("given", [object(), 1.5, b"x", {7}, "\0"], ids=lambda given: type(given).__name__)
@pytest.mark.parametrize("option", OPTIONS.split())
def test_an_option_of_another_kind_is_refused_as_one(option: str, given: Any) -> None:
    """And not as whatever it makes fail."""
    options = {"base_url": BASE, "secrets": [SECRET], "mailer": ConsoleMailer(), option: given}
    with pytest.raises(ConfigurationError):
        Auth("sqlite://", **options)


@pytest.mark.parametrize("store", [None, 7, object()])
def test_what_is_no_store_is_refused(store: Any) -> None:
    with pytest.raises(ConfigurationError, match="store"):
        Auth(store, base_url=BASE, secrets=[SECRET])


async def test_a_site_below_a_path_keeps_to_it(make_world: Any) -> None:
    world = await make_world(base_url="https://app.example/shop")
    browser = world.new_browser()
    departure = await browser.get("/auth/login/pretend")
    assert "redirect_uri=https%3A%2F%2Fapp.example%2Fshop%2Fauth%2Fcallback%2Fpretend" in departure.headers["location"]
    page = await browser.get("/auth/sign-in")
    assert 'href="/shop/auth/static/pages.css"' in page.text
    assert (await browser.submit("/auth/logout")).headers["location"] == "/shop/"


async def test_another_prefix_moves_every_route(make_world: Any) -> None:
    world = await make_world(prefix="/account")
    browser = world.new_browser()
    assert (await browser.get("/account/sign-in")).status_code == 200
    assert (await browser.get("/auth/sign-in")).status_code == 404


async def test_routes_of_the_application_may_stand_beside_ours(world: Any, browser: Any) -> None:
    world.app.get("/auth/own")(lambda: "own")
    world.app.get("/auth")(lambda: "root")
    world.app.post("/auth/own/deeper/{number}")(lambda number: number)
    assert (await browser.get("/auth/own")).json() == "own"
    assert (await browser.get("/auth")).json() == "root"
    assert (await browser.post("/auth/own/deeper/7")).json() == "7"
    assert (await browser.get("/auth/sign-in")).status_code == 200
    assert (await browser.get("/auth/static/pages.css")).status_code == 200
    assert (await browser.get("/auth/logout")).status_code == 405
    assert (await browser.get("/auth/nothing")).status_code == 404


async def test_an_applications_own_way_in_uses_the_same_sessions(world: Any, browser: Any) -> None:
    async def enter(request: Request) -> Response:
        response = JSONResponse({})
        user = await world.store.get_user_by_email("ada@example.com")
        await world.auth.sign_in(request, response, user)
        return response

    async def leave(request: Request) -> Response:
        response = JSONResponse({})
        await world.auth.sign_out(request, response)
        return response

    world.app.add_route("/enter", enter, methods=["POST"])
    world.app.add_route("/leave", leave, methods=["POST"])
    user = await world.store.create_user(email="ada@example.com")
    await browser.post("/enter")
    await browser.post("/enter")
    assert await browser.who() == user.id
    assert len(await world.store.list_sessions(user.id)) == 1
    await browser.post("/leave")
    assert await browser.who() is None
    assert await world.store.list_sessions(user.id) == []


async def test_templates_of_the_application_come_first(make_world: Any, tmp_path: Path) -> None:
    (tmp_path / "sign_in.html").write_text("<p>{{ site }}: {{ providers[0].label }}</p>")
    world = await make_world(templates=tmp_path, name="Our <site>")
    assert (await world.new_browser().get("/auth/sign-in")).text == "<p>Our &lt;site&gt;: Pretend</p>"


async def test_a_store_that_cannot_be_reached_is_said_so(world: Any, browser: Any) -> None:
    await world.store.close()
    answer = await browser.get("/auth/login/pretend")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert "not possible right now" in answer.text


async def test_a_cookie_needs_the_token_that_only_its_maker_has(world: Any, browser: Any) -> None:
    user = await world.store.create_user()
    await sign_in(browser, user)
    (listed,) = await world.store.list_sessions(user.id)
    with pytest.raises(ValueError, match="token"):
        world.auth.cookie_for(listed)


@pytest.mark.parametrize(
    ("module", "absent"),
    [("authstore", ("starlette", "fastapi", "authlib", "authstore.web")), ("authstore.web", ("fastapi",))],
)
def test_importing_pulls_in_no_more_than_it_needs(module: str, absent: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print([name for name in {absent!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


async def test_who_is_trusted_and_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"'gogle', which is not set up; there are: github"):
        Auth("sqlite://", base_url=BASE, secrets=[SECRET], providers=[github("i", "s")], trust_email_of=["gogle"])


@pytest.mark.parametrize("name", ["山田\u3000太郎", "Ada\u00a0Notes", "یادداشت\u200cها", "Notes 👩\u200d🔬"])
async def test_a_site_is_called_in_any_script(name: str) -> None:
    auth = Auth("sqlite://", base_url=BASE, secrets=[SECRET], name=f" {name} ")
    assert auth.site.settings.name == name


@pytest.mark.parametrize("name", [" ", "\u200b", "a\nb", "a\u202eb", "\u2066a", "a\u2028b"])
async def test_a_name_that_plays_tricks_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="name"):
        Auth("sqlite://", base_url=BASE, secrets=[SECRET], name=name)


class Wrapped:
    """A store in a wrapper that hands everything on."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


async def test_a_store_in_a_wrapper_is_a_store_on_every_python() -> None:
    async with connect("sqlite://", policy=SessionPolicy(lifetime=timedelta(hours=1))) as store:
        wrapped: Any = Wrapped(store)
        auth = Auth(wrapped, base_url=BASE, secrets=[SECRET])
        assert auth.site.source.policy == store.policy  # type: ignore[attr-defined] # of those of connect
    nothing: Any = object()
    with pytest.raises(ConfigurationError, match="open store"):
        Auth(nothing, base_url=BASE, secrets=[SECRET])
