"""A store on the tables of a running Auth.js database, beside the application in JavaScript that they belong to."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest

from authstore import (
    AccountLinkedError,
    AccountNotLinkedError,
    Adapter,
    ConfigurationError,
    ConflictError,
    EmailTakenError,
    NotSupportedError,
    SchemaError,
    SessionPolicy,
    StoreReadOnlyError,
    User,
    UserNotFoundError,
    connect,
)
from authstore.backends.postgres.authjs import add_indexes
from authstore.testing import Clock
from tests.cli.running import run
from tests.postgres import fresh_database

SCHEMAS = Path(__file__).parents[2] / "mover" / "schemas"
WRITABLE = ("prisma_v4", "prisma_v5", "prisma_mapped", "drizzle_default", "supabase")
READ_ONLY = {"pg_adapter": ("users", "101", "102"), "t3_drizzle_snake": ("project1_user", "'1'", "'2'")}
NOBODY = "018f0000-0000-7000-8000-000000000000"


@contextmanager
def made(postgres_url: str, name: str) -> Iterator[str]:
    """A fresh database with this schema."""
    with fresh_database(postgres_url) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute((SCHEMAS / f"{name}.sql").read_text().encode())
        yield url


@pytest.fixture(scope="module")
def urls(postgres_url: str) -> Iterator[dict[str, str]]:
    """A database of each kind."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(made(postgres_url, name)) for name in (*WRITABLE, "pg_adapter")}


@pytest.fixture(params=(*WRITABLE, "pg_adapter with indexes"))
def url(request: pytest.FixtureRequest, urls: dict[str, str]) -> str:
    """The database of one kind."""
    if request.param in WRITABLE:
        return urls[request.param]
    asyncio.run(add_indexes(urls["pg_adapter"]))
    return urls["pg_adapter"]


@pytest.fixture
async def store(url: str, clock: Clock) -> AsyncIterator[Adapter]:
    async with connect(url, tables="authjs", clock=clock, policy=SessionPolicy(idle=None)) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 5, 1, 12, 0, 0, 123000, tzinfo=UTC))


async def test_users_are_held(store: Adapter) -> None:
    address = f"ada{id(store)}@example.com"
    user = await store.create_user(email=address.upper(), name="Ada", email_verified=datetime(2026, 1, 1, tzinfo=UTC))
    assert (user.email, user.name, user.email_verified) == (address, "Ada", datetime(2026, 1, 1, tzinfo=UTC))
    assert await store.get_user(user.id) == user == await store.get_user_by_email(address)
    with pytest.raises(EmailTakenError):
        await store.create_user(email=address)
    other = await store.create_user(email=f"grace{id(store)}@example.com")
    with pytest.raises(EmailTakenError):
        await store.update_user(other.id, email=address)
    renamed = await store.update_user(user.id, name=None, image="/ada.png")
    assert renamed is not None
    assert (renamed.name, renamed.image, renamed.email) == (None, "/ada.png", address)
    assert await store.update_user(NOBODY, name="x") is None
    listed = [one.id async for one in _all(store)]
    assert {user.id, other.id} <= set(listed)
    assert len(set(listed)) == len(listed)
    for nobody in ("", "nobody", NOBODY, "7000000", "007"):
        assert await store.get_user(nobody) is None
    session = await store.create_session(user.id)
    await store.link_account(user.id, "github", f"g{id(store)}")
    assert await store.delete_user(user.id)
    assert not await store.delete_user(user.id)
    assert await store.get_session(session.token or "") is None
    assert await store.get_account("github", f"g{id(store)}") is None


_numbers = count()


async def somebody(store: Adapter) -> User:
    """A user with an address, which some of these tables ask for."""
    return await store.create_user(email=f"somebody{next(_numbers)}.{id(store)}@example.com", name="Ada")


async def _all(store: Adapter) -> AsyncIterator[Any]:
    after = None
    while page := await store.list_users(after=after, limit=2):
        for user in page:
            yield user
        after = page[-1].id


async def test_accounts_are_held_and_a_sign_in_is_one_step(store: Adapter, clock: Clock) -> None:
    me, address = f"p{id(store)}", f"mary{id(store)}@example.com"
    expires = clock().replace(microsecond=0) + timedelta(hours=1)
    tokens = {"access_token": "gho", "refresh_token": "ghr", "scope": "user", "expires_at": expires}
    calls = [
        store.sign_in_with_account(
            provider="github", provider_account_id=me, email=address, email_verified=True, name="Mary", tokens=tokens
        )
        for _ in range(5)
    ]
    signed_in = await asyncio.gather(*calls)
    assert [one.created_user for one in signed_in].count(True) == 1
    assert len({one.user.id for one in signed_in}) == 1
    user = signed_in[0].user
    account = await store.get_account("github", me)
    assert account is not None
    assert (account.user_id, account.access_token, account.scope, account.expires_at) == (
        user.id,
        "gho",
        "user",
        expires,
    )
    assert await store.get_user_by_account("github", me) == await store.get_user(user.id)
    with pytest.raises(AccountNotLinkedError):
        await store.sign_in_with_account(provider="google", provider_account_id=me, email=address, email_verified=True)
    trusted = await store.sign_in_with_account(
        provider="google", provider_account_id=me, email=address, email_verified=True, trust_email=True
    )
    assert (trusted.user.id, trusted.linked_account, trusted.created_user) == (user.id, True, False)
    other = await somebody(store)
    with pytest.raises(AccountLinkedError):
        await store.link_account(other.id, "github", me)
    updated = await store.link_account(user.id, "github", me, access_token="new")
    assert (updated.access_token, updated.refresh_token, updated.id) == ("new", "ghr", account.id)
    assert [one.provider for one in await store.list_accounts(user.id)] in (["github", "google"], ["google", "github"])
    assert await store.unlink_account("google", me)
    assert not await store.unlink_account("google", me)
    with pytest.raises(UserNotFoundError):
        await store.link_account(NOBODY, "github", "somebody")


async def test_an_address_that_nobody_proved_goes_with_all_ways_in_to_who_proves_it(store: Adapter) -> None:
    address = f"squat{id(store)}@example.com"
    squatter = await store.create_user(email=address)
    session = await store.create_session(squatter.id)
    await store.link_account(squatter.id, "github", f"evil{id(store)}")
    proved = await store.sign_in_with_account(
        provider="google", provider_account_id=address, email=address, email_verified=True, trust_email=True
    )
    assert proved.user.id == squatter.id
    assert proved.user.email_verified is not None
    assert [one.provider for one in await store.list_accounts(squatter.id)] == ["google"]
    assert await store.get_session(session.token or "") is None


async def test_sessions_are_held(store: Adapter, clock: Clock) -> None:
    user = await somebody(store)
    session = await store.create_session(user.id, ip="198.51.100.7", data={"theme": "dark"})
    token = session.token or ""
    assert (session.data, session.ip, session.expires) == ({}, None, clock() + timedelta(days=30))
    found = await store.get_session_and_user(token)
    assert found is not None
    assert found[0].model_copy(update={"created_at": session.created_at}) == session.model_copy(
        update={"last_used_at": found[0].last_used_at, "authenticated_at": found[0].authenticated_at}
    )
    assert found[1] == user
    assert await store.touch_session(token) == found[0]
    clock.advance(timedelta(milliseconds=1))
    given = await store.create_session(user.id, token="t" * 20 + str(id(store)), expires=clock() + timedelta(hours=1))
    with pytest.raises(ConflictError):
        await store.create_session(user.id, token=given.token)
    shorter = await store.update_session(token, expires=clock() + timedelta(minutes=5))
    assert shorter is not None
    assert shorter.expires == clock() + timedelta(minutes=5)
    assert [one.id for one in await store.list_sessions(user.id)] == [given.id, session.id]
    first = await store.list_sessions(user.id, limit=1)
    assert [one.id for one in await store.list_sessions(user.id, after=first[0], limit=1)] == [session.id]
    clock.advance(timedelta(minutes=5))
    assert await store.get_session(token) is None
    assert await store.update_session(token, expires=clock() + timedelta(days=1)) is None
    assert await store.revoke_session(given.id)
    assert not await store.revoke_session(given.id)
    tokens = [(await store.create_session(user.id)).token or "" for _ in range(4)]
    assert await store.delete_session(tokens[0])
    assert not await store.delete_session(tokens[0])
    assert await store.revoke_sessions(user.id, except_token=tokens[1]) >= 2
    assert await store.get_session(tokens[1]) is not None
    assert await store.get_session(tokens[2]) is None
    with pytest.raises(UserNotFoundError):
        await store.create_session(NOBODY)
    clock.advance(timedelta(days=40))
    report = await store.prune(batch=1)
    assert report.deleted["sessions"] >= 1
    assert report.remaining == 0


async def test_a_token_is_replaced_where_a_session_has_an_id(store: Adapter, url: str, urls: dict[str, str]) -> None:
    user = await somebody(store)
    session = await store.create_session(user.id)
    if url in (urls["drizzle_default"], urls["prisma_v5"]):
        with pytest.raises(NotSupportedError, match="session ids"):
            await store.rotate_session(session.token or "")
        return
    rotated = await store.rotate_session(session.token or "")
    assert rotated is not None
    assert rotated.id == session.id
    assert await store.get_session(session.token or "") is None
    assert await store.get_session(rotated.token or "") is not None


async def test_verification_tokens_are_held_and_used_once(store: Adapter, clock: Clock) -> None:
    address = f"letter{id(store)}@example.com"
    token = await store.create_verification_token(address.upper())
    assert token.identifier == address
    assert await store.peek_verification_token(address, token.token or "") == token
    used = await asyncio.gather(*(store.use_verification_token(address, token.token or "") for _ in range(5)))
    assert [one for one in used if one] == [token]
    late = await store.create_verification_token(address, token="as-hashed")
    with pytest.raises(ConflictError):
        await store.create_verification_token(address, token="as-hashed")
    clock.advance(timedelta(hours=1))
    assert await store.peek_verification_token(address, late.token or "") is None
    assert await store.use_verification_token(address, "as-hashed") is None


@pytest.mark.parametrize("kind", ["prisma_v5", "drizzle_default"])
async def test_passkeys_are_held_where_there_is_a_table(kind: str, urls: dict[str, str]) -> None:
    async with connect(urls[kind], tables="authjs") as store:
        user = await somebody(store)
        await store.create_authenticator(
            user.id, "-_8h", b"\x00\xff" * 60, counter=4, device_type="multi_device", transports=("usb", "nfc")
        )
        found = await store.get_authenticator("-_8h")
        assert found is not None
        assert (found.public_key, found.counter, found.device_type) == (b"\x00\xff" * 60, 4, "multi_device")
        assert found.transports == ("usb", "nfc")
        assert [one.credential_id for one in await store.list_authenticators(user.id)] == ["-_8h"]
        assert (await store.update_authenticator_counter("-_8h", 5)).counter == 5
        assert await store.delete_authenticator("-_8h")
        assert await store.get_authenticator("-_8h") is None
        with psycopg.connect(urls[kind]) as connection:
            await store.create_authenticator(user.id, "-_8", b"k")
            table = "Authenticator" if kind == "prisma_v5" else "authenticator"
            row = connection.execute(f'SELECT "credentialID", "credentialPublicKey" FROM "{table}"'.encode()).fetchone()
            assert row == ("+/8=", "aw==")


async def test_what_the_tables_cannot_hold_is_refused_by_name_and_nothing_changed(store: Adapter, url: str) -> None:
    user = await somebody(store)
    token = (await store.create_session(user.id)).token or ""
    refused = {
        "data": [
            store.create_user(email="a@example.com", data={"a": 1}),
            store.update_user(user.id, name="x", data={"a": 1}),
        ],
        "disabled": [store.update_user(user.id, name="x", disabled=True)],
        "data of a session": [store.update_session(token, data={"a": 1}), store.update_session(token, merge={"a": 1})],
        "the token before": [store.rotate_session(token, grace=timedelta(seconds=5))],
        "purposes": [store.create_verification_token("a@example.com", purpose="invite")],
        "data of a verification": [store.create_verification_token("a@example.com", data={"a": 1})],
        "leases": [store.refresh_account("github", "1", lambda account: None)],  # type: ignore[arg-type,return-value]
        "roles": [store.create_role("admin"), store.get_roles(user.id), store.has_permission(user.id, "a", "b")],
        "events": [store.events()],
        "why": [store.why_ended(token)],
        "encryption": [store.rekey(), store.forget_unreadable()],
    }
    for what, calls in refused.items():
        for call in calls:
            with pytest.raises(NotSupportedError, match=what):
                await call
    assert await store.get_user(user.id) == user
    assert (await store.health()).ok
    for options, what in (
        ({"keys": ["k" * 32]}, "keys"),
        ({"audit": timedelta(days=1)}, "audit"),
        ({"policy": SessionPolicy()}, "idle"),
        ({"policy": SessionPolicy(idle=None, max_per_user=3)}, "max_per_user"),
        ({"tables": "rails"}, "authjs"),
    ):
        with pytest.raises(ConfigurationError, match=what):
            connect(url, **{"tables": "authjs", **options})  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="PostgreSQL"):
        connect("sqlite://", tables="authjs")


async def test_a_transaction_holds_all_or_nothing(store: Adapter) -> None:
    transaction = store.transaction()
    inside = await transaction.__aenter__()
    user = await somebody(inside)
    await inside.create_session(user.id)
    await transaction.__aexit__(RuntimeError, RuntimeError(), None)
    assert await store.get_user(user.id) is None
    async with store.transaction() as inside:
        user = await somebody(inside)
    assert await store.get_user(user.id) == user


@pytest.mark.parametrize("kind", READ_ONLY)
async def test_without_its_unique_indexes_a_database_is_only_read(kind: str, postgres_url: str) -> None:
    name, first, second = READ_ONLY[kind]
    with made(postgres_url, kind) as url, psycopg.connect(url, autocommit=True) as connection:
        rows = f"INSERT INTO {name} (id, email) VALUES ({first}, 'Ada@example.com'), ({second}, 'ada@example.com')"
        connection.execute(rows.encode())
        async with connect(url, tables="authjs") as store:
            assert [user.email for user in await store.list_users()] == ["ada@example.com"] * 2
            for call in (store.create_user(email="x@example.com"), store.delete_user("1")):
                with pytest.raises(StoreReadOnlyError, match="--add-indexes"):
                    await call
            with pytest.raises(StoreReadOnlyError):
                await store.transaction().__aenter__()
        refused = await asyncio.to_thread(run, "migrate", url, "--add-indexes")
        assert refused.returncode == 1
        assert "more than once" in refused.stderr
        connection.execute(f"DELETE FROM {name} WHERE id = {first}".encode())
        assert "authstore_users_unique" in (await asyncio.to_thread(run, "migrate", url, "--add-indexes")).stdout
        assert await add_indexes(url) == []
        async with connect(url, tables="authjs") as store:
            assert (await store.create_user(email="grace@example.com")).email == "grace@example.com"


async def test_other_databases_are_refused_and_left_alone(source_url: str, source: psycopg.Connection) -> None:
    with pytest.raises(SchemaError, match="users, accounts, sessions"):
        await connect(source_url, tables="authjs")
    source.execute((SCHEMAS / "prisma_v4.sql").read_text().encode())
    source.execute('CREATE TABLE other_accounts ("userId" text, provider text, "providerAccountId" text)')
    with pytest.raises(ConfigurationError, match="other_accounts"):
        await connect(source_url, tables="authjs")


# What the adapters in JavaScript send, as their sources have it.
JAVASCRIPT = {
    "prisma_v4": {
        "create": 'INSERT INTO "User" (id, email, "emailVerified") VALUES ($1, $2, $3)',
        "session": 'INSERT INTO "Session" (id, "sessionToken", "userId", expires) VALUES ($1, $1, $2, $3)',
        "find": 'SELECT s.*, u.email FROM "Session" s JOIN "User" u ON u.id = s."userId" WHERE "sessionToken" = $1',
        "account": 'INSERT INTO "Account" (id, "userId", type, provider, "providerAccountId", expires_at)'
        " VALUES ($1, $2, 'oauth', 'github', $1, 1777777777)",
        "slide": 'UPDATE "Session" SET expires = $2 WHERE "sessionToken" = $1',
        "end": 'DELETE FROM "Session" WHERE "sessionToken" = $1',
    },
    "drizzle_default": {
        "create": 'INSERT INTO "user" (id, email, "emailVerified") VALUES ($1, $2, $3)',
        "session": 'INSERT INTO session ("sessionToken", "userId", expires) VALUES ($1, $2, $3)',
        "find": 'SELECT s.*, u.email FROM session s JOIN "user" u ON u.id = s."userId" WHERE "sessionToken" = $1',
        "account": 'INSERT INTO account ("userId", type, provider, "providerAccountId", expires_at)'
        " VALUES ($2, 'oauth', 'github', $1, 1777777777)",
        "slide": 'UPDATE session SET expires = $2 WHERE "sessionToken" = $1',
        "end": 'DELETE FROM session WHERE "sessionToken" = $1',
    },
}


@pytest.mark.parametrize("kind", JAVASCRIPT)
async def test_both_sides_write_and_read_the_same_rows_at_the_same_time(kind: str, urls: dict[str, str]) -> None:
    said, now = JAVASCRIPT[kind], datetime.now(UTC).replace(microsecond=5000)
    later = now + timedelta(days=1)
    async with (
        connect(urls[kind], tables="authjs") as store,
        asyncpg.create_pool(urls[kind], min_size=1, max_size=5) as js,
    ):

        async def theirs(number: int) -> None:
            me = f"js-{kind}-{number}"
            naive = later.replace(tzinfo=None)
            await js.execute(said["create"], me, f"JS{number}.{kind}@Example.com", now.replace(tzinfo=None))
            await js.execute(said["session"], f"token-of-{me}", me, naive)
            await js.execute(said["account"], me, me)
            found = await store.get_session_and_user(f"token-of-{me}")
            assert found is not None
            assert (found[0].expires, found[1].email) == (later, f"js{number}.{kind}@example.com")
            assert found[1].email_verified == now
            again = await store.sign_in_with_account(provider="github", provider_account_id=me, tokens={"scope": "x"})
            assert (again.user.id, again.account.expires_at) == (me, datetime.fromtimestamp(1777777777, UTC))
            with pytest.raises(EmailTakenError):
                await store.create_user(email=f"js{number}.{kind}@example.com")
            await js.execute(said["slide"], f"token-of-{me}", naive + timedelta(hours=1))
            session = await store.get_session(f"token-of-{me}")
            assert session is not None
            assert session.expires == later + timedelta(hours=1)
            assert await store.delete_session(f"token-of-{me}")
            assert await js.fetchrow(said["find"], f"token-of-{me}") is None

        async def ours(number: int) -> None:
            user = await store.create_user(email=f"py{number}.{kind}@example.com")
            session = await store.create_session(user.id)
            row = await js.fetchrow(said["find"], session.token)
            assert row is not None
            assert (row["userId"], row["email"]) == (user.id, user.email)
            assert row["expires"].replace(tzinfo=UTC) == session.expires
            await js.execute(said["end"], session.token)
            assert await store.get_session_and_user(session.token or "") is None

        await asyncio.gather(*(side(number) for number in range(8) for side in (theirs, ours)))
