"""Views over carried tables."""

import pytest

from authstore.mover.options import MoveOptions
from tests.mover.carried.planning import Move, copy_of, rows, said


def test_views_come_before_indexes_of_their_name(move: Move) -> None:
    move.seed("CREATE SCHEMA two; CREATE TABLE t (id int PRIMARY KEY, a int); CREATE INDEX t_a ON t (a)")
    move.seed("CREATE VIEW two.t_a AS SELECT id FROM public.t")
    move.options = MoveOptions(schemas=("public", "two"))
    carried = move.plan()

    assert carried.views == ('CREATE VIEW "t_a" ("id") AS SELECT "t"."id" AS "id" FROM "t" AS "t"',)
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


_TABLES = """
    CREATE TABLE a (id int PRIMARY KEY, n int, b_id int);
    CREATE TABLE b (id int PRIMARY KEY, c_id int, t text);
    CREATE TABLE c (id int PRIMARY KEY, w text);
    INSERT INTO c VALUES (1, 'x'), (2, 'y');
    INSERT INTO b VALUES (1, 1, 'one'), (2, 2, 'two'), (3, NULL, 'three');
    INSERT INTO a VALUES (1, 10, 1), (2, 20, 2), (3, 20, 3), (4, NULL, NULL), (5, 10, 1);
"""


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a.n, c.w FROM a LEFT JOIN (b JOIN c ON c.id = b.c_id) ON b.id = a.b_id",
        "SELECT a.id, b.t, c.w FROM a JOIN b ON b.id = a.b_id JOIN c ON c.id = b.c_id",
        "SELECT a.id, c.w FROM (a LEFT JOIN b ON b.id = a.b_id) LEFT JOIN c ON c.id = b.c_id WHERE a.n > 5",
        "SELECT DISTINCT n FROM a",
        "SELECT n FROM a UNION SELECT id FROM b",
        "SELECT n FROM a UNION ALL SELECT id FROM b ORDER BY 1",
        "SELECT n AS number FROM a UNION SELECT c_id FROM b ORDER BY number DESC",
        "SELECT id, n FROM a ORDER BY n, id DESC",
        "SELECT id, n FROM a ORDER BY n DESC NULLS LAST, id",
        "WITH big AS (SELECT id, n FROM a WHERE n > 10), few AS (SELECT id FROM big) SELECT big.n FROM big JOIN few"
        " ON few.id = big.id",
        "SELECT id FROM a WHERE b_id IN (SELECT b.id FROM b WHERE b.c_id = 1)",
        "SELECT id FROM a WHERE n > 5 AND NOT b_id IN (SELECT b.id FROM b WHERE b.c_id = 1)",
        "SELECT id FROM b WHERE EXISTS (SELECT 1 FROM a WHERE a.b_id = b.id AND a.n = 20)",
        "SELECT id FROM b WHERE c_id = 2 OR NOT EXISTS (SELECT a.id FROM a WHERE a.b_id = b.id)",
        "SELECT n, count(*) AS many FROM a GROUP BY n HAVING count(*) > 1 AND max(id) < 9",
        "SELECT n, coalesce(max(b_id), 0) AS m, count(DISTINCT b_id) AS d, sum(id) + 1 AS s FROM a GROUP BY n",
        "SELECT id, n FROM a ORDER BY n DESC, id LIMIT 3 OFFSET 1",
        "SELECT id FROM a ORDER BY id OFFSET 2",
        "SELECT n FROM a INTERSECT SELECT n FROM a WHERE id > 1",
        "SELECT n FROM a UNION SELECT id FROM b EXCEPT SELECT c_id FROM b",
        "WITH few(number) AS (SELECT n FROM a WHERE n > 10) SELECT few.number FROM few",
        "SELECT inside.n, inside.many FROM (SELECT n, count(*) AS many FROM a GROUP BY n) inside WHERE inside.many > 1",
    ],
)
def test_a_view_shows_what_it_shows_there(move: Move, query: str) -> None:
    move.seed(_TABLES + f"CREATE VIEW v AS {query}")
    there = move.source.execute("SELECT * FROM v").fetchall()
    carried, target = move.plan(), move.arrive()

    assert said(carried.problems, "public.v", "view stays behind") == []
    here = target.execute("SELECT * FROM v").fetchall()
    assert (here if "ORDER BY" in query else sorted(here, key=repr)) == (
        there if "ORDER BY" in query else sorted(there, key=repr)
    )


@pytest.mark.parametrize(
    "query",
    [
        "SELECT DISTINCT ON (n) n, id FROM a ORDER BY n, id",
        "SELECT n, id FROM a LIMIT 3",
        "SELECT row_number() OVER (ORDER BY id) AS place FROM a",
        "SELECT a.id, x.n FROM a CROSS JOIN LATERAL (SELECT b.id AS n FROM b WHERE b.id = a.b_id) x",
        "WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT n FROM t",
        "SELECT n FROM a INTERSECT ALL SELECT id FROM b",
        "SELECT n FROM a EXCEPT (SELECT id FROM b UNION SELECT id FROM c)",
        "SELECT id, t FROM b ORDER BY t LIMIT 2",
        "SELECT count(*) AS many FROM a HAVING count(*) > 1",
        "WITH a AS (SELECT id FROM a WHERE n > 10) SELECT a.id FROM a",
        "SELECT a.id FROM a FULL JOIN b ON b.id = a.b_id",
    ],
)
def test_what_cannot_be_said_stays_behind_and_ends_nothing(move: Move, query: str) -> None:
    move.seed(_TABLES + f"CREATE VIEW v AS {query}")
    carried, target = move.plan(), move.arrive()

    assert len(said(carried.problems, "public.v", "view stays behind")) == 1
    assert rows(target, "a")
