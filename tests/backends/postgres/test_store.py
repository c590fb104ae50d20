"""Who waits for whom in a store on PostgreSQL, what becomes of it when the server goes away, and whose it is."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from authstore import Adapter, SessionPolicy, connect
from authstore.backends.tuning import Tuning as Waits
from authstore.errors import (
    AuthStoreError,
    StoreBusyError,
    StoreClosedError,
    StoreMisuseError,
    StoreUnavailableError,
    UnknownOutcomeError,
)
from authstore.store.tuning import Tuning
from authstore.testing import Clock
from tests.postgres import PostgresServer, embedded_server
from tests.programs import run
from tests.stores import tuned_store
from tests.whole import jobs
from tests.whole.contests import CONTESTS, RIVALS
from tests.whole.processes import together

END_OF_TIME = datetime.max.replace(tzinfo=UTC)
PROCESSES = 3
FEW_ARE_MANY = Tuning(many_sessions=100, slice_sessions=60)


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Adapter]:
    async with connect(store_url) as opened:
        yield opened


@contextmanager
def sql(url: str, **options: Any) -> Iterator[psycopg.Connection]:
    """Somebody else's connection."""
    with psycopg.connect(url, autocommit=True, connect_timeout=10, **options) as connection:
        yield connection


def connections(url: str) -> int:
    with sql(url) as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone() or (0,)
        return int(count)


async def test_the_end_of_time_is_not_infinity(store: Adapter, store_url: str) -> None:
    user = await store.create_user(id="ada", email_verified=END_OF_TIME)
    assert (user.email_verified, await store.get_user("ada")) == (END_OF_TIME, user)
    with sql(store_url) as connection:
        row = connection.execute("SELECT email_verified = 'infinity', isfinite(email_verified) FROM users").fetchone()
        assert row == (False, True)
        connection.execute("UPDATE users SET email_verified = 'infinity'")
    with pytest.raises(AuthStoreError):
        await store.get_user("ada")


async def test_a_column_added_by_a_later_version_disturbs_nobody_who_still_serves(
    store: Adapter, store_url: str
) -> None:
    user = await store.create_user(email="ada@example.com")
    session = await store.create_session(user.id)

    async def everything(name: str) -> None:
        await store.update_user(user.id, name=name)
        assert (await store.list_users())[0].name == name
        assert await store.update_session(session.token or "", data={"name": name}) is not None
        assert await store.get_session_and_user(session.token or "") is not None
        async with store.transaction() as transaction:
            assert await transaction.update_user(user.id, image=name) is not None

    await everything("before")
    with sql(store_url) as connection:
        connection.execute("ALTER TABLE users ADD COLUMN later text; ALTER TABLE sessions ADD COLUMN later text")
    await asyncio.gather(*(everything("after") for _ in range(3)))


async def test_a_row_held_by_plain_sql_is_waited_for_but_not_for_ever(store: Adapter, store_url: str) -> None:
    user = await store.create_user(email="ada@example.com")
    session = await store.create_session(user.id)
    with psycopg.connect(store_url) as connection:
        connection.execute("UPDATE users SET name = 'held'")
        waiting = asyncio.create_task(store.update_user(user.id, name="Ada"))
        await asyncio.sleep(0.2)
        assert await store.get_user(user.id) == user
        assert await store.get_session_and_user(session.token or "") is not None
        await store.create_user(email="grace@example.com")
        started = asyncio.get_running_loop().time()
        with pytest.raises(StoreBusyError):
            await waiting
        assert asyncio.get_running_loop().time() - started < 6.5
    assert (await store.update_user(user.id, name="Ada") or user).name == "Ada"


async def test_a_pool_never_grows_beyond_its_size_and_writers_leave_room_for_readers(store_url: str) -> None:
    async with connect(store_url, pool_size=3) as store:
        user = await store.create_user()
        async with store.transaction() as transaction:
            writers = [asyncio.create_task(store.create_user()) for _ in range(20)]
            await asyncio.sleep(0.1)
            assert await asyncio.wait_for(store.get_user(user.id), 2) == user
            assert connections(store_url) <= 3
            await transaction.create_user()
        await asyncio.gather(*writers)
        await asyncio.gather(*(store.update_user(user.id, name=str(n)) for n in range(30)), *[store.get_user("x")] * 1)
        assert connections(store_url) <= 3
    assert connections(store_url) == 0


async def test_cancelled_calls_happened_or_not_and_leave_a_store_that_works(store: Adapter) -> None:
    for delay in range(40):
        names = [f"{delay}-{me}" for me in range(4)]
        tasks = [asyncio.create_task(store.create_user(id=name, email=f"{name}@example.com")) for name in names]
        tasks.append(asyncio.create_task(_in_a_transaction(store, f"{delay}-t")))
        await asyncio.sleep(delay * 0.0003)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(not isinstance(result, Exception) for result in results)
        first, second = await store.get_user(f"{delay}-t"), await store.get_user(f"{delay}-t-2")
        assert (first is None) == (second is None)
    assert (await store.health()).ok


async def _in_a_transaction(store: Adapter, name: str) -> None:
    async with store.transaction() as transaction:
        await transaction.create_user(id=name)
        await transaction.create_user(id=f"{name}-2")


async def test_a_store_belongs_to_its_loop_and_is_closed_once_and_for_all(store_url: str) -> None:
    store = await connect(store_url)
    caught: list[BaseException] = []

    def elsewhere() -> None:
        try:
            asyncio.run(store.get_user("ada"))  # type: ignore[arg-type]
        except StoreMisuseError as error:
            caught.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert len(caught) == 1
    reading = [asyncio.create_task(store.create_user()) for _ in range(5)]
    await asyncio.sleep(0)
    await asyncio.gather(store.close(), store.close())
    await store.close()
    results = await asyncio.gather(*reading, return_exceptions=True)
    assert {type(result).__name__ for result in results} <= {"User", "StoreClosedError"}
    for call in (store.list_users, store.create_user, store.health):
        with pytest.raises(StoreClosedError):
            await call()


async def test_a_store_that_nobody_closed_lets_the_interpreter_exit(store_url: str, tmp_path: Path) -> None:
    script = f"""
        async def main():
            store = await connect({store_url!r})
            await store.create_user(id="ada")
            KEPT.append(store)
            pid = os.fork()
            if not pid:
                try:
                    await store.get_user("ada")
                except StoreMisuseError:
                    os._exit(7)
                os._exit(1)
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

        asyncio.run(main())
    """
    assert await run(script, tmp_path) in ("0\n", "7\n")
    async with connect(store_url) as store:
        assert await store.get_user("ada") is not None


@pytest.mark.parametrize("name", CONTESTS)
async def test_of_callers_in_three_processes_exactly_one_gets_to(name: str, store_url: str) -> None:
    contest = CONTESTS[name]
    async with connect(store_url) as store:
        prize = await contest.prepare(store)
        rivals = [list(range(first, RIVALS, PROCESSES)) for first in range(PROCESSES)]
        calls = [(store_url, name, prize, some) for some in rivals]
        results = await asyncio.to_thread(together, jobs.contend, calls)
        won = [result for some in results for result in some if result is not None]
        assert len(won) == 1
        assert await contest.check(store, prize, won[0])


async def test_no_number_of_processes_exceeds_the_limit_of_sessions(store_url: str) -> None:
    async with connect(store_url, policy=jobs.LIMITED) as store:
        user = await store.create_user()
        await asyncio.to_thread(together, jobs.open_sessions, [(store_url, user.id, 10)] * PROCESSES)
        assert len(await store.list_sessions(user.id)) == 3


async def test_gathered_sign_ins_each_hear_what_became_of_their_own(store: Adapter) -> None:
    good, off = await store.create_user(), await store.create_user()
    await store.update_user(off.id, disabled=True)
    users = [good.id, off.id, "nobody"] * 30
    results = await asyncio.gather(*(store.create_session(user) for user in users), return_exceptions=True)
    assert [type(result).__name__ for result in results] == ["Session", "UserDisabledError", "UserNotFoundError"] * 30
    assert len(await store.list_sessions(good.id)) == 30
    revoked = await asyncio.gather(*(store.revoke_session(result.id) for result in results[::3] * 2))  # type: ignore[union-attr]
    assert sum(revoked) == 30


async def test_gathered_touches_and_sign_outs_each_hear_what_became_of_their_own(store_url: str) -> None:
    clock, sliding = Clock(), SessionPolicy(lifetime=None, idle=timedelta(hours=1))
    async with connect(store_url, clock=clock) as store, connect(store_url, clock=clock, policy=sliding) as slides:
        user = await store.create_user()
        made = await asyncio.gather(*(store.create_session(user.id) for _ in range(60)))
        short = await store.create_session(user.id, expires=clock() + timedelta(minutes=40))
        tokens = [session.token or "" for session in (*made, short)]
        clock.advance(timedelta(minutes=10))
        touched = await asyncio.gather(*(store.touch_session(token) for token in tokens * 2))
        assert {session and session.last_used_at for session in touched} == {clock()}
        clock.advance(timedelta(minutes=10))
        slid = await asyncio.gather(*(slides.touch_session(token) for token in tokens))
        assert {session and session.expires for session in slid[:-1]} == {clock() + timedelta(hours=1)}
        assert slid[-1] is not None
        assert slid[-1].expires == short.expires
        assert await asyncio.gather(*(store.get_session(token) for token in tokens)) == slid
        gone = tokens[:10]
        with psycopg.connect(store_url) as connection:
            connection.execute("DELETE FROM sessions WHERE id = ANY (%s)", ([session.id for session in made[:10]],))
        clock.advance(timedelta(minutes=30))  # beyond what the last one asked for
        ended = await asyncio.gather(*(store.delete_session(token, reason="home") for token in tokens))
        assert ended == [False] * 10 + [True] * 51
        reasons = [await store.why_ended(token) for token in (*gone[:1], *tokens[10:])]
        assert [why and why.reason for why in reasons] == ["revoked", *["home"] * 50, "expired"]
        events = [event for event in await store.events(limit=1000) if event.type == "session.ended"]
        assert [event.reason for event in events if event.session_id == made[-1].id] == ["home"]


async def test_who_is_alone_is_answered_in_one_round_trip(own_server: PostgresServer) -> None:
    clock = Clock()
    async with connect(own_server.url, clock=clock) as store:
        user = await store.create_user()
        token = (await store.create_session(user.id)).token or ""
        with sql(own_server.url) as connection:
            connection.execute("ALTER SYSTEM SET log_statement = 'all'")
            connection.execute("SELECT pg_reload_conf()")
        await asyncio.sleep(0.3)
        clock.advance(timedelta(minutes=6))
        for call, trips in (
            (store.create_session(user.id), 1),
            (store.get_session_and_user(token), 1),
            (store.touch_session(token), 2),  # one to look
            (store.delete_session(token), 1),
        ):
            before = own_server.log.read_text().count("LOG:  execute") + own_server.log.read_text().count(
                "LOG:  statement"
            )
            assert await call
            after = own_server.log.read_text().count("LOG:  execute") + own_server.log.read_text().count(
                "LOG:  statement"
            )
            assert after - before == trips
        with sql(own_server.url) as connection:
            connection.execute("ALTER SYSTEM RESET log_statement")
            connection.execute("SELECT pg_reload_conf()")


async def test_who_is_cancelled_while_others_wait_for_the_same_statement_disturbs_nobody(store: Adapter) -> None:
    user = await store.create_user()
    for pause in range(12):
        tasks = [asyncio.create_task(store.create_session(user.id)) for _ in range(40)]
        for _ in range(pause):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(type(result).__name__ == "Session" for result in results[1::2])
        assert not [result for result in results if isinstance(result, Exception)]


async def test_a_plain_policy_of_two_pools_is_durable_as_asked(store_url: str, pooled_url: str) -> None:
    for url, is_pooled in ((store_url, False), (pooled_url, True)):
        async with connect(url, policy=SessionPolicy(idle=None)) as store:
            health = await store.health()
            assert health.ok
            assert health.detail["is_pooled"] is is_pooled


async def test_a_server_that_is_away_is_called_so_at_the_first_look(own_server: PostgresServer) -> None:
    async with connect(own_server.url) as store:
        own_server.stop("immediate")
        try:
            looks = [await store.health(timeout=timedelta(seconds=limit)) for limit in (1, 0.7, 0.2)]
        finally:
            own_server.start()
        assert [(look.ok, look.status) for look in looks] == [(False, "fail")] * 3
        assert {look.detail["error"] for look in looks} == {"StoreUnavailableError"}
        assert max(look.latency for look in looks) < timedelta(seconds=3)
        assert await store.get_user("nobody") is None
        assert (await store.health()).ok


async def test_a_server_that_answers_nobody_any_more_is_called_so_after_a_while(own_server: PostgresServer) -> None:
    async with connect(own_server.url) as store:
        assert (await store.health()).status == "pass"
        stopped = own_server.processes()
        for process in stopped:
            os.kill(process, signal.SIGSTOP)
        try:
            looks = [await store.health()]
            async with asyncio.timeout(30):
                while looks[-1].status == "warn":
                    await asyncio.sleep(1)
                    looks.append(await store.health())
        finally:
            for process in stopped:
                os.kill(process, signal.SIGCONT)
        assert [look.status for look in looks] == ["warn"] * (len(looks) - 1) + ["fail"]
        assert await store.get_user("nobody") is None
        assert (await store.health()).ok


async def test_the_server_goes_and_comes_back(own_server: PostgresServer) -> None:
    async with connect(own_server.url) as store:
        user = await store.create_user()
        token = (await store.create_session(user.id)).token or ""
        own_server.kill()
        calls = [store.create_user(), store.get_session_and_user(token), store.update_user(user.id, name="Ada")]
        waiting = asyncio.gather(*calls)
        await asyncio.to_thread(_restart, own_server)
        created, found, updated = await waiting
        assert created
        assert found
        assert updated
        own_server.stop("immediate")
        await asyncio.sleep(0.6)
        for call in (store.create_user, store.list_users):
            with pytest.raises(StoreUnavailableError):
                await call()


def _restart(server: PostgresServer) -> None:
    (server.data / "postmaster.pid").unlink(missing_ok=True)
    server.start()


@pytest.mark.postgres
async def test_a_commit_that_no_standby_confirms_is_an_unknown_outcome() -> None:
    with embedded_server(synchronous_commit="on") as server:
        async with tuned_store(server.url, waits=Waits(commit_seconds=1.0), durability="full") as store:
            user = await store.create_user()
            with sql(server.url) as connection:
                connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
                connection.execute("SELECT pg_reload_conf()")
            await asyncio.sleep(0.3)
            for call in (store.create_user(id="alone"), store.update_user(user.id, name="in a unit")):
                with pytest.raises(UnknownOutcomeError):
                    await call
        with sql(server.url) as connection:  # which the store has left to themselves
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            )
        async with connect(server.url) as store:
            for how in ("pg_cancel_backend", "pg_terminate_backend"):
                calls = [store.create_user(id=how), store.update_user(user.id, image=how)]
                pending = [asyncio.create_task(call) for call in calls]
                await _until_they_wait(server.url, 2)
                with sql(server.url) as connection:
                    connection.execute(f"SELECT {how}(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")  # type: ignore[call-overload]
                for task in pending:
                    with pytest.raises(UnknownOutcomeError):
                        await task
        async with connect(server.url, durability="relaxed") as relaxed:
            assert (await relaxed.create_user(id="at-once")).id == "at-once"


async def _until_they_wait(url: str, how_many: int) -> None:
    for _ in range(200):
        with sql(url) as connection:
            row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'").fetchone()
        if row is not None and row[0] >= how_many:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("nobody waits for a standby")


async def test_a_session_made_while_its_limit_is_watched_is_never_the_one_to_go(store_url: str) -> None:
    policy = SessionPolicy(max_per_user=1, idle=timedelta(days=1))
    async with connect(store_url, policy=policy) as store:
        user = await store.create_user()
        made = await asyncio.gather(*(store.create_session(user.id) for _ in range(20)))
        living = [one for one in made if await store.get_session(one.token or "") is not None]
        assert len(living) == 1


async def test_very_many_sessions_of_one_user_end_in_slices(store_url: str) -> None:
    async with tuned_store(store_url, FEW_ARE_MANY) as store:
        await _end_very_many(store, store_url)


async def _end_very_many(store: Adapter, store_url: str) -> None:
    for name in ("ada", "eve", "bob"):
        await store.create_user(id=name)
    with sql(store_url) as connection:
        connection.execute(
            "INSERT INTO sessions (id, token_hash, user_id, expires, created_at, last_used_at, authenticated_at, data)"
            " SELECT name || number, sha256((name || number)::bytea), name, now() + interval '1 day', now(),"
            " now() - number * interval '1 second', now(), '{}'"
            " FROM unnest(ARRAY['ada', 'eve', 'bob']) AS name, generate_series(1, 2300) AS number"
        )
    spared = await store.create_session("ada")
    assert await store.revoke_sessions("ada", except_token=spared.token) == 2300
    assert await store.get_session(spared.token or "") is not None
    assert await store.update_user("eve", disabled=True) is not None
    async with tuned_store(store_url, FEW_ARE_MANY, policy=SessionPolicy(max_per_user=5)) as strict:
        new = await strict.create_session("bob")
    assert [session.id for session in await store.list_sessions("bob")] == [new.id, "bob4", "bob3", "bob2", "bob1"]
    assert await store.delete_user("bob") is True
    with sql(store_url) as connection:
        assert connection.execute("SELECT id FROM sessions").fetchall() == [(spared.id,)]
        reasons = connection.execute("SELECT reason, count(*) FROM ended_tokens GROUP BY 1 ORDER BY 1").fetchall()
        assert reasons == [("limit", 2296), ("revoked", 2300), ("user-deleted", 5), ("user-disabled", 2300)]
