"""What SQL of SQLite's says, comments, quotes and all."""

import pytest

from authstore.mover.sqlite.clauses import (
    checks_in,
    column_words,
    deferrals_in,
    in_quotes,
    meaning,
    terms_in,
)

TABLE = """CREATE TABLE "a (b" ( -- it's CHECK (no)
    id INTEGER PRIMARY KEY, /* it's CHECK (neither) */ "x, y" TEXT COLLATE nocase DEFAULT (')') NOT NULL,
    [CHECK] int CHECK ([CHECK] > 0), `as` TEXT AS (upper("x, y") || ')') STORED COLLATE "rtrim",
    'late' INT REFERENCES "a (b" DEFERRABLE INITIALLY DEFERRED,
    soon INT REFERENCES t (id) ON DELETE CASCADE NOT DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT "the check" CHECK (soon IN (1, 2 -- or more
    )), UNIQUE (soon COLLATE NOCASE), FOREIGN KEY (soon) REFERENCES u DEFERRABLE)"""


def test_a_table_says_how_its_columns_compare_and_are_computed() -> None:
    found = column_words(TABLE)
    assert [*found] == ["id", "x, y", "check", "as", "late", "soon"]
    assert [words.collation for words in found.values()] == ["BINARY", "NOCASE", "BINARY", "RTRIM", "BINARY", "BINARY"]
    assert {name for name, words in found.items() if words.formula} == {"as"}
    assert meaning(found["as"].formula) == meaning("""(UPPER([x, y]) || ')')""")


def test_a_table_says_what_it_checks_and_when_its_keys_are_judged() -> None:
    assert [(name, meaning(words)) for name, words in checks_in(TABLE)] == [
        ("", ("check", ">", "0")),
        ("the check", ("soon", "in", "(", "1", ",", "2", ")")),
    ]
    assert deferrals_in(TABLE) == [" DEFERRABLE INITIALLY DEFERRED", "", ""]
    assert deferrals_in("CREATE TABLE t (a)") == []


@pytest.mark.parametrize(
    ("sql", "terms"),
    [
        ('CREATE INDEX "i (ON" ON "a (b" ("y(" DESC) WHERE x > 0', '("y(" DESC) WHERE x > 0'),
        ("CREATE UNIQUE INDEX i ON/* it's */t(lower(a))", "(lower(a))"),
    ],
)
def test_an_index_says_what_is_in_it(sql: str, terms: str) -> None:
    assert terms_in(sql) == terms


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("n > 0", '( ("N">0) )', True),
        ("(a) + (b)", "a) + (b", False),
        ("x = 'A'", "x = 'a'", False),
        ("CURRENT_TIMESTAMP", "(current_timestamp)", True),
        ("'('", "'('", True),
        ("", "", True),
    ],
)
def test_two_texts_mean_one_thing(one: str, other: str, is_same: bool) -> None:
    assert (meaning(one) == meaning(other)) is is_same


def test_names_are_quoted_and_nothing_else() -> None:
    words = "[Id] > 1e5 AND `x` <> 'id' -- id\n AND e5 IS \"y\""
    said = in_quotes(words, {"id": "Id", "e5": "e5"})
    assert said.split() == ['"Id"', ">", "1e5", "AND", '"x"', "<>", "'id'", "AND", '"e5"', "IS", '"y"']
