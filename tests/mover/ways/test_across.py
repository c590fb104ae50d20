"""From one PostgreSQL into authstore's tables in another."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from authstore import connect
from authstore.mover import Event, UndecidedError, make_plan, move, recover, verify
from authstore.mover.ways.aside import folder_aside
from tests.mover.emptying import emptied
from tests.mover.moving import people
from tests.postgres import fresh_database

_Link = psycopg.Connection[Any]


@pytest.fixture
def links(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[_Link, _Link]]:
    monkeypatch.chdir(tmp_path)
    with (
        fresh_database(postgres_url) as here,
        fresh_database(postgres_url) as there,
        psycopg.connect(here, autocommit=True) as source,
        psycopg.connect(there, autocommit=True) as target,
    ):
        emptied(source)
        people(source)
        yield source, target


def url(link: _Link) -> str:
    return f"postgresql://postgres:secret@{link.info.host}:{link.info.port}/{link.info.dbname}"


async def test_an_application_s_database_becomes_a_store_in_another(links: tuple[_Link, _Link]) -> None:
    source, target = links
    source.execute("ALTER TABLE note ADD made timestamptz DEFAULT now(), ADD kind varchar(5) CHECK (kind <> '')")
    source.execute("CREATE TABLE web_session (sid text PRIMARY KEY, sess bytea, expire timestamptz)")
    source.execute("INSERT INTO web_session VALUES ('an-old-cookie-of-a-cart', '{\"cart\": [1]}', '2099-01-01')")
    plan = await make_plan(url(source), url(target))
    assert plan.ok
    assert {table.table: table.source for table in plan.tables if table.source.startswith("public")} == {
        "users": "public.User",
        "sessions": "public.Session",
        "visits": "public.web_session",
        "note": "public.note",
    }
    await move(plan, prove=True)

    async with connect(url(target), create=False) as store:
        found = await store.get_session_and_user("token-of-session-7")
        assert found is not None
        assert found[1].id == "u8"
        visit = await store.get_visit("an-old-cookie-of-a-cart")
        assert visit is not None
        assert visit.data == {"cart": [1]}
    triggers = "SELECT bool_and(tgenabled = 'O') FROM pg_trigger WHERE NOT tgisinternal"
    assert target.execute(triggers).fetchone() == (True,)
    kept = "SELECT note::text FROM note ORDER BY id"
    assert target.execute(kept).fetchall() == source.execute(kept).fetchall()
    types = (
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'note'::regclass"
        " ORDER BY attnum"
    )
    assert target.execute(types).fetchall() == source.execute(types).fetchall()
    assert (await verify(url(source), url(target))).ok


async def test_it_catches_up_and_mends_and_sees_what_differs(links: tuple[_Link, _Link]) -> None:
    source, target = links
    await move(await make_plan(url(source), url(target)))
    source.execute("""UPDATE "User" SET name = 'New' WHERE id = 'u3'; DELETE FROM note WHERE id = 9""")
    assert not (await verify(url(source), url(target))).ok

    again = await move(await make_plan(url(source), url(target)))

    assert {name: (one.copied, one.deleted) for name, one in again.tables.items() if one.copied or one.deleted} == {
        "users": (1, 0),
        "note": (0, 1),
    }
    target.execute("UPDATE note SET body = 'theirs' WHERE id = 8")
    report = await verify(url(source), url(target))
    assert [name for name, one in report.tables.items() if not one.ok] == ["note"]
    await recover(url(source), url(target), "note")
    assert (await verify(url(source), url(target))).ok


async def test_what_is_undecided_stops_and_what_is_rejected_is_kept(links: tuple[_Link, _Link]) -> None:
    source, target = links
    source.execute('ALTER TABLE "Session" DROP CONSTRAINT "Session_userId_fkey"')
    source.execute("INSERT INTO \"Session\" VALUES ('x', 'token-of-nobody-at-all', now() + interval '1 day', 'nobody')")
    plan = await make_plan(url(source), url(target))
    assert not plan.ok
    with pytest.raises(UndecidedError):
        await move(plan)
    assert target.execute("SELECT to_regclass('users')").fetchone() == (None,)

    report = await move(await make_plan(url(source), url(target), on_orphan="reject"))

    assert report.rejected == 1
    assert report.rejects is not None
    text = Path(report.rejects).read_text()
    assert "token-of-nobody-at-all" not in text
    assert '"key": "x"' in text
    assert (await verify(url(source), url(target))).ok


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


async def test_the_file_half_way_is_its_owner_s_and_gone_at_the_end(
    links: tuple[_Link, _Link], temporary: Path
) -> None:
    source, target = links
    modes: set[tuple[str, int]] = set()

    def look(_: Event) -> None:
        for path in temporary.rglob("*"):
            modes.add(("folder" if path.is_dir() else "file", path.stat().st_mode & 0o777))

    plan = await make_plan(url(source), url(target))
    await move(plan, look)
    assert modes == {("folder", 0o700), ("file", 0o600)}
    assert list(temporary.iterdir()) == []


def test_what_one_that_was_killed_left_goes_with_the_next(temporary: Path) -> None:
    killed, just_made = temporary / "authstore-moving-killed", temporary / "authstore-moving-new"
    for folder in (killed, just_made, temporary / "somebody-else-s"):
        folder.mkdir()
        (folder / "half-way.db").write_text("all that was moved")
    os.utime(killed, (1, 1))
    with folder_aside() as at_work:
        os.utime(at_work, (1, 1))
        with folder_aside() as own:
            assert {path.name for path in temporary.iterdir()} == {
                own.name, at_work.name, just_made.name, "somebody-else-s",
            }  # fmt: skip


async def test_a_full_folder_for_temporary_files_stops_it_beforehand(
    links: tuple[_Link, _Link], temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = links
    full = shutil.disk_usage(temporary)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    plan = await make_plan(url(source), url(target))
    assert [problem.kind for problem in plan.problems if problem.stops] == ["target"]
    assert any("TMPDIR" in problem.message for problem in plan.problems)
