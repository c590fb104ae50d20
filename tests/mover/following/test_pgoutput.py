"""Keys are all that is taken from the log's messages."""

import struct

import pytest

from authstore.mover.postgres.replication.changes import Changes
from authstore.mover.postgres.replication.pgoutput import Decoder

BEGIN = b"B" + struct.pack(">QqI", 9, 1_000_000, 7)
COMMIT = b"C" + struct.pack(">BQQq", 0, 8, 9, 1_000_000)
TABLE = ("public", "pair")


def relation(identity: bytes = b"d", keys: str = "100", names: str = "abc") -> bytes:
    columns = b"".join(
        struct.pack(">B", int(flag)) + name.encode() + b"\0" + struct.pack(">Ii", 25, -1)
        for flag, name in zip(keys, names, strict=True)
    )
    return b"R" + struct.pack(">I", 5) + b"public\0pair\0" + identity + struct.pack(">H", len(names)) + columns


def values(*given: str | None) -> bytes:
    """A tuple of a row; `…` is a long value that is not repeated, None a null."""
    parts = [
        b"n" if one is None else b"u" if one == "…" else b"t" + struct.pack(">I", len(one.encode())) + one.encode()
        for one in given
    ]
    return struct.pack(">H", len(given)) + b"".join(parts)


def changed(*messages: bytes, keys: dict[tuple[str, str], tuple[str, ...]] | None = None) -> Changes:
    decoder = Decoder(keys or {})
    for message in (BEGIN, *messages):
        assert decoder.take(message) is None
    found = decoder.take(COMMIT)
    assert found is not None
    return found


def row(kind: bytes, rest: bytes) -> bytes:
    return kind + struct.pack(">I", 5) + rest


INSERT = row(b"I", b"N" + values("é1", "b", None))
UPDATE = row(b"U", b"N" + values("1", "…", "c"))
MOVED = row(b"U", b"K" + values("1", None, None) + b"N" + values("2", "b", "…"))
DELETE = row(b"D", b"K" + values("3", None, None))


@pytest.mark.parametrize(
    ("message", "keys", "came", "went"),
    [
        (INSERT, {("é1",)}, True, False),
        (UPDATE, {("1",)}, False, False),
        (MOVED, {("1",), ("2",)}, True, True),
        (DELETE, {("3",)}, False, True),
    ],
)
def test_of_each_message_the_keys(message: bytes, keys: set[tuple[str, ...]], came: bool, went: bool) -> None:
    found = changed(relation(), message)
    touched = found.tables[TABLE]
    assert (touched.names, touched.keys, touched.came, touched.went) == (("a",), keys, came, went)
    assert (found.until, found.rows, found.transactions, found.since) == (9, 1, {7}, 946_684_801.0)
    assert not touched.is_whole


def test_a_key_is_in_the_order_of_its_names_whatever_the_table_s() -> None:
    found = changed(relation(keys="101", names="cba"), row(b"I", b"N" + values("3", "2", "1")))
    assert (found.tables[TABLE].names, found.tables[TABLE].keys) == (("a", "c"), {("1", "3")})


def test_of_a_row_that_is_its_own_identity_the_primary_key() -> None:
    whole = relation(identity=b"f", keys="111")
    update = row(b"U", b"O" + values("1", None, "x") + b"N" + values("1", "b", "x"))
    found = changed(whole, update, keys={TABLE: ("a",)})
    assert found.tables[TABLE].keys == {("1",)}
    assert changed(whole, update).tables[TABLE].is_whole


def test_a_key_too_long_to_be_repeated_is_the_old_one() -> None:
    update = row(b"U", b"K" + values("long", None, None) + b"N" + values("…", "b", "c"))
    assert changed(relation(), update).tables[TABLE].keys == {("long",)}


def test_truncate_and_too_many_keys_are_the_whole_table() -> None:
    truncate = b"T" + struct.pack(">IBI", 1, 0, 5)
    assert changed(relation(), INSERT, truncate).tables[TABLE].is_whole
    many = [row(b"I", b"N" + values(str(number), None, None)) for number in range(50_001)]
    touched = changed(relation(), *many).tables[TABLE]
    assert (touched.is_whole, touched.keys) == (True, set())


def test_what_comes_later_is_joined() -> None:
    first, later = changed(relation(), INSERT), changed(relation(), DELETE)
    first.join(later)
    touched = first.tables[TABLE]
    assert (touched.keys, touched.came, touched.went, first.rows) == ({("é1",), ("3",)}, True, True, 2)
