"""Models of what the store itself kept, for the hot path: the same types are checked, all of them by pydantic's
core in one step with taking the JSON apart, and only the checks that a value passed on its way in (NUL, surrogates;
for instants in JSON, which the schema holds to one form, the time zone) are left out.

A third of the time of `json.loads` and the models' own validators.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from math import isfinite
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, SchemaValidator, core_schema

from authstore.database import Found, Lookup
from authstore.models import Data, Session, User, aware_utc
from authstore.sql import queries
from authstore.store import rows

M = TypeVar("M", bound=BaseModel)

_HASH = core_schema.bytes_schema(strict=True)
_TEXT = core_schema.str_schema(strict=True)
_MAYBE_TEXT = core_schema.nullable_schema(_TEXT)
_FLAG = core_schema.bool_schema()  # or 0 and 1
_INSTANT = core_schema.no_info_plain_validator_function(aware_utc)
_MAYBE_INSTANT = core_schema.nullable_schema(_INSTANT)

# What the hot path reads, in the order in which its queries give it.
COLUMNS: dict[str, CoreSchema] = {
    "sessions.token_hash": _HASH,
    "sessions.id": _TEXT,
    "sessions.user_id": _TEXT,
    "sessions.expires": _INSTANT,
    "sessions.created_at": _INSTANT,
    "sessions.last_used_at": _INSTANT,
    "sessions.authenticated_at": _INSTANT,
    "sessions.ip": _MAYBE_TEXT,
    "sessions.user_agent": _MAYBE_TEXT,
    "sessions.data": _TEXT,
    "users.email": _MAYBE_TEXT,
    "users.email_verified": _MAYBE_INSTANT,
    "users.name": _MAYBE_TEXT,
    "users.image": _MAYBE_TEXT,
    "users.disabled": _FLAG,
    "users.data": _TEXT,
    "users.created_at": _INSTANT,
    "users.updated_at": _INSTANT,
}

# In JSON an instant is text of one form, which the schema holds it to, and a hash is in hex.
_JSON_INSTANT = core_schema.no_info_after_validator_function(datetime.fromisoformat, _TEXT)
_IN_JSON: list[tuple[CoreSchema, CoreSchema]] = [
    (_HASH, core_schema.no_info_after_validator_function(bytes.fromhex, _TEXT)),
    (_INSTANT, _JSON_INSTANT),
    (_MAYBE_INSTANT, core_schema.nullable_schema(_JSON_INSTANT)),
]


def _in_json(schema: CoreSchema) -> CoreSchema:
    return next((said for own, said in _IN_JSON if own is schema), schema)


_DATA, _USER_DATA = (list(COLUMNS).index(f"{table}.data") for table in ("sessions", "users"))
_TABLES = [column.partition(".")[0] for column in COLUMNS]
_HIDDEN = core_schema.CoreConfig(hide_input_in_errors=True)
_row = core_schema.tuple_schema(list(COLUMNS.values()))
_rows_in_json = core_schema.list_schema(core_schema.tuple_schema([_in_json(schema) for schema in COLUMNS.values()]))
_check = SchemaValidator(_row, _HIDDEN).validate_python
_check_json = SchemaValidator(_rows_in_json, _HIDDEN).validate_json

# The models are frozen; these setters need not look for the slot first, as `object.__setattr__` does.
_new = object.__new__
_set_values, _set_fields, _set_extra, _set_private = (
    BaseModel.__dict__[name].__set__
    for name in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
)
_SESSION_FIELDS, _USER_FIELDS = set(Session.model_fields), set(User.model_fields)


def check(row: Sequence[Any]) -> Found:
    """The values of a row. Raises `StoreCorruptError`, which names the session or the user."""
    try:
        found: Found = _check(row)
    except ValidationError as error:
        if len(row) != len(COLUMNS):  # the query's fault
            raise
        tables = {_TABLES[int(part["loc"][0])] for part in error.errors(include_input=False)}
        raise (
            rows.unreadable("sessions", row[1]) if "sessions" in tables else rows.unreadable("users", row[2])
        ) from None
    return found


def read(answer: bytes | Sequence[Sequence[Any]]) -> Mapping[str, Found]:
    """The values of many, by the session's id: of rows, or of a JSON array of them. Raises `ValueError`."""
    found = _check_json(answer) if isinstance(answer, bytes) else map(_check, answer)
    return {values[1]: values for values in found}


BY_ID = Lookup(queries.session_and_user_by_id, queries.sessions_and_users_by_ids, check, read)


class Kept:
    """What was found, ready to make models of again and again: each caller gets models of its own."""

    __slots__ = ("_data", "_session", "_user", "_user_data", "found")

    def __init__(self, found: Found) -> None:
        """Raises `StoreCorruptError` where `data` cannot be read."""
        self.found = found
        session, user = session_and_user(found, "")
        # Nothing within that the garbage collector would have to follow, over and over, for all that is kept.
        self._session, self._user = ({**made.__dict__, "data": None} for made in (session, user))
        self._data, self._user_data = found[_DATA], found[_USER_DATA]

    def session_and_user(self, token: str) -> tuple[Session, User]:
        """The models, for whoever presented this token."""
        session, user = self._session.copy(), self._user.copy()
        session["token"] = token
        session["data"] = {} if self._data == "{}" else _data(self._data, "sessions", session["id"])
        user["data"] = {} if self._user_data == "{}" else _data(self._user_data, "users", user["id"])
        return _made(Session, session, _SESSION_FIELDS), _made(User, user, _USER_FIELDS)


def session_and_user(found: Found, token: str) -> tuple[Session, User]:
    """The models of what was found under a token: its values are in the order of `COLUMNS`."""
    (_, id, user_id, expires, created, used, authenticated, ip, user_agent, data, *of_user) = found
    (email, verified, name, image, disabled, user_data, user_created, updated) = of_user
    session = {
        "id": id,
        "token": token,
        "user_id": user_id,
        "expires": expires,
        "created_at": created,
        "last_used_at": used,
        "authenticated_at": authenticated,
        "ip": ip,
        "user_agent": user_agent,
        "data": _data(data, "sessions", id),
    }
    user = {
        "id": user_id,
        "email": email,
        "email_verified": verified,
        "name": name,
        "image": image,
        "disabled": disabled,
        "data": _data(user_data, "users", user_id),
        "created_at": user_created,
        "updated_at": updated,
    }
    return _made(Session, session, _SESSION_FIELDS), _made(User, user, _USER_FIELDS)


def _data(text: str, table: str, id: str) -> Any:
    if text == "{}":
        return {}
    try:
        # What no store writes: an escape that may stand for NUL or half a character, and depth. Seen in the text at
        # a tenth of what looking through the values takes; a number beyond all bounds is found on the way.
        if "\\u" in text or text.count("[") + text.count("{") > _DEPTH:
            return _check_data(json.loads(text))
        return _load(text)
    except (ValueError, RecursionError):
        raise rows.unreadable(table, id) from None


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError("JSON has no NaN and no infinity")
    return number


_DEPTH = 200  # less than pydantic's own limit
_load = json.JSONDecoder(parse_float=_finite, parse_constant=_finite).decode
_check_data = TypeAdapter(Data).validate_python


def _made(model: type[M], values: dict[str, Any], fields: set[str]) -> M:
    # What `BaseModel.model_construct` sets; every field is there, so no default is asked for.
    made = _new(model)
    _set_values(made, values)
    _set_fields(made, fields)
    _set_extra(made, None)
    _set_private(made, None)
    return made
