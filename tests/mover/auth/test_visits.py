"""Visits: from what a session store holds; what nobody can read is rejected, and nobody is signed in unasked."""

import json
import pickle
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from authstore import connect
from authstore.mover import UndecidedError, make_plan, recover
from tests.mover.moving import change, moved, one, verified

Connection = psycopg.Connection[Any]
SESSION = "CREATE TABLE session (sid varchar PRIMARY KEY, sess {type} NOT NULL, expire timestamp(6) NOT NULL)"
USERS = "CREATE TABLE users (id serial PRIMARY KEY, email text NOT NULL, banned boolean NOT NULL DEFAULT false)"
LATER = "2099-01-01"


def token(number: int) -> str:
    return f"zGCqJZT0GbFr8HQ3Pt5h0nqzTkZ{number:05}"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "auth.db"


def fill(source: Connection, *data: Any, type_: str = "json", expire: str = LATER) -> None:
    """A session store with these in it, from number 0 on."""
    if source.execute("SELECT to_regclass('session') IS NULL").fetchone() == (True,):
        source.execute(SESSION.format(type=type_).encode())
    for number, each in enumerate(data):
        source.execute("INSERT INTO session VALUES (%s, %s, %s)", (token(number), each, expire), prepare=False)


async def visits(target: Path, *numbers: int) -> list[Any]:
    """What each token finds."""
    async with connect(target, create=False) as store:
        found = [await store.get_visit(token(number)) for number in numbers]
    return [None if visit is None else visit.data for visit in found]


@pytest.mark.parametrize("type_", ["jsonb", "text", "bytea"])
async def test_every_row_is_found_by_what_the_browser_holds(
    source: Connection, source_url: str, target: Path, type_: str
) -> None:
    carts: list[dict[str, Any]] = [{"cart": ["tea"], "n": "für Ada ☕ \x1f"}, {}, {"cookie": {"path": "/"}, "sum": 1.5}]
    fill(source, *(json.dumps(cart).encode() if type_ == "bytea" else json.dumps(cart) for cart in carts), type_=type_)
    report = await moved(source_url, target)
    assert report.tables["visits"].rows == 3
    assert await visits(target, 0, 1, 2, 3) == [*carts, None]
    assert (await verified(source_url, target)).ok
    assert one(target, "SELECT count(*) FROM visits WHERE instr(CAST(token_hash AS TEXT), 'zGCq')") == 0
    async with connect(target, create=False) as store:
        changed = await store.change_visit(token(0), merge={"more": 1}, rotate=True)
        assert changed is not None
        assert changed.data == {**carts[0], "more": 1}
        assert await store.get_visit(token(0)) is None


async def test_moving_again_catches_up_and_a_table_can_be_recovered(
    source: Connection, source_url: str, target: Path
) -> None:
    fill(source, *(b'{"n": %d}' % number for number in range(5)), type_="bytea")
    await moved(source_url, target)
    source.execute("UPDATE session SET sess = '{}' WHERE sid = %s", (token(1),))
    source.execute("DELETE FROM session WHERE sid = %s", (token(2),))
    assert not (await verified(source_url, target)).ok
    again = (await moved(source_url, target)).tables["visits"]
    assert (again.rows, again.copied, again.deleted) == (4, 1, 1)
    assert await visits(target, 0, 1, 2, 4) == [{"n": 0}, {}, None, {"n": 4}]
    change(target, "DELETE FROM visits")
    await recover(source_url, target, "visits")
    assert (await verified(source_url, target)).ok


async def test_what_is_over_stays_behind_unless_it_is_wanted(source: Connection, source_url: str, target: Path) -> None:
    fill(source, '{"n": 0}')
    fill_over = "INSERT INTO session VALUES (%s, '[]', '2001-01-01')"
    source.execute(fill_over, (token(7),))
    plan = await make_plan(source_url, target)
    assert plan.ok  # what has expired is no bad row, whatever is in it
    assert [(problem.kind, problem.count) for problem in plan.problems if problem.kind == "expired"] == [("expired", 1)]
    assert not (await make_plan(source_url, target, with_expired=True)).ok


def django(payload: bytes) -> str:
    return urlsafe_b64encode(payload).decode().rstrip("=") + ":1vP6X2:unproved"


BAD: dict[str, list[Any]] = {
    "json": ["[]", "7", "null", '{"a": "\\u0000"}', '{"a": 1e999}'],
    "jsonb": ["[]", '"x"'],
    "text": ["", "x", "[]", django(b"[]"), django(pickle.dumps({"a": 1})), ".abcd:1:x"],
    "bytea": [pickle.dumps({"a": 1}), pickle.dumps({"a": 1}, 0), b"[]", b"\xff", msgspec.msgpack.encode([1])],
}


@pytest.mark.parametrize("type_", BAD)
async def test_what_nobody_can_read_is_rejected_with_its_reason(
    source: Connection, source_url: str, target: Path, type_: str
) -> None:
    fill(source, *BAD[type_], b'{"good": 1}' if type_ == "bytea" else '{"good": 1}', type_=type_)
    plan = await make_plan(source_url, target)
    assert {(each.kind, each.decision) for each in plan.problems if each.stops} == {("bad-row", "on_bad_row")}
    assert sum(each.count for each in plan.problems if each.stops) == len(BAD[type_])
    report = await moved(source_url, target, on_bad_row="reject")
    assert report.tables["visits"].rows == 1
    assert (await visits(target, len(BAD[type_]))) == [{"good": 1}]
    lines = [json.loads(line) for line in Path(report.rejects or "").read_text("utf-8").splitlines()]
    assert len(lines) == len(BAD[type_])
    assert all(line["row"]["sid"].startswith("sha256:") and line["column"] == "sess" for line in lines)
    assert not any(token(number) in Path(report.rejects or "").read_text("utf-8") for number in range(9))
    said = {line["reason"] for line in lines}
    assert ("pickled, which is never loaded" in said) == (type_ in ("text", "bytea"))
    assert (await verified(source_url, target)).ok


async def test_tokens_that_nobody_could_present_are_rejected(source: Connection, source_url: str, target: Path) -> None:
    source.execute(SESSION.format(type="json").encode())
    source.execute("INSERT INTO session VALUES ('short', '{}', '2099-01-01'), (repeat('x', 600), '{}', '2099-01-01')")
    assert (await moved(source_url, target, on_bad_row="reject")).tables["visits"].rejected == 2


async def test_many_rows_are_looked_at_a_page_at_a_time(source: Connection, source_url: str, target: Path) -> None:
    source.execute(SESSION.format(type="text").encode())
    source.execute(
        """INSERT INTO session
           SELECT 'a-token-of-many-' || n, CASE WHEN n % 700 = 0 THEN 'bad' ELSE '{"n": ' || n || '}' END, '2099-01-01'
           FROM generate_series(1, 4500) AS n"""
    )
    report = await moved(source_url, target, on_bad_row="reject")
    assert (report.tables["visits"].rows, report.tables["visits"].rejected) == (4494, 6)
    assert one(target, "SELECT sum(data ->> 'n') FROM visits") == sum(n for n in range(1, 4501) if n % 700)


async def test_without_a_key_rows_are_read_all_the_same(source: Connection, source_url: str, target: Path) -> None:
    source.execute("CREATE TABLE session (sid text, sess text, expire timestamptz)")
    source.execute(
        "INSERT INTO session VALUES (%s, '{\"n\": 1}', '2099-01-01'), (%s, 'bad', '2099-01-01')", (token(0), token(1))
    )
    assert (await moved(source_url, target, on_bad_row="reject")).tables["visits"].rejected == 1
    assert await visits(target, 0, 1) == [{"n": 1}, None]


async def test_of_a_key_of_flask_session_the_prefix_is_left_out(
    source: Connection, source_url: str, target: Path
) -> None:
    source.execute(
        "CREATE TABLE sessions (id serial PRIMARY KEY, session_id varchar(255) UNIQUE, data bytea, expiry timestamp)"
    )
    for number, prefix in enumerate(("session:", "", "my:shop:")):
        values = (prefix + token(number), msgspec.msgpack.encode({"n": number}))
        source.execute("INSERT INTO sessions (session_id, data, expiry) VALUES (%s, %s, '2099-01-01')", values)
    source.execute("INSERT INTO sessions (session_id, data) VALUES (%s, '')", (token(3),))
    await moved(source_url, target, on_bad_row="reject")
    assert await visits(target, 0, 1, 2, 3) == [{"n": 0}, {"n": 1}, {"n": 2}, None]


class TestUsersInTheData:
    """A user's id in the data is data, until a profile says that it signs in."""

    @pytest.fixture
    def shop(self, request: pytest.FixtureRequest, source: Connection) -> Connection:
        source.execute(USERS)
        source.execute("INSERT INTO users (email, banned) VALUES ('ada@example.com', false), ('bob@example.com', true)")
        signed_in = ['{"passport": {"user": 1}, "cart": ["tea"]}', '{"passport": {"user": "2"}}']
        visitors = ['{"cart": ["milk"]}', '{"passport": {}}', '{"passport": 1}', '{"passport": {"user": null}}']
        fill(source, *signed_in, *visitors, type_=request.param)
        return source

    @pytest.fixture
    def profile(self, tmp_path: Path) -> str:
        path = tmp_path / "shop.toml"
        path.write_text('authstore_profile = 1\n[visits]\ntable = "session"\nuser_in = "$.passport.user"\n')
        return str(path)

    @pytest.mark.parametrize("shop", ["text"], indirect=True)
    async def test_nobody_is_signed_in_unasked(self, shop: Connection, source_url: str, target: Path) -> None:
        await moved(source_url, target)
        assert one(target, "SELECT count(*) FROM sessions") == 0
        assert one(target, "SELECT count(*) FROM visits") == 6

    @pytest.mark.parametrize("shop", ["json", "text"], indirect=True)
    async def test_who_is_named_is_signed_in_and_keeps_the_cart(
        self, shop: Connection, source_url: str, target: Path, profile: str
    ) -> None:
        report = await moved(source_url, target, profile=profile)
        assert (report.tables["sessions"].rows, report.tables["visits"].rows) == (2, 6)
        async with connect(target, create=False) as store:
            found = await store.get_session_and_user(token(0))
            assert found is not None
            assert (found[1].id, found[0].data, found[0].authenticated_at.year) == ("1", {}, 1970)
            assert await store.get_session_and_user(token(1)) is None  # who was banned
            assert await store.get_session_and_user(token(2)) is None
        assert (await visits(target, 0))[0]["cart"] == ["tea"]
        assert (await verified(source_url, target)).ok
        assert not (await moved(source_url, target, profile=profile)).rejected

    @pytest.mark.parametrize("shop", ["json", "text"], indirect=True)
    async def test_who_is_not_there_is_an_orphan(
        self, shop: Connection, source_url: str, target: Path, profile: str
    ) -> None:
        for number, user in enumerate(["99", '"1 or 1"', '"01"', "1.0", "true", "[1]", '{"id": 1}'], 20):
            data = f'{{"passport": {{"user": {user}}}}}'
            shop.execute("INSERT INTO session VALUES (%s, %s, '2099-01-01')", (token(number), data))
        with pytest.raises(UndecidedError):
            await moved(source_url, target, profile=profile)
        await moved(source_url, target, profile=profile, on_orphan="reject")
        assert one(target, "SELECT count(*) FROM sessions") == 2
        assert one(target, "SELECT count(*) FROM visits") == 13

    @pytest.mark.parametrize("shop", ["text"], indirect=True)
    async def test_users_who_are_merged_keep_their_sessions(
        self, shop: Connection, source_url: str, target: Path, profile: str
    ) -> None:
        shop.execute("INSERT INTO users (email) VALUES ('Ada@Example.com')")
        shop.execute('UPDATE session SET sess = \'{"passport": {"user": 3}}\' WHERE sid = %s', (token(0),))
        await moved(source_url, target, profile=profile, on_duplicate="keep-oldest")
        assert one(target, "SELECT count(*) FROM sessions") == 1

    async def test_djangos_word_alone_signs_nobody_in(
        self, source: Connection, source_url: str, target: Path, tmp_path: Path
    ) -> None:
        """A password that was changed ends them, and that shows under the site's key alone."""
        source.execute(USERS)
        source.execute("INSERT INTO users (email) VALUES ('ada@example.com')")
        source.execute(
            "CREATE TABLE django_session (session_key varchar PRIMARY KEY, session_data text, expire_date date)"
        )
        data = django(b'{"_auth_user_id":"1","_auth_user_hash":"ab","cart":[1]}')
        source.execute("INSERT INTO django_session VALUES (%s, %s, '2099-01-01')", (token(0), data))
        path = tmp_path / "shop.toml"
        path.write_text('authstore_profile = 1\n[visits]\ntable = "django_session"\nuser_in = "$._auth_user_id"\n')
        plan = await make_plan(source_url, target, profile=str(path))
        assert [(each.kind, each.count) for each in plan.problems if each.stops] == [("secret", 1)]
        await moved(source_url, target)
        assert (await visits(target, 0))[0]["cart"] == [1]
