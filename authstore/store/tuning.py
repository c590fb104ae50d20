"""The sizes and waits of a store: one frozen set that is passed in, so that tests can have small ones."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Sessions, seconds."""

    many_sessions: int = 10_000  # that end in one transaction, in which nobody else writes
    slice_sessions: int = 100  # of more than those, or dead ones, that go in one transaction: milliseconds
    counting_seconds: float = 0.25  # in which a prune that stops counts what is left
    lease: timedelta = timedelta(seconds=30)  # for which one caller refreshes an account's tokens
    renew_seconds: float = 10.0  # after which a lease is renewed


DEFAULT = Tuning()
