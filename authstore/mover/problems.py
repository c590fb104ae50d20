"""The words in which problems speak of rows: the same for the auth tables and for those that are carried over."""

from collections.abc import Iterable, Iterator, Sequence

from authstore.email import masked_email
from authstore.mover.copies import Reject
from authstore.mover.errors import UndecidedError
from authstore.mover.options import MoveOptions
from authstore.mover.reports import Problem

SAMPLES = 5  # rows that a problem names
_KINDS = {"on_bad_row": "bad-row", "on_orphan": "orphan", "on_duplicate": "duplicate"}  # by decision


def rejected(table: str, reject: Reject, count: int, samples: Sequence[str], options: MoveOptions) -> Problem:
    """The problem that a reject with this many rows is. Rows that only follow another raise no question."""
    of = f" ({reject.column})" if reject.column else ""
    return Problem(
        kind=_KINDS[reject.decision],
        table=table,
        message=f"{rows_said(count)} of {table} cannot move: {reject.reason}{of}",
        count=count,
        samples=tuple(samples),
        decision=reject.decision,
        stops=not reject.follows and options.is_undecided(reject.decision),
    )


def rows_said(count: int) -> str:
    """A number of rows in words."""
    return "1 row" if count == 1 else f"{count} rows"


def virtual_behind(tables: Iterable[tuple[str, int]]) -> Iterator[Problem]:
    """The virtual tables of a SQLite file, each with its rows: no move takes one along."""
    for name, count in tables:
        message = f"virtual table {name} stays behind with {rows_said(count)}: make it anew from what it was made of"
        yield Problem("left-behind", "", message, count)


def sample(row_id: str, shown: str | None = None) -> str:
    """A row by its id, and beside it the address that it is about; no address is shown whole."""
    named = masked_email(row_id) if "@" in row_id else row_id
    return f"{named} ({masked_email(shown.strip())})" if shown and shown.strip() else named


def refuse_undecided(problems: Sequence[Problem], outcome: str = "; nothing was written") -> None:
    """Raises `UndecidedError` where something of this must be decided first. `outcome`: what has become of the run."""
    if undecided := tuple(problem for problem in problems if problem.stops):
        decisions = sorted({f"`{problem.decision}`" for problem in undecided if problem.decision})
        raise UndecidedError(
            f"{len(undecided)} {'problem' if len(undecided) == 1 else 'problems'} must be decided first{outcome}",
            problems=undecided,
            hint=f"decide with {', '.join(decisions) or 'the options'}; a plan shows the rows",
        )
