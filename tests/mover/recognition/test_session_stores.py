"""What a site keeps for browsers is known by its columns; what belongs to users, or to others, is not taken for it."""

from typing import Any

import psycopg
import pytest

from authstore.errors import ConfigurationError
from authstore.mover.recognition.profile import parse_profile, write_profile
from tests.mover.recognition.recognising import SESSIONS, USERS, look, stops, tables

Connection = psycopg.Connection
SESSION = "session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)"
PROFILE = 'authstore_profile = 1\n[visits]\ntable = "session"\nuser_in = '


STORES = {
    SESSION: "sid",  # connect-pg-simple
    "user_sessions (sid text PRIMARY KEY, sess jsonb, expired timestamptz)": "sid",  # connect-session-knex
    '"Sessions" (sid varchar(36), expires timestamptz, data text, "createdAt" timestamptz)': "sid",  # …-sequelize
    "django_session (session_key varchar(40), session_data text, expire_date timestamptz)": "session_key",
    "sessions (id serial PRIMARY KEY, session_id varchar(255), data bytea, expiry timestamp)": "session_id",  # Flask
    "web_sessions (id text PRIMARY KEY, data bytea, expires_at timestamptz)": "id",  # for starsessions
    "session_store (key text PRIMARY KEY, value jsonb, expires timestamptz)": "key",
}


def test_a_session_store_is_visits(source: Connection[Any]) -> None:
    for table, token in STORES.items():
        source.execute(f"CREATE TABLE {table}".encode())
        found, problems = look(source)
        assert [(one.role, one.fields["token"]) for one in found] == [("visits", token)]
        assert stops(problems) == []
        assert "no table of users" in problems[0].message
        source.execute(f"DROP TABLE {table.partition(' (')[0]}".encode())


OTHERS = (
    "session (id text PRIMARY KEY, user_id int, data jsonb, expires_at timestamptz)",
    "cache (id text PRIMARY KEY, data bytea, expires timestamptz)",
    "cache (key text PRIMARY KEY, value text, expires timestamptz)",
    "sessions (id int PRIMARY KEY, data text, expires timestamptz)",
    "sessions (id text PRIMARY KEY, data int, expires timestamptz)",
    "sessions (id text PRIMARY KEY, data text, last_activity int)",
)


def test_what_is_something_else_is_not(source: Connection[Any]) -> None:
    source.execute(f"CREATE TABLE users {USERS}".encode())
    for table in OTHERS:
        source.execute(f"CREATE TABLE {table}".encode())
        assert "visits" not in tables(look(source)[0])
        source.execute(f"DROP TABLE {table.partition(' (')[0]}".encode())


def test_beside_a_table_of_sessions_both_are_what_they_are(source: Connection[Any]) -> None:
    source.execute(f"CREATE TABLE users {USERS}; CREATE TABLE logins {SESSIONS}; CREATE TABLE {SESSION}".encode())
    assert tables(look(source)[0]) == {"users": "public.users", "sessions": "public.logins", "visits": "public.session"}


def test_two_that_could_be_stop_the_move(source: Connection[Any]) -> None:
    source.execute(f"CREATE TABLE {SESSION}; CREATE TABLE admin_{SESSION}".encode())
    assert [problem[0] for problem in stops(look(source)[1])] == ["ambiguous"]
    told = 'authstore_profile = 1\n[visits]\ntable = "session"'
    found, problems = look(source, told)
    assert tables(found) == {"visits": "public.session"}
    assert [one.table.name for one in found if not one.moved] == ["admin_session"]
    assert stops(problems) == []


def test_one_that_is_to_be_carried_is_carried(source: Connection[Any]) -> None:
    source.execute(f"CREATE TABLE users {USERS}; CREATE TABLE {SESSION}".encode())
    for profile in ('carry = ["session"]', 'leave = ["session"]'):
        found, problems = look(source, f"authstore_profile = 1\n{profile}")
        assert tables(found) == {"users": "public.users"}
        assert stops(problems) == []


def test_users_are_looked_for_as_ever(source: Connection[Any]) -> None:
    """A store of visits says nothing of who is a user: a table of customers is none because of it."""
    source.execute(f"CREATE TABLE customers {USERS.replace('emailVerified', 'x')}; CREATE TABLE {SESSION}".encode())
    assert tables(look(source)[0]) == {"visits": "public.session"}


def test_rows_that_name_users_become_sessions_where_a_profile_says_so(source: Connection[Any]) -> None:
    source.execute(f"CREATE TABLE users {USERS}; CREATE TABLE {SESSION}".encode())
    found, problems = look(source, f"{PROFILE}'$.passport.\"user id\"'")
    assert tables(found) == {"users": "public.users", "sessions": "public.session", "visits": "public.session"}
    assert {one.user_in for one in found} == {(), ("passport", "user id")}
    assert stops(problems) == []
    again = parse_profile(write_profile(found))
    assert again.tables["visits"].user_in == ("passport", "user id")
    assert "sessions" not in again.tables


def test_that_needs_users_and_no_other_sessions(source: Connection[Any]) -> None:
    source.execute(f"CREATE TABLE {SESSION}".encode())
    assert stops(look(source, f"{PROFILE}'$.user'")[1]) == [("unrecognised", "", "profile")]
    source.execute(f"CREATE TABLE users {USERS}; CREATE TABLE logins {SESSIONS}".encode())
    with pytest.raises(ConfigurationError, match="logins"):
        look(source, f"{PROFILE}'$.user'")


@pytest.mark.parametrize("path", ["''", "'user'", "'$'", "'$.'", "'$.a..b'", "'$[0]'", "7", "['$.a']", "'$.a b'"])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match="user_in"):
        parse_profile(PROFILE + path)


def test_only_visits_name_users_so() -> None:
    with pytest.raises(ConfigurationError, match="no more"):
        parse_profile("authstore_profile = 1\n[sessions]\ntable = 'session'\nuser_in = '$.user'")
