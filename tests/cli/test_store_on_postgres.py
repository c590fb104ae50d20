"""init, migrate, inspect and prune on PostgreSQL."""

import shutil
import subprocess
import sys
from pathlib import Path

import psycopg

from authstore import connect
from tests.cli.running import events, run

EXAMPLE = Path(__file__).parents[2] / "examples" / "alembic"
INI = "[alembic]\nscript_location = {folder}\nsqlalchemy.url = {url}\n"


def test_a_store_is_made_looked_at_and_pruned(source_url: str) -> None:
    pending = run("migrate", source_url, "--check", "--json")
    assert pending.returncode == 1
    assert "0001 initial" in events(pending)[-1]["pending"]
    assert run("inspect", source_url).returncode == 1
    assert "CREATE TABLE users" in run("migrate", source_url, "--sql").stdout
    made, again = run("init", source_url, "--json"), run("init", source_url, "--json")
    assert [events(done)[-1]["created"] for done in (made, again)] == [True, False]
    assert run("migrate", source_url, "--check").returncode == 0
    found = events(run("inspect", source_url, "--json"))[-1]
    assert found["tables"]["users"]["rows"] == 0
    assert "accounts_user_id" in found["tables"]["accounts"]["indexes"]
    assert run("prune", source_url).returncode == 0
    assert "secret" not in made.stdout + run("inspect", source_url).stdout


async def test_alembic_makes_the_tables_and_leaves_them_alone(
    source_url: str, source: psycopg.Connection, tmp_path: Path
) -> None:
    source.execute("CREATE TABLE posts (id int PRIMARY KEY)")
    (tmp_path / "versions").mkdir()
    shutil.copy(EXAMPLE / "env.py", tmp_path)
    shutil.copy(EXAMPLE / "authstore_tables.py", tmp_path / "versions")
    (tmp_path / "versions" / "authstore_tables.sql").write_text(run("migrate", source_url, "--sql").stdout)
    (tmp_path / "script.py.mako").write_text("${upgrades}")
    url = source_url.replace("postgresql://", "postgresql+psycopg://")
    (tmp_path / "alembic.ini").write_text(INI.format(folder=tmp_path, url=url))

    def alembic(*arguments: str) -> None:
        command = [sys.executable, "-m", "alembic", "-c", tmp_path / "alembic.ini", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr

    alembic("upgrade", "head")
    async with connect(source_url, create=False, migrate=False) as store:
        assert await store.create_user(email="ada@example.com") is not None
    assert run("migrate", source_url, "--check").returncode == 0
    assert run("migrate", source_url, "--sql").stdout == ""
    assert source.execute("SELECT version_num FROM alembic_version").fetchall() == [("authstore_tables",)]
