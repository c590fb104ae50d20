"""What SQLite takes, tried before anything is moved."""

from authstore.mover.sqlite.building import refused_views


def test_a_view_that_sqlite_would_not_take_is_named_before_the_move() -> None:
    good = 'CREATE VIEW "good" ("id") AS SELECT "users"."id" AS "id" FROM "users" AS "users"'
    broken = 'CREATE VIEW "broken" ("id") AS SELECT FROM WHERE'
    dangling = 'CREATE VIEW "dangling" ("id") AS SELECT "x"."id" AS "id" FROM "no_such_table" AS "x"'
    over_it = 'CREATE VIEW "over_it" ("id") AS SELECT "d"."id" AS "id" FROM "dangling" AS "d"'
    refused = refused_views((), [good, broken, dangling, over_it])
    assert set(refused) == {broken, dangling, over_it}
    assert "no such table" in refused[dangling]
