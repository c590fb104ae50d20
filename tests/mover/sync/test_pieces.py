"""A catch-up finds what differs between the source and a sealed file, reading from the file as little as it must."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authstore.mover.batches import Pack
from authstore.mover.layout import ColumnLayout, Layout
from authstore.mover.sqlite.ledger import Ledger
from authstore.mover.sqlite.queries import TargetQueries
from authstore.mover.sqlite.writing import SqliteWriter
from authstore.mover.sync.pieces import remembered_pieces
from authstore.mover.sync.remembered import Remembered

LAYOUT = Layout("t", (ColumnLayout("id", "int8"), ColumnLayout("body", "text")), ("id",))
STRETCH = 4  # rows
Table = dict[int, str]

tables = st.dictionaries(st.integers(0, 20), st.sampled_from("ab"))


def pack(table: Table) -> Pack:
    keys = sorted(table)
    return keys, [hashlib.md5(f"{key} {table[key]}".encode()).hexdigest() for key in keys]


def moved(table: Table) -> sqlite3.Connection:
    """A file with these rows and the ledger that a move leaves with them."""
    target = sqlite3.connect(":memory:", isolation_level=None)
    target.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
    target.executemany("INSERT INTO t VALUES (?, ?)", table.items())
    ledger = Ledger(target)
    ledger.create()
    keys, digests = pack(table)
    for number, start in enumerate(range(0, len(keys), STRETCH)):
        ledger.put("t", number, (keys[start : start + STRETCH][-1],), digests[start : start + STRETCH])
    return target


def differences(target: sqlite3.Connection, now: Table) -> tuple[list[int], list[int]]:
    """Changed and gone, as a catch-up finds them."""
    source: Iterator[Pack] = iter([pack(now)] if now else [])
    ledger = Ledger(target)
    found = list(
        remembered_pieces(source, Remembered(SqliteWriter(target, LAYOUT), ledger), ledger.stretches("t"), STRETCH)
    )
    return [key for piece in found for key in piece.changed()], [key for piece in found for key in piece.gone()]


@given(before=tables, now=tables)
def test_what_changed_came_and_went_is_found(before: Table, now: Table) -> None:
    with closing(moved(before)) as target:
        changed, gone = differences(target, now)
    assert changed == sorted(key for key, body in now.items() if before.get(key) != body)
    assert gone == sorted(before.keys() - now.keys())


@pytest.mark.parametrize(
    ("now", "walks"),
    [
        (dict.fromkeys(range(12), "a"), 0),
        ({**dict.fromkeys(range(12), "a"), 3: "b", 4: "b", 7: "b"}, 0),
        ({**dict.fromkeys(range(12), "a"), 99: "b"}, 0),
        (dict.fromkeys(range(11), "a"), 1),
        (dict.fromkeys([0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11], "a"), 1),
    ],
    ids=["nothing", "changed", "behind", "last-gone", "gone"],
)
def test_keys_are_walked_only_where_some_may_be_gone(now: Table, walks: int) -> None:
    asked: list[str] = []
    with closing(moved(dict.fromkeys(range(12), "a"))) as target:
        target.set_trace_callback(asked.append)
        differences(target, now)
    assert len([sql for sql in asked if sql == TargetQueries(LAYOUT).keys]) == walks
