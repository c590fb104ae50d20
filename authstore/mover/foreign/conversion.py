"""What came of a file: counts, problems, and the rows that do not come."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from authstore.mover.recognition.recognised import Recognised
from authstore.mover.reports import Problem


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that does not come: for the reject file."""

    table: str
    source: str
    key: str
    reason: str
    row: dict[str, Any]
    secrets: tuple[str, ...] = ()


@dataclass(slots=True)
class Conversion:
    """What came of it."""

    rows: dict[str, int] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)  # by table of the store
    types: dict[str, Mapping[str, tuple[str, str]]] = field(default_factory=dict)  # likewise: what a column was and is
    recognised: tuple[Recognised, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
