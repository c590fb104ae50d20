"""The publication and the slot in the source, both of one name: made, looked at, given up."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from authstore.mover.catalog import QualifiedName
from authstore.mover.errors import MoveStoppedError, SourceError, SourceUnavailableError
from authstore.mover.names import label, quote
from authstore.mover.postgres.connection import SourceConnection, translated
from authstore.mover.postgres.named_queries import named_queries
from authstore.mover.postgres.replication.stream import SlotBusyError, lsn_number
from authstore.mover.tuning import Tuning

_OLDEST = 140000
_SHOWN = 5
_PAUSE = 0.2  # seconds between two tries


@dataclass(frozen=True, slots=True)
class SlotState:
    """`confirmed`: up to where the log is no longer needed. `kept`: bytes of log that it keeps. `safe`: bytes that may
    still be written before it is lost, nothing where no setting limits it."""

    is_active: bool
    is_lost: bool
    confirmed: int
    kept: int
    safe: int | None


class Slot:
    """By its name, over an ordinary connection in autocommit. Every wait ends with `stop`, as the connection's do."""

    def __init__(self, connection: SourceConnection, name: str, stop: threading.Event, tuning: Tuning) -> None:
        self.name = name
        self._connection = connection
        self._stop = stop
        self._tuning = tuning

    def _rows(self, query: str, **given: Any) -> list[tuple[Any, ...]]:
        text = named_queries("replication/slots.sql")[query].encode()
        with translated():
            return self._connection.execute(text, {"slot": self.name, **given}).fetchall()

    def refuse(self, tables: Sequence[QualifiedName]) -> list[QualifiedName]:
        """Those of the tables that can be published. Raises `SourceError` for what server or role will not do, before
        anything is written."""
        ((version, standby, level, may_read, may_create, has_slots, has_senders, role),) = self._rows("server")
        if version < _OLDEST:
            raise SourceError("the source is older than PostgreSQL 14", hint="use `authstore move`")
        if standby:
            raise SourceError("the source is a standby: nothing can be published there", hint="give the primary's URL")
        if level != "logical":
            raise SourceError(
                f"the source's wal_level is {level}, and following needs logical",
                hint="ALTER SYSTEM SET wal_level = logical, and restart the server; or use `authstore move`",
            )
        if not may_read:
            raise SourceError(f"role {role} may not read the log", hint=f"ALTER ROLE {quote(role)} REPLICATION")
        if not may_create:
            raise SourceError(f"role {role} may not make a publication", hint="GRANT CREATE ON DATABASE … TO this role")
        if not has_slots or not has_senders:
            short = "max_wal_senders" if has_slots else "max_replication_slots"
            raise SourceError(
                f"the source has no replication {'connection' if has_slots else 'slot'} to spare",
                hint=f"raise {short}, or drop a slot that nobody uses (pg_replication_slots)",
            )
        found = self._tables(tables)
        if others := [label(schema, name) for schema, name, owns, _ in found if not owns]:
            raise SourceError(
                f"role {role} does not own {', '.join(others[:_SHOWN])}, so it may neither publish nor guard it",
                hint="take the role that owns the tables, or a member of it",
            )
        return [(schema, name) for schema, name, _, publishable in found if publishable]

    def _tables(self, tables: Sequence[QualifiedName]) -> list[tuple[Any, ...]]:
        return self._rows("tables", schemas=[schema for schema, _ in tables], names=[name for _, name in tables])

    def leaves(self, tables: Sequence[QualifiedName]) -> dict[QualifiedName, QualifiedName]:
        """Each of these tables, and each part of one, with the table that it is or is a part of."""
        found = self._rows("leaves", schemas=[schema for schema, _ in tables], names=[name for _, name in tables])
        return {(schema, name): (above, root) for schema, name, above, root in found}

    def shape(self) -> str:
        """A digest of every table's definition."""
        return str(self._rows("shape")[0][0])

    def publish(self, tables: Sequence[QualifiedName]) -> bool:
        """These tables and no others; whether the publication is a new one, of which an older log knows nothing."""
        listed = ", ".join(f"ONLY {quote(schema)}.{quote(name)}" for schema, name in tables)
        what = f"TABLE {listed}" if tables else ""
        is_there = bool(self._rows("publication")[0][0])
        with translated():
            if is_there and tables:
                self._connection.execute(f"ALTER PUBLICATION {quote(self.name)} SET {what}".encode())
                return False
            if is_there:
                self._connection.execute(f"DROP PUBLICATION {quote(self.name)}".encode())
            self._connection.execute(f"CREATE PUBLICATION {quote(self.name)} {'FOR ' + what if what else ''}".encode())
        return True

    def state(self) -> SlotState | None:
        """As it is; nothing where there is none. Raises `SourceError` for one that is not ours."""
        found = self._rows("slot")
        if not found:
            return None
        plugin, active, status, confirmed, is_here, kept, safe = found[0]
        if plugin != "pgoutput" or not is_here:
            raise SourceError(f"replication slot {self.name} belongs to somebody else", hint="drop or rename it")
        return SlotState(active, status == "lost", lsn_number(confirmed or "0/0"), kept, safe)

    def create(self) -> int:
        """Where its log begins. Waits until every transaction that is open at the source has ended. Raises
        `SourceUnavailableError` where one stays open for longer than the tuning says."""
        try:
            with translated(), self._connection.transaction():
                self._connection.execute("SET LOCAL lock_timeout = 0")  # it is at these transactions that it waits
                self._connection.execute(f"SET LOCAL statement_timeout = '{self._tuning.slot_seconds}s'".encode())
                row = self._connection.execute(
                    "SELECT lsn::text FROM pg_create_logical_replication_slot(%s, 'pgoutput')", (self.name,)
                ).fetchone()
        except SourceError as error:
            if not isinstance(error.__cause__, psycopg.errors.QueryCanceled):
                raise
            raise SourceUnavailableError(
                f"no replication slot can be made while transactions stay open at the source: {self._still_open()}",
                hint="end them there, and run the same command again",
            ) from error
        return lsn_number(row[0]) if row else 0

    def _still_open(self) -> str:
        found = self._rows("open_transactions")
        return ", ".join(f"{who} (open for {seconds} s)" for who, seconds in found[:_SHOWN]) or "they have just ended"

    def drop_slot(self) -> None:
        """Waits for whoever still holds it. Raises `SlotBusyError`."""
        end = time.monotonic() + self._tuning.slot_busy_seconds
        while True:
            try:
                self._rows("drop")
                return
            except SourceError as error:
                if not isinstance(error.__cause__, psycopg.errors.ObjectInUse):
                    raise
                if self._stop.wait(_PAUSE):
                    raise MoveStoppedError("stopped", hint="run the same command again to go on") from error
                if time.monotonic() > end:
                    raise SlotBusyError(
                        f"replication slot {self.name} is in use", hint="stop the other `authstore follow` first"
                    ) from error

    def drop(self) -> bool:
        """The slot and the publication; whether there was anything."""
        with translated():
            there = self.state() is not None or bool(self._rows("publication")[0][0])
            self.drop_slot()
            self._connection.execute(f"DROP PUBLICATION IF EXISTS {quote(self.name)}".encode())
        return there

    def end(self) -> int:
        """Where the source's log ends now."""
        with translated():
            row = self._connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
        return lsn_number(row[0]) if row else 0
