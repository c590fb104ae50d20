"""Rows of carried tables that stay behind, and those that follow them."""

from authstore.mover.copies import UserChanges
from authstore.mover.options import MoveOptions
from tests.mover.carried.planning import TREE, Move, copy_of, rows, said


def test_ids_of_users_that_say_so_nowhere_are_pointed_out_once_it_matters(move: Move) -> None:
    move.seed('CREATE TABLE calls (id int PRIMARY KEY, "userId" int); INSERT INTO calls VALUES (1, 2)')
    before = said(move.plan().problems, "calls")
    move.changes = UserChanges(merged={"2": "1"})

    assert before == []
    assert [problem.stops for problem in said(move.plan().problems, "calls", '"userId"')] == [False]
    assert rows(move.arrive(), "calls") == [(1, 2)]


def test_what_hangs_on_a_rejected_user_stays_behind_over_any_number_of_steps(move: Move) -> None:
    move.seed(TREE)
    move.changes = UserChanges(gone=("2",), reasons={"2": ("its user is gone", "on_bad_row")})
    carried, target = move.plan(), move.arrive()

    assert rows(target, "posts", "id") == [(1,), (5,)]
    assert rows(target, "likes") == [(1, "1"), (5, "3")]
    assert rows(target, "notes", "body") == [("a",), ("d",)]
    found = {
        (problem.table, problem.message.split(": ", 1)[1]): problem for problem in said(carried.problems, "cannot move")
    }
    assert found["public.posts", "its user is gone (author)"].samples == ("2",)
    assert found["public.posts", "what it refers to is left out"].samples == ("3", "4")
    assert {problem.decision for problem in found.values()} == {"on_bad_row"}
    assert not any(problem.stops for problem in found.values())


def test_what_hangs_on_a_merged_user_goes_to_the_oldest(move: Move) -> None:
    move.seed(TREE)
    move.seed("CREATE TABLE settings (user_id int PRIMARY KEY REFERENCES users, theme text)")
    move.seed("INSERT INTO settings VALUES (1, 'old'), (2, 'new'), (4, 'kept')")
    move.changes = UserChanges(merged={"2": "1", "4": "3"})
    carried, target = move.plan(), move.arrive()

    assert rows(target, "posts") == [(1, "1", None), (2, "1", 1), (3, "1", 2), (4, "3", 3), (5, "3", None)]
    assert rows(target, "likes") == [(1, "1"), (4, "1"), (5, "3")]
    assert rows(target, "settings") == [("1", "old"), ("3", "kept")]
    (double,) = said(carried.problems, "public.settings", "duplicate")
    assert (double.count, double.samples, double.decision) == (1, ("2",), "on_duplicate")


def test_a_unique_index_that_merging_may_break_is_left_out_and_said(move: Move) -> None:
    move.seed("CREATE TABLE seats (id int PRIMARY KEY, fan int REFERENCES users, gone date)")
    move.seed("CREATE UNIQUE INDEX one_seat ON seats (fan) WHERE gone IS NULL; INSERT INTO seats VALUES (1, 1), (2, 2)")

    assert len(copy_of(move.plan(), "seats").indexes) == 1
    move.changes = UserChanges(merged={"2": "1"})
    assert rows(move.arrive(), "seats", "id, fan") == [(1, "1"), (2, "1")]
    assert said(move.plan().problems, '"one_seat"', "merging users")


def test_orphans_that_postgres_never_checked_are_asked_about(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE posts (id int PRIMARY KEY, author int);
        CREATE TABLE likes (id int PRIMARY KEY, post int REFERENCES posts);
        INSERT INTO posts VALUES (1, 1), (2, 99), (3, NULL);
        INSERT INTO likes VALUES (1, 1), (2, 2);
        ALTER TABLE posts ADD FOREIGN KEY (author) REFERENCES users NOT VALID
        """
    )
    carried, target = move.plan(), move.arrive()

    assert (rows(target, "posts", "id"), rows(target, "likes", "id")) == ([(1,), (3,)], [(1,)])
    (orphan,) = said(carried.problems, "public.posts", "orphan")
    (follower,) = said(carried.problems, "public.likes", "cannot move")
    assert (orphan.samples, orphan.decision, orphan.stops) == (("2",), "on_orphan", True)
    assert (follower.samples, follower.decision, follower.stops) == (("2",), "on_orphan", False)
    move.options = MoveOptions(schemas=("public",), on_orphan="reject")
    assert not any(problem.stops for problem in move.plan().problems)


def test_local_times_that_never_were_are_bad_rows(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE t (id int PRIMARY KEY, at timestamp);
        INSERT INTO t VALUES (1, '2024-03-31 02:30'), (2, '2024-07-01 12:00')
        """
    )
    move.options = MoveOptions(schemas=("public",), naive_tz="Europe/Berlin")
    carried, target = move.plan(), move.arrive()

    assert rows(target, "t") == [(2, "2024-07-01T10:00:00.000000Z")]
    assert [problem.stops for problem in said(carried.problems, "no such local time")] == [True]


def test_a_column_that_refers_to_a_token_is_a_secret(move: Move) -> None:
    move.seed(
        """
        INSERT INTO sessions VALUES (1, 'raw-token-0123456789', 1);
        CREATE TABLE calls (id int PRIMARY KEY, token text UNIQUE REFERENCES sessions (token));
        INSERT INTO calls VALUES (1, 'raw-token-0123456789')
        """
    )
    asked = said(move.plan().problems, "public.calls", '"token"', "in the clear")
    kept = rows(move.arrive(), "calls")
    move.options = MoveOptions(schemas=("public",), secrets="drop")

    assert [(problem.decision, problem.stops) for problem in asked] == [("secrets", True)]
    assert kept == [(1, "raw-token-0123456789")]
    assert rows(move.arrive(), "calls") == [(1,)]


def test_what_refers_to_tables_that_lose_nothing_is_not_asked_about_them(move: Move) -> None:
    for number in range(12):
        parents = ", ".join(f"p{parent} int REFERENCES t{parent}" for parent in range(number))
        move.seed(f"CREATE TABLE t{number} ({', '.join(filter(None, ['id int PRIMARY KEY', parents]))})")
    move.seed("CREATE TABLE posts (id int PRIMARY KEY, author int REFERENCES users, t11 int REFERENCES t11)")
    move.seed("ALTER TABLE t0 ADD author int REFERENCES users; INSERT INTO posts VALUES (1, 2)")
    move.changes = UserChanges(gone=("2",), reasons={"2": ("its user is gone", "on_bad_row")})

    (posts,) = [copy for copy in move.plan().copies if copy.rejects]

    assert (posts.target, len(posts.rejects)) == ("posts", 1)
