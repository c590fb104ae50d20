"""The mover against its peers, in one run on one machine.

    python -m benchmarks.move [--scale 1.0] [--only move,naive,move,db-to-sqlite,move,verify,again,back,…] [--json]
    python -m benchmarks.move --only large     # the move alone, of four times the rows: is its memory the same?
    python -m benchmarks.move --only many,many-back     # a thousand tables of one row, and their way back

Data: 200 k users, 300 k accounts, 1 M sessions, 50 k verification tokens (times the scale), in the shape that
Prisma makes, on an embedded PostgreSQL. Each contender runs in a process of its own, whose peak memory is taken.
The move runs before, between and after the slow ones, so that a machine which changes its pace favours none; its
median counts.
`naive` is what one would write by hand: a binary server cursor, `executemany`, the same schema, a synced commit with
a progress row every 50,000 rows, indexes after the data, the same checks at the end. `db-to-sqlite` (pip install
db-to-sqlite psycopg2-binary) carries tables over as they are, without constraints, indexes or checks. `back` is the way
from the file to an empty database of the same server, keys, foreign keys and indexes included; `back-naive` and
`back-pgloader` are its peers (move_back.py), the latter where it is installed.
"""

import argparse
import asyncio
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks import move_back, move_many, move_report
from tests.postgres import SETTINGS, embedded_server, with_database

TABLES = """
CREATE TABLE "User" (id text PRIMARY KEY, name text, email text NOT NULL UNIQUE, "emailVerified" timestamp(3),
  image text, "createdAt" timestamp(3) NOT NULL, "updatedAt" timestamp(3) NOT NULL);
CREATE TABLE "Account" ("userId" text NOT NULL, type text NOT NULL, provider text NOT NULL,
  "providerAccountId" text NOT NULL, refresh_token text, access_token text, expires_at integer, token_type text,
  scope text, id_token text, session_state text, "createdAt" timestamp(3) NOT NULL, "updatedAt" timestamp(3) NOT NULL,
  PRIMARY KEY (provider, "providerAccountId"));
CREATE TABLE "Session" ("sessionToken" text PRIMARY KEY, "userId" text NOT NULL, expires timestamp(3) NOT NULL,
  "createdAt" timestamp(3) NOT NULL, "updatedAt" timestamp(3) NOT NULL);
CREATE TABLE "VerificationToken" (identifier text NOT NULL, token text NOT NULL, expires timestamp(3) NOT NULL,
  PRIMARY KEY (identifier, token));
"""
ROWS = """
INSERT INTO "User" SELECT 'c' || substr(md5('u' || n), 1, 24), 'User Number ' || n, 'user' || n || '@example.com',
  now() - n * interval '1 minute', 'https://avatars.example.com/u/' || n || '?v=4',
  now() - n * interval '1 minute', now() FROM generate_series(1, {users}) AS n;
INSERT INTO "Account" SELECT 'c' || substr(md5('u' || 1 + n % {users}), 1, 24), 'oauth',
  CASE WHEN n <= {users} THEN 'github' ELSE 'google' END, (1000000 + n)::text, 'ghr_' || md5('r' || n),
  'gho_' || md5('a' || n), 1900000000 + n, 'bearer', 'read:user,user:email', NULL, NULL,
  now() - n * interval '1 minute', now() FROM generate_series(1, {accounts}) AS n;
INSERT INTO "Session" SELECT gen_random_uuid()::text, 'c' || substr(md5('u' || 1 + n % {users}), 1, 24),
  now() + interval '20 days' + n * interval '1 second', now() - interval '2 days', now()
  FROM generate_series(1, {sessions}) AS n;
INSERT INTO "VerificationToken" SELECT 'user' || n || '@example.com', encode(sha256(('t' || n)::bytea), 'hex'),
  now() + interval '1 day' FROM generate_series(1, {tokens}) AS n;
ALTER TABLE "Account" ADD FOREIGN KEY ("userId") REFERENCES "User" (id) ON DELETE CASCADE;
ALTER TABLE "Session" ADD FOREIGN KEY ("userId") REFERENCES "User" (id) ON DELETE CASCADE;
"""
ONE_PER_CENT = """
UPDATE "Session" SET expires = expires + interval '1 hour' WHERE hashtext("sessionToken") % 100 = 0;
UPDATE "User" SET name = name || '!' WHERE hashtext(id) % 100 = 0;
UPDATE "Account" SET access_token = 'gho_' || md5(access_token) WHERE hashtext("providerAccountId") % 100 = 0;
"""
CONTENDERS = (
    *("move", "naive", "move", "db-to-sqlite", "move", "verify", "again"),
    *("back", "back-naive", "back", "back-pgloader", "back"),
)
MANY = ("many", "many-back")
RUN_AS = {"large": "move", "many": "move", "many-back": "back"}
BACK = "authstore_back"  # the database to which the way back leads
LARGE = 4.0  # times the scale


def load(url: str, scale: float) -> int:
    counts = {
        "users": int(200_000 * scale),
        "accounts": int(300_000 * scale),
        "sessions": int(1_000_000 * scale),
        "tokens": int(50_000 * scale),
    }
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLES)
        connection.execute(ROWS.format(**counts).encode())
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    return sum(counts.values())


def contend(name: str, url: str, folder: Path) -> dict[str, float]:
    """Runs one contender in a process of its own."""
    command = _command(name, url, folder)
    os.sync()  # nobody pays for what others left to be written
    with tempfile.TemporaryFile("w+") as said:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        lines = said.read().splitlines()
    if process.returncode:
        raise SystemExit("\n".join([f"{name} failed:", *lines]))
    if name == "back-pgloader":
        move_back.check_arrived(folder / "move.db", with_database(url, BACK))
    own = json.loads(lines[-1]) if command[0] == sys.executable else {"seconds": seconds}
    return {"peak": usage.ru_maxrss / 1024, **own}


def _command(name: str, url: str, folder: Path) -> list[str]:
    if name == "db-to-sqlite":
        program = shutil.which("db-to-sqlite") or str(Path(sys.executable).with_name("db-to-sqlite"))
        target = folder / "db-to-sqlite.db"
        return [program, url.replace("postgresql://", "postgresql+psycopg2://"), str(target), "--all"]
    if name == "back-pgloader":
        return move_back.pgloader_command(folder / "move.db", with_database(url, BACK))
    return [sys.executable, str(Path(__file__).absolute()), "--contender", RUN_AS.get(name, name), url, str(folder)]


async def run_ours(name: str, url: str, folder: Path) -> dict[str, float]:
    from authstore.mover import make_plan, move, verify
    from authstore.mover.options import MoveOptions
    from authstore.mover.plan import Plan

    target = folder / "move.db"
    if name == "verify":
        report = await verify(url, target)
        assert report.ok, report
        return {}
    if name == "plan":
        await make_plan(url, target)
        return {}
    if name == "back":
        await move(Plan(f"sqlite:///{target}", with_database(url, BACK), MoveOptions(), (), (), ()))
        return {}
    done = await move(Plan(url, target, MoveOptions(), (), (), ()))
    return {"changed": sum(table.copied + table.deleted for table in done.tables.values())}


def run_naive(url: str, folder: Path) -> None:
    target = folder / "naive.db"
    sqlite = sqlite3.connect(target, isolation_level=None)
    for file in sorted((Path(__file__).parent.parent / "migrations").glob("*.sqlite.sql")):
        sqlite.executescript(file.read_text())
    # Nobody would fill it under triggers, nor under indexes.
    later = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql <> '' ORDER BY type"
    made_later = sqlite.execute(later).fetchall()
    for kind, name, _ in made_later:
        sqlite.execute(f"DROP {kind} {name}")
    sqlite.execute("CREATE TABLE progress (name TEXT, rows INTEGER)")
    for pragma in ("journal_mode = TRUNCATE", "synchronous = FULL", "foreign_keys = OFF", "cache_size = -65536"):
        sqlite.execute(f"PRAGMA {pragma}").fetchall()
    with psycopg.connect(url) as source:
        source.execute("SET timezone = 'UTC'")
        for table, columns, query in naive_queries():
            naive_copy(source, sqlite, table, columns, query)
    for pragma in ("temp_store = FILE", "cache_size = -4000", "threads = 2"):
        sqlite.execute(f"PRAGMA {pragma}").fetchall()
    for _, _, statement in made_later:
        sqlite.execute(statement)
    assert sqlite.execute("PRAGMA foreign_key_check").fetchall() == []
    assert sqlite.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    sqlite.execute("ANALYZE")
    sqlite.close()
    descriptor = os.open(target, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def naive_copy(
    source: psycopg.Connection, sqlite: sqlite3.Connection, table: str, columns: tuple[str, ...], query: str
) -> None:
    insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    copied = 0
    with source.cursor(name="naive", binary=True) as cursor:
        cursor.execute(query.encode())
        sqlite.execute("BEGIN")
        while rows := cursor.fetchmany(5000):
            sqlite.executemany(insert, rows)
            copied += len(rows)
            if copied % 50_000 == 0:
                sqlite.execute("INSERT INTO progress VALUES (?, ?)", (table, copied))
                sqlite.execute("COMMIT")
                sqlite.execute("BEGIN")
        sqlite.execute("COMMIT")


def naive_queries() -> list[tuple[str, tuple[str, ...], str]]:
    def instant(value: str) -> str:
        return f'to_char({value}, \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\')'

    def iso(column: str) -> str:
        return instant(f'"{column}"')

    now = instant("now() AT TIME ZONE 'UTC'")
    return [
        (
            "users",
            ("id", "email", "email_verified", "name", "image", "created_at", "updated_at"),
            f"SELECT id, lower(email), {iso('emailVerified')}, name, image, "
            f'{iso("createdAt")}, {iso("updatedAt")} FROM "User" ORDER BY id COLLATE "C"',
        ),
        (
            "accounts",
            (
                "id",
                "user_id",
                "provider",
                "provider_account_id",
                "type",
                "access_token",
                "refresh_token",
                "id_token",
                "token_type",
                "scope",
                "session_state",
                "expires_at",
                "created_at",
                "updated_at",
            ),
            'SELECT md5(provider || chr(10) || "providerAccountId") AS id, "userId", provider, "providerAccountId", '
            "type, access_token, refresh_token, id_token, token_type, scope, session_state, "
            f"{instant('to_timestamp(expires_at)')}, {iso('createdAt')}, {iso('updatedAt')} "
            'FROM "Account" ORDER BY 1',
        ),
        (
            "sessions",
            (
                "id",
                "token_hash",
                "token_indexed",
                "user_id",
                "expires",
                "created_at",
                "last_used_at",
                "authenticated_at",
            ),
            'SELECT md5("sessionToken") AS id, sha256(convert_to("sessionToken", \'UTF8\')), 1::int8, "userId", '
            f'{iso("expires")}, {now}, {now}, {iso("createdAt")} FROM "Session" ORDER BY 1',
        ),
        (
            "verification_tokens",
            ("identifier", "purpose", "token_hash", "expires", "created_at"),
            "SELECT lower(identifier), 'sign-in', sha256(convert_to(token, 'UTF8')), "
            f'{iso("expires")}, {now} FROM "VerificationToken" ORDER BY 1',
        ),
    ]


def be_contender(name: str, url: str, folder: Path) -> None:
    began = time.perf_counter()
    more = {}
    if name == "naive":
        run_naive(url, folder)
    elif name == "back-naive":
        move_back.run_naive_back(folder / "move.db", with_database(url, BACK))
    else:
        more = asyncio.run(run_ours(name, url, folder))
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, **more}))


def race(url: str, folder: Path, names: list[str], rows: int) -> dict[str, dict[str, float]]:
    runs: dict[str, list[dict[str, float]]] = {}
    for name in names:
        if name == "back-pgloader" and shutil.which(move_back.PROGRAM) is None:
            print(move_back.MISSING, flush=True)
            continue
        if RUN_AS.get(name, name) == "move":
            (folder / "move.db").unlink(missing_ok=True)
        if name == "again":
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(ONE_PER_CENT)
        if "back" in name:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(f"DROP DATABASE IF EXISTS {BACK}".encode())
                connection.execute(f"CREATE DATABASE {BACK}".encode())
        found = contend(name, url, folder)
        runs.setdefault(name, []).append(found)
        seconds = found["seconds"]
        print(f"{name:14}{seconds:8.2f} s{rows / seconds:12,.0f} rows/s{found['peak']:8.0f} MB", flush=True)
    return {name: {"rows": rows, **median(found)} for name, found in runs.items()}


def median(runs: list[dict[str, float]]) -> dict[str, float]:
    """The run that took neither long nor short; of the memory the most."""
    run = sorted(runs, key=lambda one: one["seconds"])[len(runs) // 2]
    return {**run, "peak": max(one["peak"] for one in runs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", default=",".join(CONTENDERS))
    parser.add_argument("--source", help="an already loaded database instead of an embedded one")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--contender", nargs=3, metavar=("NAME", "URL", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.contender:
        name, url, folder = given.contender
        be_contender(name, url, Path(folder))
        return
    SETTINGS.update(shared_buffers="256MB", autovacuum="on", max_locks_per_transaction=move_many.LOCKS)
    with tempfile.TemporaryDirectory(prefix="authstore-bench-") as scratch:
        names = given.only.split(",")
        scale = given.scale * (LARGE if names == ["large"] else 1)
        if given.source:
            results = race(given.source, Path(scratch), names, int(1_550_000 * scale))
        else:
            with embedded_server() as server:
                rows = move_many.load_many(server.url) if names[0] in MANY else load(server.url, scale)
                results = race(server.url, Path(scratch), names, rows)
        if names in ([*CONTENDERS], ["large"], [*MANY]) and not given.source and given.scale == 1:
            move_report.write(results)
    print(json.dumps(results) if given.json else "\n".join(move_report.ratios(results)))


if __name__ == "__main__":
    main()
