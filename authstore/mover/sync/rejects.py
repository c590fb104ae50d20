"""The rows that were left out: each with its reason, in a file that only its owner may read."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from authstore.mover.copies import TableCopy
from authstore.mover.postgres.connection import SourceConnection, streamed, translated
from authstore.mover.recognition.concealed import concealed


def write_rejects(connection: SourceConnection, copies: Sequence[TableCopy], path: Path) -> dict[str, int]:
    """Writes the rejected rows of all tables, one JSON object a line, and counts them by target table.

    Without any there is no file, and one of an earlier move goes.
    """
    return write_lines(path, ((copy.target, line) for copy in copies for line in _lines(connection, copy)))


def write_lines(path: Path, lines: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Writes lines, each of a target table, for the owner's eyes alone, and counts them by table; without any there is
    no file, and one of an earlier move goes."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    counts: dict[str, int] = {}
    with open(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "w", encoding="utf-8") as file:
        for target, line in lines:
            file.write(line + "\n")
            counts[target] = counts.get(target, 0) + 1
        file.flush()
        os.fsync(file.fileno())
    if counts:
        part.replace(path)
    else:
        part.unlink()
        path.unlink(missing_ok=True)
    return counts


def _lines(connection: SourceConnection, copy: TableCopy) -> Iterator[str]:
    if not copy.rejects:
        return
    with translated(), connection.cursor() as cursor:
        for number, key, row in streamed(cursor, _query(copy).encode(), size=100):
            reject = copy.rejects[number]
            entry: dict[str, Any] = {
                "table": copy.target,
                "source": ".".join(copy.source),
                "key": key,
                "reason": reject.reason,
                "column": reject.column,
                "row": concealed(json.loads(row), copy.secrets),
            }
            yield json.dumps(entry, ensure_ascii=False)


def _query(copy: TableCopy) -> str:
    whens = " ".join(f"WHEN {reject.where} THEN {number}" for number, reject in enumerate(copy.rejects))
    common = f"WITH {copy.common} " if copy.common else ""
    return (
        f"{common}SELECT why, key, row FROM (SELECT CASE {whens} END AS why, {copy.row_id} AS key, "
        f"row_to_json(s)::text AS row FROM {copy.source_from} WHERE {copy.where} OFFSET 0) AS r WHERE why IS NOT NULL"
    )
