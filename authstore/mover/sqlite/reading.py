"""Reading the rows of one table back: their keys and digests."""

import hashlib
import sqlite3
import struct
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

from authstore.backends.sqlite import file
from authstore.backends.sqlite.texts import is_undecodable, undecodable
from authstore.mover.batches import PACK, Pack, pack
from authstore.mover.errors import TargetError
from authstore.mover.sqlite.target_files import TargetFiles


@contextmanager
def opened_for_reading(files: TargetFiles) -> Iterator[sqlite3.Connection]:
    if not files.target.is_file():
        raise TargetError(f"there is no file {files.target}", hint="run `authstore move` first")
    try:
        with file.connect_to_read(files.target, file.Connection) as connection:
            connection.execute("BEGIN")
            yield connection
    except sqlite3.DatabaseError as error:
        raise TargetError(f"{files.target} cannot be read: {error}") from error


def target_packs(target: sqlite3.Connection, table: str, query: str) -> Iterator[Pack]:
    """The target's side: `query` is `TargetQueries.digests` of the table. Raises `TargetError` for a key that is no
    text."""
    teach_digests(target)
    with decodable(target, table), closing(target.execute(query)) as cursor:
        while batch := cursor.fetchmany(PACK):
            keys, texts = pack(batch)
            yield keys, row_digests(texts)


def row_digests(texts: Iterable[bytes]) -> list[str]:
    """Of rows, by the texts to digest."""
    md5 = hashlib.md5
    return [md5(text, usedforsecurity=False).hexdigest() for text in texts]


def row_digest(text: bytes) -> str:
    """Of a row, by the text to digest."""
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


@contextmanager
def decodable(file: sqlite3.Connection, table: str) -> Iterator[None]:
    """Names the row of this table whose key is text that is not UTF-8; the driver would quote what is in it."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if not is_undecodable(error):
            raise
    else:
        return
    key = next(undecodable(file, table), None)
    raise TargetError(
        f"{table}: the row {key!r} holds text that is not UTF-8", hint="mend or delete it, and run the command again"
    )


def teach_digests(connection: sqlite3.Connection) -> None:
    """What the text of a digest needs beside SQLite's own functions."""
    connection.create_function("real_hex", 1, real_hex, deterministic=True)


def real_hex(value: object) -> str | None:
    """A float's eight bytes, as Postgres's float8send gives them; anything else says what it is."""
    if value is None:
        return None
    return (
        struct.pack(">d", value + 0.0).hex() if isinstance(value, float | int) else f"{type(value).__name__} {value!r}"
    )
