"""Tables that are not authstore's: carried over as they are, as far as SQLite can say them, and reported where not."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from authstore.mover.carried.tables import carried_plan
from authstore.mover.copies import UserChanges
from authstore.mover.names import own_namespace, quote
from authstore.mover.options import MoveOptions
from authstore.mover.postgres.asking import answered
from authstore.mover.postgres.introspection import read_source
from tests.mover.carried.planning import TREE, Move, copy_of, refused, rows, said
from tests.mover.copying import empty_target


def test_a_table_arrives_with_its_name_columns_and_rows(move: Move) -> None:
    move.seed("CREATE TABLE notes (id int PRIMARY KEY, body text); INSERT INTO notes VALUES (2, 'b'), (1, NULL)")

    assert rows(move.arrive(), "notes") == [(1, None), (2, "b")]


def test_the_same_source_gives_the_same_words_every_time(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE a (x int REFERENCES users, y numeric, CHECK (y > 0));
        CREATE INDEX ON a (x);
        CREATE TABLE b (x float8)
        """
    )

    assert move.plan() == move.plan()


def test_only_leaves_tables_behind_and_changes_no_name(move: Move) -> None:
    move.seed('CREATE TABLE "Accounts" (id int); CREATE TABLE a (id int); CREATE TABLE b (id int)')

    everything = [copy.target for copy in move.plan().copies]
    move.options = MoveOptions(schemas=("public",), only=("source_Accounts",))

    assert everything == ["source_Accounts", "a", "b"]
    assert [copy.target for copy in move.plan().copies] == ["source_Accounts"]


def test_hostile_names_are_carried_as_they_are(move: Move) -> None:
    name = 'a"b; DROP TABLE users; --%s'
    move.seed(
        f'CREATE TABLE {quote(name)} ({quote(name)} int PRIMARY KEY, "select" int CHECK ("select" > 0), "Case" text,'
        f' "case" text, "rowid" text, "x y" int REFERENCES {quote(name)});'
        f' CREATE INDEX {quote("i" + name)} ON {quote(name)} ("x y", "Case");'
        f"INSERT INTO {quote(name)} VALUES (1, 1, 'A', 'a', 'r', 1)"
    )
    carried, target = move.plan(), move.arrive()

    assert rows(target, name) == [(1, 1, "A", "a", "r", 1)]
    assert target.execute(f'SELECT "Case", "case_2" FROM {quote(name)}').fetchall() == [("A", "a")]
    assert said(carried.problems, '"case"', "case_2")


def test_tables_that_differ_in_case_only_are_kept_apart(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE "Orders" (id int PRIMARY KEY);
        CREATE TABLE orders (id int PRIMARY KEY REFERENCES "Orders");
        INSERT INTO "Orders" VALUES (1);
        INSERT INTO orders VALUES (1)
        """
    )
    carried, target = move.plan(), move.arrive()

    assert [copy.target for copy in carried.copies] == ["Orders", "source_orders"]
    assert said(carried.problems, "public.orders", '"source_orders"')
    assert refused(target, "INSERT INTO source_orders VALUES (2)")


def test_partitioned_tables_become_one_and_heirs_stand_alone(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE event (at date, id int, PRIMARY KEY (at, id)) PARTITION BY RANGE (at);
        CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
        CREATE TABLE event_2 PARTITION OF event DEFAULT;
        INSERT INTO event VALUES ('2020-05-05', 1), ('1999-01-01', 2);
        CREATE TABLE base (id int PRIMARY KEY);
        CREATE TABLE heir (extra text, PRIMARY KEY (id)) INHERITS (base);
        INSERT INTO base VALUES (1);
        INSERT INTO heir VALUES (2, 'x')
        """
    )
    carried, target = move.plan(), move.arrive()

    assert rows(target, "event") == [("1999-01-01", 2), ("2020-05-05", 1)]
    assert (rows(target, "base"), rows(target, "heir")) == ([(1,)], [(2, "x")])
    assert [
        bool(said(carried.problems, *words))
        for words in (("event", "partitioned"), ("base", "inherit"), ("heir", "inherits from"))
    ] == [True] * 3


def test_what_has_no_place_in_sqlite_is_named(move: Move) -> None:
    move.seed(
        """
        CREATE TABLE t (id int PRIMARY KEY);
        CREATE FUNCTION f(x int) RETURNS int LANGUAGE sql AS 'SELECT 1';
        COMMENT ON TABLE t IS 'x';
        CREATE TABLE empty ();
        INSERT INTO empty DEFAULT VALUES;
        CREATE MATERIALIZED VIEW kept AS SELECT 1;
        CREATE SCHEMA other CREATE TABLE thing (id int)
        """
    )
    problems = move.plan().problems

    assert not any(problem.stops for problem in problems)
    for words in (
        ("function", "1 left behind (public.f(integer))"),
        ("comment",),
        ("materialized view", "(public.kept)"),
        ("public.empty", "no columns", "1 row"),
        ('schema "other" stays behind with 0 rows in 1 table (other.thing)',),
    ):
        assert said(problems, *words)


@contextmanager
def clerk(move: Move, table: str) -> Iterator[None]:
    """As somebody who may read this table and nothing else."""
    role = f"clerk_{move.source.info.backend_pid}"
    move.seed(f"CREATE ROLE {role}; GRANT USAGE ON SCHEMA public TO {role}; GRANT SELECT ON {table} TO {role}")
    move.seed(f"SET ROLE {role}")
    try:
        yield
    finally:
        move.seed(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_table_that_may_not_be_read_stops_the_move(move: Move) -> None:
    move.seed("CREATE TABLE closed (id int)")
    with clerk(move, "users"):
        found = said(move.plan().problems, "public.closed")

    assert [(problem.kind, problem.stops) for problem in found] == [("permission", True)]


def test_the_names_of_authstores_indexes_are_known() -> None:
    target, space = empty_target(), own_namespace()
    names = [name for (name,) in target.execute("SELECT name FROM sqlite_master WHERE sql IS NOT NULL")]
    target.close()

    own = [name for name in names if not name.startswith("authstore_")]
    assert [space.take(name) for name in own] == [f"{name}_2" for name in own]


def test_nothing_is_written_to_the_source(move: Move) -> None:
    move.seed(TREE)
    move.source.execute("SET default_transaction_read_only = on")

    assert len(move.plan().copies) == 3


def test_a_plan_inside_a_snapshot_leaves_the_snapshot_standing(move: Move) -> None:
    move.seed("CREATE TABLE t (id int PRIMARY KEY, n smallint DEFAULT 1::int, word text DEFAULT 'x')")
    with psycopg.connect(move.source.info.dsn, options=move.source.info.options) as snapshot:
        snapshot.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        source = read_source(snapshot, ("public",))
        answered(snapshot, carried_plan(source, [], move.options, UserChanges()))

        assert snapshot.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS


def test_a_sequence_that_may_not_be_read_is_pointed_out_and_not_asked(move: Move) -> None:
    move.seed("CREATE TABLE t (id serial PRIMARY KEY, a int); INSERT INTO t (a) VALUES (1), (2)")
    with clerk(move, "t"):
        carried = move.plan()

    assert copy_of(carried, "t").sequence is None
    assert "AUTOINCREMENT" in copy_of(carried, "t").create[0]
    assert [problem.stops for problem in said(carried.problems, "sequence public.t_id_seq")] == [False]
