"""The messages of PostgreSQL's own output plugin, version 1, of which only keys are taken.

https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
"""

import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from authstore.mover.catalog import QualifiedName
from authstore.mover.postgres.replication.changes import Changes, Identity, Touched

_POSTGRES_EPOCH = 946_684_800.0  # 2000-01-01, in seconds of the epoch
_COMMIT = struct.Struct(">BQQq")
_BEGIN = struct.Struct(">QqI")
_OID, _COUNT, _LENGTH = struct.Struct(">I"), struct.Struct(">H"), struct.Struct(">I")
_KEY, _FULL = 1, ord("f")


@dataclass(frozen=True, slots=True)
class Relation:
    """A table as the log describes it. `key`: where the columns of its replica identity are, in the order of names."""

    table: QualifiedName
    names: tuple[str, ...]
    key: tuple[int, ...]


class Decoder:
    """Takes message after message; at the end of a transaction gives what it changed."""

    def __init__(self, keys: Mapping[QualifiedName, Collection[str]]) -> None:
        """`keys`: by what a row is known where its replica identity is all of it."""
        self._keys = keys
        self._relations: dict[int, Relation] = {}
        self._changes = Changes()
        self.is_inside = False  # a transaction

    def take(self, message: bytes) -> Changes | None:
        """The changes of a transaction, once the message is its end."""
        match message[:1]:
            case b"I":
                self._row(message, came=True)
            case b"U":
                self._row(message)
            case b"D":
                self._row(message, went=True)
            case b"B":
                _, at, number = _BEGIN.unpack_from(message, 1)
                self._changes = Changes(since=at / 1e6 + _POSTGRES_EPOCH, transactions={number})
                self.is_inside = True
            case b"C":
                _, _, self._changes.until, _ = _COMMIT.unpack_from(message, 1)
                self.is_inside = False
                return self._changes
            case b"R":
                oid, relation = self._relation(message)
                self._relations[oid] = relation
            case b"T":
                self._truncate(message)
        return None  # types, origins and messages say nothing of rows

    def _touched(self, relation: Relation) -> Touched:
        return self._changes.touched(relation.table, tuple(relation.names[place] for place in relation.key))

    def _row(self, message: bytes, *, came: bool = False, went: bool = False) -> None:
        relation = self._relations[_OID.unpack_from(message, 1)[0]]
        touched = self._touched(relation)
        self._changes.rows += 1
        touched.came |= came
        touched.went |= went
        at, old = 5, None
        if message[at : at + 1] in (b"K", b"O"):
            old, at = _identity(message, at + 1, relation)
            touched.add(old)
        if message[at : at + 1] == b"N":
            new, _ = _identity(message, at + 1, relation, old)
            touched.add(new)
            touched.went |= old is not None and old != new
            touched.came |= old is not None and old != new

    def _relation(self, message: bytes) -> tuple[int, Relation]:
        (oid,) = _OID.unpack_from(message, 1)
        schema, at = _text(message, 5)
        name, at = _text(message, at)
        table = schema or "pg_catalog", name
        names, key = _columns(message, at + 1)
        if message[at] == _FULL:
            key = key & set(self._keys.get(table, ()))
        return oid, Relation(table, tuple(names), tuple(names.index(column) for column in sorted(key)))

    def _truncate(self, message: bytes) -> None:
        (count,) = _OID.unpack_from(message, 1)
        for number in range(count):
            relation = self._relations[_OID.unpack_from(message, 6 + 4 * number)[0]]
            touched = self._touched(relation)
            touched.went = True
            touched.add(None)
            self._changes.rows += 1


def _columns(message: bytes, at: int) -> tuple[list[str], set[str]]:
    """All of a table's columns, and those of its replica identity."""
    (count,) = _COUNT.unpack_from(message, at)
    at += 2
    names, key = [], set()
    for _ in range(count):
        flags = message[at]
        column, at = _text(message, at + 1)
        at += 8  # its type and the type's modifier
        names.append(column)
        if flags & _KEY:
            key.add(column)
    return names, key


def _text(message: bytes, at: int) -> tuple[str, int]:
    end = message.index(b"\0", at)
    return message[at:end].decode(), end + 1


def _identity(message: bytes, at: int, relation: Relation, old: Identity | None = None) -> tuple[Identity | None, int]:
    """The values of a tuple that are its identity, and where the tuple ends. `None` where one of them is not said.

    `old`: the identity before, from which a value is taken that is too long to be repeated unchanged.
    """
    (count,) = _COUNT.unpack_from(message, at)
    at += 2
    values: list[str | None] = []
    for number in range(count):
        kind = message[at : at + 1]
        at += 1
        if kind in (b"t", b"b"):
            (length,) = _LENGTH.unpack_from(message, at)
            at += 4
            values.append(message[at : at + length].decode() if number in relation.key else None)
            at += length
        elif kind == b"u" and old is not None and number in relation.key:
            values.append(old[relation.key.index(number)])
        else:
            values.append(None)
    found = [values[place] for place in relation.key]
    said = tuple(value for value in found if value is not None)
    return (said if found and len(said) == len(found) else None), at
