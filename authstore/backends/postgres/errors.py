"""PostgreSQL's SQLSTATEs and the driver's errors as ours: by code and type, never by message text, and without a
value in them."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from authstore.errors import (
    AuthStoreError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    SchemaError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreNotFoundError,
    StoreReadOnlyError,
    StoreUnavailableError,
    UnknownOutcomeError,
)

DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)

_Kind = tuple[type[AuthStoreError], str]

_BUSY: _Kind = (StoreBusyError, "another writer held what this one needs for the whole busy timeout")
_GONE: _Kind = (StoreUnavailableError, "the database server cannot be reached: try again")
_FAILED: _Kind = (StoreError, "the database failed")
_UNTRUSTED: _Kind = (ConfigurationError, "the server's certificate is not trusted: look at sslrootcert in the URL")
_DAMAGED: _Kind = (StoreCorruptError, "the database is damaged")
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_OURS: dict[str, _Kind] = {
    "23505": (ConflictError, "something unique is taken"),
    "23503": (NotFoundError, "what the row belongs to does not exist"),
    "25006": _GONE,
    "28000": (ConfigurationError, "the server refuses this role: look at user, password and sslmode in the URL"),
    "28P01": (ConfigurationError, "the server refuses this role: look at user and password in the URL"),
    "3D000": (StoreNotFoundError, "there is no such database on the server: CREATE DATABASE first"),
    "3F000": (ConfigurationError, "the schema that search_path names does not exist: CREATE SCHEMA first"),
    "40001": _BUSY,
    "40P01": _BUSY,
    "42501": (StoreReadOnlyError, "the role in the URL has no right to do this"),
    "53100": (StoreFullError, "the server's disk is full"),
    "54000": (StoreError, "what is looked up by is too long for an index: ids and names have at most 2,600 bytes"),
    "53300": (StoreUnavailableError, "the server has no connection left: lower pool_size or raise max_connections"),
    "55P03": _BUSY,
    "57014": _BUSY,
    "58P01": _DAMAGED,
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
}
_GONE_CLASSES = ("08", "57P")
_LOST_RACES = ("40001", "40P01", "23505", "23503")


def is_lost_race(error: BaseException) -> bool:
    """Whether the unit found a world that another changed meanwhile: run again, it sees the new one."""
    return _sqlstate(error) in _LOST_RACES or isinstance(error, asyncpg.InvalidCachedStatementError)


def is_gone(error: BaseException) -> bool:
    """Whether the server is away, or no longer the one that takes writes."""
    if isinstance(error, asyncpg.PostgresError):
        state = _sqlstate(error)
        return state.startswith(_GONE_CLASSES) or state in ("25006", "53300")
    if isinstance(error, ssl.SSLCertVerificationError):
        return False
    # After a restart or a cut errors come without a code; asyncpg calls an answer that breaks off internal.
    return isinstance(error, DRIVER_ERRORS) and not isinstance(error, ValueError)


def ours(error: BaseException) -> AuthStoreError:
    """The error a caller gets for this one of the driver's, which is its cause."""
    state = _sqlstate(error)
    other = _UNTRUSTED if isinstance(error, ssl.SSLCertVerificationError) else _FAILED
    kind, text = _OURS.get(state) or (_GONE if is_gone(error) else other)
    made = kind(f"{text} (SQLSTATE {state})" if state else text)
    made.__cause__ = error
    return made


def name_of(error: BaseException) -> str:
    """What the error is called that a caller gets for this one."""
    return type(ours(error) if isinstance(error, DRIVER_ERRORS) else error).__name__


def in_doubt(error: BaseException | None = None) -> UnknownOutcomeError:
    """What a caller gets whose commit was sent and not, or not without reserve, acknowledged."""
    made = UnknownOutcomeError("the connection or the standby was lost while committing: look before you repeat")
    made.__cause__ = error
    return made


def unreadable() -> StoreCorruptError:
    """A row holds what the schema does not allow."""
    return StoreCorruptError("a row of the database cannot be read")


def misplaced(error: asyncpg.PostgresError) -> AuthStoreError:
    """What a failed migration means: somebody else's tables stand where ours should."""
    if _sqlstate(error) in ("42P07", "42710"):
        return SchemaError(
            "a table of this name is there and is not authstore's: name a schema of its own in the URL,"
            " ?options=-csearch_path%3Dauth"
        )
    return ours(error)


@contextmanager
def translated() -> Iterator[None]:
    """Lets no error of the driver pass."""
    try:
        yield
    except DRIVER_ERRORS as error:
        made = ours(error)
        raise made from error


def _sqlstate(error: BaseException) -> str:
    return str(getattr(error, "sqlstate", None) or "")
