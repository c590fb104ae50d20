"""How long a database is waited for: one frozen set that is passed in, so that tests can have short waits."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Seconds."""

    busy_seconds: float = 5.0  # that a call waits for others
    commit_seconds: float = 10.0  # that a commit is waited for: a standby that is away holds it up for ever


DEFAULT = Tuning()
