"""CREATE TABLE and CREATE INDEX of another application, said again under other names."""

import sqlite3
from contextlib import closing

import pytest

from authstore.mover.foreign.wording import index_said, table_said


def led(table: str, columns: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
    """User → users (id); kept → kept_2, as it was; all others are gone."""
    return {"user": ("users", ("id",)), "kept": ("kept_2", columns)}.get(table.lower())


TWO_KEPT = 'a, b, FOREIGN KEY (a, b) REFERENCES "kept_2" ("x y", "z")'
OTHER_KEPT = 'a, FOREIGN KEY (a) REFERENCES "kept_2"'
NO_KEYS = (
    "a DEFAULT 'REFERENCES gone', -- REFERENCES gone\n b /* REFERENCES gone",
    "a CHECK (a <> 'it''s REFERENCES \"User\"(id)')",
)
SAID = [
    ("a REFERENCES User", "a REFERENCES \"users\" (\"id\")"),
    ("a REFERENCES 'User'('id') ON DELETE CASCADE", "a REFERENCES \"users\" (\"id\") ON DELETE CASCADE"),
    ('a, b, FOREIGN KEY (a, b) REFERENCES [kept]("x y", `z`)', TWO_KEPT),
    ("a REFERENCES gone", "a"),
    ("a REFERENCES gone(x) ON DELETE SET NULL ON UPDATE NO ACTION NOT NULL", "a NOT NULL"),
    ("a CONSTRAINT f REFERENCES gone NOT DEFERRABLE INITIALLY DEFERRED UNIQUE", "a UNIQUE"),
    ("a CHECK (a > 0) REFERENCES gone MATCH FULL DEFERRABLE, b", "a CHECK (a > 0) , b"),
    ("a, b, FOREIGN KEY (a, b) REFERENCES gone (p, q), CHECK (a > 0)", "a, b , CHECK (a > 0)"),
    ("a, CONSTRAINT f FOREIGN KEY (a) REFERENCES gone FOREIGN KEY (a) REFERENCES kept", OTHER_KEPT),
    *((same, same) for same in NO_KEYS),
]  # fmt: skip


@pytest.mark.parametrize(("columns", "said"), SAID)
def test_foreign_keys_are_led_or_go(columns: str, said: str) -> None:
    end = " */)" if "/*" in columns else ")"
    found = table_said(f"CREATE TABLE 'my own' ({columns}{end}", 'the "new"', led)
    assert "".join(found.split()) == "".join(f'CREATE TABLE "the ""new""" ({said}{end}'.split())
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(found)


@pytest.mark.parametrize("name", ["plain", "'sin gle'", '"dou""ble"', "[brack et]", "`tick`", "/* said */ täble"])
def test_an_index_finds_its_table_however_that_is_written(name: str) -> None:
    found = index_said(
        f"CREATE UNIQUE INDEX {name} -- ON other\n ON {name} (a COLLATE NOCASE) WHERE a <> ' ON '", "i", "t"
    )
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute(found)
        assert connection.execute("SELECT name FROM pragma_index_list('t')").fetchall() == [("i",)]
