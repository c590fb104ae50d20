"""What a load balancer is told, and how seldom the store is asked for it."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from authstore import Adapter, ConfigurationError, StoreUnavailableError, connect
from authstore.models import Health
from authstore.web import Auth
from authstore.web.asgi import health
from tests.web.conftest import BASE, SECRET, Browser


class Counted:
    """A store that counts how often it is asked, and answers what it is told to."""

    def __init__(self, store: Adapter, answer: Callable[[], Any] | None = None) -> None:
        self._store = store
        self._answer = answer
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def health(self, *, timeout: timedelta) -> Any:
        self.asked += 1
        assert timeout <= timedelta(seconds=1)
        return await (self._answer() if self._answer else self._store.health(timeout=timeout))


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time by which five seconds are counted."""
    time = [1000.0]
    monkeypatch.setattr(health, "monotonic", lambda: time[0])
    return time


def browser(auth: Auth) -> Browser:
    app = Starlette(routes=auth.health_routes())
    auth.install(app)
    return Browser(app)


async def told(browser: Browser, path: str) -> tuple[int, Any]:
    answer = await browser.get(path)
    assert answer.headers["content-type"] == "application/health+json"
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, answer.json()


async def test_the_store_is_asked_once_in_five_seconds_by_all_who_ask(now: list[float]) -> None:
    async with connect("sqlite://") as memory:
        store: Any = Counted(memory)
        asking = browser(Auth(store, base_url=BASE, secrets=SECRET))
        paths = ["/readyz", "/healthz"] * 20
        assert await asyncio.gather(*(told(asking, path) for path in paths)) == [(200, {"status": "pass"})] * 40
        now[0] += 4.9
        assert await told(asking, "/healthz") == (200, {"status": "pass"})
        assert store.asked == 1
        now[0] += 0.2
        await told(asking, "/readyz")
        assert store.asked == 2
        await told(asking, "/livez")
        now[0] += 10
        await told(asking, "/livez")
        assert store.asked == 2


async def test_before_and_after_the_lifespan_the_process_lives_and_the_store_does_not(tmp_path: Path) -> None:
    auth = Auth(tmp_path / "auth.db", base_url=BASE, secrets=SECRET)
    asking = browser(auth)
    assert await told(asking, "/readyz") == (503, {"status": "fail"})
    assert await told(asking, "/livez") == (200, {"status": "pass"})
    with pytest.raises(ConfigurationError):
        await asking.get("/other")
    async with auth.lifespan():
        assert await told(asking, "/readyz") == (200, {"status": "pass"})
    assert await told(asking, "/healthz") == (503, {"status": "fail"})


async def test_a_laptop_and_a_broken_store_do_not_keep_the_process_from_answering(tmp_path: Path) -> None:
    auth = Auth.dev(tmp_path / "auth.db")
    asking = browser(auth)
    async with auth.lifespan():
        (tmp_path / "auth.db").rename(tmp_path / "away.db")
        asking.cookies.set("authstore", "anything")
        assert await told(asking, "/livez") == (200, {"status": "pass"})
        (tmp_path / "away.db").rename(tmp_path / "auth.db")


async def test_a_store_whose_file_is_lost_fails(tmp_path: Path, now: list[float]) -> None:
    auth = Auth(tmp_path / "auth.db", base_url=BASE, secrets=SECRET)
    asking = browser(auth)
    async with auth.lifespan():
        assert (await told(asking, "/healthz"))[0] == 200
        (tmp_path / "auth.db").rename(tmp_path / "away.db")
        now[0] += 6
        assert await told(asking, "/healthz") == (503, {"status": "fail"})
        (tmp_path / "away.db").rename(tmp_path / "auth.db")


def _raising(error: Exception) -> Callable[[], Any]:
    async def answer() -> Health:
        raise error

    return answer


async def _warn() -> Health:
    return Health(ok=True, status="warn", latency=timedelta(), detail={"file": "/secret"})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (_warn, (200, {"status": "warn"})),
        (_raising(StoreUnavailableError("geheim")), (503, {"status": "fail"})),
        (_raising(ZeroDivisionError("geheim")), (503, {"status": "fail"})),
        (lambda: asyncio.sleep(60), (503, {"status": "fail"})),
    ],
)
async def test_one_word_is_said_whatever_a_store_does(
    answer: Callable[[], Any], expected: tuple[int, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    async with connect("sqlite://") as memory:
        store: Any = Counted(memory, answer)
        asking = browser(Auth(store, base_url=BASE, secrets=SECRET))
        assert await told(asking, "/healthz") == expected


async def test_who_goes_away_takes_nobodys_answer_along(now: list[float]) -> None:
    asked, gate = asyncio.Event(), asyncio.Event()

    async def slow() -> Health:
        asked.set()
        await gate.wait()
        return Health(ok=True, status="pass", latency=timedelta(), detail={})

    async with connect("sqlite://") as memory:
        store: Any = Counted(memory, slow)
        asking = browser(Auth(store, base_url=BASE, secrets=SECRET))
        first, second = (asyncio.create_task(told(asking, "/healthz")) for _ in range(2))
        await asked.wait()
        first.cancel()
        gate.set()
        assert await second == (200, {"status": "pass"})
        assert (store.asked, now) == (1, [1000.0])


async def test_middleware_of_the_applications_own_finds_nobody_at_a_probe(tmp_path: Path) -> None:
    auth = Auth(f"sqlite:///{tmp_path / 'auth.db'}", base_url=BASE, secrets=SECRET)
    app, seen = Starlette(routes=auth.health_routes()), list[Any]()

    class Looks:
        def __init__(self, app: Any) -> None:
            self._app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            seen.append((scope["state"]["user"], scope["state"]["session"]))
            await self._app(scope, receive, send)

    app.add_middleware(Looks)
    auth.install(app)
    assert (await Browser(app).get("/livez")).status_code == 200
    assert seen == [(None, None)]
