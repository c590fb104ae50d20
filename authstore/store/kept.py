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

_TEXT = core_schema.str_schema(strict=True)
_MAYBE_TEXT = core_schema.nullable_schema(_TEXT)
_FLAG = core_schema.bool_schema()  # or 0 and 1
_OF_USER = range(10, 18)  # where the user's values stand


def _values(token_hash: CoreSchema, instant: CoreSchema) -> CoreSchema:
    maybe_instant = core_schema.nullable_schema(instant)
    fields = [
        *(token_hash, _TEXT, _TEXT),  # the session's token_hash, id, user_id
        *(instant, instant, instant, instant),  # expires, created_at, last_used_at, authenticated_at
        *(_MAYBE_TEXT, _MAYBE_TEXT, _TEXT),  # ip, user_agent, data
        *(_MAYBE_TEXT, maybe_instant, _MAYBE_TEXT, _MAYBE_TEXT),  # the user's email, email_verified, name, image
        *(_FLAG, _TEXT, instant, instant),  # disabled, data, created_at, updated_at
    ]
    return core_schema.tuple_schema(fields)


_HIDDEN = core_schema.CoreConfig(hide_input_in_errors=True)
_INSTANT = core_schema.no_info_plain_validator_function(aware_utc)
_IN_JSON = (
    core_schema.no_info_after_validator_function(bytes.fromhex, _TEXT),
    core_schema.no_info_after_validator_function(datetime.fromisoformat, _TEXT),
)
_check = SchemaValidator(_values(core_schema.bytes_schema(strict=True), _INSTANT), _HIDDEN).validate_python
_read = SchemaValidator(core_schema.list_schema(_values(*_IN_JSON)), _HIDDEN).validate_json

_new, _set = object.__new__, object.__setattr__  # the models are frozen
_SESSION_FIELDS, _USER_FIELDS = set(Session.model_fields), set(User.model_fields)


def check(row: Sequence[Any]) -> Found:
    """The values of a row. Raises `StoreCorruptError`, which names the session or the user."""
    try:
        found: Found = _check(row)
    except ValidationError as error:
        if len(row) != _OF_USER.stop:  # the query's fault
            raise
        is_users = all(part["loc"][0] in _OF_USER for part in error.errors(include_input=False))
        raise (rows.unreadable("users", row[2]) if is_users else rows.unreadable("sessions", row[1])) from None
    return found


def read(answer: bytes) -> Mapping[str, Found]:
    """The values of many, by the session's id. Raises `ValueError`."""
    return {found[1]: found for found in _read(answer)}


BY_ID = Lookup(queries.session_and_user_by_id.sql, queries.sessions_and_users_by_ids.sql, check, read)


def session_and_user(found: Found, token: str) -> tuple[Session, User]:
    """The models of what was found under a token."""
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
    _set(made, "__dict__", values)
    _set(made, "__pydantic_fields_set__", fields)
    _set(made, "__pydantic_extra__", None)
    _set(made, "__pydantic_private__", None)
    return made
