"""A source at work, followed, disturbed in every way, and cut over: nothing that it acknowledged is lost."""

import asyncio
import signal
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from authstore import connect
from authstore.errors import StoreReadOnlyError
from authstore.mover import (
    Event,
    LagEvent,
    ProblemEvent,
    SourceError,
    TargetError,
    UndecidedError,
    follow,
    make_plan,
    move,
    recover,
    verify,
)
from authstore.mover.following import cut_over
from authstore.mover.following.follower import Following
from tests.mover.following.watching import Start, equal, followed, is_followed, until
from tests.mover.moving import actual, expected, people
from tests.postgres import PostgresServer, fresh_database

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(120)]

_Link = psycopg.Connection[Any]
SHAPES = """
CREATE TABLE long (id int PRIMARY KEY, body text, n int DEFAULT 0, twice int GENERATED ALWAYS AS (n * 2) STORED);
ALTER TABLE long ALTER body SET STORAGE EXTERNAL;
INSERT INTO long (id, body) SELECT n, repeat('x', 9000) FROM generate_series(1, 30) AS n;
CREATE TABLE loose (a int, b text);
INSERT INTO loose SELECT n, 'l' FROM generate_series(1, 20) AS n;
CREATE TABLE pair (a int, b text, v text, PRIMARY KEY (b, a));
INSERT INTO pair SELECT n, 'b' || n % 3, 'v' FROM generate_series(1, 20) AS n;
CREATE TABLE whole (id int PRIMARY KEY, v text);
ALTER TABLE whole REPLICA IDENTITY FULL;
INSERT INTO whole SELECT n, NULL FROM generate_series(1, 9) AS n;
CREATE TABLE part (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (100) TO (200);
INSERT INTO part SELECT n, 'p' FROM generate_series(1, 150) AS n;
CREATE TABLE late (id int PRIMARY KEY DEFERRABLE, v text);
INSERT INTO late VALUES (1, 'a'), (2, 'b');
"""


SLOTS = "SELECT pg_create_logical_replication_slot('n' || n, 'pgoutput') FROM generate_series(1, 4) AS n"


async def test_every_kind_of_write_arrives_and_the_ledger_stays_true(source: _Link, url: str, target: Path) -> None:
    people(source)
    source.execute(SHAPES)
    async with followed(url, target) as events:
        source.execute("UPDATE long SET n = n + 1 WHERE id % 2 = 0")  # body is not in the log
        source.execute("UPDATE long SET id = id + 1000 WHERE id < 5")
        source.execute("DELETE FROM long WHERE id = 7")
        source.execute("UPDATE pair SET b = 'c' WHERE a = 3")
        source.execute("UPDATE whole SET v = 'w' WHERE id = 2")
        source.execute("DELETE FROM whole WHERE id = 3")
        source.execute("UPDATE part SET id = id + 100 WHERE id BETWEEN 60 AND 65")
        source.execute("DELETE FROM part WHERE id = 6")
        source.execute("UPDATE loose SET b = 'm' WHERE a = 3")
        source.execute("UPDATE late SET v = 'c' WHERE id = 2")
        source.execute("""UPDATE "User" SET email = 'new@example.com' WHERE id = 'u3'""")
        source.execute("""DELETE FROM "Session" WHERE "userId" = 'u4'""")
        with source.transaction():  # two exchange what is unique
            source.execute("""UPDATE "User" SET email = 'x@example.com' WHERE id = 'u5'""")
            source.execute("""UPDATE "User" SET email = 'u5@example.com' WHERE id = 'u6'""")
            source.execute("""UPDATE "User" SET email = 'u6@example.com' WHERE id = 'u5'""")
        assert await equal(url, target)
        source.execute("TRUNCATE part_2")
        source.execute("TRUNCATE pair")
        source.execute("INSERT INTO pair VALUES (1, 'again', 'v')")
        source.execute("CREATE TABLE added (id int PRIMARY KEY, v text)")
        source.execute("INSERT INTO added VALUES (1, 'x')")
        source.execute("ALTER TABLE whole ADD COLUMN more int DEFAULT 4")
        await until(lambda: any(isinstance(event, ProblemEvent) and event.problem.kind == "plan" for event in events))
        source.execute("INSERT INTO added VALUES (2, 'y')")
        assert await equal(url, target)
        assert actual(target) == expected(source)
        published = source.execute("SELECT tablename FROM pg_publication_tables").fetchall()
        assert not {("loose",), ("late",)} & set(published)
        with pytest.raises(StoreReadOnlyError, match="--cut-over"):
            await connect(target)
    source.execute("UPDATE long SET n = 50")
    report = await move(await make_plan(url, target))
    assert report.tables["long"].copied == 29
    assert (await verify(url, target)).ok
    source.execute("DELETE FROM note WHERE id = 1")
    await recover(url, target, "note")
    assert (await verify(url, target)).ok
    async with followed(url, target):
        source.execute("DELETE FROM long")
        assert await equal(url, target)
    assert (await follow(url, target, do="drop")).dropped
    assert source.execute("SELECT count(*) FROM pg_replication_slots").fetchone() == (0,)
    async with connect(target) as store:
        assert await store.get_user("u3")
    assert [report.copied for report in (await move(await make_plan(url, target, replace=True))).tables.values()]


async def test_what_would_have_changed_the_plan_does(source: _Link, url: str, target: Path) -> None:
    people(source)
    source.execute('ALTER TABLE "Session" DROP CONSTRAINT "Session_userId_fkey"')
    options = {"on_orphan": "reject", "on_bad_row": "reject"}
    async with followed(url, target, **options):
        source.execute("""UPDATE "User" SET email = 'a@BÜCHER.example' WHERE id = 'u1'""")
        source.execute("""UPDATE "User" SET email = 'no address' WHERE id = 'u2'""")
        source.execute("""INSERT INTO "Session" VALUES ('o', 'token-of-nobody-at-all', '2999-01-01', 'nobody')""")
        source.execute("""INSERT INTO "Session" VALUES ('p', 'token-of-the-past-x', '2001-01-01', 'u3')""")
        assert await equal(url, target)
        source.execute("DELETE FROM note WHERE author = 'u9'")
        source.execute("""DELETE FROM "User" WHERE id = 'u9'""")  # its sessions point to nobody now
        assert await equal(url, target)
        source.execute("""UPDATE "User" SET email = 'u2@example.com' WHERE id = 'u2'""")
        source.execute("""INSERT INTO "User" (id, email) VALUES ('nobody', 'n@example.com')""")
        assert await equal(url, target)
    with closing(sqlite3.connect(target)) as file:
        assert file.execute("SELECT email FROM users WHERE id = 'u1'").fetchone() == ("a@xn--bcher-kva.example",)
        assert file.execute("SELECT count(*) FROM sessions WHERE id = 'o'").fetchone() == (1,)


async def test_what_nobody_decided_stops_it_and_the_same_decided_goes_on(source: _Link, url: str, target: Path) -> None:
    people(source)
    events: list[Event] = []
    task = asyncio.create_task(follow(url, target, on_progress=events.append))
    await until(lambda: any(isinstance(event, LagEvent) for event in events))
    source.execute("""INSERT INTO "User" (id, email) VALUES ('v1', 'U1@example.com')""")
    with pytest.raises(UndecidedError) as caught:
        await task
    assert [problem.decision for problem in caught.value.problems if problem.stops] == ["on_duplicate"]
    async with followed(url, target, on_duplicate="keep-oldest"):
        assert await equal(url, target)


async def test_the_cut_over_loses_no_write_that_was_acknowledged(source: _Link, url: str, target: Path) -> None:
    people(source)
    source.execute("CREATE TABLE loose (a int)")
    acknowledged: list[int] = []
    refusals: list[BaseException] = []

    def write(first: int) -> None:
        with psycopg.connect(url, autocommit=True) as link:
            for number in range(first, first + 1_000_000):
                try:
                    link.execute("INSERT INTO note (id, body) VALUES (%s, 'n')", (number,))
                except psycopg.Error as error:
                    refusals.append(error)
                    return
                acknowledged.append(number)

    writers = [threading.Thread(target=write, args=(number * 1_000_000,)) for number in (1, 2, 3)]
    async with followed(url, target):
        for writer in writers:
            writer.start()
        await asyncio.sleep(0.5)
    report = await follow(url, target, do="cut-over")
    for writer in writers:
        writer.join(30)
    assert report.standstill is not None
    assert 0 < report.standstill < 60
    assert [type(error) for error in refusals] == [psycopg.errors.ReadOnlySqlTransaction] * 3
    assert "has moved" in str(refusals[0])
    with closing(sqlite3.connect(target)) as file:
        arrived = {number for (number,) in file.execute("SELECT id FROM note")}
    assert set(acknowledged) <= arrived
    assert (await verify(url, target)).ok
    for statement in ("TRUNCATE note", "DELETE FROM loose", """UPDATE "User" SET name = 'x'"""):
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            source.execute(statement)
    assert source.execute("SELECT count(*) FROM pg_replication_slots, pg_publication").fetchone() == (0,)
    with pytest.raises(SourceError, match="closed by a cut-over"):
        await follow(url, target)
    async with connect(target) as store:
        assert (await store.create_user(email="first@example.com")).id
    reopened = await follow(url, target, do="reopen")
    assert {"note", "loose"} <= set(reopened.reopened)
    source.execute("TRUNCATE note")


async def test_a_bad_verdict_opens_the_source_again(
    source: _Link, url: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people(source)
    plain = cut_over._drain

    def drain(following: Following, under_lock: int) -> None:
        plain(following, under_lock)
        following.target.connection.execute("DELETE FROM note WHERE id = 3")  # as a fault of ours would

    monkeypatch.setattr(cut_over, "_drain", drain)
    with pytest.raises(TargetError, match=r"note \(1 rows\)") as caught:
        await follow(url, target, do="cut-over")
    assert "open again" in caught.value.hint
    source.execute("UPDATE note SET body = 'mended' WHERE id = 3")
    monkeypatch.undo()
    assert (await follow(url, target, do="cut-over")).standstill
    assert (await verify(url, target)).ok


async def test_killed_cut_off_and_restarted_it_ends_equal(
    server: PostgresServer, url: str, target: Path, start: Start
) -> None:
    with psycopg.connect(url, autocommit=True) as source:
        people(source)
        for round_ in range(2):
            process = start(url, target)
            await until(lambda: is_followed(target))
            source.execute("UPDATE note SET pages = pages + 1 WHERE id % 3 = 0")
            source.execute("DELETE FROM note WHERE id = %s", (round_ + 1,))
            await asyncio.sleep(0.1 * round_)
            process.kill()
            process.communicate()
            source.execute("UPDATE note SET body = %s WHERE id %% 4 = 0", (f"while nobody looks {round_}",))
    process = start(url, target)
    server.stop("immediate")
    server.start()
    with psycopg.connect(url, autocommit=True) as source:
        source.execute("UPDATE note SET pages = 7 WHERE id % 5 = 0")
        assert await equal(url, target)
        source.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        source.execute("UPDATE note SET pages = 8 WHERE id % 5 = 1")
        assert await equal(url, target)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 130, (out, err)
        assert "--drop" in out
        assert '"lag_rows"' in out
        source.execute("UPDATE note SET pages = 9 WHERE id % 5 = 2")
        process = start(url, target, "--cut-over")
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, (out, err)
        assert '"standstill"' in out.splitlines()[-1]
        assert (await verify(url, target)).ok
        assert actual(target) == expected(source)


async def test_a_slot_that_keeps_too_much_is_made_anew(source: _Link, url: str, target: Path) -> None:
    people(source)
    async with followed(url, target):
        pass
    source.execute("CREATE UNLOGGED TABLE elsewhere (a int)")
    for _ in range(3):
        source.execute("UPDATE note SET body = repeat('long', 500)")
    async with followed(url, target, max_slot_wal=100_000) as events:
        assert await equal(url, target)
        said = [event.problem for event in events if isinstance(event, ProblemEvent)]
        assert [problem.kind for problem in said if "slot" in problem.kind] == ["slot"]
    source.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    source.execute("UPDATE note SET body = 'short'")
    async with followed(url, target):
        assert await equal(url, target)


async def test_what_server_and_role_refuse_is_said_before_anything_is_written(
    postgres_url: str, server: PostgresServer, source: _Link, url: str, target: Path
) -> None:
    people(source)
    with fresh_database(postgres_url) as plain, psycopg.connect(plain, autocommit=True) as link:
        people(link)
        with pytest.raises(SourceError, match="wal_level") as caught:
            await follow(plain, target)
        assert "wal_level = logical" in caught.value.hint
    source.execute("DROP ROLE IF EXISTS limited")
    source.execute("CREATE ROLE limited LOGIN")
    source.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO limited")
    source.execute("GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO limited")
    limited = url.replace("postgres:secret@", "limited@")
    database = url.rpartition("/")[2]
    steps = (
        ("may not read the log", "ALTER ROLE limited REPLICATION"),
        ("may not make a publication", f'GRANT CREATE ON DATABASE "{database}" TO limited'),
        (
            "does not own",
            SLOTS,
        ),
        ("no replication slot to spare", "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"),
    )
    for refusal, mending in steps:
        with pytest.raises(SourceError, match=refusal):
            await follow(limited, target)
        assert source.execute("SELECT count(*) FROM pg_publication").fetchone() == (0,)
        source.execute(mending.encode())
    assert not target.exists()
    source.execute(f'REVOKE ALL ON DATABASE "{database}" FROM limited'.encode())
    source.execute("DROP OWNED BY limited")
    source.execute("DROP ROLE limited")
