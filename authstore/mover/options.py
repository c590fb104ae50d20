"""The options of plan, move, verify and recover."""

from dataclasses import dataclass
from typing import Literal

Choice = Literal["stop", "reject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveOptions:
    """The options of plan, move, verify and recover (command line: the same with dashes)."""

    schemas: tuple[str, ...] = ()
    prefix: str | None = None
    profile: str | None = None  # path of a TOML file
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    with_expired: bool = False
    naive_tz: str = "UTC"
    replace: bool = False
    on_bad_row: Choice = "stop"
    on_orphan: Choice = "stop"
    on_duplicate: Literal["stop", "keep-oldest", "merge"] = "stop"
    secrets: Literal["stop", "keep", "drop"] = "stop"
    # Three moments as ISO text (…T00:00:00.000000Z), bound by whoever runs the move, so that an expression gives the
    # same on every run; "" means the time of the snapshot.
    # moved_at: of the first move, kept in the ledger for ever: created_at and updated_at where the source has none.
    # sessions_at: when sessions count as created and last used. Kept in the ledger too, but renewed by a move more
    # than five minutes later (sessions are then copied again): with the first move's they would be idle at the last
    # catch-up.
    # judged_at: when expiry is judged: each move's own time; verify takes that of the last move from the ledger.
    moved_at: str = ""
    sessions_at: str = ""
    judged_at: str = ""

    def is_undecided(self, decision: str) -> bool:
        """Whether this field is left at "stop"."""
        return bool(getattr(self, decision) == "stop")
