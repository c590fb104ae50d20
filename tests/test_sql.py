"""The queries' file: every name in the words of every database, and nothing that would never be run."""

import re
from typing import get_args

import pytest

from authstore.sql import Decides, Dialect, Queries, Query, queries
from authstore.store.sessions import kept

ALL: dict[str, Query] = dict(queries.__dict__)
ONE_INSTANT = {"last_used_at", "authenticated_at"}  # of a session that is made, as created_at is
GIVEN = re.compile(r"(?<![:\w]):(\w+)")


@pytest.mark.parametrize("name", ALL)
def test_every_query_exists_in_every_dialect_with_the_same_parameters(name: str) -> None:
    query = ALL[name]
    texts = [getattr(query, dialect) for dialect in get_args(Dialect)]
    if not query.sqlite:  # one of them says by it what other queries say too, or SQLite makes something for itself
        assert sum(map(bool, (query.whole, query.postgres, query.opening, query.sqlite_gathered))) == 1
        return
    assert all(texts)
    assert len({frozenset(GIVEN.findall(text)) for text in texts}) == 1


@pytest.mark.parametrize("name", ALL)
def test_the_further_texts_of_a_query_take_what_the_query_takes(name: str) -> None:
    query = ALL[name]
    taken = set(GIVEN.findall(query.postgres or query.whole or "")) - {"gate"}
    for text in filter(None, (query.to_change, query.whole, query.gathered)):
        assert set(GIVEN.findall(text)) - {"gate"} == taken - (ONE_INSTANT if text is query.gathered else set())


@pytest.mark.parametrize("name", [name for name, query in ALL.items() if query.sqlite_gathered])
def test_the_gathered_text_of_sqlite_takes_what_the_query_takes(name: str) -> None:
    query = ALL[name]
    assert query.sqlite_gathered is not None
    named = set(re.findall(r"'\$\.(\w+)(?:\[[01]\])?'", query.sqlite_gathered))
    alone = query.sqlite or queries.insert_user_and_account.sqlite
    assert named == set(GIVEN.findall(alone)) - ONE_INSTANT
    assert set(GIVEN.findall(query.sqlite_gathered)) == {"rows", "packed"}


def test_a_gathered_session_begins_when_it_is_made() -> None:
    assert "given.created_at,\n    given.created_at, given.created_at, given.ip" in (
        queries.insert_session.gathered or ""
    )


def selected(text: str) -> list[str]:
    """The columns between the first list's beginning and its FROM."""
    said = text.replace("hex(sessions.token_hash)", "sessions.token_hash")
    columns = re.search(r"(?:SELECT|json_array\()\s+(sessions\.token_hash.*?)(?:FROM|\)\))", said, re.DOTALL)
    assert columns is not None
    return [column.split(" AS ")[0].strip() for column in columns[1].strip(" \n)").split(",")]


@pytest.mark.parametrize("name", ["session_and_user_by_id", "sessions_and_users_by_ids", "session_and_user_by_hash"])
@pytest.mark.parametrize("dialect", get_args(Dialect))
def test_the_hot_path_gives_its_columns_in_the_order_in_which_they_are_read(name: str, dialect: str) -> None:
    assert selected(getattr(ALL[name], dialect)) == list(kept.COLUMNS)


def test_a_statement_knows_its_query_and_what_is_decided_by_it() -> None:
    plain = queries.delete_session(id="s")
    assert (plain.query.name, plain.parameters, plain.decides) == ("delete_session", {"id": "s"}, Decides.NOTHING)
    assert queries.delete_session.alone(id="s").decides is Decides.UNIT
    claimed = queries.get_account.claiming("account", "google", "1", provider="google", provider_account_id="1")
    assert (claimed.decides, claimed.claim) == (Decides.NAME, ("account", "google", "1"))


def test_a_text_that_does_not_lock_cannot_be_asked_to() -> None:
    unlocked = Queries("-- name: one\nSELECT 1\n").one
    with pytest.raises(LookupError, match="locks"):
        unlocked.changing()


@pytest.mark.parametrize(
    "text",
    [
        "-- name: one\nSELECT 1\n-- name: one\nSELECT 2\n",
        "-- name: one\n-- dialect: sqlite\nSELECT 1\n",
        "-- name: one\n-- dialect: sqlite\nSELECT 1\n-- dialect: postgres\n",
        "-- name: one\nSELECT 1\n-- dialect: postgres\nSELECT 2\n",
        "-- name: one\nSELECT 1\n-- dialect: postgres, to chang\nSELECT 2\n",
        "-- name: one\nSELECT 1\n-- dialect: postgres, together\nSELECT 2\n",
        "-- name: one\n-- dialect: sqlite\nSELECT 1\n-- dialect: sqlite\nSELECT 1\n-- dialect: postgres\nSELECT 1\n",
    ],
)
def test_a_file_that_says_too_much_or_too_little_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="one"):
        Queries(text)
