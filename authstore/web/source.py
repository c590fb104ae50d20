"""The store of a site, and its clock: opened while the application runs, or given open."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from os import PathLike
from pathlib import Path
from typing import Final, Protocol, cast

from authstore.adapter import Adapter, Clock, offers
from authstore.connect import connect
from authstore.errors import ConfigurationError
from authstore.expiry import SessionPolicy, utc_now
from authstore.models import Session
from authstore.web.options import Storage
from authstore.web.telling import Telling

_CACHED_SESSIONS = 10_000
_NOT_OPEN: Final = (
    "the store is not open: write FastAPI(lifespan=auth.lifespan), or enter it inside a lifespan of your own: "
    "async with auth.lifespan(app):"
)


class TimedStore(Protocol):
    """A store that tells its limits and its clock, as those of `authstore.connect` do."""

    @property
    def policy(self) -> SessionPolicy:
        """The limits by which it judges sessions."""
        ...

    @property
    def clock(self) -> Clock:
        """Where its "now" comes from."""
        ...


class Source:
    """Where the store comes from. `timed` is the open store, where it tells its limits and its clock."""

    def __init__(self, store: str | PathLike[str] | Adapter, storage: Storage, telling: Telling) -> None:
        self._storage = storage
        self._telling = telling
        self._url: str | Path | None = None
        self._opened: Adapter | None = None
        self._when_open: list[Callable[[Adapter], None]] = []
        self.timed: TimedStore | None = None
        if isinstance(store, (str, PathLike)):
            self._url = store if isinstance(store, str) else Path(store)
        elif offers(store, Adapter):
            _check_unused(storage)
            self._open(store)
        else:
            raise ConfigurationError("store is a URL, a path, or an open store: `async with connect(…) as store`")

    @property
    def store(self) -> Adapter:
        """The open store. Raises `ConfigurationError` where the application runs without our lifespan."""
        if self._opened is None:
            raise ConfigurationError(_NOT_OPEN)
        return self._opened

    @property
    def is_open(self) -> bool:
        """Whether there is a store to ask."""
        return self._opened is not None

    def when_open(self, call: Callable[[Adapter], None]) -> None:
        """Calls this with the store when it is opened, each time; now too, where it is open."""
        self._when_open.append(call)
        if self._opened is not None:
            call(self._opened)

    def check_open(self) -> None:
        """Raises `ConfigurationError` as `store` does."""
        if self._opened is None:
            raise ConfigurationError(_NOT_OPEN)

    @property
    def policy(self) -> SessionPolicy | None:
        """The store's limits, where it tells them."""
        return None if self.timed is None else self.timed.policy

    def now(self) -> datetime:
        """The store's "now"."""
        return utc_now() if self.timed is None else self.timed.clock()

    def is_fresh(self, session: Session, limit: timedelta) -> bool:
        """Whether its user proved who they are within `limit`."""
        return self.now() < session.authenticated_at + limit

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Opens the store, unless it is open already: then whoever opened it closes it."""
        if self._url is None or self._opened is not None:
            try:
                yield
            finally:
                await self._telling.finish()
            return
        kept = self._storage
        policy, clock = kept.policy or SessionPolicy(), kept.clock or utc_now
        cache = 0 if str(self._url).startswith(("postgresql://", "postgres://")) else _CACHED_SESSIONS
        async with connect(self._url, policy=policy, keys=kept.keys, clock=clock, cache=cache) as store:
            self._open(store)
            try:
                yield
            finally:
                await self._telling.finish()
                self._opened = self.timed = None

    def _open(self, store: Adapter) -> None:
        self._telling.listen_to(store)
        self._opened = store
        for call in self._when_open:
            call(store)
        self.timed = cast(TimedStore, store) if offers(store, TimedStore) else None


def _check_unused(storage: Storage) -> None:
    """What is set for opening a store is without effect on one that is open: whoever wrote it would be deceived."""
    given = [name for name in ("policy", "keys", "clock") if getattr(storage, name) not in (None, (), [])]
    if given:
        raise ConfigurationError(
            f"{' and '.join(given)} given beside an open store: its own holds, so pass it to connect() instead"
        )
