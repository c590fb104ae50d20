"""How large a store is, and what it holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from pydantic import JsonValue

from authstore.adapter import Adapter
from authstore.backends.inspection import StoreSize, TableInfo
from authstore.connect import connect
from authstore.database import Unit
from authstore.expiry import SessionPolicy, oldest_start
from authstore.ops.subject import Subject, subject
from authstore.sql import queries
from authstore.store import Store
from authstore.store.notes import LOOK, Note, get_note


@dataclass(frozen=True, slots=True)
class Growth:
    """What was added since an earlier look; less than nothing where it shrank. `rows`: by table, where it changed."""

    since: datetime
    bytes: int
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a store holds; all sizes in bytes.

    place: where it is, without a password. tables: each with its rows (an estimate unless `is_exact`), its indexes and,
    where it was asked for, its size. wal_bytes: SQLite's log. free_bytes: within SQLite's file, filled before it grows.
    sessions_alive, sessions_dead: by the store's policy (of a URL: the default one); of more than a million an
    estimate, as `is_exact` of the table says. growth: since the last look that was kept.
    """

    place: str
    tables: tuple[TableInfo, ...]
    bytes: int
    wal_bytes: int
    free_bytes: int
    schema_version: int
    sessions_alive: int
    sessions_dead: int
    growth: Growth | None


async def inspect(url_or_store: str | Path | Adapter, *, sizes: bool = False, keep: bool = False) -> Inspection:
    """Looks at a store by a connection of its own, which keeps nobody from reading or writing.

    A table of more than a million rows is not counted: its rows are estimated. `sizes`: how large each table is, too;
    SQLite reads the whole file for that. `keep`: a later look is compared with this one.

    Raises `ConfigurationError`, `StoreNotFoundError`, `SchemaError`, `StoreCorruptError`, `StoreUnavailableError`.
    """
    looked_at = subject(url_or_store)
    size = await looked_at.inspector.size(with_tables=sizes)
    tables = {table.name: table for table in size.tables}
    alive = dead = 0
    if "sessions" in tables:
        alive, dead = await looked_at.inspector.ask(
            partial(count_sessions, cutoffs(looked_at.policy, looked_at.clock()), tables["sessions"])
        )
    former = await looked_at.inspector.ask(partial(get_note, LOOK)) if "authstore_notes" in tables else None
    if keep:
        await _keep(looked_at, size)
    return Inspection(
        size.place,
        size.tables,
        size.bytes,
        size.wal_bytes,
        size.free_bytes,
        size.schema_version,
        alive,
        dead,
        former and _growth(former, size),
    )


def cutoffs(policy: SessionPolicy, now: datetime) -> dict[str, datetime]:
    """The parameters by which a query tells living sessions from dead ones."""
    return {
        "now": now,
        "created_after": oldest_start(now, policy.lifetime),
        "used_after": oldest_start(now, policy.idle),
    }


def count_sessions(cut: Mapping[str, datetime], table: TableInfo) -> Unit[tuple[int, int]]:
    """How many sessions live and how many are dead; of a table that was estimated, by a sample."""
    query = queries.count_living_sessions if table.is_exact else queries.sample_living_sessions
    [found] = yield query(**cut)
    if table.is_exact or not found["total"]:
        return found["living"], found["total"] - found["living"]
    alive = round(table.rows * found["living"] / found["total"])
    return alive, table.rows - alive


def _growth(former: Note, size: StoreSize) -> Growth:
    was = former.data.get("rows")
    before = was if isinstance(was, dict) else {}
    now = {table.name: table.rows for table in size.tables}
    changed = {name: now.get(name, 0) - int(str(before.get(name, 0))) for name in sorted({*now, *before})}
    total = size.bytes - int(str(former.data.get("bytes", 0)))
    return Growth(former.at, total, {name: rows for name, rows in changed.items() if rows})


async def _keep(looked_at: Subject, size: StoreSize) -> None:
    data: dict[str, JsonValue] = {"bytes": size.bytes, "rows": {table.name: table.rows for table in size.tables}}
    if looked_at.store is not None:
        await looked_at.store.put_note(LOOK, data)
        return
    async with connect(looked_at.url, create=False, migrate=False) as store:
        if isinstance(store, Store):
            await store.put_note(LOOK, data)
