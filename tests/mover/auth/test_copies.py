"""What the auth tables of every known schema become in authstore's own."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from authstore.tokens import hash_token
from tests.mover.auth.planning import ALL_DECIDED, Moved, move
from tests.mover.seeds import SCHEMAS, Seeded, seed

Connection = psycopg.Connection[Any]


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.mark.parametrize("name", SCHEMAS)
def test_of_an_ordinary_database_everything_arrives(source: Connection, name: str) -> None:
    seeded = seed(source, name)
    moved = move(source)
    assert moved.stopping() == []
    assert moved.rejected == {}
    check_arrived(moved, seeded)
    assert moved.one("SELECT count(*) FROM users") == len(seeded.users)
    assert moved.one("SELECT count(*) FROM accounts") == len(seeded.accounts)
    assert moved.one("SELECT count(*) FROM sessions") == len(seeded.sessions)
    assert moved.problem("expired").count == seeded.expired["sessions"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_of_a_nasty_database_everything_ordinary_arrives_and_the_rest_is_counted(source: Connection, name: str) -> None:
    seeded = seed(source, name, nasty=True)
    moved = move(source, **ALL_DECIDED)
    assert moved.stopping() == []
    check_arrived(moved, seeded)
    counted: dict[tuple[str, str], int] = {}
    for role, one in moved.recognised.items():
        table = f"{one.table.schema}.{one.table.name}"
        for problem in moved.problems:
            follows = "its user" in problem.message
            if problem.table == table and problem.kind in ("bad-row", "orphan", "duplicate") and not follows:
                counted[role, problem.kind] = counted.get((role, problem.kind), 0) + problem.count
    assert counted == dict(seeded.nasty)
    assert sum(moved.rejected.values()) >= sum(counted.values())


@pytest.mark.parametrize("name", ["pg_adapter", "supabase", "typeorm"])
def test_what_nobody_has_decided_stops(source: Connection, name: str) -> None:
    seeded = seed(source, name, nasty=True)
    options = {"bad-row": "on_bad_row", "orphan": "on_orphan", "duplicate": "on_duplicate"}
    kinds = {kind for _, kind in seeded.nasty}
    assert set(move(source).stopping()) == {(kind, options[kind]) for kind in kinds}


def check_arrived(moved: Moved, seeded: Seeded) -> None:
    for user in seeded.users:
        verified = moved.one("SELECT email_verified FROM users WHERE id = ? AND email = ?", user.id, user.email)
        assert (verified is None) == (user.verified is None)
    for session in seeded.sessions:
        found = moved.all("SELECT user_id, expires FROM sessions WHERE token_hash = ?", hash_token(session.token))
        assert found == [(session.user_id, iso(session.expires))]
    for provider, own, user_id in seeded.accounts:
        asked = "SELECT user_id FROM accounts WHERE provider = ? AND provider_account_id = ?"
        assert moved.all(asked, provider, own) == [(user_id,)]
    for identifier, token, _ in seeded.tokens if "verification_tokens" in moved.recognised else ():
        asked = "SELECT count(*) FROM verification_tokens WHERE identifier = ? AND token_hash = ?"
        assert moved.one(asked, identifier, hash_token(token)) == 1
    for credential, key, user_id in seeded.credentials:
        asked = "SELECT public_key, user_id FROM authenticators WHERE credential_id = ?"
        assert moved.all(asked, credential) == [(key, user_id)]


def test_only_the_tables_asked_for_are_copied_and_spoken_of(source: Connection) -> None:
    seed(source, "pg_adapter", nasty=True)
    moved = move(source, only=("users",), on_bad_row="reject", on_duplicate="keep-oldest")
    assert [copy.target for copy in moved.plan.copies] == ["users"]
    assert moved.stopping() == []


def test_moments_are_bound_to_the_snapshot_where_nobody_gives_them(source: Connection) -> None:
    seed(source, "pg_adapter", users=1)
    created = datetime.fromisoformat(move(source).one("SELECT created_at FROM users"))
    assert abs(created - datetime.now(UTC)) < timedelta(minutes=1)
