"""Models of what the store itself kept, for the hot path: the same types are checked, all of them by pydantic's
core, and only the checks that a value passed on its way in (NUL, surrogates, time zone) are left out.

Half the time of the models' own validators.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic_core import CoreSchema, SchemaValidator, core_schema

from authstore.models import Session, User

M = TypeVar("M", bound=BaseModel)

_TEXT = core_schema.str_schema(strict=True)
_INSTANT = core_schema.datetime_schema(strict=True)
_FLAG = core_schema.bool_schema(strict=True)
_DATA = core_schema.dict_schema(core_schema.str_schema(strict=True), strict=True)
_MAYBE_TEXT = core_schema.nullable_schema(_TEXT)
_MAYBE_INSTANT = core_schema.nullable_schema(_INSTANT)

_set = object.__setattr__  # the models are frozen


def _reader(model: type[M], **fields: CoreSchema) -> Callable[[Mapping[str, Any]], M]:
    required = {name: core_schema.typed_dict_field(schema) for name, schema in fields.items()}
    checked = SchemaValidator(core_schema.typed_dict_schema(required, extra_behavior="forbid")).validate_python
    new, names = model.__new__, set(fields)

    def read(values: Mapping[str, Any]) -> M:
        made = new(model)
        # What `BaseModel.model_construct` sets; every field is there, so no default is asked for.
        _set(made, "__dict__", checked(values))
        _set(made, "__pydantic_fields_set__", names)
        _set(made, "__pydantic_extra__", None)
        _set(made, "__pydantic_private__", None)
        return made

    return read


session = _reader(
    Session,
    id=_TEXT,
    token=_MAYBE_TEXT,
    user_id=_TEXT,
    expires=_INSTANT,
    created_at=_INSTANT,
    last_used_at=_INSTANT,
    authenticated_at=_INSTANT,
    ip=_MAYBE_TEXT,
    user_agent=_MAYBE_TEXT,
    data=_DATA,
)
user = _reader(
    User,
    id=_TEXT,
    email=_MAYBE_TEXT,
    email_verified=_MAYBE_INSTANT,
    name=_MAYBE_TEXT,
    image=_MAYBE_TEXT,
    disabled=_FLAG,
    data=_DATA,
    created_at=_INSTANT,
    updated_at=_INSTANT,
)
