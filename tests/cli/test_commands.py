"""The command line, as processes: what it prints, how it exits, what it never shows."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import psycopg
import pytest
import typer

from authstore.cli import app as application
from tests.cli.running import events, run
from tests.mover.moving import change, names, people
from tests.mover.seeds import seed

pytestmark = pytest.mark.processes

_Link = psycopg.Connection[Any]


@pytest.fixture
def target(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/auth.db"


def test_plan_move_verify_recover_rollback_from_end_to_end(
    source: _Link, source_url: str, target: str, tmp_path: Path
) -> None:
    people(source, users=20)
    planned = run("plan", source_url, target, "--json")
    assert planned.returncode == 0
    assert events(planned)[-1] == {
        "event": "done",
        "ok": True,
        "tables": {"users": {"rows": 20}, "sessions": {"rows": 60}, "note": {"rows": 40}},
        "rejected": 0,
    }
    assert names(tmp_path) == []
    moved = run("move", source_url, target, "--json")
    assert (moved.returncode, moved.stderr) == (0, "")
    done = events(moved)[-1]
    assert (done["event"], done["ok"], done["rejected"]) == ("done", True, 0)
    assert done["tables"]["sessions"]["rows"] == 60
    assert {event["event"] for event in events(moved)} == {"table", "progress", "done"}
    assert run("verify", source_url, target).returncode == 0
    change(tmp_path / "auth.db", "UPDATE note SET body = 'mine' WHERE id = 1")
    differs = run("verify", source_url, target, "--json")
    assert differs.returncode == 1
    assert events(differs)[-1]["tables"]["note"]["changed"] == 1
    stopped = run("move", source_url, target, "--json")
    assert stopped.returncode == 1
    assert events(stopped)[-1]["event"] == "error"
    assert "--replace" in events(stopped)[-1]["hint"]
    assert run("recover", source_url, target, "note").returncode == 0
    assert run("verify", source_url, target).returncode == 0
    back = run("rollback", target)
    assert back.returncode == 0
    assert "restored from" in back.stdout


def test_what_is_undecided_is_shown_and_exits_with_1(source: _Link, source_url: str, target: str) -> None:
    seed(source, "pg_adapter", nasty=True)
    for command in ("plan", "move"):
        plain = run(command, source_url, target)
        assert plain.returncode == 1
        assert "decide with --on-orphan" in plain.stdout
        problems = [event for event in events(run(command, source_url, target, "--json")) if event.get("stops")]
        assert {problem["option"] for problem in problems} >= {"--on-orphan", "--on-duplicate", "--on-bad-row"}
    decided = ("--on-orphan", "reject", "--on-duplicate", "keep-oldest", "--on-bad-row", "reject", "--secrets", "drop")
    done = run("move", source_url, target, *decided)
    assert done.returncode == 0
    assert "were left out" in done.stdout


def test_addresses_are_masked_wherever_problems_are_shown(source: _Link, source_url: str, target: str) -> None:
    seeded = seed(source, "pg_adapter", nasty=True)
    shown = run("plan", source_url, target).stdout + run("plan", source_url, target, "--json").stdout
    assert all(user.email not in shown for user in seeded.users)


def test_a_profile_can_be_written_and_used(source: _Link, source_url: str, target: str, tmp_path: Path) -> None:
    people(source, users=3)
    profile = tmp_path / "my.toml"
    assert run("plan", source_url, target, "--write-profile", str(profile)).returncode == 0
    assert 'table = "public.User"' in profile.read_text()
    assert run("move", source_url, target, "--profile", str(profile)).returncode == 0
    assert run("plan", source_url, target, "--profile", str(tmp_path / "none.toml")).returncode == 2


def test_a_written_profile_holds_every_line_that_decides(
    source: _Link, source_url: str, target: str, tmp_path: Path
) -> None:
    people(source, users=3)
    source.execute("ALTER TABLE \"User\" ADD COLUMN status text DEFAULT 'limbo'")
    source.execute('CREATE TABLE api_tokens (id serial PRIMARY KEY, "userId" text, secret text)')
    source.execute("CREATE TABLE a_grants (identifier text, token text, expires timestamptz)")
    source.execute("CREATE TABLE b_grants (identifier text, token text, expires timestamptz)")
    source.execute("UPDATE note SET author = NULL")
    source.execute("ALTER TABLE note ADD COLUMN parent int")
    source.execute("UPDATE note SET parent = 999 WHERE id = 1")
    source.execute("ALTER TABLE note ADD FOREIGN KEY (parent) REFERENCES note NOT VALID")
    profile = tmp_path / "my.toml"
    assert run("plan", source_url, target, "--write-profile", str(profile)).returncode == 1
    text = profile.read_text()
    assert "public.note" not in text  # an orphan is decided by another option
    said = {'disabled = ""', '"public.api_tokens",', "[verification_tokens]", 'table = "public.b_grants"'}
    lines = []
    for line in text.splitlines():
        bare = line.strip().removeprefix("# ")
        wanted = next((one for one in said if bare == one or (one[-1] == "," and bare.startswith(one))), None)
        said -= {wanted} if wanted else set()
        lines.append(bare if wanted and line.strip().startswith("#") else line)
    assert said == set()
    profile.write_text("\n".join(lines))
    done = run("plan", source_url, target, "--profile", str(profile), "--on-orphan", "reject", "--skip", "a_grants")
    assert done.returncode == 0, done.stdout
    assert ["api_tokens", "carried"] in [line.split()[:2] for line in done.stdout.splitlines()]


def test_what_is_not_there_is_said_by_move_and_verify(source: _Link, source_url: str, target: str) -> None:
    people(source, users=3)
    source.execute('ALTER TABLE "User" ADD COLUMN banned boolean')
    source.execute("""UPDATE "User" SET banned = true WHERE id = 'u1'""")
    source.execute("CREATE TABLE logs (id int PRIMARY KEY); INSERT INTO logs VALUES (1)")
    source.execute("CREATE SCHEMA app CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO app.orders VALUES (1)")
    source.execute("""INSERT INTO "Session" VALUES ('s', 'a-token-of-a-bad-expiry', 'infinity', 'u1')""")
    said = [
        "public.User: 1 row of public.User shut out by banned there arrive disabled",
        "not moved: public.logs: left behind with 1 row, as --skip and --only say",
        'not moved: schema "app" stays behind with 1 row in 1 table (app.orders); --schema moves it too',
    ]
    done = run("move", source_url, target, "--skip", "logs", "--on-bad-row", "reject")
    assert said[0].removeprefix("public.User: ") in done.stdout.splitlines()
    assert set(said[1:]) <= set(done.stdout.splitlines())
    assert "1 row was left out" in done.stdout
    rejected = "not moved: 1 row of public.Session cannot move: bad date (expires)"
    assert {*said[1:], rejected} <= set(run("verify", source_url, target).stdout.splitlines())
    done = run("verify", source_url, target, "--json")
    assert json.loads(done.stdout.splitlines()[-1])["rejected"] == 1
    assert '"kind": "bad-row"' in done.stdout


def test_urls_may_come_from_the_environment(source: _Link, source_url: str, target: str) -> None:
    people(source, users=3)
    assert run("move", AUTHSTORE_SOURCE=source_url, AUTHSTORE_URL=target).returncode == 0
    assert run("verify", source_url, AUTHSTORE_URL=target).returncode == 0
    assert "users" in run("inspect", AUTHSTORE_URL=target).stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "postgresql://ada:geheim@127.0.0.1:1/db", "sqlite:///x.db"),
        ("plan", "postgresql://ada:geheim@127.0.0.1:1/db", "sqlite:///x.db", "--json"),
        ("plan", "mysql://ada:geheim@h/db", "sqlite:///x.db"),
        ("move", "postgresql://h/db?password=geheim&port=nonsense", "sqlite:///x.db"),
        ("inspect", "postgresql://ada:geheim@h/db"),
        ("inspect", "sqlite:///x.db", "postgresql://ada:geheim@h/db"),
        ("inspect", "sqlite:///x.db", "postgresql://ada:ge heim und geheim@h/db"),
        ("users", "show", "u", "postgresql://h/db?password=it's geheim", "--url", "sqlite:///x.db", "--json"),
        ("postgresql://ada:geheim@h/db",),
        ("users", "postgresql://ada:geheim@h/db"),
    ],
)
def test_passwords_are_never_printed(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = run(*arguments)
    assert done.returncode in (1, 2)
    assert "geheim" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("move",),
        ("move", "mysql://h/db", "sqlite:///x.db"),
        ("move", "postgresql://h/db", "postgresql://h/other", "--prefix"),
        ("move", "postgresql://h/db", "sqlite://"),
        ("move", "postgresql://h/db", "sqlite:///x.db", "--on-orphan", "maybe"),
        ("init", "redis://h"),
        ("inspect", "sqlite://"),
        ("rollback", "sqlite:////"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_missing_extra_is_one_line_that_says_what_to_install() -> None:
    for missing, extra in (("typer", "authstore[cli]"), ("psycopg", "authstore[move]")):
        code = (
            "import importlib.util as u, sys; find = u.find_spec;"
            f"u.find_spec = lambda name, *rest: None if name == {missing!r} else find(name, *rest);"
            "from authstore.cli import main; sys.argv = ['authstore', 'rollback', 'sqlite:///x.db']; main()"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stderr.strip().count("\n") == 0
        assert f"pip install '{extra}'" in done.stderr


class TestStore:
    """init, migrate, inspect, prune."""

    def test_init_makes_a_store_and_says_when_there_is_one(self, target: str, tmp_path: Path) -> None:
        assert "is made" in run("init", target).stdout
        assert "there already" in run("init", target).stdout
        assert names(tmp_path) == ["auth.db"]

    def test_migrate_shows_and_runs_what_is_pending(self, target: str, tmp_path: Path) -> None:
        pending = run("migrate", target, "--check", "--json")
        assert pending.returncode == 1
        assert events(pending)[-1]["pending"][0] == "0001 initial"
        assert "CREATE TABLE users" in run("migrate", target, "--sql").stdout
        assert run("migrate", target).returncode == 1
        with closing(sqlite3.connect(tmp_path / "by-hand.db")) as by_hand:
            by_hand.executescript(run("migrate", target, "--sql").stdout)
        assert run("migrate", f"sqlite:///{tmp_path}/by-hand.db", "--check").returncode == 0
        run("init", target)
        assert run("migrate", target, "--check").returncode == 0
        assert run("migrate", target).returncode == 0
        assert run("migrate", target, "--sql").stdout == ""

    def test_a_schema_that_somebody_changed_is_not_up_to_date(self, target: str, tmp_path: Path) -> None:
        run("init", target)
        with closing(sqlite3.connect(tmp_path / "auth.db")) as connection:
            connection.execute("DROP INDEX sessions_user_id")
            connection.execute("DROP TABLE authenticators")
        checked = run("migrate", target, "--check", "--json")
        assert checked.returncode == 1
        assert events(checked)[-1]["missing"] == [
            "table authenticators",
            "index authenticators_user_id",
            "index sessions_user_id",
            "trigger authenticators_deleted",
            "trigger authenticators_inserted",
        ]

    def test_inspect_counts_rows_and_bytes(self, source: _Link, source_url: str, target: str, tmp_path: Path) -> None:
        people(source, users=30)
        run("move", source_url, target)
        (done,) = events(run("inspect", target, "--json"))
        assert done["tables"]["sessions"]["rows"] == 90
        assert done["bytes"] == (tmp_path / "auth.db").stat().st_size
        assert names(tmp_path) == ["auth.db"]

    def test_inspect_of_nothing_and_of_something_else_is_an_error(self, target: str, tmp_path: Path) -> None:
        assert run("inspect", target).returncode == 1
        (tmp_path / "auth.db").write_bytes(b"not a database at all, really not one")
        done = run("inspect", target)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr

    def test_prune_deletes_what_expired(self, source: _Link, source_url: str, target: str, tmp_path: Path) -> None:
        people(source, users=3)
        run("move", source_url, target)
        change(tmp_path / "auth.db", "UPDATE sessions SET expires = '2020-01-01T00:00:00.000000Z' WHERE user_id = 'u1'")
        done = run("prune", target, "--json")
        assert events(done)[-1]["tables"]["sessions"] == {"deleted": 3}
        assert run("prune", f"sqlite:///{tmp_path}/none.db").returncode == 1


def test_with_json_the_last_line_is_an_event_whatever_happens(capsys: pytest.CaptureFixture[str]) -> None:
    def fails(json: Annotated[bool, typer.Option("--json")] = False) -> int:
        raise ZeroDivisionError("what nobody thought of, with a secret in it")

    application.app.command("fails")(fails)
    try:
        with pytest.raises(ZeroDivisionError):
            application.run(["fails", "--json"])
        last = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (last["event"], "secret" in last["message"]) == ("error", False)
        assert application.run(["fails", "--json", "--no-such-option"]) == 2
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["event"] == "error"
    finally:
        application.app.registered_commands.pop()


@pytest.mark.parametrize("name", ["x" * 300 + ".db", "x" * 300 + "/auth.db", "/".join(["d" * 200] * 25)], ids=len)
@pytest.mark.parametrize(
    "command",
    [
        ["init", "{url}"],
        ["migrate", "{url}", "--check"],
        ["inspect", "{url}"],
        ["health", "{url}"],
        ["doctor", "{url}"],
        ["prune", "{url}"],
        ["events", "{url}"],
        ["users", "list", "--url", "{url}"],
        ["backup", "{url}", "{folder}/copy.db"],
        ["backup", "sqlite:///{folder}/auth.db", "{path}"],
        ["restore", "{path}", "sqlite:///{folder}/auth.db"],
        ["restore", "{folder}/auth.db", "{url}"],
        ["drill", "{path}"],
        ["rollback", "{url}"],
    ],
    ids=" ".join,
)
def test_a_path_that_no_file_can_have_is_said_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str], name: str
) -> None:
    application.run(["init", f"sqlite:///{tmp_path}/auth.db"])
    path = tmp_path / name
    words = [word.format(url=f"sqlite:///{path}", path=path, folder=tmp_path) for word in command]
    assert application.run(words) in (1, 2)
    said = capsys.readouterr()
    assert "too long" in said.err + said.out


@pytest.mark.parametrize("command", [["drill", "{url}"], ["restore", "{url}", "sqlite://{folder}/auth.db"]], ids=str)
@pytest.mark.parametrize("scheme", ["postgresql", "mysql", "sqlite"])
def test_a_url_where_a_backup_is_meant_is_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str], scheme: str
) -> None:
    url = f"{scheme}://ada:secret@host/database"
    assert application.run([word.format(url=url, folder=tmp_path) for word in command]) == 2
    said = capsys.readouterr()
    assert "secret" not in said.err + said.out
    assert "not a URL" in said.err


@pytest.mark.parametrize(
    "command",
    [
        "init {}",
        "inspect {}",
        "users list --url {}",
        "backup {} b.db",
        "backup {} /tmp/b.db",
        "drill b.db",
        "rollback {}",
        "new x",
    ],
)
def test_a_working_directory_that_is_gone_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert application.run(command.format("sqlite:///auth.db").split()) in (1, 2)
    assert capsys.readouterr().err.startswith("authstore: ")
