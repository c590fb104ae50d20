"""For the person on call, and whoever keeps the books: who did what, and when."""

from authstore.ops.backup import BackupReport, backup
from authstore.ops.drill import DrillReport, drill
from authstore.ops.events import follow, set_retention, verify_events
from authstore.ops.restore import RestoreReport, restore
from authstore.store.log.acting import acting
from authstore.store.log.changes import ChainProblem, ChainReport

__all__ = [
    "BackupReport",
    "ChainProblem",
    "ChainReport",
    "DrillReport",
    "RestoreReport",
    "acting",
    "backup",
    "drill",
    "follow",
    "restore",
    "set_retention",
    "verify_events",
]
