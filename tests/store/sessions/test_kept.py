"""What the store kept becomes the same model by the quick way as by the model's own validator."""

import asyncio
import json
import sqlite3
import traceback
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from authstore import Session, StoreCorruptError, User, connect
from authstore.backends.sqlite.units import iso
from authstore.store.sessions import kept

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
    "data": {"theme": ["dark", 1]},
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
INSTANTS = ("expires", "created_at", "last_used_at", "authenticated_at")

ANSWER: list[Any] = [
    "AB" * 32,
    "s1",
    "u1",
    *(iso(SESSION[at]) for at in INSTANTS),
    None,
    "a browser",
    '{"theme":["dark",1]}',
]
ANSWER += ["ada@example.com", None, "Ada", None, False, "{}", iso(NOW), iso(NOW)]


def of_row(row: list[Any]) -> Any:
    """As alone: the hash as bytes."""
    token_hash = bytes.fromhex(row[0]) if isinstance(row[0], str) else row[0]
    return kept.check((token_hash, *row[1:]))


def of_json(row: list[Any]) -> Any:
    """As together with others: the hash in hex."""
    values = kept.read(json.dumps([row, ["AB" * 32, "s2", *ANSWER[2:]]]).encode())
    assert list(values) == ["s1", "s2"]
    return values["s1"]


both_ways = pytest.mark.parametrize("found", [of_row, of_json])


@both_ways
@pytest.mark.parametrize("own", [Session(**SESSION), User(**USER)], ids=["session", "user"])
def test_the_quick_way_and_the_models_own_give_the_same(own: Session | User, found: Any) -> None:
    [quick] = [model for model in kept.session_and_user(found(ANSWER), "s1.secret") if type(model) is type(own)]
    assert quick == own
    assert repr(quick) == repr(own)
    assert quick.model_fields_set == own.model_fields_set
    assert quick.model_copy(update={"data": {"a": 1}}) == own.model_copy(update={"data": {"a": 1}})
    assert quick.model_dump_json() == own.model_dump_json()
    assert set(quick.__dict__) == set(type(quick).model_fields)


@both_ways
@pytest.mark.parametrize("place", range(len(ANSWER)))
def test_every_value_is_checked_for_its_type_and_not_told_in_the_error(place: int, found: Any) -> None:
    for wrong in ({"a secret": 1}, 4711.5):
        with pytest.raises((ValueError, StoreCorruptError), match=r"validation error|cannot be read") as failed:
            found([*ANSWER[:place], wrong, *ANSWER[place + 1 :]])
        assert "4711" not in str(failed.value)
        assert "a secret" not in str(failed.value)


@both_ways
@pytest.mark.parametrize("answer", [ANSWER[:-1], [*ANSWER, None]], ids=["too few", "too many"])
def test_no_value_is_missing_and_none_left_over(answer: list[Any], found: Any) -> None:
    with pytest.raises(ValueError, match="tuple"):
        found(answer)


def test_a_backend_may_give_instants_and_flags_as_such() -> None:
    native = [datetime.fromisoformat(value) if str(value).endswith("Z") else value for value in ANSWER]
    assert of_row(native) == of_row([*ANSWER[:14], 0, *ANSWER[15:]]) == of_json(ANSWER)


def test_no_two_models_share_what_can_change() -> None:
    values = of_row(ANSWER)
    (first, _), (second, _) = kept.session_and_user(values, "s1.secret"), kept.session_and_user(values, "s1.secret")
    first.data["theme"] = "light"
    assert second.data == {"theme": ["dark", 1]}


@pytest.mark.parametrize("unreadable", ["users.name", "sessions.user_agent"])
async def test_a_row_that_cannot_be_read_fails_alone(tmp_path: Path, unreadable: str) -> None:
    path = tmp_path / "auth.db"
    async with connect(path) as store:
        users = [await store.create_user(name=name) for name in ("Ada", "Grace", "Mary")]
        tokens = [(await store.create_session(user.id)).token for user in users]
    table, _, column = unreadable.partition(".")
    with closing(sqlite3.connect(path)) as connection, connection:
        key = users[1].id if table == "users" else str(tokens[1]).partition(".")[0]
        connection.execute(f"UPDATE {table} SET {column} = CAST(x'73656372657480' AS TEXT) WHERE id = ?", (key,))
    async with connect(path) as store:
        asked = [store.get_session_and_user(str(token)) for token in (tokens * 40)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        with pytest.raises(StoreCorruptError, match="cannot be read"):
            await store.get_session_and_user(str(tokens[1]))
    for number, answer in enumerate(answers):
        if number % 3 == 1:
            assert isinstance(answer, StoreCorruptError)
            assert "secret" not in "".join(traceback.format_exception(answer))
        else:
            assert isinstance(answer, tuple)
            assert answer[1] == users[number % 3]
