"""For the person on call, and whoever keeps the books: who did what and when, and how long it took."""

from authstore.acting import acting
from authstore.observers import Observer, Opened, Statistic
from authstore.ops.events import follow, set_retention, verify_events
from authstore.ops.slow_queries import QueryStats, SlowQueries
from authstore.ops.telemetry import telemetry
from authstore.store.log.changes import ChainProblem, ChainReport

__all__ = [
    "ChainProblem",
    "ChainReport",
    "Observer",
    "Opened",
    "QueryStats",
    "SlowQueries",
    "Statistic",
    "acting",
    "follow",
    "set_retention",
    "telemetry",
    "verify_events",
]
