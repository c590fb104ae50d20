"""The ground the other tests stand on."""

import psycopg


def test_each_test_gets_an_empty_database_of_its_own(source: psycopg.Connection) -> None:
    source.execute("CREATE TABLE here (id integer)")
    assert source.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (1,)
