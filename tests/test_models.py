"""Models: aware UTC, frozen, no NUL, no number for an instant, no secret shown or dumped unasked."""

import copy
import json
import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from authstore.models import (
    Account,
    Authenticator,
    Model,
    Permission,
    Role,
    Session,
    SignIn,
    User,
    VerificationToken,
    aware_utc,
    check_text,
)
from authstore.testing.contract.shared import BAD_TEXTS

NOON = datetime(2031, 5, 6, 12, 0, 0, 123456, tzinfo=UTC)
TIMES = {"created_at": NOON, "updated_at": NOON}

GIVEN: dict[type[Model], dict[str, Any]] = {
    User: {"id": "u1", **TIMES},
    Account: {"id": "a1", "user_id": "u1", "provider": "github", "provider_account_id": "42", **TIMES},
    Session: {
        "id": "s1", "user_id": "u1", "expires": NOON, "created_at": NOON, "last_used_at": NOON,
        "authenticated_at": NOON,
    },
    VerificationToken: {"identifier": "ada@example.com", "purpose": "sign-in", "expires": NOON},
    Authenticator: {"credential_id": "c1", "user_id": "u1", "public_key": b"k", "created_at": NOON},
    Role: {"name": "editor"},
    Permission: {"resource": "posts", "action": "read"},
}  # fmt: skip

SECRETS: dict[type[Model], list[str]] = {
    Account: ["access_token", "refresh_token", "id_token"],
    Session: ["token"],
    VerificationToken: ["token"],
}

SECRET_FIELDS = [(model, field) for model, fields in SECRETS.items() for field in fields]
INSTANTS = [(model, field) for model, given in GIVEN.items() for field, value in given.items() if value is NOON]
INSTANTS += [(User, "email_verified"), (Account, "expires_at"), (Authenticator, "last_used_at")]
TEXTS = [
    (model, name) for model in GIVEN for name, field in model.model_fields.items()
    if "str" in str(field.annotation)
    and name not in {"data", "type", "device_type", "transports", "permissions", "unreadable"}
]  # fmt: skip


def _make(model: type[Model], **fields: Any) -> Any:
    return model(**{**GIVEN[model], **fields})


def _with_secrets() -> list[Any]:
    return [_make(model, **dict.fromkeys(fields, "hush-hush")) for model, fields in SECRETS.items()]


@pytest.mark.parametrize("model", GIVEN)
def test_a_model_is_frozen_copied_and_compared_by_value(model: type[Model]):
    made = _make(model)
    for name in model.model_fields:
        with pytest.raises(ValidationError):
            setattr(made, name, None)
    for again in (_make(model), copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert again == made
    assert model.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize("model", [model for model in GIVEN if model is not Authenticator])
def test_what_was_dumped_for_json_can_be_read_again(model: type[Model]):
    made = _make(model)
    assert model.model_validate(made.model_dump(mode="json")) == made


@pytest.mark.parametrize("model", GIVEN)
def test_a_misspelt_field_is_refused(model: type[Model]):
    with pytest.raises(ValidationError):
        _make(model, nonsense=1)


@pytest.mark.parametrize(("model", "field"), INSTANTS)
def test_a_naive_instant_is_refused(model: type[Model], field: str):
    for naive in (datetime(2031, 5, 6), "2031-05-06T12:00:00"):
        with pytest.raises(ValidationError):
            _make(model, **{field: naive})


@pytest.mark.parametrize(("model", "field"), INSTANTS)
@pytest.mark.parametrize("wrong", [3600, 1_900_000_000.5, True, date(2031, 5, 6), timedelta(hours=1), "tomorrow", ""])
def test_a_number_a_date_or_a_duration_is_no_instant(model: type[Model], field: str, wrong: object):
    with pytest.raises(ValidationError):
        _make(model, **{field: wrong})


@pytest.mark.parametrize(("model", "field"), INSTANTS)
def test_an_instant_of_another_zone_becomes_utc(model: type[Model], field: str):
    elsewhere = NOON.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
    value = getattr(_make(model, **{field: elsewhere}), field)
    assert value == NOON
    assert value.tzinfo is UTC


@given(st.datetimes(timezones=st.timezones()))
def test_every_aware_instant_keeps_its_microsecond_or_lies_beyond_the_calendar(instant: datetime):
    try:
        # Times that a change of the clocks skips or repeats equal none of another zone (PEP 495): by hand, then.
        expected = (instant.replace(tzinfo=None) - (instant.utcoffset() or timedelta(0))).replace(tzinfo=UTC)
    except OverflowError:
        with pytest.raises(ValueError):
            aware_utc(instant)
    else:
        assert aware_utc(instant) == expected


def test_an_instant_beyond_the_calendar_is_a_value_error():
    for instant in (
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
    ):
        with pytest.raises(ValueError):
            aware_utc(instant)


def test_an_instant_may_be_iso_8601_text():
    assert aware_utc("2031-05-06T12:00:00.123456Z") == NOON
    assert aware_utc("2031-05-06T14:00:00.123456+02:00") == NOON


@pytest.mark.parametrize("text", BAD_TEXTS, ids=ascii)
@pytest.mark.parametrize(("model", "field"), TEXTS)
def test_nul_and_lone_surrogates_are_refused_in_every_text(model: type[Model], field: str, text: str):
    with pytest.raises(ValidationError):
        _make(model, **{field: text})


@pytest.mark.parametrize(("model", "field"), TEXTS)
@pytest.mark.parametrize("wrong", [5, 1.5, b"bytes", True, ["list"]])
def test_what_is_no_text_is_not_made_one(model: type[Model], field: str, wrong: object):
    with pytest.raises(ValidationError):
        _make(model, **{field: wrong})


@pytest.mark.parametrize(
    ("model", "field"),
    [(User, "id"), (Account, "provider"), (Account, "provider_account_id"), (Session, "id"), (Role, "name"),
     (VerificationToken, "identifier"), (VerificationToken, "purpose"), (Authenticator, "credential_id"),
     (Permission, "resource"), (Permission, "action")],
)  # fmt: skip
def test_what_names_something_is_not_empty(model: type[Model], field: str):
    with pytest.raises(ValidationError):
        _make(model, **{field: ""})


def test_check_text_gives_the_text_back():
    assert check_text("plain") == "plain"
    assert check_text("ünïcode 🔑") == "ünïcode 🔑"


@pytest.mark.parametrize("text", BAD_TEXTS, ids=ascii)
def test_nul_and_lone_surrogates_are_refused_in_data(text: str):
    for data in ({"key": text}, {text: 1}, {"deep": [[{"list": [text]}]]}, {"deep": {text: None}}):
        with pytest.raises(ValidationError):
            _make(User, data=data)


@pytest.mark.parametrize(
    "wrong", [float("nan"), float("inf"), -float("inf"), b"bytes", {1}, object(), NOON, {1: 2}, (1,)]
)
def test_data_is_what_json_takes(wrong: object):
    for data in ({"key": wrong}, {"deep": [{"list": [wrong]}]}):
        with pytest.raises(ValidationError):
            _make(User, data=data)


def test_data_nested_without_end_is_refused():
    endless: list[Any] = []
    endless.append(endless)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for data in ({"endless": endless}, {"deep": deep}):
        with pytest.raises(ValidationError):
            _make(User, data=data)


@pytest.mark.parametrize(("field", "wrong"), [("disabled", 1), ("disabled", "no"), ("disabled", None)])
def test_a_flag_is_a_boolean(field: str, wrong: object):
    with pytest.raises(ValidationError):
        _make(User, **{field: wrong})
    with pytest.raises(ValidationError):
        _make(Authenticator, backed_up=wrong)


@pytest.mark.parametrize("wrong", [-1, 2**63, 1.0, "1", True, None])
def test_a_counter_is_a_whole_number_that_a_database_can_hold(wrong: object):
    with pytest.raises(ValidationError):
        _make(Authenticator, counter=wrong)
    assert _make(Authenticator, counter=2**63 - 1).counter == 2**63 - 1


def test_a_key_is_bytes_and_base64_in_json():
    key = bytes(range(256))
    made = _make(Authenticator, public_key=key)
    assert Authenticator.model_validate_json(made.model_dump_json()).public_key == key
    with pytest.raises(ValidationError):
        _make(Authenticator, public_key="text")


def test_permissions_can_stand_in_a_set():
    assert len({Permission(resource="a", action="b"), Permission(resource="a", action="b")}) == 1


@pytest.mark.parametrize(("model", "field"), SECRET_FIELDS)
def test_a_secret_is_neither_shown_nor_dumped(model: type[Model], field: str):
    made = _make(model, **{field: "hush-hush"})
    shown = [repr(made), str(made), f"{made!s:>200}", repr([made]), made.model_dump_json(), str(made.model_dump())]
    shown += [json.dumps(made.model_dump(mode="json")), str(list(made.__rich_repr__()))]
    shown += [TypeAdapter(list[model]).dump_json([made]).decode(), str(TypeAdapter(model).dump_python(made))]
    assert "hush-hush" not in "".join(shown)
    assert field not in made.model_dump()
    assert getattr(made, field) == "hush-hush"


@pytest.mark.parametrize(("model", "field"), SECRET_FIELDS)
def test_a_secret_is_dumped_when_it_is_asked_for_by_name(model: type[Model], field: str):
    made = _make(model, **{field: "hush-hush"})
    assert made.model_dump(include={field}) == {field: "hush-hush"}
    assert json.loads(made.model_dump_json(include={field})) == {field: "hush-hush"}
    assert set(made.model_dump(exclude={field})) == set(model.model_fields) - set(SECRETS[model])


def test_only_the_secret_asked_for_is_dumped():
    account = _make(Account, access_token="one", refresh_token="two", id_token="three")
    assert account.model_dump(include={"id", "refresh_token"}) == {"id": "a1", "refresh_token": "two"}


def test_secrets_inside_another_model_follow_the_same_rule():
    account = _make(Account, access_token="hush-hush")
    done = SignIn(user=_make(User), account=account, created_user=True, linked_account=True)
    assert "hush-hush" not in f"{done!r} {done} {done.model_dump()} {done.model_dump_json()}"
    assert "hush-hush" not in str(done.model_dump(include={"account"}))
    assert done.model_dump(include={"account": {"access_token"}}) == {"account": {"access_token": "hush-hush"}}


@pytest.mark.parametrize("model", GIVEN)
def test_a_refused_value_is_not_quoted(model: type[Model]):
    fields = {**GIVEN[model], **dict.fromkeys(model.model_fields, "hush-hush\0")}
    with pytest.raises(ValidationError) as caught:
        model(**fields)
    assert "hush-hush" not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize("model", GIVEN)
def test_the_json_schema_knows_the_fields_that_are_dumped(model: type[Model]):
    schema = model.model_json_schema(mode="serialization")
    assert set(schema["properties"]) == set(model.model_fields) - set(SECRETS.get(model, ()))
    assert set(model.model_json_schema()["properties"]) == set(model.model_fields)


def test_instants_have_a_format_in_the_json_schema():
    assert Session.model_json_schema()["properties"]["expires"]["format"] == "date-time"
