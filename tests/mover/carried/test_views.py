"""Views over carried tables."""

from authstore.mover.options import MoveOptions
from tests.mover.carried.planning import Move, copy_of, rows, said


def test_views_come_before_indexes_of_their_name(move: Move) -> None:
    move.seed("CREATE SCHEMA two; CREATE TABLE t (id int PRIMARY KEY, a int); CREATE INDEX t_a ON t (a)")
    move.seed("CREATE VIEW two.t_a AS SELECT id FROM public.t")
    move.options = MoveOptions(schemas=("public", "two"))
    carried = move.plan()

    assert carried.views == ('CREATE VIEW "t_a" ("id") AS SELECT "t"."id" FROM "t" AS "t"',)
    assert copy_of(carried, "t").indexes == ('CREATE INDEX "t_a_2" ON "t" ("a")',)
    assert move.arrive().execute("SELECT count(*) FROM t_a").fetchall() == [(0,)]


def test_views_follow_where_every_part_can_be_said(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE orders (id int PRIMARY KEY, customer int, "Total" int, note text);
        CREATE TABLE customers (id int PRIMARY KEY, name text);
        CREATE VIEW big AS SELECT o.id, c.name AS who,
            o."Total" * 2 AS twice FROM orders o LEFT JOIN customers c ON c.id = o.customer WHERE o."Total" > 10;
        CREATE VIEW counts AS SELECT who, count(*) AS n, max(twice) AS most FROM big GROUP BY who;
        CREATE VIEW mails AS SELECT email FROM users;
        CREATE VIEW words AS SELECT upper(note) AS loud FROM orders;
        CREATE VIEW recent AS SELECT * FROM orders ORDER BY note LIMIT 3;
        INSERT INTO customers VALUES (1, 'Ada');
        INSERT INTO orders VALUES (1, 1, 50), (2, NULL, 60), (3, 1, 5)
        """
    )
    carried, target = move.plan(), move.arrive()

    assert rows(target, "big") == [(1, "Ada", 100), (2, None, 120)]
    assert rows(target, "counts") == [(None, 1, 120), ("Ada", 1, 100)]
    assert [
        len(said(carried.problems, f"public.{name}", "view stays behind")) for name in ("mails", "words", "recent")
    ] == [1, 1, 1]
