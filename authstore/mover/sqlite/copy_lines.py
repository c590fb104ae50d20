"""A file's rows as the lines that PostgreSQL's COPY reads, made of the texts that their digests are made of anyway.

To read every value by itself, only to write it as text again, takes twice as long; so does going through the lines one
by one.
"""

from collections.abc import Sequence
from typing import Any

from authstore.mover.layout import ColumnLayout, Layout

_BETWEEN, _NULL = b"\x1f", b"\x1enull"  # as in the text of a digest
_BYTES = b"\x1d"  # before the digits of bytes, in no digest
_ROW = b"\0"  # no text of PostgreSQL's holds it
_ESCAPED = ((b"\\", b"\\\\"), (b"\n", b"\\n"), (b"\r", b"\\r"), (b"\t", b"\\t"))
_WRITTEN = ((_BYTES + _NULL, b"\\N"), (_BYTES, b"\\\\x"), (_NULL, b"\\N"), (_BETWEEN, b"\t"), (_ROW, b"\n"))


def has_lines(layout: Layout) -> bool:
    """Whether the text of a digest has each value of a row as COPY takes it, or nearly."""
    return all(
        column.kind != "float8" and not column.has_other and column.constant is None for column in layout.columns
    )


def joined_texts(texts: Sequence[bytes]) -> bytes:
    """Of rows, each as `TargetQueries.lined` gives it."""
    return _ROW.join(texts)


def digested_texts(joined: bytes) -> list[bytes]:
    """The texts of their digests, where `copy_lines` has made lines of them."""
    return joined.replace(_BYTES, b"").split(_ROW)


def copy_lines(joined: bytes, rows: int, nulls: int, layout: Layout) -> bytes | None:
    """The lines of so many rows, each with its end. `nulls`: how many of all their values are NULL.

    None where the texts leave open what a value is: one that holds what stands between values, before bytes or for
    NULL, or is no UTF-8.
    """
    of_bytes = sum(column.kind == "bytea" for column in layout.columns)
    is_certain = (
        joined.count(_ROW) == rows - 1
        and joined.count(_BETWEEN) == rows * (len(layout.columns) - 1)
        and joined.count(_BYTES) == rows * of_bytes
        and joined.count(_NULL) == nulls
        and _is_utf8(joined)
    )
    if not is_certain:
        return None
    for plain, written in (*_ESCAPED, *_WRITTEN):
        joined = joined.replace(plain, written)
    return joined + b"\n"


def row_of(text: bytes, layout: Layout) -> tuple[Any, ...]:
    """The values of a row, by the text of its digest, of which `copy_lines` has made a line."""
    return tuple(_value(part, column) for part, column in zip(text.split(_BETWEEN), layout.columns, strict=True))


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _value(part: bytes, column: ColumnLayout) -> Any:
    if part == _NULL:
        return None
    if column.kind == "bytea":
        return bytes.fromhex(part.decode())
    return int(part) if column.kind == "int8" else part.decode()
