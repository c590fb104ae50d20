"""Whatever a table's columns are, its rows arrive, and after every kind of change they arrive again."""

import itertools
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authstore.mover import recover
from authstore.mover.batches import Batch
from authstore.mover.layout import ColumnLayout, Kind, Layout
from authstore.mover.names import quote
from authstore.mover.sqlite.queries import TargetQueries
from authstore.mover.sqlite.writing import SqliteWriter
from tests.mover.moving import change, moved, verified

pytestmark = pytest.mark.slow

_Link = psycopg.Connection[Any]
KINDS = ("key", "plain", "indexed", "unique", "generated")
NAMES = ("body", "order", "Mixed Case", 'a "quoted" one', "100% %s", "group", "ünïcode", "select")


@dataclass(frozen=True)
class Shape:
    """A table of columns of these kinds. Every other column is a number, the rest are texts."""

    name: str
    kinds: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(NAMES[(len(self.kinds) + place) % len(NAMES)] for place in range(len(self.kinds)))

    def of(self, *kinds: str) -> list[int]:
        return [place for place, kind in enumerate(self.kinds) if kind in kinds]

    @property
    def given(self) -> list[int]:
        return self.of("key", "plain", "indexed", "unique")

    def create(self) -> Iterator[str]:
        columns = [f"{quote(name)} {self._declared(place)}" for place, name in enumerate(self.columns)]
        if key := ", ".join(quote(self.columns[place]) for place in self.of("key")):
            columns.append(f"PRIMARY KEY ({key})")
        yield f"CREATE TABLE {quote(self.name)} ({', '.join(columns)})"
        for place in self.of("indexed"):
            yield f"CREATE INDEX ON {quote(self.name)} ({quote(self.columns[place])})"

    def _declared(self, place: int) -> str:
        if self.kinds[place] == "generated":
            first = self.given[0]
            value = quote(self.columns[first])
            return f"int GENERATED ALWAYS AS ({value if first % 2 else f'length({value})'} + {place}) STORED"
        return ("int" if place % 2 else "text") + (" UNIQUE" if self.kinds[place] == "unique" else "")

    def value(self, place: int, row: int) -> str:
        return str(row * 10 + place) if place % 2 else f"'{'x' * (row % 5)}{row}.{place}'"

    def insert(self, *rows: int) -> str:
        names = ", ".join(quote(self.columns[place]) for place in self.given)
        values = ", ".join(f"({', '.join(self.value(place, row) for place in self.given)})" for row in rows)
        return f"INSERT INTO {quote(self.name)} ({names}) VALUES {values}"

    def update(self, place: int, row: int, to: int) -> str:
        changed = f"{quote(self.columns[place])} = {self.value(place, to)}"
        return f"UPDATE {quote(self.name)} SET {changed} WHERE {self._is(row)}"

    def delete(self, row: int) -> str:
        return f"DELETE FROM {quote(self.name)} WHERE {self._is(row)}"

    def _is(self, row: int) -> str:
        return " AND ".join(f"{quote(self.columns[place])} = {self.value(place, row)}" for place in self.given)

    def exchange(self, place: int, one: int, other: int) -> Iterator[str]:
        """Two rows, as `insert` made them, exchange a value."""
        apart = 900 + place
        yield self.update(place, one, apart)
        yield self.update(place, other, one)
        yield (
            f"UPDATE {quote(self.name)} SET {quote(self.columns[place])} = {self.value(place, other)}"
            f" WHERE {quote(self.columns[place])} = {self.value(place, apart)}"
        )


def _shapes() -> list[Shape]:
    small = [kinds for width in (1, 2, 3) for kinds in itertools.product(KINDS, repeat=width)]
    chosen = random.Random(7)
    wide = [tuple(chosen.choice(KINDS) for _ in range(width)) for width in (4, 4, 4, 5, 5, 6, 7, 8)]
    told = (kinds for kinds in [*small, *wide] if set(kinds) != {"generated"})
    return [Shape(f"shape {number} " + "".join(kind[0] for kind in kinds), kinds) for number, kinds in enumerate(told)]


SHAPES = _shapes()
assert len(SHAPES) == 5 + 25 + 125 - 3 + 8


def _seed(source: _Link, shapes: list[Shape]) -> None:
    source.execute('CREATE TABLE users (id int PRIMARY KEY, email text, name text, "emailVerified" timestamptz)')
    for shape in shapes:
        _run(source, *shape.create(), shape.insert(*range(1, 21)))


def _run(source: _Link, *statements: str) -> None:
    for statement in statements:
        source.execute(statement.encode())


def _assert_equal(source: _Link, target: Path, shapes: list[Shape]) -> None:
    with closing(sqlite3.connect(target)) as connection:
        for shape in shapes:
            query = f"SELECT {', '.join(map(quote, shape.columns))} FROM {quote(shape.name)}"
            wanted = source.execute(query.encode()).fetchall()
            assert sorted(connection.execute(query), key=repr) == sorted(wanted, key=repr), shape


@pytest.mark.timeout(600)
async def test_tables_of_every_shape_arrive_again_after_every_change(
    source: _Link, source_url: str, tmp_path: Path
) -> None:
    target = tmp_path / "auth.db"
    _seed(source, SHAPES)
    await moved(source_url, target)
    _assert_equal(source, target, SHAPES)
    for shape in SHAPES:
        for place in shape.given:  # of the key too
            _run(source, shape.update(place, 1 + place, 50 + place))
        _run(source, shape.delete(10), shape.insert(30, 31))
        for place in shape.of("unique", "indexed", "key"):
            _run(source, *shape.exchange(place, 11, 12) if len(shape.of("unique", "key")) == 1 else ())
    report = await moved(source_url, target)
    _assert_equal(source, target, SHAPES)
    assert (await verified(source_url, target)).ok
    assert min(table.copied for name, table in report.tables.items() if name.startswith("shape")) > 1
    for shape in SHAPES:  # by somebody else, in the target
        change(target, shape.delete(15), *(shape.update(place, 16 + place, 70 + place) for place in shape.given[-1:]))
    await moved(source_url, target, replace=True)
    _assert_equal(source, target, SHAPES)


@pytest.mark.parametrize("kinds", [("key", "plain", "indexed"), ("plain", "key", "unique"), ("indexed",), ("key",)])
async def test_one_table_is_recovered_whatever_its_shape(
    kinds: tuple[str, ...], source: _Link, source_url: str, tmp_path: Path
) -> None:
    shape, target = Shape("a table", kinds), tmp_path / "auth.db"
    _seed(source, [shape])
    await moved(source_url, target)
    change(target, shape.delete(3), *(shape.update(place, 5, 50) for place in shape.given[-1:]))
    _run(source, shape.delete(7), shape.update(shape.given[-1], 8, 60), shape.insert(40))
    await recover(source_url, target, shape.name)
    _assert_equal(source, target, [shape])
    assert (await verified(source_url, target)).ok


@st.composite
def _tables(draw: st.DrawFn) -> tuple[list[str], set[int], list[tuple[int, ...]], set[int]]:
    """Columns' storages, the key's, the indexes', and those that are the same in every row."""
    width = draw(st.integers(1, 8))
    storages = draw(st.lists(st.sampled_from(["TEXT", "INTEGER", "REAL", "ANY"]), min_size=width, max_size=width))
    places = st.integers(0, width - 1)
    key = draw(st.sets(places, min_size=1, max_size=3))
    indexes = draw(st.lists(st.lists(places, min_size=1, max_size=2, unique=True).map(tuple), max_size=3))
    constant = draw(st.sets(places)) - key
    return storages, key, indexes, {place for place in constant if storages[place] == "TEXT"}


@settings(max_examples=150, deadline=None)
@given(_tables(), st.data())
def test_every_statement_does_to_a_table_of_any_shape_what_it_says(
    table: tuple[list[str], set[int], list[tuple[int, ...]], set[int]], data: st.DataObject
) -> None:
    storages, key, indexes, constant = table
    kinds: dict[str, Kind] = {"TEXT": "text", "INTEGER": "int8", "REAL": "float8", "ANY": "int8"}
    columns = tuple(
        ColumnLayout(f"c {place}", kinds[storage], storage == "ANY", "'same'" if place in constant else None)
        for place, storage in enumerate(storages)
    )
    names = [column.name for column in columns]
    layout = Layout("a table", columns, tuple(names[place] for place in sorted(key)))
    queries = TargetQueries(layout)
    small = {"TEXT": st.sampled_from(["a", "A", "b ", ""]), "REAL": st.sampled_from([0.5, -1.0])}

    def drawn(place: int) -> Any:
        if place in constant:
            return "same"
        if storages[place] == "ANY" and place not in key:
            return data.draw(st.sampled_from([1, 2, "NaN"]))
        value = small.get(storages[place], st.integers(0, 3))
        return data.draw(value if place in key else value | st.none())

    def as_read(row: tuple[Any, ...]) -> tuple[Any, ...]:
        """As the source gives a row: first the first expressions, then the second ones."""
        plain = [
            None if column.has_other and value == "NaN" else value for column, value in zip(columns, row, strict=True)
        ]
        others = [
            "NaN" if value == "NaN" else None for column, value in zip(columns, row, strict=True) if column.has_other
        ]
        return (*(value for place, value in enumerate(plain) if place not in constant), *others)

    def key_of(row: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(row[place] for place in sorted(key))

    def batch(rows: list[tuple[Any, ...]]) -> Batch:
        flat = [value for row in rows for value in ("digest", *as_read(row))]
        return Batch.of(flat, ("digest", *as_read(rows[-1])))

    def rows() -> list[tuple[Any, ...]]:
        drawn_rows = [tuple(map(drawn, range(len(columns)))) for _ in range(data.draw(st.integers(1, 6)))]
        return list({key_of(row): row for row in drawn_rows}.values())

    with closing(sqlite3.connect(":memory:", isolation_level=None)) as target:
        declared = ", ".join(f"{quote(name)} {storage}" for name, storage in zip(names, storages, strict=True))
        target.execute(f'CREATE TABLE "a table" ({declared}, PRIMARY KEY ({", ".join(map(quote, layout.key))})) STRICT')
        for number, places in enumerate(indexes):
            target.execute(f'CREATE INDEX "i{number}" ON "a table" ({", ".join(quote(names[at]) for at in places)})')
        writer, model = SqliteWriter(target, layout), {key_of(row): row for row in rows()}
        writer.insert(batch(list(model.values())))
        for _ in range(3):
            changed = rows()
            writer.overwrite(batch(changed))
            model |= {key_of(row): row for row in changed}
            gone = data.draw(st.sampled_from(list(model)))
            assert writer.has(gone)
            writer.delete([gone])
            del model[gone]
            assert not writer.has(gone)
            found = target.execute(f'SELECT {", ".join(map(quote, names))} FROM "a table"').fetchall()
            assert sorted(found, key=repr) == sorted(model.values(), key=repr)
            keys = [tuple(row) for row in target.execute(queries.keys)]
            assert keys == sorted(model)
            if not model:
                return
        assert target.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
