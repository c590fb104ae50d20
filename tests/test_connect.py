"""From a URL to an open store, and what a caller reads who wrote it wrongly."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import authstore
from authstore import Adapter, SessionPolicy, connect, ops
from authstore.cli import main
from authstore.errors import ConfigurationError, StoreClosedError, StoreMisuseError, StoreNotFoundError
from authstore.mover import make_plan, rollback

PASSWORD = "hunter2-in-the-url"
CALLS: dict[str, tuple[Any, ...]] = {
    "create_user": (),
    "get_user": ("id",),
    "get_user_by_email": ("ada@example.com",),
    "get_user_by_account": ("google", "1"),
    "update_user": ("id",),
    "delete_user": ("id",),
    "list_users": (),
    "link_account": ("id", "google", "1"),
    "get_account": ("google", "1"),
    "list_accounts": ("id",),
    "unlink_account": ("google", "1"),
    "open_visit": (),
    "get_visit": ("t" * 32,),
    "delete_visit": ("t" * 32,),
    "create_session": ("id",),
    "get_session_and_user": ("t" * 43,),
    "get_session": ("t" * 43,),
    "touch_session": ("t" * 43,),
    "update_session": ("t" * 43,),
    "rotate_session": ("t" * 43,),
    "delete_session": ("t" * 43,),
    "why_ended": ("t" * 43,),
    "list_sessions": ("id",),
    "revoke_session": ("id",),
    "revoke_sessions": ("id",),
    "create_verification_token": ("ada@example.com",),
    "peek_verification_token": ("ada@example.com", "t" * 43),
    "use_verification_token": ("ada@example.com", "t" * 43),
    "create_authenticator": ("id", "credential", b"key"),
    "get_authenticator": ("credential",),
    "list_authenticators": ("id",),
    "update_authenticator_counter": ("credential", 1),
    "delete_authenticator": ("credential",),
    "create_role": ("admin",),
    "get_role": ("admin",),
    "list_roles": (),
    "update_role": ("admin",),
    "delete_role": ("admin",),
    "grant_role": ("id", "admin"),
    "revoke_role": ("id", "admin"),
    "get_roles": ("id",),
    "has_permission": ("id", "posts", "read"),
    "list_users_with_role": ("admin",),
    "prune": (),
    "events": (),
    "health": (),
    "rekey": (),
    "forget_unreadable": (),
}


async def test_three_slashes_are_relative_and_four_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with connect("sqlite:///data/auth.db") as relative:
        await relative.create_user(id="ada")
        async with connect(f"sqlite:///{tmp_path}/data/auth.db", create=False) as absolute:
            assert await absolute.get_user("ada") is not None


@pytest.mark.parametrize("name", ["100%25.db", "a#b.db", "ü.db", "a b.db"])
async def test_the_path_in_a_url_is_taken_literally(name: str, tmp_path: Path) -> None:
    async with connect(f"sqlite:///{tmp_path}/{name}"):
        assert await asyncio.to_thread((tmp_path / name).exists)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
async def test_stores_in_memory_know_nothing_of_each_other_and_are_gone_on_closing(url: str) -> None:
    async with connect(url) as one, connect(url) as other:
        await one.create_user(id="ada")
        assert await other.get_user("ada") is None
    async with connect(url) as again:
        assert await again.get_user("ada") is None


async def test_a_file_outlives_its_store(tmp_path: Path) -> None:
    async with connect(tmp_path / "auth.db") as store:
        session = await store.create_session((await store.create_user()).id)
    async with connect(tmp_path / "auth.db") as store:
        assert await store.get_session(session.token or "") is not None


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://ada:{PASSWORD}@db.example/auth",
        f"sqlite:///auth.db?password={PASSWORD}",
        f"sqlite://{PASSWORD}",
        f"sqlite+aiosqlite:///{PASSWORD}",
        f"{PASSWORD}.db",
        "sqlite:auth.db",
        "sqlite:/auth.db",
        "sqlite:///",
        "sqlite:///a\0b.db",
        "sqlite:////",
        "sqlite:///.",
        "sqlite:///./",
        "",
        None,
        42,
        b"sqlite://",
    ],
)
async def test_what_is_no_url_of_a_store_is_refused_without_showing_it(url: Any) -> None:
    with pytest.raises(ConfigurationError) as refused:
        connect(url)
    assert PASSWORD not in str(refused.value)
    assert "SQLite" in str(refused.value) or "sqlite" in str(refused.value) or "NUL" in str(refused.value)


@pytest.mark.parametrize(
    "options",
    [
        {"durability": "eventual"},
        {"policy": timedelta(days=1)},
        {"policy": None},
        {"clock": datetime(2026, 1, 1, tzinfo=UTC)},
        {"keys": "k" * 64},
        {"keys": b"k" * 64},
        {"keys": ["k" * 31]},
        {"keys": [b"k" * 31]},
        {"keys": ["k" * 64, "short"]},
        {"keys": [42]},
        {"keys": {"k" * 64}},
        {"keys": {"k" * 64: 1}},
        {"keys": ("k" * 64 for _ in range(1))},
        {"keys": None},
    ],
    ids=",".join,
)
def test_a_setting_that_cannot_work_is_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        connect("sqlite://", **options)
    assert "kkk" not in str(refused.value)


def test_opening_without_asyncio_is_refused_with_a_reason() -> None:
    """As under trio, which drives a coroutine by itself."""
    opening = connect("sqlite://").__await__()
    with pytest.raises(StoreMisuseError, match="asyncio"):
        opening.send(None)


@pytest.mark.parametrize(
    "call",
    [
        lambda path: ops.inspect(path),
        lambda path: ops.doctor(path),
        lambda path: ops.backup(path, path.with_name("copy.db")),
        lambda path: ops.restore(path, path.with_name("new.db")),
        lambda path: ops.drill(path),
        lambda path: make_plan(path, path.with_name("new.db")),
        lambda path: rollback(path),
    ],
)
def test_so_is_all_else_that_is_done_with_a_file(
    call: Callable[[Path], Coroutine[Any, Any, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "auth.db"
    path.write_bytes(b"")
    with pytest.raises(StoreMisuseError, match="asyncio"):
        call(path).send(None)
    assert [each.name for each in tmp_path.iterdir()] == ["auth.db"]


async def test_a_clock_without_a_time_zone_is_refused_when_it_is_read() -> None:
    naive = lambda: datetime(2026, 1, 1)  # noqa: E731
    with pytest.raises(ValueError, match="aware"):
        async with connect("sqlite://", clock=naive) as store:
            await store.create_user()


def test_connecting_opens_nothing_until_it_is_awaited(tmp_path: Path) -> None:
    connect(tmp_path / "auth.db")
    assert list(tmp_path.iterdir()) == []


async def test_it_may_be_awaited_and_closed_by_hand(tmp_path: Path) -> None:
    store = await connect(tmp_path / "auth.db", policy=SessionPolicy.aal2())
    await store.create_user(id="ada")
    await store.close()
    await store.close()
    assert [entry.name for entry in await asyncio.to_thread(lambda: list(tmp_path.iterdir()))] == ["auth.db"]


def test_every_call_of_the_contract_is_tried_on_a_closed_store() -> None:
    methods = {name for name, _ in inspect.getmembers(Adapter, inspect.iscoroutinefunction)}
    assert methods - {"close"} - set(CALLS) == {"sign_in_with_account", "refresh_account", "change_visit"}


@pytest.mark.parametrize("url", ["sqlite://", "file"])
async def test_a_closed_store_says_so_whatever_is_asked(url: str, tmp_path: Path) -> None:
    store = await connect(tmp_path / "auth.db" if url == "file" else url)
    await store.close()
    for name, arguments in CALLS.items():
        with pytest.raises(StoreClosedError):
            await getattr(store, name)(*arguments)
    with pytest.raises(StoreClosedError):
        await store.sign_in_with_account(provider="google", provider_account_id="1")
    with pytest.raises(StoreClosedError):
        await store.refresh_account("google", "1", _never)
    with pytest.raises(StoreClosedError):
        await store.change_visit("t" * 32, merge={})
    with pytest.raises(StoreClosedError):
        async with store.transaction():
            pass


async def _never(_: object) -> dict[str, Any]:
    raise AssertionError("nobody should ask")


async def test_leaving_the_block_by_an_error_closes_the_store(tmp_path: Path) -> None:
    left: list[Adapter] = []

    async def leave() -> None:
        async with connect(tmp_path / "auth.db") as store:
            left.append(store)
            raise LookupError

    with pytest.raises(LookupError):
        await leave()
    with pytest.raises(StoreClosedError):
        await left[0].list_users()


async def test_without_create_a_wrong_path_is_never_an_empty_store(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFoundError):
        async with connect(f"sqlite:///{tmp_path}/typo.db", create=False):
            pass
    assert not await asyncio.to_thread((tmp_path / "typo.db").exists)


def test_where_files_have_no_locks_links_and_modes_it_says_what_to_run_instead(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.name", "nt")
    for url in ("sqlite://", "postgresql://localhost/auth"):
        with pytest.raises(ConfigurationError, match="WSL 2"):
            connect(url)
    with pytest.raises(SystemExit) as ended:
        main()
    monkeypatch.undo()
    assert ended.value.code == 2
    assert "WSL 2" in capsys.readouterr().err


def test_every_public_name_is_there() -> None:
    classes = {name: value for name, value in vars(authstore.errors).items() if inspect.isclass(value)}
    errors = {name for name, value in classes.items() if issubclass(value, Exception)}
    models = {"User", "Account", "Session", "VerificationToken", "Authenticator", "Role", "Permission"}
    others = {"connect", "Adapter", "SessionPolicy", "SignIn", "PruneReport", "Health", "Ended", "Event", "CacheInfo"}
    assert [name for name in sorted(errors | models | others) if not hasattr(authstore, name)] == []
