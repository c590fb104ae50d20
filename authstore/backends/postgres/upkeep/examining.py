"""What may be wrong with a store's database, its server and its schema. Nothing here writes."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from authstore import schema
from authstore.backends.inspection import Symptom
from authstore.backends.postgres.driver import Connection
from authstore.backends.postgres.migrating import ledger
from authstore.backends.postgres.shape import lacking
from authstore.errors import SchemaError

_SECONDS = 30.0
_SETTINGS = """
SELECT current_setting('synchronous_commit') AS server_commit, current_setting('fsync') AS fsync,
    current_setting('full_page_writes') AS full_page_writes,
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS most,
    (SELECT sum(numbackends) FROM pg_stat_database)::int AS used,
    (SELECT count(*) FROM pg_stat_replication)::int AS standbys
"""
_BLOAT = """
SELECT relname AS name, n_dead_tup AS dead, n_live_tup AS live FROM pg_stat_user_tables
WHERE relid IN (SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace)
    AND n_dead_tup > 10000 AND n_dead_tup > n_live_tup
ORDER BY relname
"""
_STATISTICS = """
SELECT relname AS name FROM pg_stat_user_tables
WHERE relid IN (SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace)
    AND n_mod_since_analyze > 10000 AND last_analyze IS NULL AND last_autoanalyze IS NULL
ORDER BY relname
"""
_SLOTS = """
SELECT slot_name AS name, pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) AS kept
FROM pg_replication_slots WHERE slot_name LIKE 'authstore\\_%' AND NOT active ORDER BY slot_name
"""
_GUARDS = """
SELECT tgrelid::regclass::text AS name FROM pg_trigger WHERE tgname = 'authstore_guard' ORDER BY 1
"""


async def examine_schema(connection: Connection) -> list[Symptom]:
    """What the migrations made and is there no more. Raises the driver's errors."""
    ran = await ledger(connection)
    if not ran:
        return [Symptom("missing", "there is no authstore in this database and schema")]
    known = schema.migrations("postgres")
    try:
        pending = schema.pending(ran, known)
    except SchemaError as error:
        return [Symptom("unknown-schema", str(error))]
    found = []
    if pending:
        found.append(
            Symptom("old-schema", "pending: " + ", ".join(f"{each.version:04} {each.name}" for each in pending))
        )
    missing = await lacking(connection, known[: len(ran)], _SECONDS)
    if missing.columns:
        found.append(Symptom("missing-table", ", ".join(missing.columns)))
    for kind in ("index", "trigger"):
        if names := [name for name in missing.helpers if name.startswith(kind)]:
            found.append(Symptom(f"missing-{kind}", ", ".join(names)))
    return found


async def examine_server(connection: Connection) -> list[Symptom]:
    """How the server is set and what it is short of. Raises the driver's errors."""
    (row,) = await connection.fetch_tuples(_SETTINGS, (), _SECONDS)
    return [*_set(row), *[each async for each in _grown(connection)]]


def _set(row: Mapping[str, Any]) -> list[Symptom]:
    found = []
    if row["server_commit"] in ("off", "local"):
        found.append(Symptom("asynchronous", f"synchronous_commit is {row['server_commit']}"))
    off = [name for name in ("fsync", "full_page_writes") if row[name] == "off"]
    if off:
        found.append(Symptom("unflushed", f"{' and '.join(off)}: off"))
    if not row["standbys"]:
        found.append(Symptom("no-standby", "no standby is connected"))
    if row["used"] * 5 >= row["most"] * 4:
        found.append(Symptom("connections", f"{row['used']} of {row['most']} are in use"))
    return found


async def _grown(connection: Connection) -> AsyncIterator[Symptom]:
    for row in await connection.fetch_tuples(_BLOAT, (), _SECONDS):
        yield Symptom("bloat", f"{row['name']}: {row['dead']:,} dead rows, {row['live']:,} others")
    if names := [row["name"] for row in await connection.fetch_tuples(_STATISTICS, (), _SECONDS)]:
        yield Symptom("no-statistics", f"ANALYZE never ran on {', '.join(names)}")
    for row in await connection.fetch_tuples(_SLOTS, (), _SECONDS):
        yield Symptom("slot", f"{row['name']} keeps {row['kept'] or 'nothing yet'}")
    if names := [row["name"] for row in await connection.fetch_tuples(_GUARDS, (), _SECONDS)]:
        yield Symptom("guarded", f"the trigger authstore_guard is on {', '.join(names)}")
