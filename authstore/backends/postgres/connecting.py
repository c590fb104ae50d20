"""Finds the server that takes writes, and finds it again when another has become that; or finds a standby."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg

from authstore.backends.postgres.driver import AsyncpgConnection, connect
from authstore.backends.postgres.errors import DRIVER_ERRORS, is_gone
from authstore.backends.postgres.servers import Commit, Servers, settings
from authstore.backends.tuning import DEFAULT, Tuning
from authstore.errors import ConfigurationError

_LOOK = """
SELECT pg_backend_pid() AS backend, pg_is_in_recovery() AS is_standby,
    pg_postmaster_start_time() AS started, current_setting('server_encoding') AS encoding,
    current_setting('server_version_num')::int AS version, current_schema() AS schema,
    current_setting('synchronous_commit') AS commit
"""
_NO_OPTIONS = "a pooler such as pgbouncer takes no options: ALTER ROLE … SET search_path instead, on the server"
MIN_VERSION = 140000


class Connector:
    """Opens connections to whichever of the servers takes writes, the last one that did first.

    `commit`: what a commit waits for. `wants_standby`: to one that follows instead, where there is one; and to no other
    from then on, until `forget`.
    """

    def __init__(
        self, servers: Servers, commit: Commit, *, wants_standby: bool = False, tuning: Tuning = DEFAULT
    ) -> None:
        self._servers = servers
        self.tuning = tuning
        self.commit: Commit = commit
        self._wants_standby = wants_standby
        self._last = 0
        self._found: datetime | None = None  # since when the standby runs
        self.is_pooled = False

    @property
    def servers(self) -> Servers:
        """The servers it knows."""
        return self._servers

    @property
    def has_one_server(self) -> bool:
        """Whether there is no choice."""
        return len(self._servers.urls) == 1

    def forget(self) -> None:
        """Any other standby will do as well from here on."""
        self._found = None

    async def look(self) -> Mapping[str, Any]:
        """Looks at the database for the first time: is there a pooler in between, and is it one that can be used.

        Raises `ConfigurationError` and the driver's errors.
        """
        self.is_pooled = True  # the careful way, until we know
        connection, found = await self._connect_and_look()
        try:
            self.is_pooled = connection.is_pooled(found["backend"])
        finally:
            await connection.close(1.0)
        if found["version"] < MIN_VERSION:
            raise ConfigurationError("authstore needs PostgreSQL 14 or newer")
        if found["encoding"] != "UTF8":
            raise ConfigurationError(
                f"the database's encoding is {found['encoding']}: make it by CREATE DATABASE … ENCODING 'UTF8'"
            )
        if found["schema"] is None:
            raise ConfigurationError("the schema that search_path names does not exist: CREATE SCHEMA first")
        if self.is_pooled and "options" in self._servers.options:
            raise ConfigurationError(_NO_OPTIONS)
        if self.commit == "on" and found["commit"] == "remote_apply":
            self.commit = "remote_apply"  # somebody reads from a standby: never less than the database's default
        return found

    async def connect(self) -> AsyncpgConnection:
        """A connection to the server that takes writes, or to the standby. Raises the driver's errors."""
        connection, _ = await self._connect_and_look()
        return connection

    async def connect_plainly(self) -> AsyncpgConnection:
        """The same, as somebody connects who asks for no settings."""
        connection, _ = await self._connect_and_look(is_plain=True)
        return connection

    async def _connect_and_look(self, *, is_plain: bool = False) -> tuple[AsyncpgConnection, Mapping[str, Any]]:
        urls, start = self._servers.urls, self._last
        failure: Exception = ConnectionRefusedError("none of the servers is the one that is looked for")
        for place in [*range(start, len(urls)), *range(start)]:
            try:
                connection, found = await self._connect_to(urls[place], is_plain=is_plain or self.is_pooled)
            except DRIVER_ERRORS as error:
                failure = _more_telling(failure, error)
                continue
            if self._is_wanted(found):
                self._last = place
                return connection, found
            connection.terminate()
        raise failure

    def _is_wanted(self, found: Mapping[str, Any]) -> bool:
        if not self._wants_standby:
            return not found["is_standby"]
        if self._found not in (None, found["started"]) or not (found["is_standby"] or self.has_one_server):
            return False
        self._found = found["started"]
        return True

    async def _connect_to(self, url: str, *, is_plain: bool) -> tuple[AsyncpgConnection, Mapping[str, Any]]:
        asked = settings(self._servers, self.commit, is_pooled=is_plain)
        seconds = self._servers.connect_seconds
        try:
            connection = await connect(url, settings=asked, timeout=seconds, is_pooled=self.is_pooled)
        except (asyncpg.ClientConfigurationError, ValueError) as error:
            raise ConfigurationError(
                "the URL cannot be read by the driver: look at ports and ssl parameters"
            ) from error
        except asyncpg.ProtocolViolationError as error:
            raise ConfigurationError(_NO_OPTIONS) from error
        except FileNotFoundError as error:
            if "ssl" not in url:
                raise
            raise ConfigurationError("a file of sslrootcert, sslcert or sslkey is not there") from (error)
        try:
            (found,) = await connection.fetch_tuples(_LOOK, (), seconds)
        except BaseException:
            connection.terminate()
            raise
        return connection, found


def _more_telling(before: Exception, now: Exception) -> Exception:
    """A wrong password says more than a server that is away."""
    return now if is_gone(before) else before
