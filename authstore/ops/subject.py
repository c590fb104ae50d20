"""What is looked at: an open store, or a URL; and by whose rules."""

from dataclasses import dataclass
from pathlib import Path

from authstore.adapter import Clock
from authstore.backends.inspection import Inspector
from authstore.backends.ownership import check_asyncio
from authstore.connect import file_of
from authstore.encryption import Cipher
from authstore.expiry import SessionPolicy, utc_now
from authstore.store import Store


@dataclass(frozen=True, slots=True)
class Subject:
    """A store, or where one should be. `cipher` is None where nobody said which keys there are."""

    inspector: Inspector
    policy: SessionPolicy
    clock: Clock
    cipher: Cipher | None
    store: Store | None
    url: str | Path


def subject(url_or_store: object) -> Subject:
    """Of a URL, a path or an open store. Raises `ConfigurationError`, `TypeError`, `StoreMisuseError`."""
    check_asyncio()
    if isinstance(url_or_store, Store):
        store = url_or_store
        return Subject(_of_store(store), store.policy, store.clock, store.cipher, store, "")
    if not isinstance(url_or_store, (str, Path)):
        raise TypeError(f"what is looked at is a URL, a path or an open store, not {type(url_or_store).__name__}")
    return Subject(_of_url(url_or_store), SessionPolicy(), utc_now, None, None, url_or_store)


def _of_url(url: str | Path) -> Inspector:
    path = file_of(url)
    if path is not None:
        from authstore.backends.sqlite.upkeep.inspector import SqliteInspector

        return SqliteInspector(path)
    from authstore.backends.postgres.servers import servers
    from authstore.backends.postgres.upkeep.inspector import PostgresInspector

    return PostgresInspector(servers(str(url)))


def _of_store(store: Store) -> Inspector:
    from authstore.backends.sqlite.database import SqliteDatabase
    from authstore.backends.sqlite.upkeep.inspector import SqliteInspector

    database = store.database
    if isinstance(database, SqliteDatabase):
        return SqliteInspector(None if database.path is None else Path(database.path), database)
    from authstore.backends.postgres.database import PostgresDatabase
    from authstore.backends.postgres.upkeep.inspector import PostgresInspector

    if isinstance(database, PostgresDatabase):
        database.check()
        return PostgresInspector(database.servers)
    raise TypeError("a transaction is not looked at: give the store")
