"""What can go wrong in a move.

MoverError (an AuthStoreError)      .hint says what to do
├── UndecidedError                  .problems: what options have to decide first; nothing was written
├── SourceError                     the source cannot be read as it is
│   ├── SourceUnavailableError      it is gone or does not answer; safe to try again
│   └── SourceChangedError          it is not the server it was (another cluster, an older timeline)
├── TargetError                     the target cannot be written as it is
│   ├── TargetUnavailableError      it is gone or does not answer; safe to try again
│   ├── TargetBusyError             open elsewhere, or another move is at work
│   └── TargetChangedError          written to since it was moved, or moved from elsewhere; .changes counts
└── MoveStoppedError                stopped from outside; the same command goes on from there
"""

from collections.abc import Mapping, Sequence

from authstore.errors import AuthStoreError
from authstore.mover.reports import Problem


class MoverError(AuthStoreError):
    """The move did not happen; what was at the target is as it was. `hint` says what to do about it."""

    hint = "run the same again when the cause is gone"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        if hint:
            self.hint = hint


class UndecidedError(MoverError):
    """Something in the source needs a decision first. `problems` says what, and which option decides it."""

    hint = "decide with the options that `problems` name"

    def __init__(self, message: str, *, problems: Sequence[Problem] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)


class SourceError(MoverError):
    """The source cannot be read."""

    hint = "see that the source can be read, and run the same again"


class SourceUnavailableError(SourceError):
    """The source is gone or does not answer; safe to try again."""

    hint = "see that the server runs and the URL is right, and run the same again"


class SourceChangedError(SourceError):
    """The server that answers is not the one the move began with."""

    hint = "name the server that the move began with"


class TargetError(MoverError):
    """The target cannot be written."""

    hint = "see that the target can be written, or choose another one"


class TargetUnavailableError(TargetError):
    """The target is gone or does not answer; safe to try again."""

    hint = "see that the server runs and the URL is right, and run the same again"


class TargetBusyError(TargetError):
    """Somebody else has the target open, or moves into it at this moment."""

    hint = "stop what has the target open, or wait for the other move"


class TargetChangedError(TargetError):
    """The target holds what no move put there. `changes`: rows that differ, by table."""

    hint = "keep what is there, or give `replace` to move over it"

    def __init__(self, message: str, *, changes: Mapping[str, int] | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.changes = dict(changes or {})


class MoveStoppedError(MoverError):
    """Stopped from outside, cleanly; run the same again to go on."""

    hint = "run the same again to go on"
