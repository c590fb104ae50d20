"""A cut-over that is killed or stopped anywhere: the same command ends it, or the source opens again, and every write
that the source acknowledged is where the application goes on."""

import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from authstore.mover import SourceError, TargetBusyError, follow, verify
from tests.mover.following.watching import Start, equal, followed, until
from tests.mover.moving import people
from tests.mover.sync.proxy import Proxy
from tests.postgres import PostgresServer

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(120)]

_Link = psycopg.Connection[Any]
LOCKING, LOG = b"IN SHARE ROW EXCLUSIVE MODE", b"replication\0database"
# What the follower says last, from its locks on: it never hears what came of it. In the drain it is the log that falls
# silent.
KILLED = {
    "the guards stand": b"COMMIT",
    "the drain": LOG,
    "the verdict": b"SELECT count(*) FROM (",
    "before the publication goes": b"DROP PUBLICATION",
}
STOPPED = {
    "under the locks": b"ENABLE ALWAYS TRIGGER",
    "the drain": LOG,
    "before the slot goes": b"pg_drop_replication_slot",
}


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    with closing(Proxy(url)) as found:
        yield found


class Writer:
    """An application that writes until it is refused, and keeps a ledger of what was acknowledged."""

    def __init__(self, url: str) -> None:
        self.acknowledged: set[int] = set()
        self.refused: str = ""
        self._url = url
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        number = 1000
        while not self._ended.is_set() and not self.refused:
            with suppress(psycopg.OperationalError), psycopg.connect(self._url, autocommit=True) as link:
                link.execute("SET synchronous_commit = on")
                while not self._ended.is_set():
                    number += 1
                    try:
                        link.execute("INSERT INTO note (id, body) VALUES (%s, 'n')", (number,))
                    except psycopg.errors.ReadOnlySqlTransaction as error:
                        self.refused = str(error)
                        break
                    self.acknowledged.add(number)
                    self._ended.wait(0.01)  # at full speed it would be the test that is slow

    def end(self) -> None:
        self._ended.set()
        self._thread.join(30)


@pytest.fixture
def writer(source: _Link, url: str) -> Iterator[Writer]:
    people(source)
    with closing(_Closed(Writer(url))) as closed:
        yield closed.writer


class _Closed:
    def __init__(self, writer: Writer) -> None:
        self.writer = writer

    def close(self) -> None:
        self.writer.end()


def arrived(target: Path) -> set[int]:
    with closing(sqlite3.connect(f"file:{target}?mode=ro", uri=True)) as file:
        return {number for (number,) in file.execute("SELECT id FROM note")}


def left_in(source: _Link) -> tuple[int, ...]:
    """Guards, slots, publications."""
    query = """SELECT (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'authstore%'),
        (SELECT count(*) FROM pg_replication_slots), (SELECT count(*) FROM pg_publication)"""
    return tuple(source.execute(query).fetchone() or ())


async def frozen(start: Start, proxy: Proxy, source: _Link, target: Path, said: bytes) -> Any:
    """A cut-over that has come to this point, and goes no further."""
    async with followed(proxy.url, target):
        pass
    proxy.since, proxy.swallows = LOCKING, said
    with source.transaction() if said == LOG else nullcontext():
        if said == LOG:  # there is something to be drained that is not yet in the log, and until then no lock
            source.execute("INSERT INTO note (id, body) VALUES (800, 'late')")
        process = start(proxy.url, target, "--cut-over")
        await until(lambda: process.poll() is not None or proxy.swallowed > 0)
    if said == LOG:
        await until(lambda: process.poll() is not None or left_in(source)[0] > 0)
    assert process.poll() is None, process.communicate()
    return process


@pytest.mark.parametrize("said", KILLED.values(), ids=KILLED)
async def test_killed_anywhere_the_same_command_ends_it(
    said: bytes, writer: Writer, source: _Link, url: str, proxy: Proxy, target: Path, start: Start
) -> None:
    process = await frozen(start, proxy, source, target, said)
    process.kill()
    process.communicate()
    process = start(url, target, "--cut-over")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, (out, err)
    writer.end()
    assert "has moved to another database" in writer.refused
    assert writer.acknowledged
    assert writer.acknowledged <= arrived(target)
    assert (await verify(url, target)).ok
    guards, *others = left_in(source)
    assert guards > 0
    assert others == [0, 0]
    reopened = await follow(url, target, do="reopen")
    assert len(reopened.reopened) == guards
    assert left_in(source) == (0, 0, 0)


async def test_killed_with_its_server_it_is_named_and_either_end_loses_nothing(
    server: PostgresServer,
    writer: Writer,
    source: _Link,
    url: str,
    proxy: Proxy,
    target: Path,
    start: Start,
) -> None:
    process = await frozen(start, proxy, source, target, LOG)
    process.kill()
    process.communicate()
    server.stop("immediate")
    server.start()
    with pytest.raises(SourceError, match=r"closed by a cut-over: .*note") as caught:
        await follow(url, target)
    assert "it did not end" in caught.value.hint
    with pytest.raises(SourceError, match="closed by a cut-over"):
        await follow(url, target, do="drop")  # it would make a store of a target that lacks rows
    assert (await follow(url, target, do="reopen")).reopened
    with psycopg.connect(url, autocommit=True) as source:
        source.execute("INSERT INTO note (id, body) VALUES (900, 'open again')")
        async with followed(url, target):
            assert await equal(url, target)
        assert (await follow(url, target, do="cut-over")).standstill
        writer.end()
        assert writer.acknowledged | {900} <= arrived(target)
        assert left_in(source)[1:] == (0, 0)


@pytest.mark.parametrize("said", STOPPED.values(), ids=STOPPED)
async def test_stopped_anywhere_it_opens_the_source_again(
    said: bytes, writer: Writer, source: _Link, url: str, proxy: Proxy, target: Path, start: Start
) -> None:
    process = await frozen(start, proxy, source, target, said)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, (out, err)
    assert left_in(source)[0] == 0
    source.execute("INSERT INTO note (id, body) VALUES (900, 'open again')")
    writer.end()
    assert (await follow(url, target, do="cut-over")).standstill
    assert writer.acknowledged | {900} <= arrived(target)


async def test_readers_of_the_source_do_not_keep_it_closed(
    writer: Writer, source: _Link, url: str, target: Path
) -> None:
    assert (await follow(url, target, do="cut-over")).standstill
    with psycopg.connect(url) as reader:
        reader.execute("SELECT count(*) FROM note")  # and its transaction stays open, as a backup's does
        assert "note" in (await follow(url, target, do="reopen")).reopened
        source.execute("INSERT INTO note (id, body) VALUES (900, 'open again')")
        assert left_in(source)[0] > 0
        assert (await follow(url, target, do="reopen")).reopened == ()
    await follow(url, target, do="reopen")
    assert left_in(source) == (0, 0, 0)


async def test_nobody_opens_the_source_under_a_cut_over_at_work(
    writer: Writer, source: _Link, url: str, proxy: Proxy, target: Path, start: Start
) -> None:
    await frozen(start, proxy, source, target, KILLED["the verdict"])
    with pytest.raises(TargetBusyError):
        await follow(url, target, do="reopen")
