"""A seal on the finished file: by it a later move knows that nobody has written to the file since.

It is made of every page but the one that it stands on, so that it can stand in the file itself: the SHA-256 of the
SHA-256s of the file's parts, which are read side by side.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from pathlib import Path

from authstore.backends.sqlite import file

TABLE = "authstore_move_seal"
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS {TABLE} (sha256 TEXT NOT NULL CHECK (length(sha256) = 64)) STRICT;
INSERT INTO {TABLE} (sha256) VALUES ('{"0" * 64}');
"""
_READERS = 2
PART_BYTES, _CHUNK = 1 << 26, 1 << 20


def seal(path: Path, part_bytes: int = PART_BYTES) -> None:
    """Seals a closed file in WAL mode, in which a change of one row changes one page and no counter of changes.

    `part_bytes`: of the parts that are read side by side; whoever looks at the seal must know them.
    """
    with closing(file.connect(path, file.Connection)) as connection:
        start, size = _own_page(connection)
    sha256 = _sha256(path, (start, size), part_bytes)
    with closing(file.connect(path, file.Connection)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"UPDATE {TABLE} SET sha256 = ?", (sha256,))


def is_sealed(path: Path, part_bytes: int = PART_BYTES) -> bool:
    """Whether every byte of a closed file is as when it was sealed."""
    try:
        with closing(file.connect(path, file.Connection)) as connection:
            start, size = _own_page(connection)
            (sha256,) = connection.execute(f"SELECT sha256 FROM {TABLE}").fetchone()
    except (sqlite3.DatabaseError, TypeError):
        return False
    return _sha256(path, (start, size), part_bytes) == str(sha256)


def _own_page(connection: sqlite3.Connection) -> tuple[int, int]:
    """Where the seal's page begins, and its size, in bytes."""
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    (number,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (TABLE,)).fetchone()
    return (number - 1) * size, size


def _sha256(path: Path, own_page: tuple[int, int], part_bytes: int) -> str:
    """Of the file without the bytes of this page."""
    start, size = own_page

    def of_part(edges: tuple[int, int]) -> bytes:
        return _sha256_of(opened.fileno(), *edges)

    with open(path, "rb", buffering=0) as opened, ThreadPoolExecutor(_READERS) as pool:
        parts = [*_parts(0, start, part_bytes), *_parts(start + size, os.fstat(opened.fileno()).st_size, part_bytes)]
        return hashlib.sha256(b"".join(pool.map(of_part, parts))).hexdigest()


def _parts(start: int, end: int, part_bytes: int) -> Iterable[tuple[int, int]]:
    return pairwise([*range(start, end, part_bytes), end])


def _sha256_of(descriptor: int, start: int, end: int) -> bytes:
    found = hashlib.sha256()
    while start < end and (chunk := os.pread(descriptor, min(_CHUNK, end - start), start)):
        found.update(chunk)
        start += len(chunk)
    return found.digest()
