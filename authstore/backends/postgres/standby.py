"""A synchronous standby that look-ups are asked of, while it is certain that it knows all that was acknowledged.

It is certain while the primary waits, at each commit, until this very standby has applied it. Whether it does is looked
at when the store opens, and every second from then on. While the primary is away nothing is acknowledged, so that what
the standby knew stays true.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from authstore.backends.postgres.connecting import Connector
from authstore.backends.postgres.driver import Connection
from authstore.backends.postgres.errors import DRIVER_ERRORS
from authstore.backends.postgres.pool import Pool
from authstore.errors import ConfigurationError, StoreBusyError
from authstore.observers import Watch

LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 1.0  # how long a look-up waits here before it is asked of the primary
_PAUSE_SECONDS = 0.02
_CATCH_UP_SECONDS = 5.0

# For whoever writes without knowing of the standby; what one role is told counts for that role alone.
_DEFAULT = """
SELECT EXISTS (SELECT FROM pg_settings WHERE name = 'synchronous_commit' AND setting = 'remote_apply'
    AND source IN ('database', 'global', 'configuration file', 'command line'))
OR EXISTS (SELECT FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase
    WHERE datname = current_database() AND setrole = 0 AND 'synchronous_commit=remote_apply' = ANY (setconfig))
AS is_set
"""
_STANDBY = """
SELECT pg_is_in_recovery() AS is_standby, pg_postmaster_start_time() AS started,
    (SELECT system_identifier FROM pg_control_system()) AS cluster,
    (SELECT conninfo FROM pg_stat_wal_receiver) AS follows
"""
_PRIMARY = """
SELECT pg_postmaster_start_time() AS started, (SELECT system_identifier FROM pg_control_system()) AS cluster,
    pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS may_look,
    current_setting('synchronous_standby_names') AS required,
    ARRAY(SELECT application_name FROM pg_stat_replication WHERE state = 'streaming') AS following,
    ARRAY(SELECT application_name FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')) AS synchronous
"""
_WRITTEN = "SELECT pg_current_wal_lsn()::text AS written"
_HAS_APPLIED = "SELECT coalesce(pg_last_wal_replay_lsn() >= $1::text::pg_lsn, false) AS has_applied"

_REQUIRED = re.compile(r"(?:(?:FIRST|ANY)\s+)?(?:(\d+)\s*\()?([^()]*)\)?", re.IGNORECASE)
_NAME = re.compile(r"(?:^| )(fallback_)?application_name=(.*?)(?= \w+=|$)")


class Standby:
    """One standby at a time: the first of `read_url`'s servers that is one."""

    def __init__(self, connector: Connector, size: int, primary: Pool, primary_connector: Connector) -> None:
        self._connector = connector
        self._pool = Pool(connector.connect, size)
        self._primary = primary
        self._primary_connector = primary_connector
        self._watching: asyncio.Task[None] | None = None
        self.is_trusted = False
        self.left_out_because = ""

    def watch(self, watch: Watch) -> None:
        """From here on tells `watch` of every statement."""
        self._pool.watch = watch

    async def open(self) -> None:
        """Looks for the first time. One that is away is left out, until it is back.

        Raises `ConfigurationError`, which says what to set, and the driver's errors of the primary.
        """
        await self._check_default()
        try:
            await self._connector.look()
        except DRIVER_ERRORS:
            self._leave_out("it cannot be reached")
        else:
            problem = await self._look()
            if problem:
                raise ConfigurationError(problem)
        self._watching = asyncio.create_task(self._watch())

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection to it. Raises the driver's errors, `StoreBusyError`."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        async with asyncio.timeout_at(deadline):
            connection = await self._pool.take(deadline, to_write=False)
        try:
            yield connection
        finally:
            self._pool.give(connection, to_write=False)

    def leave_out(self) -> None:
        """It went away."""
        self._leave_out("it went away")

    async def close(self, patience: float) -> None:
        """Lets go of it."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        await self._pool.close(patience)

    def _leave_out(self, because: str) -> None:
        self.is_trusted = False
        self.left_out_because = because
        self._connector.forget()
        self._pool.distrust()

    async def _check_default(self) -> None:
        connection = await self._primary_connector.connect_plainly()
        try:
            (found,) = await connection.fetch_tuples(_DEFAULT, (), PATIENCE_SECONDS)
        finally:
            await connection.close(PATIENCE_SECONDS)
        if not found["is_set"]:
            raise ConfigurationError(
                "read_url needs every writer to wait for the standby: ALTER DATABASE … SET synchronous_commit ="
                " 'remote_apply', on the primary"
            )

    async def _watch(self) -> None:
        try:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                problem = await self._look()
                if problem:
                    self._leave_out(problem)
        finally:
            self.is_trusted = False

    async def _look(self) -> str | None:
        """Trusts the standby, or leaves it out because it is away, or says why it cannot be trusted."""
        try:
            async with self.connection() as standby:
                (there,) = await standby.fetch_tuples(_STANDBY, (), PATIENCE_SECONDS)
                try:
                    here, written = await self._look_at_primary()
                except (*DRIVER_ERRORS, StoreBusyError):
                    return None  # it is away: what was certain stays so
                if here["started"] == there["started"]:
                    return self._is_primary_itself()
                problem = _why_not(here, there)
                if problem is None and not self.is_trusted:
                    self.is_trusted = await _catches_up(standby, written)
        except (*DRIVER_ERRORS, StoreBusyError):
            self._leave_out("it cannot be reached")
            return None
        return problem

    async def _look_at_primary(self) -> tuple[Mapping[str, Any], str]:
        loop = asyncio.get_running_loop()
        connection = await self._primary.take(loop.time() + PATIENCE_SECONDS, to_write=False)
        try:
            (found,) = await connection.fetch_tuples(_PRIMARY, (), PATIENCE_SECONDS)
            (after,) = await connection.fetch_tuples(_WRITTEN, (), PATIENCE_SECONDS)
            return found, after["written"]
        except DRIVER_ERRORS:
            connection.terminate()
            raise
        finally:
            self._primary.give(connection, to_write=False)

    def _is_primary_itself(self) -> str | None:
        if self._connector.has_one_server and self._watching is None:
            return "read_url names the server that takes writes: name its standby, or both servers in both URLs"
        self._leave_out("it takes the writes now")
        return None


class Required(NamedTuple):
    """What `synchronous_standby_names` asks for: so many of these."""

    least: int
    names: Sequence[str]


def required(setting: str) -> Required:
    """The setting, taken apart (PostgreSQL's manual, 20.6.2)."""
    found = _REQUIRED.fullmatch(setting.strip())
    if found is None:  # a name that holds a parenthesis
        return Required(1, (setting.strip().strip('"'),))
    names = [name.strip().strip('"') for name in found[2].split(",") if name.strip()]
    return Required(int(found[1] or 1), names)


def application_name(follows: str) -> str:
    """What a standby calls itself, of the parameters by which it follows."""
    names = {fallback: name.strip() for fallback, name in _NAME.findall(follows)}
    return names.get("") or names.get("fallback_") or "walreceiver"


def _why_not(primary: Mapping[str, Any], standby: Mapping[str, Any]) -> str | None:
    """Why what the standby says may be older than what was acknowledged; `None` where it may not."""
    if primary["cluster"] != standby["cluster"] or not standby["is_standby"]:
        return "read_url leads to a server that is no standby of the one that takes writes"
    if not primary["may_look"]:
        return "read_url needs a role that may look at the standbys: GRANT pg_read_all_stats TO it, on the primary"
    if not standby["follows"]:
        return "the standby of read_url does not follow the primary: look at its log"
    name = application_name(standby["follows"])
    if not _is_waited_for(name, primary):
        return (
            f"the primary does not wait for the standby of read_url, which calls itself {name!r}:"
            " name it, and no other instead of it, in synchronous_standby_names, and SELECT pg_reload_conf()"
        )
    return None


def _is_waited_for(name: str, primary: Mapping[str, Any]) -> bool:
    """Whether no commit does without this one: neither now nor when another would do instead."""
    if name not in primary["synchronous"]:
        return False
    least, names = required(primary["required"])
    if "*" in names:
        return least >= len(primary["following"])
    return least >= len(names) and list(primary["following"]).count(name) == 1


async def _catches_up(standby: Connection, written: str) -> bool:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _CATCH_UP_SECONDS
    while loop.time() < deadline:
        (found,) = await standby.fetch_tuples(_HAS_APPLIED, (written,), PATIENCE_SECONDS)
        if found["has_applied"]:
            return True
        await asyncio.sleep(_PAUSE_SECONDS)
    return False
