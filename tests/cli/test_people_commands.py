"""users, sessions and roles: what somebody on call does to people from a shell."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from authstore import Adapter, Permission, connect
from authstore.cli import app as application
from tests.cli.running import events, run

pytestmark = pytest.mark.processes

T = TypeVar("T")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/auth.db"


def in_store(url: str, work: Callable[[Adapter], Awaitable[T]]) -> T:
    async def opened() -> T:
        async with connect(url) as store:
            return await work(store)

    return asyncio.run(opened())


async def _ada(store: Adapter) -> str:
    user = await store.create_user(email="ada@example.com", name="Ada", id="u-1")
    session = await store.create_session(user.id, ip="192.0.2.1", user_agent="Firefox")
    await store.link_account(user.id, "github", "77", access_token="an-access-token")
    await store.create_user(email="bob@example.com")
    assert session.token is not None
    return session.token


def test_the_first_admin_is_made_from_a_shell(url: str) -> None:
    in_store(url, _ada)
    assert run("roles", "create", "admin", "--permission", "posts:edit", "--url", url).returncode == 0
    assert run("roles", "grant", "ADA@Example.com", "admin", AUTHSTORE_URL=url).returncode == 0
    assert in_store(url, lambda store: store.has_permission("u-1", "posts", "edit"))
    again = run("roles", "grant", "u-1", "admin", "--url", url, "--json")
    assert events(again)[-1] == {"event": "done", "ok": True, "granted": False}
    listed = run("users", "list", "--role", "admin", "--url", url, "--json")
    assert [event["user"]["id"] for event in events(listed)[:-1]] == ["u-1"]
    assert run("roles", "revoke", "u-1", "admin", "--url", url).returncode == 0
    assert not in_store(url, lambda store: store.has_permission("u-1", "posts", "edit"))


def test_roles_are_listed_with_their_permissions_and_deleted(url: str) -> None:
    edit = Permission(resource="posts", action="edit")
    in_store(url, lambda store: store.create_role("editor", permissions=[edit]))
    assert "posts:edit" in run("roles", "list", "--url", url).stdout
    assert run("roles", "delete", "editor", "--url", url).returncode == 2  # nobody to ask
    assert run("roles", "delete", "editor", "--yes", "--url", url).returncode == 0
    assert in_store(url, lambda store: store.list_roles()) == []
    assert run("roles", "delete", "editor", "--yes", "--url", url).returncode == 1


@pytest.mark.parametrize("wrong", ["posts", "posts:", ":edit"])
def test_a_permission_is_written_resource_colon_action(url: str, wrong: str) -> None:
    in_store(url, _ada)
    done = run("roles", "create", "x", "--permission", wrong, "--url", url)
    assert done.returncode == 2
    assert "RESOURCE:ACTION" in done.stderr


def test_a_user_is_shown_disabled_enabled_and_deleted(url: str) -> None:
    token = in_store(url, _ada)
    shown = run("users", "show", "ada@example.com", "--url", url)
    assert "github 77" in shown.stdout
    assert "living sessions: 1" in shown.stdout
    as_json = run("users", "show", "u-1", "--url", url, "--json")
    assert events(as_json)[0]["accounts"][0]["provider_account_id"] == "77"
    for secret in (token, token.split(".")[-1], "an-access-token"):
        assert secret not in shown.stdout + as_json.stdout
    assert run("users", "disable", "u-1", "--url", url).returncode == 0
    assert in_store(url, lambda store: store.get_session_and_user(token)) is None
    assert "disabled" in run("users", "list", "--url", url).stdout
    assert run("users", "enable", "ada@example.com", "--url", url).returncode == 0
    user = in_store(url, lambda store: store.get_user("u-1"))
    assert user is not None
    assert not user.disabled
    assert run("users", "delete", "u-1", "--url", url, stdin="").returncode == 2
    assert run("users", "delete", "u-1", "--yes", "--url", url).returncode == 0
    assert in_store(url, lambda store: store.get_user("u-1")) is None


def test_who_is_not_there_is_said_and_exits_with_1(url: str) -> None:
    in_store(url, _ada)
    for command in (("users", "show", "eve@example.com"), ("sessions", "list", "nobody"), ("users", "disable", "x")):
        done = run(*command, "--url", url)
        assert (done.returncode, "no user has this id or address" in done.stderr) == (1, True)


def test_sessions_are_listed_and_ended(url: str) -> None:
    token = in_store(url, _ada)
    listed = run("sessions", "list", "ada@example.com", "--url", url, "--json")
    (found, done) = events(listed)
    assert (found["session"]["ip"], done["count"]) == ("192.0.2.1", 1)
    assert token not in listed.stdout
    assert "Firefox" in run("sessions", "list", "u-1", "--url", url).stdout
    assert run("sessions", "revoke", found["session"]["id"], "--url", url).returncode == 0
    assert run("sessions", "revoke", found["session"]["id"], "--url", url).returncode == 1
    assert in_store(url, lambda store: store.get_session(token)) is None
    in_store(url, lambda store: store.create_session("u-1"))
    all_of = run("sessions", "revoke", "--user", "u-1", "--url", url, "--json")
    assert events(all_of)[-1]["revoked"] == 1
    assert run("sessions", "revoke", "--url", url).returncode == 2
    assert run("sessions", "revoke", "x", "--user", "u-1", "--url", url).returncode == 2


def test_users_come_in_pages(url: str) -> None:
    in_store(url, _ada)
    first = run("users", "list", "--limit", "1", "--url", url)
    assert "--after" in first.stdout
    (user, _) = events(run("users", "list", "--limit", "1", "--url", url, "--json"))
    (rest, _) = events(run("users", "list", "--after", user["user"]["id"], "--url", url, "--json"))
    assert {user["user"]["email"], rest["user"]["email"]} == {"ada@example.com", "bob@example.com"}


def test_no_command_makes_a_store_that_is_not_there(tmp_path: Path) -> None:
    done = run("users", "list", "--url", f"sqlite:///{tmp_path}/none.db")
    assert done.returncode == 1
    assert "there is no store at" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        ["roles", "create", ""],
        ["roles", "create", "\udcff"],
        ["roles", "create", "editor", "--description", "\udcff"],
        ["users", "list", "--after", "\udcff"],
        ["sessions", "explain", "\udcff"],
        ["users", "list", "--limit", str(2**63)],
    ],
    ids=ascii,
)
def test_what_no_store_takes_is_wrong_usage(url: str, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    in_store(url, _ada)
    assert application.run([*command, "--url", url, "--json"]) == 2
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["event"] == "error"
    assert in_store(url, lambda store: store.list_roles()) == []


@pytest.mark.parametrize("name", ["Ada\x1b[31m", "\x1b]0;owned\x07Ada", "Ada\u202eevE", "Ada\x9b31m"], ids=ascii)
def test_a_name_tells_a_terminal_nothing(url: str, capsys: pytest.CaptureFixture[str], name: str) -> None:
    async def named(store: Adapter) -> None:
        user = await store.create_user(name=name, id="u-1")
        await store.create_session(user.id, user_agent=f"{name}\nid")

    in_store(url, named)
    for command in (["users", "list"], ["users", "show", "u-1"], ["sessions", "list", "u-1"]):
        assert application.run([*command, "--url", url]) == 0
        said = capsys.readouterr().out
        assert "u-1" in said or "Ada" in said
        assert not set(said) & set("\x1b\x07\x9b\u202e")
