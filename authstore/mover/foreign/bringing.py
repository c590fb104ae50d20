"""One recognised table of a file on its way: what was counted, and which rows stay behind."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from authstore.mover.copies import Reject
from authstore.mover.foreign.catalog import SCHEMA
from authstore.mover.foreign.conversion import LeftOut
from authstore.mover.foreign.roles import Reading, Row
from authstore.mover.names import label
from authstore.mover.options import MoveOptions
from authstore.mover.problems import SAMPLES, rejected, rows_said, sample
from authstore.mover.recognition.concealed import named_by
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.reports import Problem
from authstore.mover.sqlite.file_tables import FileTable


@dataclass(slots=True)
class Bringing:
    """The table, and the reading of its rows."""

    one: Recognised
    table: FileTable
    reading: Reading
    over: int = 0
    shut: int = 0
    disabled: int = 0
    left_out: list[LeftOut] = field(default_factory=list)
    why: dict[tuple[str, str, bool | None], list[str]] = field(default_factory=dict)

    def leave(self, row: Row, reason: str, decision: str, *, stops: bool | None = None) -> None:
        """The row stays behind. `stops`: whatever is decided."""
        names = self.table.primary or tuple(self.one.fields.values())[:1]
        hidden = {self.one.fields.get(name) for name in ("token", "access_token", "refresh_token", "id_token")}
        shown = named_by(names, [row[name] for name in names])
        key = ", ".join("…" if name in hidden else part for name, part in zip(names, shown, strict=True))
        secrets = (*(name for name in hidden if name), *self.reading.secret)
        self.left_out.append(LeftOut(self.one.role, self.table.name, key, reason, row, secrets))
        self.why.setdefault((reason, decision, stops), []).append(key)

    def problems(self, options: MoveOptions) -> Iterator[Problem]:
        """What was counted on the way."""
        table = label(SCHEMA, self.table.name)
        for (reason, decision, stops), keys in self.why.items():
            samples = tuple(sample(key) for key in keys[:SAMPLES])
            if decision == "profile":
                yield Problem("unrecognised", table, reason, len(keys), samples, decision, stops=True)
            elif stops:
                said = f"{rows_said(len(keys))} of {table} cannot be merged: an address of theirs is not verified"
                yield Problem("duplicate", table, said, len(keys), samples, "on_duplicate", stops=True)
            else:
                follows = stops is False or not decision
                reject = Reject(reason, "", decision or "on_orphan", follows=follows)
                yield rejected(table, reject, len(keys), samples, options)
        if self.over:
            yield Problem("expired", table, f"{rows_said(self.over)} of {table} have expired", self.over)
        if self.shut or self.disabled:
            done = "arrive disabled" if self.one.role == "users" else "are left behind"
            count = self.shut or self.disabled
            yield Problem("shut-out", table, f"{rows_said(count)} of {table} shut out there {done}", count)
