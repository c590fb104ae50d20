"""Writes that are one statement each: many that wait together are said by one, which commits by itself.

SQLite runs such a statement from its lock to its flush without Python's lock.
"""

import sqlite3
from collections.abc import Sequence, Set
from functools import partial
from typing import Any

from authstore.backends.gathering import GatheredWrites, Job
from authstore.backends.sqlite.errors import ours
from authstore.backends.sqlite.thread import ConnectionThread
from authstore.backends.sqlite.units import write_together
from authstore.backends.turn import Turn


class GatheredStatements(GatheredWrites):
    """Whoever has the turn is waited for by units: where somebody has it, nothing is written here."""

    def __init__(self, thread: ConnectionThread, turn: Turn) -> None:
        super().__init__()
        self._thread = thread
        self._turn = turn

    async def _say(self, jobs: Sequence[Job]) -> Set[Any]:
        # What is on the thread goes before whoever takes the turn from here on: it need not be held.
        if self._turn.is_taken:
            return frozenset()
        work = partial(write_together, [job.statement for job in jobs])
        try:
            return await self._thread.run(work, [job.asker for job in jobs])
        except sqlite3.Error as error:
            raise ours(error) from error
