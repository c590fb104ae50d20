"""Rows to models and back: the one place that knows how a model stands in a table."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

from authstore.database import Row
from authstore.encryption import Cipher
from authstore.errors import KeyUnavailableError, StoreCorruptError
from authstore.models import Account, Authenticator, Ended, Permission, Role, Session, User, VerificationToken, Visit

_KEYED_BY_BYTES = ("ended_tokens",)
SEALED = ("access_token", "refresh_token", "id_token")

P = ParamSpec("P")
T = TypeVar("T")
_Reader = Callable[Concatenate[Row, P], T]


def unreadable(table: str, id: object) -> StoreCorruptError:
    """A row holds what no store wrote."""
    if isinstance(id, bytes) and table not in _KEYED_BY_BYTES:  # a text that is not UTF-8
        id = id.decode("utf-8", "surrogateescape")
    id = id if isinstance(id, (str, int)) else None
    return StoreCorruptError(f"the row {id!r} of {table} cannot be read: mend or delete it", table=table, id=id)


def reads(table: str, key: str = "id") -> Callable[[_Reader[P, T]], _Reader[P, T]]:
    """What a reader cannot make a model of is named by its table and its key."""

    def decorate(read: _Reader[P, T]) -> _Reader[P, T]:
        def checked(row: Row, /, *args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return read(row, *args, **kwargs)
            except (ValueError, TypeError, RecursionError):  # whose texts may quote what is in the row
                raise unreadable(table, row[key]) from None

        return checked

    return decorate


def instant(value: str | datetime) -> datetime:
    """An instant as the backend gave it."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def earliest_if_unreadable(value: str | datetime) -> datetime:
    """An instant, for putting rows in order: what cannot be read comes first."""
    try:
        return instant(value)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def maybe_instant(value: str | datetime | None) -> datetime | None:
    """The same, where there may be none."""
    return None if value is None else instant(value)


def instant_text(value: datetime) -> str:
    """An instant within JSON, as both databases read it."""
    return value.isoformat(timespec="microseconds").replace("+00:00", "Z")


def json_text(value: Any) -> str:
    """JSON as it is stored."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")) if value else "{}"


def json_list(values: list[str]) -> str:
    """A list of sessions' ids, as a query takes it. Raises `StoreCorruptError` for one that is no text."""
    for id in values:
        if not _is_text(id):
            raise unreadable("sessions", id)
    return json.dumps(values)


def json_array(found: str | bytes) -> list[Any]:
    """A JSON array as a query gave it; bytes that are no text come as half characters."""
    array: list[Any] = json.loads(found if isinstance(found, str) else found.decode("utf-8", "surrogateescape"))
    return array


def readable_keys(found: str | bytes) -> list[Any]:
    """The keys in a JSON array as a query gave it, without those whose bytes are no UTF-8: no query could name them."""
    keys = json_array(found)
    return keys if isinstance(found, str) else [id for id in keys if _is_text(id)]


def _is_text(id: object) -> bool:
    if not isinstance(id, str):
        return False
    try:
        id.encode()
    except UnicodeEncodeError:
        return False
    return True


def text_key(table: str, key: Any) -> str:
    """A row's key, as the place that a walk goes on from. Raises `StoreCorruptError` for one that is no text."""
    if not _is_text(key):
        raise unreadable(table, key)
    return str(key)


def _json(text: str) -> Any:
    return {} if text == "{}" else json.loads(text)


@reads("users")
def user(row: Row) -> User:
    """A user."""
    return User(
        id=row["id"],
        email=row["email"],
        email_verified=maybe_instant(row["email_verified"]),
        name=row["name"],
        image=row["image"],
        disabled=bool(row["disabled"]),
        data=_json(row["data"]),
        created_at=instant(row["created_at"]),
        updated_at=instant(row["updated_at"]),
    )


def user_values(user: User) -> dict[str, Any]:
    """The columns of a user."""
    return {**user.__dict__, "data": json_text(user.data)}


@reads("sessions")
def session(row: Row, token: str | None = None) -> Session:
    """A session; with its token only where the caller presented it."""
    return Session(
        id=row["id"],
        token=token,
        user_id=row["user_id"],
        expires=instant(row["expires"]),
        created_at=instant(row["created_at"]),
        last_used_at=instant(row["last_used_at"]),
        authenticated_at=instant(row["authenticated_at"]),
        ip=row["ip"],
        user_agent=row["user_agent"],
        data=_json(row["data"]),
    )


@reads("visits")
def visit(row: Row, token: str | None = None) -> Visit:
    """A visit; with its token only where the caller presented it."""
    return Visit(
        id=row["id"],
        token=token,
        data=_json(row["data"]),
        expires=instant(row["expires"]),
        created_at=instant(row["created_at"]),
        last_used_at=instant(row["last_used_at"]),
    )


@reads("sessions")
def asked_expiry(row: Row) -> datetime | None:
    """The expiry of a session that somebody asked for."""
    return maybe_instant(row["expires_asked"])


def account(row: Row, cipher: Cipher) -> Account:
    """An account, its provider tokens opened. Raises `KeyUnavailableError` where one of them cannot be."""
    found = account_as_readable(row, cipher)
    for column in found.unreadable:
        _opened(row, column, cipher)
    return found


@reads("accounts")
def account_as_readable(row: Row, cipher: Cipher) -> Account:
    """An account; the tokens that no key opens are `None`, and named."""
    opened = tokens(row, cipher)
    return Account(
        id=row["id"],
        user_id=row["user_id"],
        provider=row["provider"],
        provider_account_id=row["provider_account_id"],
        type=row["type"],
        **opened,
        unreadable=tuple(column for column in SEALED if opened[column] is None and _is_there(row, column)),
        token_type=row["token_type"],
        scope=row["scope"],
        session_state=row["session_state"],
        expires_at=maybe_instant(row["expires_at"]),
        data=_json(row["data"]),
        created_at=instant(row["created_at"]),
        updated_at=instant(row["updated_at"]),
    )


def tokens(row: Row, cipher: Cipher) -> dict[str, str | None]:
    """An account's provider tokens; `None` where there is none, or no key opens it."""
    opened: dict[str, str | None] = dict.fromkeys(SEALED)
    for column in SEALED:
        with suppress(KeyUnavailableError):
            opened[column] = _opened(row, column, cipher)
    return opened


def _opened(row: Row, column: str, cipher: Cipher) -> Any:
    sealed = row[column + "_encrypted"]
    return row[column] if sealed is None else cipher.open(bytes(sealed), row=row["id"], column=column)


def _is_there(row: Row, column: str) -> bool:
    return row[column + "_encrypted"] is not None


@reads("accounts")
def lease_end(row: Row) -> datetime | None:
    """When the lease on refreshing this account ends."""
    return maybe_instant(row["refresh_until"])


def account_values(account: Account, cipher: Cipher, row: Row | None = None) -> dict[str, Any]:
    """The columns of an account, its provider tokens sealed where there are keys; what is unreadable stays as it
    stands in `row`."""
    values: dict[str, Any] = {**account.__dict__, "data": json_text(account.data)}
    del values["unreadable"]
    for column in SEALED:
        text: str | None = values[column]
        values[column + "_encrypted"] = None
        if text is not None and cipher.prefix:
            values[column + "_encrypted"] = cipher.seal(text, row=account.id, column=column)
            values[column] = None
        elif row is not None and column in account.unreadable:
            values[column + "_encrypted"] = row[column + "_encrypted"]
    return values


@reads("verification_tokens")
def verification_token(row: Row, token: str) -> VerificationToken:
    """A verification token that the caller presented."""
    return VerificationToken(
        identifier=row["identifier"],
        purpose=row["purpose"],
        token=token,
        expires=instant(row["expires"]),
        data=_json(row["data"]),
    )


@reads("ended_tokens", "token_hash")
def ended(row: Row) -> Ended:
    """What a token died of."""
    return Ended(reason=row["reason"], at=instant(row["at"]), by=row["actor"])


@reads("authenticators", "credential_id")
def authenticator(row: Row) -> Authenticator:
    """A passkey."""
    return Authenticator(
        credential_id=row["credential_id"],
        user_id=row["user_id"],
        public_key=bytes(row["public_key"]),
        counter=row["counter"],
        device_type=row["device_type"],
        backed_up=bool(row["backed_up"]),
        transports=tuple(json.loads(row["transports"])),
        name=row["name"],
        data=_json(row["data"]),
        created_at=instant(row["created_at"]),
        last_used_at=maybe_instant(row["last_used_at"]),
    )


def authenticator_values(authenticator: Authenticator) -> dict[str, Any]:
    """The columns of a passkey."""
    return {
        **authenticator.__dict__,
        "transports": json.dumps(authenticator.transports),
        "data": json_text(authenticator.data),
    }


@reads("roles", "name")
def role(row: Row) -> Role:
    """A role with its permissions."""
    pairs = json.loads(row["permissions"])
    return Role(
        name=row["name"],
        description=row["description"],
        permissions=frozenset(Permission(resource=resource, action=action) for resource, action in pairs),
        data=_json(row["data"]),
    )


def role_values(role: Role) -> Mapping[str, Any]:
    """The columns of a role."""
    return {"name": role.name, "description": role.description, "data": json_text(role.data)}
