"""What a load balancer asks: whether the process runs, and whether its store works. It is told one word."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from time import monotonic
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from authstore.errors import AuthStoreError
from authstore.models import HealthStatus
from authstore.web.source import Source

log = logging.getLogger("authstore.web")

_SHARED_SECONDS: Final = 5.0
# Kubernetes gives a probe one second.
_TIMEOUT: Final = timedelta(milliseconds=700)
_PATIENCE_SECONDS: Final = 0.9


_STORE: Final = ("/readyz", "/healthz")
_PATHS: Final = frozenset({"/livez", *_STORE})


def is_probe(scope: Scope) -> bool:
    """Whether one of these is asked for, at the application's root: nobody signs in for that."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) in _PATHS and scope["type"] == "http"


class HealthRoutes:
    """`/livez`, `/readyz`, `/healthz`. The store is asked at most once in five seconds, for all who ask meanwhile."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[HealthStatus] | None = None

    def routes(self) -> list[Route]:
        """For the application to add."""
        store = [Route(path, _answering(self._status), methods=["GET"]) for path in _STORE]
        return [Route("/livez", _answering(_alive), methods=["GET"]), *store]

    async def _status(self) -> HealthStatus:
        if not self._source.is_open:
            self._asking = None
            return "fail"
        asking = self._asking
        if asking is None or monotonic() - self._asked_at >= _SHARED_SECONDS or _is_of_another_loop(asking):
            self._asked_at = monotonic()
            asking = self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(asking)  # whoever asked first may go away

    async def _ask(self) -> HealthStatus:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return (await self._source.store.health(timeout=_TIMEOUT)).status
        except (AuthStoreError, TimeoutError) as error:
            log.warning("the store's health cannot be told: %s", type(error).__name__)
            return "fail"
        except Exception:
            log.exception("the store's health cannot be told")  # of an adapter of somebody's own
            return "fail"


async def _alive() -> HealthStatus:
    return "pass"


def _answering(ask: Callable[[], Awaitable[HealthStatus]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        status = await ask()
        return JSONResponse(
            {"status": status},
            status_code=503 if status == "fail" else 200,
            headers={"cache-control": "no-store"},
            media_type="application/health+json",
        )

    return answer


def _is_of_another_loop(task: "asyncio.Task[HealthStatus]") -> bool:
    return task.get_loop() is not asyncio.get_running_loop()
