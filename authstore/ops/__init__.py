"""For the person on call, and whoever keeps the books: who did what, and when."""

from authstore.acting import acting
from authstore.ops.events import follow, set_retention, verify_events
from authstore.store.log.changes import ChainProblem, ChainReport

__all__ = ["ChainProblem", "ChainReport", "acting", "follow", "set_retention", "verify_events"]
