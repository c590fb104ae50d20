"""Problems are counted exactly, shown by a few ids with addresses masked, and each names the option that decides it."""

from typing import Any

import psycopg
import pytest

from tests.mover.auth.planning import move
from tests.mover.seeds import create, seed

Connection = psycopg.Connection[Any]


@pytest.fixture
def crowd(source: Connection) -> Connection:
    """Nine users, of whom seven have no proper address, and two sessions each."""
    create(source, "pg_adapter")
    source.execute("""
        INSERT INTO users (email) SELECT 'user' || n || ' at example.com' FROM generate_series(1, 7) n;
        INSERT INTO users (email) VALUES ('a@example.com'), ('b@example.com');
        INSERT INTO sessions ("userId", expires, "sessionToken") SELECT u.id, now() + n * interval '1 day',
            'session-token-' || u.id || '-' || n FROM users u, generate_series(1, 2) n""")
    return source


def test_counts_are_exact_and_samples_few(crowd: Connection) -> None:
    problem = move(crowd).problem("bad-row", "users")
    assert problem.count == 7
    assert problem.samples == tuple(f"{n} (u…)" for n in range(1, 6))
    assert problem.message == "7 rows of public.users cannot move: not an e-mail address (email)"
    assert (problem.decision, problem.stops) == ("on_bad_row", True)


def test_what_hangs_on_a_rejected_user_is_counted_and_asks_nothing_of_its_own(crowd: Connection) -> None:
    problem = move(crowd).problem("bad-row", "sessions")
    assert (problem.count, problem.stops) == (14, False)
    assert "its user is rejected: not an e-mail address" in problem.message


def test_a_row_with_several_faults_is_counted_once(crowd: Connection) -> None:
    crowd.execute("""UPDATE sessions SET "sessionToken" = 'short', "userId" = 99 WHERE "userId" = 1""")
    moved = move(crowd, on_bad_row="reject", on_orphan="reject")
    assert moved.rejected["sessions", "no usable token"] == 2
    assert ("sessions", "orphan") not in moved.rejected
    assert sum(count for (table, _), count in moved.rejected.items() if table == "sessions") == 14


def test_no_message_or_sample_holds_a_token_or_a_whole_address(source: Connection) -> None:
    seeded = seed(source, "drizzle_docs_nopk", nasty=True)
    shown = " ".join(f"{p.message} {p.samples}" for p in move(source).problems)
    assert not [session.token for session in seeded.sessions if session.token in shown]
    assert not [token for _, token, _ in seeded.tokens if token in shown]
    assert not [user.email for user in seeded.users if user.email in shown.lower()]


def test_an_id_that_is_an_address_is_masked_too(source: Connection) -> None:
    seed(source, "prisma_mapped", users=2)
    source.execute("""ALTER TABLE accounts DROP CONSTRAINT accounts_user_id_fkey;
        ALTER TABLE sessions DROP CONSTRAINT sessions_user_id_fkey; DELETE FROM accounts; DELETE FROM sessions;
        UPDATE users SET id = email, email = right(email, 3) || id""")
    samples = move(source).problem("bad-row", "users").samples
    assert {sample.split(" ")[0] for sample in samples} == {"u…@example.com"}


def test_what_is_decided_does_not_stop(source: Connection) -> None:
    seed(source, "pg_adapter", nasty=True)
    asked = {problem.decision for problem in move(source).problems if problem.stops}
    assert asked == {"on_bad_row", "on_orphan", "on_duplicate"}
    assert move(source, on_bad_row="reject", on_orphan="reject", on_duplicate="keep-oldest").stopping() == []


def test_rejects_that_no_row_has_are_not_in_the_query(source: Connection) -> None:
    seed(source, "noormme")
    copies = {copy.target: copy for copy in move(source, with_expired=True).plan.copies}
    assert all(copy.rejects == () for copy in copies.values())
    assert copies["sessions"].where == "TRUE"


def test_tables_left_behind_are_named_with_their_rows(source: Connection) -> None:
    seed(source, "better_auth", users=8)
    problem = move(source).problem("left-behind")
    assert (problem.table, problem.count, problem.stops) == ("public.verification", 2, False)


def test_expired_rows_are_counted(source: Connection) -> None:
    seeded = seed(source, "noormme")
    problem = move(source).problem("expired")
    assert (problem.count, problem.decision, problem.stops) == (seeded.expired["sessions"], "with_expired", False)
