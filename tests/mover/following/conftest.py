"""A server whose log can be followed, for all tests of following; a database of it for each."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.mover.following.watching import Start
from tests.postgres import PostgresServer, embedded_server, fresh_database


@pytest.fixture(scope="package")
def server() -> Iterator[PostgresServer]:
    with embedded_server(wal_level="logical", max_replication_slots="4", max_wal_senders="4") as server:
        yield server


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    with fresh_database(server.url) as url:
        yield url
        _drop_slots(server.url)


def _drop_slots(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as link:
        for _ in range(50):
            link.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active")
            with suppress(psycopg.errors.ObjectInUse):
                link.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
                return
            time.sleep(0.1)


@pytest.fixture
def source(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as link:
        yield link


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "auth.db"


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts `authstore follow` as a process of its own, which does not outlive the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(url: str, target: Path, *more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "authstore.cli", "follow", url, f"sqlite:///{target}", "--json", *more]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()
