"""What else stands in another application's SQLite file: it comes as it is, or the plan says what stays behind."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from authstore import connect
from authstore.errors import ConfigurationError
from authstore.mover import Plan, make_plan, move, verify
from tests.mover.moving import change, one
from tests.mover.ways.old_files import BETTER_AUTH, LUCIA, PRISMA, SHAPES, made

AUTH = {"main.Account": 1, "main.VerificationToken": 1}
FTS = "CREATE VIRTUAL TABLE docs USING fts5 (body)"


def left(plan: Plan) -> dict[str, int]:
    """What stays behind, with its rows; what has no table by its own words."""
    found = [problem for problem in plan.problems if problem.kind == "left-behind"]
    return {problem.table or problem.message.partition(" stays")[0]: problem.count for problem in found}


@pytest.mark.parametrize(
    ("shape", "statements", "options", "stays"),
    [
        (PRISMA, (FTS, "INSERT INTO docs VALUES ('x')"), {}, {"virtual table docs": 1}),
        (PRISMA, (), {"skip": ("Post",)}, {"main.Post": 1}),
        (PRISMA, (), {"only": ("users", "main.Session")}, {"main.Post": 1, **AUTH}),
        (PRISMA, (), {"only": ("Post",)}, {"main.User": 2, "main.Session": 3, "main.Post": 0, **AUTH}),
        (BETTER_AUTH, (), {"secrets": "drop"}, {"main.verification": 1}),
        (LUCIA, (), {"skip": ("session",)}, {"main.session": 2}),
    ],
)  # fmt: skip
async def test_what_stays_behind_is_said_with_its_rows(
    tmp_path: Path, shape: str, statements: tuple[str, ...], options: dict[str, object], stays: dict[str, int]
) -> None:
    source, target = made(tmp_path, shape, *statements), tmp_path / "new.db"
    plan = await make_plan(source, target, **options)
    assert left(plan) == stays
    report = await move(plan)
    assert {one.message for one in report.problems} == {one.message for one in plan.problems}
    compared = await verify(source, target)
    assert compared.ok
    assert {one.message for one in compared.problems} == {one.message for one in plan.problems}


@pytest.mark.parametrize("name", ["docs_archive", "docs_", "docs_contents"])
async def test_a_table_called_like_a_part_of_a_virtual_one_comes(tmp_path: Path, name: str) -> None:
    source, target = made(tmp_path, PRISMA, FTS, f"CREATE TABLE {name} AS SELECT 'kept' AS x"), tmp_path / "new.db"
    await move(await make_plan(source, target))
    assert one(target, f"SELECT x FROM {name}") == "kept"
    assert one(target, "SELECT count(*) FROM sqlite_master WHERE name IN ('docs', 'docs_data', 'docs_content')") == 0


async def test_names_that_match_nothing_are_refused(tmp_path: Path) -> None:
    source = made(tmp_path, PRISMA)
    for options in ({"skip": ("Posts",)}, {"only": ("nobody",)}, {"schemas": ("public",)}, {"prefix": "shop_"}):
        with pytest.raises(ConfigurationError, match=f"`{next(iter(options))}`"):
            await make_plan(source, tmp_path / "new.db", **options)


async def test_numbers_go_on_where_they_stood(tmp_path: Path) -> None:
    source, target = made(tmp_path, PRISMA, "INSERT INTO \"Post\" VALUES (40, 'gone', NULL)"), tmp_path / "new.db"
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection, connection:
        connection.execute('DELETE FROM "Post" WHERE id = 40')
    await move(await make_plan(source, target))
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("INSERT INTO \"Post\" (title) VALUES ('new') RETURNING id").fetchone() == (41,)


REFERRING = (
    "CREATE TABLE 'odd one' (a TEXT DEFAULT 'REFERENCES User', b REFERENCES 'User'('id'), c REFERENCES nowhere)",
    "INSERT INTO 'odd one' VALUES ('x', 'u1', 'lost')",
    "CREATE INDEX 'odd i' ON 'odd one' ('b')",
    'CREATE TABLE seen (post INTEGER REFERENCES "Post", who TEXT REFERENCES "User", PRIMARY KEY (post)) WITHOUT ROWID',
    "INSERT INTO seen VALUES (7, 'u2')",
)


async def test_foreign_keys_follow_their_tables_or_are_said_to_stay(tmp_path: Path) -> None:
    source, target = made(tmp_path, PRISMA, *REFERRING), tmp_path / "new.db"
    plan = await make_plan(source, target, skip=("Post",))
    assert plan.ok, plan.problems
    assert [each.message.partition(":")[0] for each in plan.problems if "foreign key" in each.message] == [
        "foreign key to nowhere",
        "foreign key to Post",
    ]
    await move(plan)
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("SELECT * FROM 'odd one'").fetchall() == [("x", "u1", "lost")]
        for table in ("odd one", "seen"):
            found = connection.execute('SELECT "table", "to" FROM pragma_foreign_key_list(?)', (table,)).fetchall()
            assert found == [("users", "id")]
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("INSERT INTO 'odd one' (b) VALUES ('u2')")


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("links (a TEXT, who TEXT REFERENCES \"User\", api_key TEXT, PRIMARY KEY (a)) WITHOUT ROWID", "5"),
        ("links (rowid TEXT PRIMARY KEY, who TEXT REFERENCES \"User\", api_key TEXT)", "5"),
        ("links (rowid TEXT, who TEXT REFERENCES \"User\", api_key TEXT)", "2"),
    ],
)  # fmt: skip
async def test_rows_that_point_to_nothing_are_left_out_of_any_table(tmp_path: Path, table: str, key: str) -> None:
    more = (f"CREATE TABLE {table}", "INSERT INTO links VALUES (1, 'u1', 'k1'), (5, 'nobody', 'living-key')")
    source, target = made(tmp_path, PRISMA, *more), tmp_path / "new.db"
    plan = await make_plan(source, target, secrets="keep")
    assert [(each.table, each.count, each.samples) for each in plan.problems if each.stops] == [("links", 1, (key,))]
    report = await move(await make_plan(source, target, secrets="keep", on_orphan="reject"))
    (line,) = Path(report.rejects or "").read_text().splitlines()
    assert (json.loads(line)["key"], "living-key" in line) == (key, False)
    assert one(target, "SELECT who FROM links") == "u1"


async def test_what_holds_a_session_s_token_is_asked_about(tmp_path: Path) -> None:
    more = (
        "CREATE TABLE log (id INTEGER PRIMARY KEY, session TEXT NOT NULL REFERENCES session (id))",
        "INSERT INTO log VALUES (1, 'token-of-a-session-1')",
    )
    source, target = made(tmp_path, LUCIA, *more), tmp_path / "new.db"
    assert [each.decision for each in (await make_plan(source, target)).problems if each.stops] == ["secrets"]
    await move(await make_plan(source, target, secrets="drop"))
    assert b"token-of-a-session-1" not in target.read_bytes()


async def test_the_plan_lists_every_column_that_goes_into_data(tmp_path: Path) -> None:
    for shape, role, more in (
        (PRISMA, "users", 'ALTER TABLE "User" ADD COLUMN plan_tier TEXT'),
        (SHAPES["drizzle"], "sessions", "ALTER TABLE session ADD COLUMN device TEXT"),
        (BETTER_AUTH, "accounts", "ALTER TABLE account ADD COLUMN plan_tier TEXT"),
    ):
        folder = tmp_path / role
        folder.mkdir()
        plan = await make_plan(made(folder, shape, more), folder / "new.db", secrets="drop")
        (table,) = [each for each in plan.tables if each.role == role]
        assert [name for name in table.types if name in ("data.plan_tier", "data.device")]
        assert all(there for _, there in table.types.values())


async def test_text_that_is_none_is_a_bad_row_and_nobody_quotes_it(tmp_path: Path) -> None:
    more = (
        "INSERT INTO \"User\" VALUES ('u3', CAST(x'ff7365637265742d' AS TEXT), 'c@example.com', NULL, NULL, 1)",
        "INSERT INTO \"Post\" VALUES (8, CAST(x'736563726574c3' AS TEXT), 'u1')",
        "CREATE TABLE raw (id TEXT PRIMARY KEY, a BLOB)",
        "INSERT INTO raw VALUES (CAST(x'eda080' AS TEXT), x'ff'), ('fine', x'ff')",
    )
    source, target = made(tmp_path, PRISMA, *more), tmp_path / "new.db"
    plan = await make_plan(source, target)
    assert [(each.table, each.count, each.decision) for each in plan.problems if each.stops] == [
        (table, 1, "on_bad_row") for table in ("main.User", "main.Post", "main.raw")
    ]
    assert "secret" not in repr(plan.problems)
    report = await move(await make_plan(source, target, on_bad_row="reject"))
    assert report.rejected == 3
    assert one(target, "SELECT group_concat(hex(a)) FROM raw") == "FF"
    lines = [json.loads(line) for line in Path(report.rejects or "").read_text().splitlines()]
    assert {each["reason"] for each in lines} == {"text that is not UTF-8"}
    assert (await verify(source, target)).ok


@pytest.mark.parametrize(
    "name",
    ["authstore_move", "authstore_move_tables", "authstore_move_sources", "authstore_ledger", "authstore_migrations"],
)
async def test_a_table_of_the_application_s_own_with_a_name_of_ours_comes(
    tmp_path: Path, source_url: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    more = (f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, note TEXT)", f"INSERT INTO {name} VALUES (1, 'kept')")
    source, target = made(tmp_path, PRISMA, *more), tmp_path / "new.db"
    await move(await make_plan(source, target))
    assert one(target, f"SELECT note FROM source_{name}") == "kept"
    assert (await verify(source, target)).ok
    await move(await make_plan(source, source_url))
    assert (await verify(source, source_url)).ok


async def test_a_store_s_own_table_with_a_name_of_ours_comes(tmp_path: Path, source_url: str) -> None:
    async with connect(tmp_path / "auth.db") as store:
        await store.create_user(email="ada@example.com")
    change(
        tmp_path / "auth.db",
        "CREATE TABLE authstore_move (name INTEGER PRIMARY KEY)",
        "CREATE TABLE authstore_move_sources (id INTEGER PRIMARY KEY, note TEXT)",
        "INSERT INTO authstore_move_sources VALUES (1, 'kept')",
    )
    async with connect(tmp_path / "auth.db"):
        pass
    source = f"sqlite:///{tmp_path / 'auth.db'}"
    report = await move(await make_plan(source, source_url))
    assert [report.tables[name].rows for name in ("authstore_move_2", "authstore_move_sources")] == [0, 1]
    assert (await verify(source, source_url)).ok
