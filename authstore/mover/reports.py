"""What a plan finds, what a run says while it works, and its report at the end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that stands in the way, or that the operator must know."""

    kind: str  # "duplicate", "orphan", "bad-row", "secret", "unrecognised", "ambiguous", "left-behind", "type", …
    table: str  # "schema.table"
    message: str
    count: int = 0
    samples: tuple[str, ...] = ()  # row ids and masked values
    decision: str = ""  # the field of MoveOptions that decides it: "on_orphan", …
    stops: bool = False  # undecided: move refuses to start
    asks: tuple[str, ...] = ()  # lines of a profile of which one decides it, after the header that they go under


Phase = Literal["compare", "copy", "index", "check", "verify", "finish"]


@dataclass(frozen=True, slots=True)
class TableEvent:
    """A table is begun, or done. `rows`: expected, then found. `copied`, `deleted`: what the run changed in it."""

    table: str
    state: Literal["begin", "done"]
    rows: int
    copied: int = 0
    deleted: int = 0


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """`rows` of `total` of a table went through a phase.

    Without a table: of the whole run. The first says how many rows there are to copy or compare in all tables.
    """

    table: str
    phase: Phase
    rows: int
    total: int


@dataclass(frozen=True, slots=True)
class ProblemEvent:
    """Something the operator must know."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class RetryEvent:
    """The source was lost; the run goes on after `seconds`."""

    message: str
    seconds: float


@dataclass(frozen=True, slots=True)
class LagEvent:
    """How far a follower is behind: changed rows that are known and not yet applied, and how long ago the first of them
    was committed. `applied`: since the follower began."""

    rows: int
    seconds: float
    applied: int


Event = TableEvent | ProgressEvent | ProblemEvent | RetryEvent | LagEvent
OnProgress = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class TableReport:
    """What a move did to one table of the target. `rows` stand in it now."""

    rows: int
    copied: int = 0
    deleted: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class MoveReport:
    """A finished move. `rejects`: the file of the rows that were left out, if any; `backup`: what was there."""

    target: str
    tables: Mapping[str, TableReport]
    rejected: int = 0
    rejects: str | None = None
    backup: str | None = None
    problems: tuple[Problem, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TableDifference:
    """One table, compared. Rows that only the source has are `missing`, that only the target has `extra`.

    `samples`: keys of a few rows, with what is wrong with them.
    """

    source_rows: int
    target_rows: int
    missing: int = 0
    extra: int = 0
    changed: int = 0
    samples: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not (self.missing or self.extra or self.changed)


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The target against the source. `findings`: orphans, and what SQLite's own check says; `problems`: of a plan made
    now."""

    tables: Mapping[str, TableDifference]
    findings: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = field(default=())

    @property
    def undecided(self) -> tuple[Problem, ...]:
        """Rows and tables of the source that nobody has decided about, or that cannot be read: nobody compared them."""
        return tuple(problem for problem in self.problems if problem.stops)

    @property
    def ok(self) -> bool:
        """Something was compared, nothing differs, and nothing was left out unasked."""
        is_whole = bool(self.tables) and not self.findings and not self.undecided
        return is_whole and all(table.ok for table in self.tables.values())


@dataclass(frozen=True, slots=True)
class FollowReport:
    """What became of a follower.

    `applied`: changed rows. `tables`: rows in each, at a cut-over. `standstill`: seconds from the lock on the source's
    tables to the verdict of a cut-over. `dropped`: the name of the slot and publication that were given up.
    `reopened`: tables whose guard was taken off.
    """

    target: str
    applied: int = 0
    tables: Mapping[str, int] = field(default_factory=dict)
    rejected: int = 0
    standstill: float | None = None
    dropped: str = ""
    reopened: tuple[str, ...] = ()
