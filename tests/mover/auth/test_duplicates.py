"""What only one may have and several do: nobody is merged with somebody else by chance."""

from typing import Any

import psycopg

from tests.mover.auth.planning import move
from tests.mover.seeds import create, seed

Connection = psycopg.Connection[Any]


class TestDuplicates:
    def insert(self, source: Connection, *users: tuple[int, str, str | None]) -> None:
        create(source, "pg_adapter")
        for user_id, email, verified in users:
            source.execute(
                'INSERT INTO users (id, email, "emailVerified") VALUES (%s, %s, %s)', [user_id, email, verified]
            )
            source.execute(
                """INSERT INTO accounts ("userId", type, provider, "providerAccountId")
                   VALUES (%s, 'oauth', 'github', %s)""",
                [user_id, str(user_id)],
            )
            source.execute(
                """INSERT INTO sessions ("userId", expires, "sessionToken")
                   VALUES (%s, now() + interval '1 day', %s)""",
                [user_id, f"session-token-of-user-{user_id}"],
            )

    def test_keep_oldest_rejects_the_others_and_what_hangs_on_them(self, source: Connection) -> None:
        self.insert(source, (10, "Ada@example.com", None), (9, "ada@example.com", None), (11, "b@example.com", None))
        moved = move(source, on_duplicate="keep-oldest")
        assert moved.all("SELECT id FROM users ORDER BY id") == [("11",), ("9",)]
        assert moved.all("SELECT user_id FROM sessions ORDER BY 1") == [("11",), ("9",)]
        assert moved.rejected["sessions", "its user is a duplicate"] == 1
        assert moved.plan.changes.gone == ("10",)

    def test_the_time_of_creation_comes_before_the_key(self, source: Connection) -> None:
        self.insert(source, (1, "ada@example.com", None), (2, "ADA@example.com", None))
        source.execute("ALTER TABLE users ADD created_at timestamptz DEFAULT now()")
        source.execute("UPDATE users SET created_at = '2020-01-01' WHERE id = 2")
        assert move(source, on_duplicate="keep-oldest").all("SELECT id FROM users") == [("2",)]

    def test_merge_gives_all_to_the_oldest_when_every_address_is_verified(self, source: Connection) -> None:
        self.insert(source, (1, "ada@example.com", "2026-01-01"), (2, "ADA@example.com", "2026-01-02"))
        moved = move(source, on_duplicate="merge")
        assert moved.stopping() == []
        assert moved.all("SELECT id, email FROM users") == [("1", "ada@example.com")]
        assert moved.all("SELECT user_id FROM accounts") == [("1",), ("1",)]
        assert moved.all("SELECT user_id FROM sessions") == [("1",), ("1",)]
        assert moved.plan.changes.merged == {"2": "1"}

    def test_merge_stops_where_an_address_is_not_verified(self, source: Connection) -> None:
        self.insert(source, (1, "ada@example.com", "2026-01-01"), (2, "ADA@example.com", None))
        moved = move(source, on_duplicate="merge")
        assert moved.stopping() == [("duplicate", "on_duplicate")]
        assert "not every address involved is verified" in moved.problem("duplicate", "users").message
        assert moved.problem("duplicate", "users").samples == ("2 (A…@example.com) = 1 (a…@example.com)",)

    def test_accounts_of_one_identity(self, source: Connection) -> None:
        self.insert(source, (1, "a@example.com", "2026-01-01"), (2, "b@example.com", None))
        source.execute("""UPDATE accounts SET "providerAccountId" = 'same'""")
        assert move(source).problem("duplicate", "accounts").count == 1
        assert move(source, on_duplicate="merge").stopping() == [("duplicate", "on_duplicate")]
        assert move(source, on_duplicate="keep-oldest").all("SELECT user_id FROM accounts") == [("1",)]
        source.execute("""UPDATE users SET "emailVerified" = now()""")
        assert move(source, on_duplicate="merge").all("SELECT user_id FROM accounts") == [("1",)]

    def test_equal_session_tokens(self, source: Connection) -> None:
        self.insert(source, (1, "a@example.com", None), (2, "b@example.com", None))
        source.execute("""UPDATE sessions SET "sessionToken" = 'one-token-for-two-users'""")
        assert move(source).stopping() == [("duplicate", "on_duplicate")]
        assert move(source, on_duplicate="keep-oldest").all("SELECT user_id FROM sessions") == [("1",)]

    def test_rows_without_any_key_are_told_apart(self, source: Connection) -> None:
        seed(source, "drizzle_docs_nopk", users=2)
        source.execute("INSERT INTO account SELECT * FROM account")
        moved = move(source)
        assert moved.problem("duplicate", "account").count == 2
        kept = move(source, on_duplicate="merge")
        assert kept.stopping() == []
        assert kept.one("SELECT count(*) FROM accounts") == 2
