"""A file's rows as the lines that PostgreSQL's COPY reads, made of the texts that their digests are made of anyway.

To read every value by itself, only to write it as text again, takes twice as long.
"""

from collections.abc import Sequence
from typing import Any

from authstore.mover.layout import ColumnLayout, Layout

_BETWEEN, _NULL = b"\x1f", b"\x1enull"  # as in the text of a digest
_ROW = b"\0"  # no text of PostgreSQL's holds it
_ESCAPED = ((b"\\", b"\\\\"), (b"\n", b"\\n"), (b"\r", b"\\r"), (b"\t", b"\\t"))


def has_lines(layout: Layout) -> bool:
    """Whether the text of a digest has each value of a row as COPY takes it, or nearly."""
    return all(
        column.kind != "float8" and not column.has_other and column.constant is None for column in layout.columns
    )


def copy_lines(texts: Sequence[bytes], nulls: int, layout: Layout) -> list[bytes] | None:
    """The lines of rows with these texts, without their ends. `nulls`: how many of all their values are NULL.

    None where the texts leave open what a value is: one that holds what stands between values or for NULL, or is no
    UTF-8.
    """
    joined = _ROW.join(texts)
    whole = (
        joined.count(_ROW) == len(texts) - 1
        and joined.count(_BETWEEN) == len(texts) * (len(layout.columns) - 1)
        and joined.count(_NULL) == nulls
        and _is_utf8(joined)
    )
    if not whole:
        return None
    for plain, escaped in _ESCAPED:
        joined = joined.replace(plain, escaped)
    lines = joined.replace(_NULL, b"\\N").replace(_BETWEEN, b"\t").split(_ROW)
    places = [number for number, column in enumerate(layout.columns) if column.kind == "bytea"]
    return [_with_bytes(line, places) for line in lines] if places else lines


def row_of(text: bytes, layout: Layout) -> tuple[Any, ...]:
    """The values of a row of which `copy_lines` has made a line."""
    return tuple(_value(part, column) for part, column in zip(text.split(_BETWEEN), layout.columns, strict=True))


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _with_bytes(line: bytes, places: Sequence[int]) -> bytes:
    """The line with the sign of hexadecimal digits before those in these places, which are in order."""
    parts = line.split(b"\t", places[-1] + 1)
    for place in places:
        if parts[place] != b"\\N":
            parts[place] = b"\\\\x" + parts[place]
    return b"\t".join(parts)


def _value(part: bytes, column: ColumnLayout) -> Any:
    if part == _NULL:
        return None
    if column.kind == "bytea":
        return bytes.fromhex(part.decode())
    return int(part) if column.kind == "int8" else part.decode()
