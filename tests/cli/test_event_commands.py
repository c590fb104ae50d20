"""`authstore events`: what happened, and whether somebody laid hands on it."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from authstore import connect, ops
from authstore.cli import app as application
from tests.cli.running import events, run


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store with an audit in which something happened."""

    async def fill() -> None:
        async with connect(tmp_path / "auth.db", audit=timedelta(days=1)) as store:
            await store.create_user(id="ada", email="ada@example.com")
            with ops.acting("admin:7"):
                await store.update_user("ada", disabled=True)

    asyncio.run(fill())
    return f"sqlite:///{tmp_path}/auth.db"


def test_events_are_shown_in_their_order(url: str) -> None:
    shown = run("events", url)
    assert shown.returncode == 0
    first, second = shown.stdout.splitlines()
    assert "user.created" in first
    assert "ada" in first
    assert "user.disabled" in second
    assert "admin:7" in second
    assert "@" not in shown.stdout


def test_events_come_in_the_words_of_other_systems(url: str) -> None:
    cloud = events(run("events", url, "--format", "cloudevents", "--source", "https://app.example/auth"))
    assert [each["type"] for each in cloud] == ["authstore.user.created", "authstore.user.disabled"]
    assert {each["source"] for each in cloud} == {"https://app.example/auth"}
    ocsf = events(run("events", url, "--format", "ocsf"))
    assert [(each["class_uid"], each["activity_name"]) for each in ocsf] == [(3001, "Create"), (3001, "Disable")]
    assert run("events", url, "--format", "ocsf", "--json").returncode == 2


def test_where_they_come_from_has_a_name(url: str) -> None:
    for form in ("ocsf", "cloudevents"):
        assert application.run(["events", url, "--format", form, "--source", ""]) == 2


def test_events_come_as_json_and_from_where_one_left_off(url: str) -> None:
    created, disabled, done = events(run("events", url, "--json"))
    assert (created["type"], disabled["type"], disabled["actor"]) == ("user.created", "user.disabled", "admin:7")
    assert (done["event"], done["ok"], done["events"]) == ("done", True, 2)
    [rest, _] = events(run("events", url, "--json", "--after", str(created["seq"])))
    assert rest == disabled


def test_a_log_is_verified(url: str, tmp_path: Path) -> None:
    whole = run("events", url, "--verify")
    assert (whole.returncode, whole.stdout) == (0, "2 events checked, 0 problems\n")
    with closing(sqlite3.connect(tmp_path / "auth.db")) as connection, connection:
        connection.execute("UPDATE changes SET actor = 'nobody' WHERE type = 'user.disabled'")
    found = run("events", url, "--verify", "--json")
    assert found.returncode == 1
    problem, done = events(found)
    assert (problem["event"], problem["before"], done["ok"]) == ("problem", None, False)
    assert run("events", url, "--verify", "--follow").returncode == 2


def test_what_is_in_no_chain_yet_is_said(url: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "auth.db")) as connection, connection:
        connection.execute("UPDATE users SET name = 'Ada'")
    assert "not chained yet, since no store has written since: 1 event\n" in run("events", url, "--verify").stdout
    assert run("init", f"sqlite:///{tmp_path}/other.db").returncode == 0
    without = run("events", f"sqlite:///{tmp_path}/other.db", "--verify")
    assert (without.returncode, "begins with an audit" in without.stdout) == (0, True)
