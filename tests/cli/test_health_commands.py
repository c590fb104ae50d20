"""health, doctor, inspect."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from authstore.cli import app as application
from authstore.store import Store
from tests.cli.running import events, run


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Of a healthy store."""
    url = f"sqlite:///{tmp_path}/auth.db"
    assert run("init", url).returncode == 0
    return url


def test_health_says_whether_it_reads_and_writes(url: str, tmp_path: Path) -> None:
    done = run("health", AUTHSTORE_URL=url)
    assert (done.returncode, done.stdout.splitlines()[0][:7]) == (0, "healthy")
    [told] = events(run("health", url, "--json"))
    assert (told["ok"], told["status"], told["detail"]["backend"]) == (True, "pass", "sqlite")
    (tmp_path / "auth.db").unlink()
    gone = run("health", url, "--json")
    assert (gone.returncode, events(gone)[0]["status"]) == (1, "fail")
    assert list(tmp_path.iterdir()) == []


def test_health_waits_for_a_locked_file_no_longer_than_it_was_told(url: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "auth.db", isolation_level=None)) as holder:
        holder.execute("PRAGMA journal_mode = DELETE")
        holder.execute("BEGIN EXCLUSIVE")  # nobody else can even read
        done = run("health", url, "--timeout", "0.2", "--json")
    [told] = events(done)
    assert (done.returncode, told["status"], told["detail"]["error"]) == (1, "fail", "TimeoutError")
    assert done.stderr == ""


def test_health_has_answered_before_the_store_is_closed(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which takes as long as whoever holds up its last write."""
    has_answered, close = threading.Event(), Store.close
    closed_after: list[bool] = []

    async def held_up(store: Store) -> None:
        closed_after.append(await asyncio.to_thread(has_answered.wait, 60))
        await close(store)

    monkeypatch.setattr(Store, "close", held_up)
    assert application.run(["health", url]) == 0
    has_answered.set()
    for thread in threading.enumerate():
        if thread.name == "authstore-health":
            thread.join()
    assert (capsys.readouterr().out[:7], closed_after) == ("healthy", [True])


def test_a_path_that_cannot_be_followed_is_not_healthy(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    done = run("health", f"sqlite:///{tmp_path}/loop/auth.db", "--json")
    [told] = events(done)
    assert (done.returncode, told["status"], told["detail"]["error"]) == (1, "fail", "StoreError")


@pytest.mark.parametrize("seconds", ["nan", "inf", "1e300", "-1", "soon"])
@pytest.mark.parametrize("command", ["health {} --timeout", "monitor {} --every", "prune {} --max-seconds"])
def test_nobody_waits_for_what_is_no_time(url: str, command: str, seconds: str) -> None:
    assert application.run([*command.format(url).split(), seconds]) == 2


def test_doctor_tells_mends_and_exits_by_the_level_that_is_left(url: str, tmp_path: Path) -> None:
    assert run("doctor", url, "--fail-level", "warning").returncode == 0
    (tmp_path / "auth.db").chmod(0o644)
    with closing(sqlite3.connect(tmp_path / "auth.db", isolation_level=None)) as connection:
        connection.execute("INSERT INTO user_roles VALUES ('nobody', 'nothing')")
    levels = {level: run("doctor", url, "--fail-level", level).returncode for level in ("error", "warning", "info")}
    assert levels == {"error": 1, "warning": 1, "info": 1}
    done = run("doctor", url)
    assert all(len(line) <= 80 or len(line.split()) == 1 for line in done.stdout.splitlines())
    assert f" {tmp_path}/auth.db has mode 0644" in " ".join(done.stdout.split())
    assert done.stdout.startswith("authstore.E012  error: ")
    assert "authstore.W016  warning: " in done.stdout
    told = {each["id"]: each for each in events(run("doctor", url, "--fix", "--json")) if each["event"] == "finding"}
    assert {id: each["fixed"] for id, each in told.items() if each["level"] != "info"} == {
        "authstore.E012": False,
        "authstore.W016": True,
    }
    assert run("doctor", url, "--ignore", "E012", "--fail-level", "warning").returncode == 0
    assert run("doctor", url, "--ignore", "E999").returncode == 2
    assert run("doctor", url, "--fail-level", "dreadful").returncode == 2


@pytest.mark.parametrize("command", ["health", "doctor"])
def test_a_server_that_is_away_is_told_without_the_password(command: str) -> None:
    done = run(command, "postgresql://ada:geheim@127.0.0.1:1/auth")
    assert done.returncode == 1
    assert "geheim" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_look_that_was_kept_is_what_a_later_one_is_compared_with(url: str, tmp_path: Path) -> None:
    assert events(run("inspect", url, "--keep", "--json"))[-1]["growth"] is None
    with closing(sqlite3.connect(tmp_path / "auth.db", isolation_level=None)) as connection:
        connection.execute("INSERT INTO roles (name) VALUES ('admin'), ('reader')")
    told = events(run("inspect", url, "--json"))[-1]
    assert told["growth"]["rows"]["roles"] == 2
    assert told["tables"]["roles"] == {
        "rows": 2,
        "bytes": 8192,
        "indexes": ["sqlite_autoindex_roles_1"],
        "is_exact": True,
    }
    assert "+2 roles" in run("inspect", url).stdout


def test_a_warning_is_a_line(url: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "auth.db", isolation_level=None)) as connection:
        connection.execute("DROP INDEX sessions_user_id")
    done = run("health", url)
    assert (done.returncode, done.stdout.splitlines()[0][:7]) == (0, "healthy")
    assert done.stderr.startswith("authstore: warning: ")
    assert done.stderr.endswith("lacks index sessions_user_id: what needs it will be slow, or not done\n")
    assert done.stderr.count("\n") == 1


def test_what_doctor_names_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "-".join(["harbour"] * 10) / "auth.db"
    assert run("init", f"sqlite:///{path}").returncode == 0
    path.chmod(0o644)
    assert f"    {path}\n    has mode 0644\n" in run("doctor", f"sqlite:///{path}").stdout
