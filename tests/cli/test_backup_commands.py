"""backup, restore and drill, as somebody types them."""

from pathlib import Path

import pytest

from tests.cli.running import events, run


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An empty store."""
    url = f"sqlite:///{tmp_path}/auth.db"
    assert run("init", url).returncode == 0
    return url


def test_a_store_is_backed_up_drilled_and_put_back(url: str, tmp_path: Path) -> None:
    made = run("backup", url, str(tmp_path / "b.db"))
    assert made.returncode == 0, made.stderr
    assert f"{tmp_path}/b.db: " in made.stdout
    assert (tmp_path / "b.db.sha256").read_text().split()[0] in made.stdout
    drilled = run("drill", str(tmp_path / "b.db"))
    assert drilled.returncode == 0
    assert drilled.stdout.endswith("it can be put back\n")
    put_back = run("restore", str(tmp_path / "b.db"), url, "--revoke-since", "2026-11-28T14:00:00Z")
    assert put_back.returncode == 0, put_back.stderr
    assert "auth.db.set-aside-" in put_back.stdout
    assert "sessions ended: 0" in put_back.stdout


def test_for_machines(url: str, tmp_path: Path) -> None:
    [made] = events(run("backup", url, str(tmp_path / "b.db"), "--keep", "2", "--json"))
    assert (made["event"], made["ok"]) == ("done", True)
    path = Path(made["path"])
    assert made["bytes"] == path.stat().st_size
    [drilled] = events(run("drill", str(path), "--json"))
    assert (drilled["ok"], drilled["sha256"], drilled["tables"]["users"]) == (True, made["sha256"], {"rows": 0})
    [put_back] = events(run("restore", str(path), url, "--json"))
    assert (put_back["ok"], put_back["revoked"], put_back["place"]) == (True, 0, f"{tmp_path}/auth.db")


def test_the_store_may_come_from_the_environment(url: str, tmp_path: Path) -> None:
    assert run("backup", str(tmp_path / "b.db"), AUTHSTORE_URL=url).returncode == 0
    assert run("restore", str(tmp_path / "b.db"), AUTHSTORE_URL=url).returncode == 0
    for alone in (run("backup", str(tmp_path / "c.db")), run("backup", AUTHSTORE_URL=url)):
        assert alone.returncode == 2
        assert "name the file" in alone.stderr


def test_a_damaged_backup_is_told_and_ends_in_1(url: str, tmp_path: Path) -> None:
    run("backup", url, str(tmp_path / "b.db"))
    content = bytearray((tmp_path / "b.db").read_bytes())
    content[5000] ^= 1
    (tmp_path / "b.db").write_bytes(content)
    drilled = run("drill", str(tmp_path / "b.db"))
    assert drilled.returncode == 1
    assert "problem: it is not what its .sha256 says" in drilled.stdout
    *problems, done = events(run("drill", str(tmp_path / "b.db"), "--json"))
    assert [problem["event"] for problem in problems] == ["problem"]
    assert not done["ok"]
    refused = run("restore", str(tmp_path / "b.db"), url)
    assert refused.returncode == 1
    assert "take another backup" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("backup", "{url}", "{there}"), "there already"),
        (("backup", "sqlite://", "new.db"), "a store that stays"),
        (("backup", "{url}", "new.db", "--keep", "0"), "--keep"),
        (("restore", "{there}", "{url}", "--revoke-since", "2026-11-28T14:00:00"), "needs its zone"),
        (("restore", "{there}", "{url}", "--revoke-since", "yesterday"), "is written 2026"),
        (("restore", "{there}", "{url}", "--revoke-since", "0001-01-01T00:00:00+14:00"), "years 1 to 9999"),
        (("restore", "{there}", "{url}", "--revoke-since", "9999-12-31T23:00:00-02:00"), "years 1 to 9999"),
        (("restore", "{there}", "mysql://ada:secret@host/db"), "unknown kind of URL"),
    ],
)
def test_wrong_usage_ends_in_2(url: str, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "there.db").touch()
    done = run(*(argument.format(url=url, there=tmp_path / "there.db") for argument in arguments))
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert "secret" not in done.stdout + done.stderr


@pytest.mark.postgres
def test_on_postgresql(source_url: str, tmp_path: Path) -> None:
    assert run("init", source_url).returncode == 0
    done = [
        run("backup", source_url, str(tmp_path / "b.db")),
        run("drill", str(tmp_path / "b.db")),
        run("restore", str(tmp_path / "b.db"), source_url),
    ]
    assert [each.returncode for each in done] == [0, 0, 0]
    assert "authstore_set_aside_" in done[-1].stdout
    assert not any("secret" in each.stdout + each.stderr for each in done)
