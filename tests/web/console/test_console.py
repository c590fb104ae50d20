"""The console: who may see it, what it shows, what can be done there and who is told to have done it."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from authstore import Adapter, ConfigurationError, connect, ops
from authstore.testing.web import sign_in
from authstore.web import Auth
from authstore.web.console.admission import ByRole
from authstore.web.console.mounting import mounted
from tests.web.conftest import BASE, SECRET, Browser, MovableClock

JSON = {"accept": "application/json"}
HTML = {"accept": "text/html"}


class Office:
    """A site with its console, a store with a few people in it, and one of them who may look."""

    def __init__(self, store: Adapter, clock: MovableClock, seconds: float | None = None, **options: Any) -> None:
        self.store, self.clock = store, clock
        self.auth = Auth(store, base_url=BASE, secrets=[SECRET], **options)
        self.app = FastAPI()
        console = self.auth.console() if seconds is None else mounted(self.auth.site, ByRole("admin"), seconds=seconds)
        self.app.routes.append(console)
        self.auth.install(self.app)

    async def admin(self) -> Browser:
        """A browser of somebody with the role."""
        if await self.store.get_role("admin") is None:
            await self.store.create_role("admin")
        user = await self.store.create_user(email="root@example.com", name="Root")
        await self.store.grant_role(user.id, "admin")
        browser = self.browser()
        await sign_in(browser, user, auth=self.auth)
        return browser

    def browser(self) -> Browser:
        """Somebody at a browser."""
        return Browser(self.app, accept="text/html")


@pytest.fixture(params=["sqlite", "postgres", "memory"])
async def office(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[Office]:
    url = f"sqlite:///{tmp_path}/auth.db" if request.param == "sqlite" else "sqlite://"
    if request.param == "postgres":
        url = request.getfixturevalue("source_url")
    clock = MovableClock()
    async with connect(url, clock=clock) as store:
        yield Office(store, clock)


@pytest.fixture
async def small_office() -> AsyncIterator[Office]:
    clock = MovableClock()
    async with connect("sqlite://", clock=clock) as store:
        yield Office(store, clock)


def shown(page: str) -> str:
    """What a person reads of a page."""
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


async def test_it_tells_what_the_store_is_like(office: Office) -> None:
    admin = await office.admin()
    ada = await office.store.create_user(email="ada@example.com")
    for _ in range(3):
        office.clock.advance(timedelta(hours=1))
        session = await office.store.create_session(ada.id)
    await office.store.revoke_session(session.id)
    answer = await admin.get("/auth/console")
    assert answer.status_code == 200
    page = shown(answer.text)
    assert "Healthy" in page
    assert "Living sessions 3 0 dead" in page
    assert "Users 2 0 linked accounts" in page
    assert "By hour, the last two days: 3 in all, at most 1" in answer.text
    assert "11-22 13:00: 1, 1 living" in answer.text
    assert "Sessions that ended, by hour, the last two days: 1 in all, at most 1" in answer.text
    assert "session.ended revoked" in page
    assert re.search(r" insert_\w+ [\d.]+ [\d.]+ [\d.]+ \d+ 0 ", page)  # of the slowest queries
    assert "user_roles 1" in page


async def test_its_pages_are_kept_by_nobody_and_load_nothing_from_elsewhere(small_office: Office) -> None:
    admin = await small_office.admin()
    answer = await admin.get("/auth/console")
    assert answer.headers["cache-control"] == "no-store"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "<script" not in answer.text
    assert " style=" not in answer.text
    assert {url.partition("?")[0] for url in re.findall(r'(?:href|src|action)="([^"#]+)', answer.text)} <= {
        "/",
        "/auth/console",
        "/auth/console/events",
        "/auth/console/find",
        "/auth/console/user",
        "/auth/static/console.css",
        "/auth/static/mark.svg",
        "/auth/static/pages.css",
    }


async def test_who_is_not_signed_in_goes_to_sign_in_and_comes_back(small_office: Office) -> None:
    browser = small_office.browser()
    for path in ("/auth/console", "/auth/console/events?before=7", "/auth/console/user?id=ada"):
        answer = await browser.get(path)
        assert answer.status_code == 303
        back = re.sub(r"[/?=]", lambda found: f"%{ord(found[0]):02X}", path)
        assert answer.headers["location"] == f"/auth/sign-in?next={back}"
        assert (await browser.get(path, headers=JSON)).status_code == 401
    for path in ("/auth/console/find", "/auth/console/end"):
        answer = await browser.submit(path, user="ada", user_id="ada", all="1")
        assert answer.headers["location"] == "/auth/sign-in?next=%2Fauth%2Fconsole"


async def test_who_has_not_the_role_finds_nothing(small_office: Office) -> None:
    ada = await small_office.store.create_user(email="ada@example.com")
    other = await small_office.store.create_session(ada.id)
    browser = small_office.browser()
    await sign_in(browser, ada, auth=small_office.auth)
    missing = await browser.get("/auth/accounts/unlink-what-is-not-there")
    assert missing.status_code == 404
    for path in ("/auth/console", "/auth/console/events", f"/auth/console/user?id={ada.id}"):
        answer = await browser.get(path)
        assert answer.status_code == 404
        assert not {"admin", "onsole", "role"} & set(re.findall(r"\w+", shown(answer.text)))
    for path in ("/auth/console/find", "/auth/console/end"):
        assert (await browser.submit(path, user=ada.id, user_id=ada.id, session_id=other.id)).status_code == 404
    assert len(await small_office.store.list_sessions(ada.id)) == 2


async def test_a_user_is_found_by_address_and_by_id_and_no_url_holds_an_address(office: Office) -> None:
    admin = await office.admin()
    ada = await office.store.create_user(email="ada@example.com", name="Ada")
    for name in (" Ada@Example.com ", ada.id):
        answer = await admin.submit("/auth/console/find", user=name)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/auth/console/user?id={ada.id}")
    page = await admin.get(answer.headers["location"])
    assert {"ada@example.com", "Ada", ada.id} <= set(re.findall(r"[^\s<>\"]+", page.text))
    for nobody in ("nobody@example.com", "no such id", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), ""):
        answer = await admin.submit("/auth/console/find", user=nobody)
        assert answer.status_code == 404
        assert "Nobody has this id or address." in answer.text
    assert (await admin.get("/auth/console/user?id=nobody")).status_code == 404


async def test_ending_sessions_is_an_event_with_its_actor(office: Office) -> None:
    admin = await office.admin()
    root = await office.store.get_user_by_email("root@example.com")
    assert root is not None
    ada = await office.store.create_user()
    sessions = [await office.store.create_session(ada.id) for _ in range(3)]
    answer = await admin.submit("/auth/console/end", user_id=ada.id, session_id=sessions[0].id)
    assert answer.headers["location"] == f"/auth/console/user?id={ada.id}"
    assert "Signed out there." in (await admin.get(answer.headers["location"])).text
    assert await office.store.get_session(str(sessions[0].token)) is None
    await admin.submit("/auth/console/end", user_id=ada.id, all="1")
    page = (await admin.get(f"/auth/console/user?id={ada.id}")).text
    assert "All sessions of this user have ended." in page
    assert "signed in nowhere" in page
    told = [event for event in await office.store.events(limit=1000) if event.type == "session.ended"]
    assert {event.session_id for event in told} == {session.id for session in sessions}
    assert {(event.actor, event.reason) for event in told} == {(f"admin:{root.id}", "revoked")}
    assert page.count(f"admin:{root.id}") == 3


async def test_acts_need_a_form_of_this_site_and_somebody_who_signed_in_lately(small_office: Office) -> None:
    admin = await small_office.admin()
    ada = await small_office.store.create_user()
    session = await small_office.store.create_session(ada.id)
    wanted = {"user_id": ada.id, "session_id": session.id}
    assert (await admin.post("/auth/console/end", data=wanted)).status_code == 403
    assert (await admin.get("/auth/console/end", params=wanted)).status_code == 405
    foreign = {"origin": "https://elsewhere.example"}
    token = await admin.csrf()
    answer = await admin.post("/auth/console/end", data={**wanted, "csrf_token": token}, headers=foreign)
    assert answer.status_code in (303, 403)
    assert await small_office.store.get_session(str(session.token)) is not None
    small_office.clock.advance(timedelta(hours=2))
    answer = await admin.submit("/auth/console/end", **wanted)
    assert answer.headers["location"].startswith("/auth/confirm?action=")
    assert await small_office.store.get_session(str(session.token)) is not None
    assert (await admin.get("/auth/console")).status_code == 200  # looking is not acting


async def test_ending_ones_own_session_signs_out_here(small_office: Office) -> None:
    admin = await small_office.admin()
    root = await small_office.store.get_user_by_email("root@example.com")
    assert root is not None
    await admin.submit("/auth/console/end", user_id=root.id, all="1")
    assert admin.cookie() is None


async def test_pages_go_on_by_key_and_miss_nothing(office: Office) -> None:
    admin = await office.admin()
    ada = await office.store.create_user()
    made = []
    for _ in range(120):
        office.clock.advance(timedelta(seconds=1))
        made.append((await office.store.create_session(ada.id)).id)
    seen: list[str] = []
    path: str | None = f"/auth/console/user?id={ada.id}"
    while path is not None:
        page = (await admin.get(path)).text
        seen += re.findall(r'name="session_id" value="([^"]+)"', page)
        found = re.search(r'href="(/auth/console/user\?id=[^"]*after=[^"]*)"', page)
        path = found and found[1].replace("&amp;", "&")
        if len(seen) == 50:  # those that come meanwhile push nothing about
            await office.store.create_session(ada.id)
    assert seen == made[::-1]
    for _ in range(60):
        await office.store.delete_role((await office.store.create_role("passing")).name)
    events = [event.seq for event in await office.store.events(limit=1000)]
    page = (await admin.get("/auth/console/events")).text
    told = page.count("role.created") + page.count("role.deleted")
    while found := re.search(r'href="(/auth/console/events\?before=\d+)"', page):
        page = (await admin.get(found[1])).text
        told += page.count("role.created") + page.count("role.deleted")
    assert told == 121
    assert len(events) > 121
    for wrong in ("0", "-1", "x", "9" * 30, "٣"):
        assert (await admin.get("/auth/console/events", params={"before": wrong})).status_code == 400
    for wrong in ("x", "2026-01-01~", "2026-01-01T00:00:00~a"):
        assert (await admin.get("/auth/console/user", params={"id": ada.id, "after": wrong})).status_code == 400


@pytest.mark.parametrize("order", ["before", "after"])
async def test_it_is_a_mount_that_may_come_before_or_after_install(order: str) -> None:
    async with connect("sqlite://") as store:
        auth, app = Auth(store, base_url=BASE, secrets=[SECRET]), Starlette()
        mount = auth.console(role="staff")
        assert isinstance(mount, Mount)
        assert mount.path == "/auth/console"
        app.routes.insert(0, mount)
        auth.install(app)
        if order == "after":
            app.routes.append(app.routes.pop(0))
        browser = Browser(app, accept="text/html")
        assert (await browser.get("/auth/console")).status_code == 303
        assert (await browser.get("/auth/sign-in")).status_code == 200
        user = await store.create_user()
        await store.create_role("staff")
        await store.grant_role(user.id, "staff")
        await sign_in(browser, user, auth=auth)
        for path in ("/auth/console", "/auth/console/"):
            assert (await browser.get(path)).status_code == 200
        assert (await browser.get("/auth/consoles")).status_code == 404


async def test_the_store_of_a_url_is_looked_into_once_it_is_open_and_its_queries_are_timed(tmp_path: Any) -> None:
    auth, app = Auth(f"sqlite:///{tmp_path}/auth.db", base_url=BASE, secrets=[SECRET]), Starlette()
    app.routes.append(auth.console())
    auth.install(app)
    async with auth.lifespan(app):
        user = await auth.store.create_user()
        await auth.store.create_role("admin")
        await auth.store.grant_role(user.id, "admin")
        browser = Browser(app, accept="text/html")
        await sign_in(browser, user, auth=auth)
        assert "insert_user" in (await browser.get("/auth/console")).text


async def test_the_timing_that_a_store_has_is_used_and_not_doubled() -> None:
    slow = ops.SlowQueries()
    async with connect("sqlite://", observers=[slow]) as store:
        Auth(store, base_url=BASE, secrets=[SECRET]).console()
        await store.create_user()
        assert slow.stats()["insert_user"].count == 1
        assert store.observers == (slow,)  # type: ignore[attr-defined]
        own = ops.SlowQueries()
        Auth(store, base_url=BASE, secrets=[SECRET]).console(slow_queries=own)
        await store.create_user()
        assert (own.stats()["insert_user"].count, slow.stats()["insert_user"].count) == (1, 2)


async def test_a_store_that_is_not_authstores_own_is_refused_at_once() -> None:
    async with connect("sqlite://") as store, store.transaction() as transaction:
        auth = Auth(transaction, base_url=BASE, secrets=[SECRET])
        with pytest.raises(ConfigurationError, match=r"authstore\.connect"):
            auth.console()
    with pytest.raises(ConfigurationError, match="role"):
        Auth("sqlite://", base_url=BASE, secrets=[SECRET]).console(role="")


async def test_what_the_database_does_not_tell_in_time_is_left_out(tmp_path: Any) -> None:
    async with connect(f"sqlite:///{tmp_path}/auth.db") as store:
        office = Office(store, MovableClock(), seconds=0.0)
        admin = await office.admin()
        answer = await admin.get("/auth/console")
        assert answer.status_code == 200
        assert "left out, not waited for" in answer.text
        assert (await admin.get("/auth/console/events")).status_code == 503
