"""For the person on call, and whoever keeps the books: who did what and when, how long it took, and the way back."""

from authstore.acting import acting
from authstore.observers import Observer, Opened, Statistic
from authstore.ops.backup import BackupReport, backup
from authstore.ops.drill import DrillReport, drill
from authstore.ops.events import follow, set_retention, verify_events
from authstore.ops.restore import RestoreReport, restore
from authstore.ops.slow_queries import QueryStats, SlowQueries
from authstore.ops.telemetry import telemetry
from authstore.store.log.changes import ChainProblem, ChainReport

__all__ = [
    "BackupReport",
    "ChainProblem",
    "ChainReport",
    "DrillReport",
    "Observer",
    "Opened",
    "QueryStats",
    "RestoreReport",
    "SlowQueries",
    "Statistic",
    "acting",
    "backup",
    "drill",
    "follow",
    "restore",
    "set_retention",
    "telemetry",
    "verify_events",
]
