"""From a URL to an `Adapter`."""

import os
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

from authstore.encryption import Cipher
from authstore.errors import ConfigurationError, NotSupportedError
from authstore.expiry import SessionPolicy, utc_now
from authstore.extras import NOT_POSIX

if TYPE_CHECKING:  # importing authstore takes a third of the time so: what opening needs is loaded by opening
    from authstore.adapter import Adapter, Clock, Durability, Keys
    from authstore.database import Database
    from authstore.observers import Observer
    from authstore.store import Store

_Open = Callable[[], Coroutine[Any, Any, "Database"]]
TablesOf = Literal["authjs"]
_DEFAULT_POLICY = SessionPolicy()
_POSTGRES = ("postgresql://", "postgres://")
POOL_SIZE = 10


class Connecting:
    """What `connect` returns: `async with` it, or `await` it and close the store yourself."""

    def __init__(
        self,
        open_database: _Open,
        policy: SessionPolicy,
        clock: "Clock",
        cipher: Cipher,
        audit: timedelta | None,
        cache: int,
        observers: "Sequence[Observer]",
        place: tuple[str, str],
        tables: "TablesOf | None" = None,
    ) -> None:
        self._open_database = open_database
        self._policy = policy
        self._clock = clock
        self._cipher = cipher
        self._audit = audit
        self._cache = cache
        self._observers = observers
        self._place = place
        self._tables = tables
        self._store: Adapter | None = None

    def __await__(self) -> "Generator[Any, None, Adapter]":
        return self._open().__await__()

    async def __aenter__(self) -> "Adapter":
        self._store = await self._open()
        return self._store

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._store is not None:
            await self._store.close()

    async def _open(self) -> "Adapter":
        from authstore.backends.ownership import check_asyncio
        from authstore.store import Store

        check_asyncio()
        if self._tables is not None:
            from authstore.backends.postgres.authjs import AuthJsStore

            return AuthJsStore(await self._open_database(), self._policy, self._clock, self._cipher)
        store = self._watched(await self._open_database(), Store)
        try:
            if self._audit is not None:
                await store.keep_events(self._audit, at_least=True)
            else:
                await store.look_at_log()
            store.keep_sessions(self._cache)
        except BaseException:
            await store.close()
            raise
        return store

    def _watched(self, database: "Database", kind: "type[Store]") -> "Store":
        """The store, and whoever watches it told of it."""
        if not self._observers:
            return kind(database, self._policy, self._clock, self._cipher)
        from authstore.observers import Opened, Watch
        from authstore.store.observed import ObservedStore

        watch = Watch(self._observers)
        database.watch(watch)
        kind = ObservedStore if watch.is_told_operations else kind
        store = kind(database, self._policy, self._clock, self._cipher)
        store.watching = watch
        if isinstance(store, ObservedStore):
            store.watch = watch
        watch.opened(Opened(*self._place, store.cache_info))
        return store


def connect(  # noqa: PLR0913 - what a user may say about a store, each by its name
    url: str | Path,
    *,
    policy: SessionPolicy = _DEFAULT_POLICY,
    keys: "Keys" = (),
    clock: "Clock" = utc_now,
    durability: "Durability" = "full",
    create: bool = True,
    migrate: bool = True,
    cache: int = 0,
    observers: "Iterable[Observer]" = (),
    audit: timedelta | None = None,
    pool_size: int = POOL_SIZE,
    read_url: str | None = None,
    tables: TablesOf | None = None,
) -> Connecting:
    """Opens a store.

    `url`: `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite://` (memory), a `Path`, or
    `postgresql://user:password@host:5432/database` (extra `authstore[postgres]`). `keys`: secrets
    of at least 32 characters, newest first, under which provider tokens are encrypted. `clock` gives aware
    UTC datetimes and is the only source of "now". `durability`: "full" survives power loss, "relaxed" may
    lose the last moments. `cache`: how many sessions with their users, and users' roles, are kept in this
    process, never stale.
    `observers` are told of every query and call (`authstore.ops`).
    `audit`: how long the change log is kept, chained, with what it otherwise leaves out; written into the database,
    where the longest asked for counts. `pool_size`: how many connections to PostgreSQL this store has at most.
    `read_url`: a synchronous standby that look-ups are asked of, which then never answers anything stale: each write
    waits until it is applied there. `tables="authjs"`: serves the tables of a running Auth.js database where they are,
    beside the application in JavaScript; what those cannot hold is `NotSupportedError` (docs/scaling.md).

    Raises `ConfigurationError`; on opening also `StoreNotFoundError` (`create=False`), `SchemaError` (not ours,
    newer, or older with `migrate=False`), `StoreCorruptError`, `StoreReadOnlyError`, `StoreFullError`,
    `StoreUnavailableError`.
    """
    if os.name != "posix":
        raise ConfigurationError(NOT_POSIX)
    _check(durability, policy, clock, cache, audit)
    watching = _checked_observers(observers)
    if tables is not None:
        needs = {"keys": keys, "cache": cache, "audit": audit, "read_url": read_url, "observers": watching}
        policy = _checked_tables(url, tables, policy, needs)
    opener: Callable[..., Coroutine[Any, Any, Database]]
    if isinstance(url, str) and url.startswith(_POSTGRES):
        opener = _postgres_opener(url, durability, cache, pool_size, read_url, tables)
        place = ("postgresql", unquote(urlsplit(url).path.strip("/")))
    else:
        if pool_size != POOL_SIZE or read_url is not None:
            raise ConfigurationError("pool_size and read_url are for PostgreSQL: a SQLite store has one file")
        path = _sqlite_path(url)
        opener = partial(_open_sqlite, path)
        place = ("sqlite", path.name if path else ":memory:")
    opener = partial(opener, durability=durability, create=create, migrate=migrate, clock=clock)
    return Connecting(opener, policy, clock, Cipher(keys), audit, cache, watching, place, tables)


def _check(durability: object, policy: object, clock: object, cache: object, audit: object) -> None:
    if durability not in ("full", "relaxed"):
        raise ConfigurationError('durability is "full" or "relaxed"')
    if not isinstance(policy, SessionPolicy):
        raise ConfigurationError("policy is a SessionPolicy")
    if not callable(clock):
        raise ConfigurationError("clock is a function that gives an aware datetime")
    if isinstance(cache, bool) or not isinstance(cache, int) or cache < 0:
        raise ValueError("cache is a whole number of sessions, 0 for none")
    if audit is not None and (not isinstance(audit, timedelta) or audit <= timedelta(0)):
        raise ConfigurationError("audit is a timedelta longer than nothing, or None")


def _postgres_opener(
    url: str, durability: "Durability", cache: int, pool_size: int, read_url: str | None, tables: TablesOf | None
) -> "Callable[..., Coroutine[Any, Any, Database]]":
    if isinstance(pool_size, bool) or not isinstance(pool_size, int) or pool_size < 1:
        raise ConfigurationError("pool_size is a whole number of at least 1")
    if cache:
        raise ConfigurationError("a cache on PostgreSQL could not be kept true: leave out cache, or write cache=0")
    if read_url is not None:
        _check_standby(read_url, durability, pool_size)
    if tables is not None:
        return partial(_open_tables, _checked_server(url), pool_size=pool_size)
    return partial(_open_postgres, _checked_server(url), pool_size=pool_size, read_url=read_url)


def _checked_observers(observers: "Iterable[Observer]") -> "tuple[Observer, ...]":
    watching = tuple(observers)
    for observer in watching:
        if isinstance(observer, type) or not any(hasattr(observer, name) for name in ("on_statement", "on_operation")):
            raise ConfigurationError("an observer is an object with on_statement or on_operation")
    return watching


def file_of(url: str | Path) -> Path | None:
    """The file of a store that stays; `None` is a server's database. Raises `ConfigurationError`, for memory too, and
    `StoreError` for a path that no file can have."""
    connect(url)
    if isinstance(url, str) and url.startswith(_POSTGRES):
        return None
    path = _sqlite_path(url)
    if path is None:
        raise ConfigurationError("this needs a store that stays: write sqlite:///auth.db or postgresql://…")
    from authstore.backends.sqlite.file import check_reachable

    check_reachable(path)
    return path


async def _open_sqlite(
    path: Path | None, *, durability: "Durability", create: bool, migrate: bool, clock: "Clock"
) -> "Database":
    from authstore.backends.sqlite import open_file, open_memory

    clock = _read_once(clock)
    if path is None:
        return await open_memory(clock=clock)
    return await open_file(path, durability=durability, create=create, migrate=migrate, clock=clock)


def _read_once(clock: "Clock") -> "Clock":
    """The clock as it is now, in the caller's context: the migrations may run on a database thread."""
    from authstore.store.shared import read_clock

    now = read_clock(clock)
    return lambda: now


async def _open_postgres(
    url: str,
    *,
    durability: "Durability",
    create: bool,
    migrate: bool,
    clock: "Clock",
    pool_size: int,
    read_url: str | None,
) -> "Database":
    from authstore.backends.postgres import open_server

    return await open_server(
        url,
        durability=durability,
        create=create,
        migrate=migrate,
        clock=_read_once(clock),
        pool_size=pool_size,
        read_url=read_url,
    )


async def _open_tables(
    url: str,
    *,
    durability: "Durability",
    create: bool,  # noqa: ARG001 - of tables that are there nothing is made or migrated
    migrate: bool,  # noqa: ARG001
    clock: "Clock",  # noqa: ARG001
    pool_size: int,
) -> "Database":
    from authstore.backends.postgres.authjs import open_tables

    return await open_tables(url, durability=durability, pool_size=pool_size)


def _checked_tables(
    url: str | Path, tables: str, policy: SessionPolicy, held_nowhere: "Mapping[str, object]"
) -> SessionPolicy:
    """The policy by which sessions in tables served in place are judged."""
    if tables != "authjs":
        raise ConfigurationError('tables is "authjs", or None for the store\'s own')
    if not isinstance(url, str) or not url.startswith(_POSTGRES):
        raise ConfigurationError(
            "tables are served in place on PostgreSQL alone: move other databases, `authstore move`"
        )
    for name, value in held_nowhere.items():
        if value:
            raise NotSupportedError(f"the tables of Auth.js have no place for what {name} needs: leave it out")
    if policy is _DEFAULT_POLICY:
        return SessionPolicy(idle=None)
    if policy.idle is not None or policy.max_per_user is not None:
        raise NotSupportedError(
            "the tables of Auth.js do not hold when a session was last used: SessionPolicy(idle=None), no max_per_user"
        )
    return policy


def _check_standby(read_url: str, durability: "Durability", pool_size: int) -> None:
    if not isinstance(read_url, str) or not read_url.startswith(_POSTGRES):
        raise ConfigurationError("read_url names a standby: postgresql://user:password@host:5432/database")
    if durability != "full":
        raise ConfigurationError('a standby is never behind only with durability="full": leave out read_url, or that')
    if pool_size == 1:
        raise ConfigurationError("pool_size counts the connections to the standby too: with read_url at least 2")
    _checked_server(read_url)


def _checked_server(url: str) -> str:
    if find_spec("asyncpg") is None:
        raise ConfigurationError('PostgreSQL as a store needs a driver: pip install "authstore[postgres]"')
    from authstore.backends.postgres.servers import servers

    servers(url)
    return url


def _sqlite_path(url: str | Path) -> Path | None:
    """The file that a URL names; `None` is memory. No message shows the URL: it may hold a password."""
    if isinstance(url, Path):
        return _checked_path(url)
    if not isinstance(url, str):
        raise ConfigurationError("the URL is text, or a pathlib.Path for a SQLite file")
    scheme, separator, rest = url.partition("://")
    if not separator or scheme != "sqlite":
        raise ConfigurationError(
            "unknown kind of URL: write sqlite:///auth.db, sqlite:////absolute/auth.db, sqlite://"
            " or postgresql://user:password@host:5432/database"
        )
    if rest in ("", "/:memory:"):
        return None
    if not rest.startswith("/") or rest == "/":
        raise ConfigurationError("a SQLite URL has three slashes before a relative path, four before an absolute one")
    if "?" in rest:
        raise ConfigurationError("a SQLite URL takes no query string; pass options to connect(), or a pathlib.Path")
    return _checked_path(Path(rest[1:]))


def _checked_path(path: Path) -> Path:
    if "\0" in str(path):
        raise ConfigurationError("the path of the store contains NUL")
    if not path.name:
        raise ConfigurationError(
            "the path of the store names a folder: write the file's name too, as in sqlite:///auth.db"
        )
    return path
