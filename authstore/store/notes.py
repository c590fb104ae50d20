"""What whoever looks after the store left for the next look."""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import NamedTuple

from pydantic import JsonValue

from authstore.database import Database, Row, Unit
from authstore.encryption import Cipher
from authstore.observers import Observer, Watch
from authstore.sql import queries
from authstore.store import rows
from authstore.store.shared import StoreBase

BACKUP = "backup"  # the newest backup; written by whoever makes one
LOOK = "look"  # the sizes of tables, for a later look to be compared with
PRUNING = "pruning"  # where the last pruning was when its time was up


class Note(NamedTuple):
    """What was noted under a name, and when."""

    at: datetime
    data: Mapping[str, JsonValue]


class NotesStore(StoreBase):
    """For `authstore.ops`: what stands in the database for all who look after it."""

    watching: Watch | None = None  # who is told of this store's statements; set by whoever opened it

    @property
    def observers(self) -> tuple[Observer, ...]:
        """Who is told of this store's statements."""
        return () if self.watching is None else self.watching.observers

    def observe(self, observer: Observer) -> None:
        """Tells this one too of every statement, from here on."""
        if self.watching is None:
            self.watching = Watch(())
            self._db.watch(self.watching)
        self.watching.add(observer)

    @property
    def database(self) -> Database:
        """What this store stands on."""
        return self._db

    @property
    def cipher(self) -> Cipher:
        """The keys that this store was opened with."""
        return self._cipher

    async def put_note(self, name: str, data: Mapping[str, JsonValue] | None = None) -> Note:
        """Notes something, now, in the place of what was noted under this name."""
        note = Note(self._now(), dict(data or {}))
        await self._db.unit(partial(put_note, name, note))
        return note

    async def get_note(self, name: str) -> Note | None:
        """What was noted under this name."""
        found = await self._db.one(queries.get_note(name=name))
        return _note(found) if found else None


def put_note(name: str, note: Note) -> Unit[None]:
    """Notes this in the place of what was noted under this name."""
    yield queries.put_note(name=name, at=note.at, data=json.dumps(note.data))


def get_note(name: str) -> Unit[Note | None]:
    """What was noted under this name, for whoever looks by a connection of their own."""
    found = yield queries.get_note(name=name)
    return _note(found[0]) if found else None


def _note(row: Row) -> Note:
    return Note(rows.instant(row["at"]), json.loads(row["data"]))
