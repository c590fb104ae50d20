"""From a living PostgreSQL database to one SQLite file that authstore serves, with everybody still signed in.

    plan = await make_plan("postgresql://…", "sqlite:///auth.db")
    report = await move(plan, on_progress=print)
    assert (await verify("postgresql://…", "sqlite:///auth.db")).ok

`make_plan`, `verify` write nothing. `move` may be killed at any moment and run again; running it again is also how
the target catches up with a source that has changed. Needs the extra `authstore[move]`.
"""

from authstore import extras

try:
    from authstore.mover.api import follow, make_plan, move, recover, rollback, verify
    from authstore.mover.errors import (
        MoverError,
        MoveStoppedError,
        SourceChangedError,
        SourceError,
        SourceUnavailableError,
        TargetBusyError,
        TargetChangedError,
        TargetError,
        TargetUnavailableError,
        UndecidedError,
    )
    from authstore.mover.options import MoveOptions
    from authstore.mover.plan import Plan, TablePlan
    from authstore.mover.reports import (
        Event,
        FollowReport,
        LagEvent,
        MoveReport,
        OnProgress,
        Problem,
        ProblemEvent,
        ProgressEvent,
        RetryEvent,
        TableDifference,
        TableEvent,
        TableReport,
        VerifyReport,
    )
    from authstore.mover.sync.rollback import RollbackReport
except ModuleNotFoundError as error:
    raise extras.missing(error, "move") from None

__all__ = [
    "Event",
    "FollowReport",
    "LagEvent",
    "MoveOptions",
    "MoveReport",
    "MoveStoppedError",
    "MoverError",
    "OnProgress",
    "Plan",
    "Problem",
    "ProblemEvent",
    "ProgressEvent",
    "RetryEvent",
    "RollbackReport",
    "SourceChangedError",
    "SourceError",
    "SourceUnavailableError",
    "TableDifference",
    "TableEvent",
    "TablePlan",
    "TableReport",
    "TargetBusyError",
    "TargetChangedError",
    "TargetError",
    "TargetUnavailableError",
    "UndecidedError",
    "VerifyReport",
    "follow",
    "make_plan",
    "move",
    "recover",
    "rollback",
    "verify",
]
