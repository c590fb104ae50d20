"""The source goes away in the middle, the disk fills up: the move goes on, or stops and can go on."""

import resource
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from authstore.mover import (
    ProgressEvent,
    RetryEvent,
    SourceChangedError,
    SourceUnavailableError,
    make_plan,
    move,
)
from authstore.mover.postgres.snapshot import Identity, Snapshot, snapshot
from authstore.mover.sqlite.errors import dropped_if_useless
from authstore.mover.sqlite.target_files import files_of, new_building
from authstore.mover.tuning import Tuning
from tests.mover.moving import actual, expected, moved, names, people, verified
from tests.mover.sync.proxy import Proxy
from tests.postgres import PostgresServer

_Link = psycopg.Connection[Any]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "auth.db"


@pytest.fixture
def proxy(source_url: str) -> Iterator[Proxy]:
    found = Proxy(source_url)
    yield found
    found.close()


# Waits are short, so that the tests are.
SOON = Tuning(waits=(0.05, 0.1, 0.2, 0.5, 1, 2, 2, 2), silence_seconds=1.0, connect_seconds=2)


def _once(act: Callable[[], None], phase: str = "copy") -> tuple[list[Any], Callable[[Any], None]]:
    """A listener that acts at the first progress of a phase, and keeps the events."""
    events: list[Any] = []

    def listen(event: Any) -> None:
        if (
            isinstance(event, ProgressEvent)
            and event.phase == phase
            and not any(isinstance(one, ProgressEvent) and one.phase == phase for one in events)
        ):
            act()
        events.append(event)

    return events, listen


async def test_a_terminated_backend_is_replaced_under_a_new_snapshot(
    source: _Link, source_url: str, target: Path
) -> None:
    people(source, users=2000, notes=20)

    def terminate() -> None:
        source.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'authstore move'"
        )
        source.execute("UPDATE note SET body = 'meanwhile' WHERE id < 100")

    events, listen = _once(terminate)
    await move(await make_plan(source_url, target), listen, tuning=SOON)
    assert any(isinstance(event, RetryEvent) for event in events)
    assert actual(target) == expected(source)


async def test_a_restarted_server_is_waited_for(own_server: PostgresServer, target: Path) -> None:
    with psycopg.connect(own_server.url, autocommit=True) as source:
        people(source, users=2000, notes=20)

    def restart() -> None:
        own_server.stop("immediate")
        threading.Timer(0.5, own_server.start).start()

    events, listen = _once(restart)
    await move(await make_plan(own_server.url, target), listen, tuning=SOON)
    assert any(isinstance(event, RetryEvent) for event in events)
    with psycopg.connect(own_server.url, autocommit=True) as source:
        assert actual(target) == expected(source)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
async def test_a_cut_network_is_survived(
    share: float, source: _Link, source_url: str, proxy: Proxy, target: Path, tmp_path: Path
) -> None:
    people(source, users=2000, notes=20)
    plan = await make_plan(proxy.url, target)
    await move(await make_plan(proxy.url, tmp_path / "measure.db"), tuning=SOON)
    proxy.after = (proxy.bytes + int(proxy.bytes * share), proxy.cut)
    await move(plan, tuning=SOON)
    assert actual(target) == expected(source)


async def test_a_network_that_swallows_everything_does_not_hang_the_move(
    source: _Link, source_url: str, proxy: Proxy, target: Path
) -> None:
    people(source, users=2000, notes=20)
    tuning = replace(SOON, waits=())
    plan = await make_plan(proxy.url, target, tuning=tuning)
    proxy.after = (proxy.bytes + 400_000, proxy.fall_silent)
    began = time.monotonic()
    with pytest.raises(SourceUnavailableError):
        await move(plan, tuning=tuning)
    assert time.monotonic() - began < 30
    proxy.silent = False
    await move(plan, tuning=tuning)
    assert actual(target) == expected(source)


async def test_a_long_silence_of_a_server_at_work_is_waited_out(source: _Link, source_url: str) -> None:
    with Snapshot(source_url, threading.Event(), tuning=SOON) as view:
        assert view.main.execute("SELECT 1 FROM pg_sleep(2.5)").fetchone() == (1,)


async def test_another_cluster_or_an_older_timeline_is_refused(source: _Link, source_url: str) -> None:
    stop = threading.Event()
    with Snapshot(source_url, stop) as view:
        found = view.identity
    assert found.cluster
    Snapshot(source_url, stop, found).close()
    for expected_identity in (Identity("1", found.timeline), Identity(found.cluster, found.timeline + 1)):
        with pytest.raises(SourceChangedError):
            Snapshot(source_url, stop, expected_identity)


async def test_all_tables_are_read_from_one_moment(source: _Link, source_url: str, target: Path) -> None:
    people(source, users=500)

    def write() -> None:
        source.execute("INSERT INTO \"User\" (id, email) VALUES ('late', 'late@example.com')")
        source.execute("INSERT INTO note (author, body) VALUES ('late', 'x')")

    before = expected(source)
    _, listen = _once(write)
    await move(await make_plan(source_url, target), listen)
    assert actual(target) == before
    await moved(source_url, target)
    assert actual(target) == expected(source)


def _on_a_small_disk(url: str, target: Path, size: int) -> subprocess.CompletedProcess[bytes]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    code = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); from authstore.cli import main; main()"
    command = [sys.executable, "-c", code, "move", url, f"sqlite:///{target}"]
    return subprocess.run(command, preexec_fn=limit, capture_output=True, timeout=120, check=False)


async def test_a_full_disk_stops_it_and_room_lets_it_go_on(source: _Link, source_url: str, target: Path) -> None:
    people(source, users=2000, notes=20)
    for size in (300_000, 2_000_000):
        done = _on_a_small_disk(source_url, target, size)
        assert done.returncode == 1
        assert b"disk is full" in done.stderr
        assert b"Traceback" not in done.stderr
        assert not target.exists()
    await moved(source_url, target)
    assert actual(target) == expected(source)
    assert (await verified(source_url, target)).ok
    assert names(target.parent) == ["auth.db"]


def test_a_snapshot_whose_connection_was_terminated_is_a_source_that_may_come_back(source_url: str) -> None:
    with snapshot(source_url) as view:
        with psycopg.connect(source_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (view.main.info.backend_pid,))
        with pytest.raises(SourceUnavailableError, match="snapshot is lost"):
            view.another()


@pytest.mark.parametrize(("error", "stays"), [(sqlite3.ProgrammingError("?"), 0), (SourceUnavailableError("gone"), 1)])
def test_an_error_that_would_come_again_leaves_no_half_made_file(error: Exception, stays: int, target: Path) -> None:
    place = files_of(target)

    def move_on() -> None:
        with dropped_if_useless(place):
            new_building(place)
            raise error

    with pytest.raises(type(error)):
        move_on()
    assert len(list(target.parent.iterdir())) == stays
