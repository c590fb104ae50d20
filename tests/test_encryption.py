"""Provider tokens at rest: sealed under the newest key, bound to their row and column, opened with any key given."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from authstore import connect
from authstore.encryption import Cipher
from authstore.errors import ConfigurationError, KeyUnavailableError

OLD, NEW, OTHER = "old-" * 8, "new-" * 8, "other" * 8
COLUMNS = ("access_token", "refresh_token", "id_token")
TOKENS = {column: f"the-{column}-of-ada" for column in COLUMNS}


def columns(path: Path, account: str = "1") -> dict[str, object]:
    """The token columns of an account, as they stand in the file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        row = connection.execute("SELECT * FROM accounts WHERE provider_account_id = ?", [account]).fetchone()
        return {key: row[key] for key in row.keys() if "token" in key and key != "token_type"}  # noqa: SIM118


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


async def link(path: Path, keys: list[str], account: str = "1") -> None:
    async with connect(path, keys=keys) as store:
        user = await store.create_user()
        await store.link_account(user.id, "google", account, **TOKENS)  # type: ignore[arg-type]


async def tokens(path: Path, keys: list[str], account: str = "1") -> dict[str, str | None]:
    """What the store gives of an account when it is opened with these keys."""
    async with connect(path, keys=keys) as store:
        found = await store.get_account("google", account)
        assert found is not None
        return {column: getattr(found, column) for column in COLUMNS}


def test_what_was_sealed_opens_in_its_place() -> None:
    cipher = Cipher([NEW])
    for text in ("", "token", "ünïcödé", "x" * 100_000):
        sealed = cipher.seal(text, row="row", column="access_token")
        assert cipher.open(sealed, row="row", column="access_token") == text


def test_the_same_text_is_never_sealed_the_same_way_twice() -> None:
    cipher = Cipher([NEW])
    assert len({cipher.seal("token", row="row", column="access_token") for _ in range(100)}) == 100


@pytest.mark.parametrize(("row", "column"), [("other", "access_token"), ("row", "id_token"), ("row\0access", "token")])
def test_what_was_sealed_opens_in_no_other_place(row: str, column: str) -> None:
    cipher = Cipher([NEW])
    with pytest.raises(KeyUnavailableError):
        cipher.open(cipher.seal("token", row="row", column="access_token"), row=row, column=column)


def test_no_altered_or_shortened_value_opens() -> None:
    cipher = Cipher([NEW])
    sealed = cipher.seal("token", row="row", column="access_token")
    altered = [sealed[:i] + bytes([sealed[i] ^ 1]) + sealed[i + 1 :] for i in range(len(sealed))]
    for value in [*altered, *(sealed[:length] for length in range(len(sealed))), sealed + b"\0"]:
        with pytest.raises(KeyUnavailableError):
            cipher.open(value, row="row", column="access_token")


def test_keys_are_told_apart_and_text_is_its_utf_8() -> None:
    sealed = Cipher(["ü" * 32]).seal("token", row="row", column="id_token")
    assert Cipher([("ü" * 32).encode()]).open(sealed, row="row", column="id_token") == "token"
    with pytest.raises(KeyUnavailableError, match="not given"):
        Cipher([OTHER]).open(sealed, row="row", column="id_token")


def test_the_newest_of_the_keys_seals_and_all_open() -> None:
    both = Cipher([NEW, OLD])
    assert Cipher([NEW]).open(both.seal("token", row="r", column="c"), row="r", column="c") == "token"
    assert both.open(Cipher([OLD]).seal("token", row="r", column="c"), row="r", column="c") == "token"
    twice = Cipher([NEW, OLD, NEW])
    assert twice.prefix == Cipher([NEW]).prefix


def test_a_cipher_does_not_show_its_keys() -> None:
    assert NEW not in repr(Cipher([NEW])) + str(vars(Cipher([NEW])))


@pytest.mark.parametrize("keys", [["short"], ["k" * 31], [b"k" * 31], [None], "k" * 64])
def test_a_weak_key_is_refused(keys: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        Cipher(keys)


async def test_with_keys_nothing_of_the_tokens_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    await link(path, [NEW])
    stored = columns(path)
    assert [stored[column] for column in COLUMNS] == [None] * 3
    assert not any(token.encode() in path.read_bytes() for token in TOKENS.values())
    assert await tokens(path, [NEW]) == TOKENS


async def test_plain_tokens_from_before_stay_readable_and_are_sealed_when_they_change(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    await link(path, [])
    assert {column: columns(path)[column] for column in COLUMNS} == TOKENS
    assert await tokens(path, [NEW]) == TOKENS
    async with connect(path, keys=[NEW]) as store:
        account = await store.get_account("google", "1")
        assert account is not None
        await store.link_account(account.user_id, "google", "1", access_token="changed")
    assert [columns(path)[column] for column in COLUMNS] == [None] * 3
    assert await tokens(path, [NEW]) == {**TOKENS, "access_token": "changed"}


@pytest.mark.parametrize("keys", [[], [OTHER]])
async def test_without_the_key_the_account_is_refused_and_the_rest_of_the_store_works(
    keys: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "auth.db"
    await link(path, [NEW])
    async with connect(path, keys=keys) as store:
        with pytest.raises(KeyUnavailableError) as refused:
            await store.get_account("google", "1")
        assert not any(secret in str(refused.value) for secret in (*TOKENS.values(), NEW, OTHER))
        user = await store.get_user_by_account("google", "1")
        assert user is not None
        assert await store.unlink_account("google", "1")


async def test_a_new_key_in_front_is_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    await link(path, [OLD])
    assert await tokens(path, [NEW, OLD]) == TOKENS
    async with connect(path, keys=[NEW, OLD]) as store:
        assert await store.rekey() == 1
        assert await store.rekey() == 0
    assert await tokens(path, [NEW]) == TOKENS
    with pytest.raises(KeyUnavailableError):
        await tokens(path, [OLD])


async def test_rekeying_seals_what_is_plain_and_counts_accounts(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    for number in range(3):
        await link(path, [], account=str(number))
    await link(path, [OLD], account="3")
    await link(path, [NEW], account="4")
    async with connect(path, keys=[NEW, OLD]) as store:
        assert await store.rekey() == 4
    for number in range(5):
        assert await tokens(path, [NEW], account=str(number)) == TOKENS
    assert not any(token.encode() in path.read_bytes() for token in TOKENS.values())


async def test_rekeying_does_what_it_can_and_says_what_it_could_not(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    await link(path, [OTHER], account="lost")
    await link(path, [OLD], account="found")
    async with connect(path, keys=[NEW, OLD]) as store:
        with pytest.raises(KeyUnavailableError, match="1"):
            await store.rekey()
    assert await tokens(path, [NEW], account="found") == TOKENS
    assert await tokens(path, [OTHER], account="lost") == TOKENS


async def test_rekeying_without_keys_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    await link(path, [])
    async with connect(path) as store:
        assert await store.rekey() == 0
    assert await tokens(path, []) == TOKENS


async def test_more_accounts_than_fit_a_batch_are_all_sealed_anew(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    async with connect(path, keys=[OLD]) as store, store.transaction() as transaction:
        user = await transaction.create_user()
        for number in range(450):
            await transaction.link_account(user.id, "google", str(number), access_token="token")
    async with connect(path, keys=[NEW, OLD]) as store:
        assert await store.rekey() == 450
    async with connect(path, keys=[NEW]) as store:
        assert {account.access_token for account in await store.list_accounts(user.id)} == {"token"}


@pytest.mark.parametrize(
    "move",
    [
        "UPDATE accounts SET access_token_encrypted = (SELECT access_token_encrypted FROM accounts WHERE"
        " provider_account_id = '2') WHERE provider_account_id = '1'",
        "UPDATE accounts SET access_token_encrypted = id_token_encrypted WHERE provider_account_id = '1'",
        "UPDATE accounts SET access_token_encrypted = zeroblob(60) WHERE provider_account_id = '1'",
        "UPDATE accounts SET access_token_encrypted = x'' WHERE provider_account_id = '1'",
    ],
    ids=["another-row", "another-column", "zeros", "empty"],
)
async def test_a_sealed_token_moved_or_altered_in_the_database_is_refused(move: str, tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    await link(path, [NEW], account="1")
    await link(path, [NEW], account="2")
    change(path, move)
    with pytest.raises(KeyUnavailableError):
        await tokens(path, [NEW], account="1")
    assert await tokens(path, [NEW], account="2") == TOKENS
