"""For the person on call, and whoever keeps the books: what is wrong and how to mend it, who did what and when, how
long it took, and the way back."""

from authstore.acting import acting
from authstore.backends.inspection import TableInfo
from authstore.observers import Observer, Opened, Statistic
from authstore.ops.alerts import Alert, log_alert
from authstore.ops.backup import BackupReport, backup
from authstore.ops.diagnosing import doctor
from authstore.ops.drill import DrillReport, drill
from authstore.ops.events.exporting import cloudevent, ocsf
from authstore.ops.events.following import follow, set_retention, verify_events
from authstore.ops.explaining import Explanation, explain_session
from authstore.ops.findings import Finding
from authstore.ops.inspecting import Growth, Inspection, inspect
from authstore.ops.monitor import Monitor
from authstore.ops.restore import RestoreReport, restore
from authstore.ops.slow_queries import QueryStats, SlowQueries
from authstore.ops.telemetry import telemetry
from authstore.ops.webhook import Webhook
from authstore.store.log.changes import ChainProblem, ChainReport

__all__ = [
    "Alert",
    "BackupReport",
    "ChainProblem",
    "ChainReport",
    "DrillReport",
    "Explanation",
    "Finding",
    "Growth",
    "Inspection",
    "Monitor",
    "Observer",
    "Opened",
    "QueryStats",
    "RestoreReport",
    "SlowQueries",
    "Statistic",
    "TableInfo",
    "Webhook",
    "acting",
    "backup",
    "cloudevent",
    "doctor",
    "drill",
    "explain_session",
    "follow",
    "inspect",
    "log_alert",
    "ocsf",
    "restore",
    "set_retention",
    "telemetry",
    "verify_events",
]
