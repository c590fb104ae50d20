"""For the person on call, and whoever keeps the books: what is wrong and how to mend it, who did what, and when."""

from authstore.backends.inspection import TableInfo
from authstore.ops.diagnosing import doctor
from authstore.ops.events import follow, set_retention, verify_events
from authstore.ops.findings import Finding
from authstore.ops.inspecting import Growth, Inspection, inspect
from authstore.store.log.acting import acting
from authstore.store.log.changes import ChainProblem, ChainReport

__all__ = [
    "ChainProblem",
    "ChainReport",
    "Finding",
    "Growth",
    "Inspection",
    "TableInfo",
    "acting",
    "doctor",
    "follow",
    "inspect",
    "set_retention",
    "verify_events",
]
