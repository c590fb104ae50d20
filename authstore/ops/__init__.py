"""For the person on call, and whoever keeps the books: what is wrong and how to mend it, who did what and when, and how
long it took."""

from authstore.acting import acting
from authstore.backends.inspection import TableInfo
from authstore.observers import Observer, Opened, Statistic
from authstore.ops.diagnosing import doctor
from authstore.ops.events import follow, set_retention, verify_events
from authstore.ops.findings import Finding
from authstore.ops.inspecting import Growth, Inspection, inspect
from authstore.ops.slow_queries import QueryStats, SlowQueries
from authstore.ops.telemetry import telemetry
from authstore.store.log.changes import ChainProblem, ChainReport

__all__ = [
    "ChainProblem",
    "ChainReport",
    "Finding",
    "Growth",
    "Inspection",
    "Observer",
    "Opened",
    "QueryStats",
    "SlowQueries",
    "Statistic",
    "TableInfo",
    "acting",
    "doctor",
    "follow",
    "inspect",
    "set_retention",
    "telemetry",
    "verify_events",
]
