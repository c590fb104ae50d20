"""What the store kept becomes the same model by the quick way as by the model's own validator."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from authstore import Session, User
from authstore.store import kept

NOW = datetime(2026, 11, 22, 13, 48, tzinfo=UTC)
SESSION = {
    "id": "s1",
    "token": "s1.secret",
    "user_id": "u1",
    "expires": NOW + timedelta(days=30),
    "created_at": NOW,
    "last_used_at": NOW,
    "authenticated_at": NOW,
    "ip": None,
    "user_agent": "a browser",
    "data": {"theme": ["dark", 1, None]},
}
USER = {
    "id": "u1",
    "email": "ada@example.com",
    "email_verified": None,
    "name": "Ada",
    "image": None,
    "disabled": False,
    "data": {},
    "created_at": NOW,
    "updated_at": NOW,
}
KINDS = [pytest.param(kept.session, Session, SESSION, id="session"), pytest.param(kept.user, User, USER, id="user")]


@pytest.mark.parametrize(("read", "model", "values"), KINDS)
def test_the_quick_way_and_the_models_own_give_the_same(read: Any, model: Any, values: dict[str, Any]) -> None:
    quick, own = read(values), model(**values)
    assert quick == own
    assert repr(quick) == repr(own)
    assert quick.model_fields_set == own.model_fields_set
    assert quick.model_copy(update={"data": {"a": 1}}) == own.model_copy(update={"data": {"a": 1}})
    assert quick.model_dump_json() == own.model_dump_json()


@pytest.mark.parametrize(("read", "model", "values"), KINDS)
def test_every_field_of_the_model_is_there_and_of_its_type(read: Any, model: Any, values: dict[str, Any]) -> None:
    assert set(values) == set(model.model_fields)
    for field in values:
        with pytest.raises(ValidationError):
            read({**values, field: object()})
        with pytest.raises(ValidationError):
            read({name: value for name, value in values.items() if name != field})


def test_no_two_models_share_what_can_change() -> None:
    first, second = kept.session(SESSION), kept.session(SESSION)
    first.data["theme"] = "light"
    assert second.data == {"theme": ["dark", 1, None]}
