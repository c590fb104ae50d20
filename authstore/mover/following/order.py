"""What a follower was told to do, and what everything that it does needs."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from authstore.mover.errors import MoveStoppedError
from authstore.mover.options import MoveOptions
from authstore.mover.postgres.snapshot import Identity
from authstore.mover.reports import Event, Problem, ProblemEvent
from authstore.mover.sqlite.ledger import as_moved
from authstore.mover.sqlite.target_files import TargetFiles
from authstore.mover.tuning import Tuning

FollowAction = Literal["follow", "cut-over", "reopen", "drop"]


@dataclass(slots=True)
class Order:
    """One call of `follow`. `max_slot_wal`: bytes of log that the source may be made to keep; 0: as many as it will."""

    url: str
    files: TargetFiles
    options: MoveOptions
    emit: Callable[[Event], None]
    stop: threading.Event
    tuning: Tuning
    cuts_over: bool = False
    max_slot_wal: int = 0
    identity: Identity | None = None
    applied: int = 0
    gives_slot_up: bool = False  # it is lost, or keeps too much
    told: set[Problem] = field(default_factory=set)  # what the operator knows already
    started: float = field(default_factory=time.monotonic)

    def tell(self, problems: Iterable[Problem]) -> None:
        """Each problem once, however often it is planned anew."""
        for problem in problems:
            if problem not in self.told:
                self.told.add(problem)
                self.emit(ProblemEvent(problem))

    def heed_stop(self) -> None:
        if self.stop.is_set():
            raise MoveStoppedError(
                "stopped; the source keeps its log from here on",
                hint="run the same command again to go on, or `authstore follow SOURCE TARGET --drop` to give up",
            )


def bound(options: MoveOptions, notes: Mapping[str, str], **moments: str) -> MoveOptions:
    """The options with the moments that are noted in the target, or these."""
    return replace(as_moved(options, notes), **moments)  # type: ignore[arg-type]  # all of them are texts
