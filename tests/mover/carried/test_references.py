"""Foreign keys of carried tables: to the users, to the roles, among themselves."""

from authstore.mover.copies import UserChanges
from authstore.mover.options import MoveOptions
from tests.mover.carried.planning import Move, copy_of, refused, rows, said


def test_a_column_that_refers_to_a_user_becomes_text_and_still_refers(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE posts (id int PRIMARY KEY, author int REFERENCES users ON DELETE CASCADE,
            editor int DEFAULT 1 REFERENCES users ON DELETE SET NULL);
        INSERT INTO posts VALUES (1, 2, 3), (2, NULL, NULL)
        """
    )
    target = move.arrive()

    assert rows(target, "posts") == [(1, "2", "3"), (2, None, None)]
    assert refused(target, "INSERT INTO posts (id, author) VALUES (3, 'nobody')")
    target.execute("INSERT INTO posts (id) VALUES (4)")
    target.execute("DELETE FROM users WHERE id = '3'")
    assert rows(target, "posts") == [(1, "2", None), (2, None, None), (4, None, "1")]
    target.execute("DELETE FROM users WHERE id = '2'")
    assert rows(target, "posts") == [(2, None, None), (4, None, "1")]


def test_the_users_key_is_followed_through_other_tables(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE profiles (user_id int PRIMARY KEY REFERENCES users, tenant int, UNIQUE (tenant, user_id));
        CREATE TABLE badges (id int PRIMARY KEY, tenant int, owner int, FOREIGN KEY (tenant,
            owner) REFERENCES profiles (tenant, user_id));
        INSERT INTO profiles VALUES (1, 5);
        INSERT INTO badges VALUES (1, 5, 1)
        """
    )
    target = move.arrive()

    assert rows(target, "badges") == [(1, 5, "1")]
    assert refused(target, "INSERT INTO badges VALUES (2, 6, '1')")


def test_of_a_composite_reference_to_the_users_the_id_is_kept(move: Move) -> None:
    move.seed("ALTER TABLE users ADD org int; UPDATE users SET org = 7; ALTER TABLE users ADD UNIQUE (org, id)")
    move.seed(
        """
        CREATE TABLE seats (id int PRIMARY KEY, org int, fan int, FOREIGN KEY (org, fan) REFERENCES users (org,
            id))
        """
    )
    move.seed("INSERT INTO seats VALUES (1, 7, 1), (2, 7, 2), (3, NULL, 99)")
    move.changes = UserChanges(gone=("2",), reasons={"2": ("its user is gone", "on_bad_row")})
    carried, target = move.plan(), move.arrive()

    assert rows(target, "seats") == [(1, 7, "1")]
    assert refused(target, "INSERT INTO seats VALUES (4, 7, 'nobody')")
    assert said(carried.problems, "seats_org_fan_fkey", 'only "fan"')
    assert [problem.samples for problem in said(carried.problems, "orphan")] == [("3",)]


def test_a_column_that_refers_to_a_role_holds_the_roles_name(move: Move) -> None:
    move.seed(
        "CREATE TABLE invites (id int PRIMARY KEY, role_id uuid REFERENCES roles);"
        "INSERT INTO invites SELECT 1, id FROM roles WHERE name = 'author'"
    )
    target = move.arrive()

    assert rows(target, "invites") == [(1, "author")]
    assert refused(target, "INSERT INTO invites VALUES (2, 'nobody')")


def test_references_among_tables_keep_their_actions_and_circles(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE a (id int PRIMARY KEY, b_id int, boss int REFERENCES a ON DELETE CASCADE);
        CREATE TABLE b (id int PRIMARY KEY,
            a_id int NOT NULL REFERENCES a ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED);
        ALTER TABLE a ADD FOREIGN KEY (b_id) REFERENCES b;
        INSERT INTO a VALUES (1, NULL, 1), (2, NULL, 1);
        INSERT INTO b VALUES (1, 2);
        UPDATE a SET b_id = 1
        """
    )
    target = move.arrive()

    assert rows(target, "a") == [(1, 1, 1), (2, 1, 1)]
    assert refused(target, "INSERT INTO a VALUES (3, 9, NULL)")
    target.execute("UPDATE a SET id = 22 WHERE id = 2")
    assert rows(target, "b") == [(1, 22)]
    target.execute("BEGIN")
    target.execute("INSERT INTO b VALUES (2, 77)")
    target.execute("INSERT INTO a VALUES (77, NULL, NULL)")
    target.execute("COMMIT")


def test_references_that_cannot_be_kept_are_reported_and_their_values_stay(move: Move) -> None:
    move.seed(
        """
        CREATE SCHEMA other;
        CREATE TABLE other.things (id int PRIMARY KEY);
        INSERT INTO other.things VALUES (7);
        CREATE TABLE t (id int PRIMARY KEY, thing int REFERENCES other.things,
            mail text REFERENCES users (email), big numeric UNIQUE, small numeric REFERENCES t (big),
            kept numeric(20,2) UNIQUE, link numeric(20,2) REFERENCES t (kept));
        INSERT INTO t VALUES (1, 7, '1@example.com', 5.0, 5.00, 1, 1)
        """
    )
    carried = move.plan()

    assert rows(move.arrive(), "t") == [(1, 7, "1@example.com", "5.0", "5.00", "1.00", "1.00")]
    for words in (
        ("t_thing_fkey", "not moved"),
        ("t_mail_fkey", "another form"),
        ("t_small_fkey", "equal in Postgres only"),
    ):
        assert said(carried.problems, *words)
    assert '"t_link_fkey"' in copy_of(carried, "t").create[0]


def test_a_reference_to_a_skipped_table_is_left_out(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE big (id int PRIMARY KEY);
        CREATE TABLE t (id int PRIMARY KEY, big int REFERENCES big);
        INSERT INTO big VALUES (1);
        INSERT INTO t VALUES (1, 1)
        """
    )
    move.options = MoveOptions(schemas=("public",), skip=("public.big",))

    assert [copy.target for copy in move.plan().copies] == ["t"]
    assert rows(move.arrive(), "t") == [(1, 1)]


def test_references_between_texts_that_are_equal_in_postgres_only_are_reported(move: Move) -> None:
    move.seed(
        """
        CREATE EXTENSION citext;
        CREATE TABLE p (c citext UNIQUE, r real UNIQUE, d float8 UNIQUE, s interval UNIQUE, g numrange UNIQUE,
            k char(4) UNIQUE);
        CREATE TABLE t (c citext REFERENCES p (c), r real REFERENCES p (d),
            s interval REFERENCES p (s),
            g numrange REFERENCES p (g), k char(4) REFERENCES p (k),
            d float8 REFERENCES p (d));
        INSERT INTO p VALUES ('É', 0.1, 0.1::real, '1 day', '[1.0,2.0)', 'ab'), (NULL, NULL, 'NaN', NULL, NULL,
            NULL);
        INSERT INTO t VALUES ('é', 0.1, '24:00:00', '[1,2)', 'ab', 'NaN');
        """
    )
    carried = move.plan()

    assert rows(move.arrive(), "t") == [("é", 0.1, "PT24H", "[1,2)", "ab  ", "NaN")]
    assert [len(said(carried.problems, f"t_{name}_fkey")) for name in "crsgkd"] == [1, 1, 1, 1, 0, 0]
