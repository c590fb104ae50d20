"""Two addresses are the same user if and only if their canonical forms are equal; nobody is found by a look-alike."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authstore import Adapter, connect
from authstore.email import canonical_email
from authstore.errors import AccountNotLinkedError, EmailTakenError, InvalidEmailError
from authstore.testing.model.identities import ADDRESSES

GOOD = {address: canonical for address, canonical in ADDRESSES.items() if canonical is not None}
BAD = [address for address, canonical in ADDRESSES.items() if canonical is None]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Adapter]:
    async with connect(tmp_path / "auth.db") as opened:
        yield opened


async def test_each_canonical_form_is_one_user_and_every_spelling_finds_it(store: Adapter) -> None:
    owners: dict[str, str] = {}
    for address, canonical in GOOD.items():
        if canonical in owners:
            with pytest.raises(EmailTakenError):
                await store.create_user(email=address)
        else:
            user = await store.create_user(email=address)
            assert user.email == canonical
            owners[canonical] = user.id
    for address, canonical in GOOD.items():
        found = await store.get_user_by_email(address)
        assert found is not None
        assert found.id == owners[canonical]
    assert len(set(owners.values())) == len(set(GOOD.values()))


async def test_a_look_alike_neither_finds_nor_blocks_nor_signs_in_as_the_other(store: Adapter) -> None:
    for one, other in permutations(GOOD, 2):
        if GOOD[one] == GOOD[other]:
            continue
        user = await store.create_user(email=one, email_verified=None)
        assert await store.get_user_by_email(other) is None
        token = await store.create_verification_token(one)
        assert await store.use_verification_token(other, token.token or "") is None
        assert await store.peek_verification_token(one, token.token or "") is not None
        signed_in = await store.sign_in_with_account(
            provider="google", provider_account_id=other, email=other, email_verified=True, trust_email=True
        )
        assert signed_in.user.id != user.id
        await store.delete_user(user.id)
        await store.delete_user(signed_in.user.id)


async def test_what_is_no_address_is_found_nowhere_and_stored_nowhere(store: Adapter) -> None:
    for address in BAD:
        with pytest.raises(InvalidEmailError):
            await store.create_user(email=address)
        assert await store.get_user_by_email(address) is None
        signed_in = await store.sign_in_with_account(provider="google", provider_account_id=address, email=address)
        assert signed_in.user.email is None


async def test_the_database_compares_bytes_whoever_wrote_them(store: Adapter, tmp_path: Path) -> None:
    """Even an address that was put there in another form by somebody else is not taken for a user's."""
    await store.create_user(id="ada", email="ada@example.com")
    with closing(sqlite3.connect(tmp_path / "auth.db", isolation_level=None)) as connection:
        connection.execute("UPDATE users SET email = 'ADA@example.com'")
    assert await store.get_user_by_email("ada@example.com") is None
    assert await store.get_user_by_email("ADA@example.com") is None


async def test_an_account_does_not_join_the_user_of_its_address(store: Adapter) -> None:
    await store.create_user(email="jos\u00e9@example.com")
    for spelling in (
        "jos\u00e9@example.com",
        "jose\u0301@example.com",
        "JOS\u00c9@EXAMPLE.COM".replace("\u00c9", "\u00e9"),
    ):
        with pytest.raises(AccountNotLinkedError):
            await store.sign_in_with_account(provider="google", provider_account_id="1", email=spelling)


LOCALS = st.text(st.characters(categories=("Ll", "Lu", "Lo", "Nd", "Mn"), codec="utf-8"), min_size=1, max_size=8)
DOMAINS = st.sampled_from(["example.com", "EXAMPLE.com", "ex\u00e4mple.com", "xn--exmple-cua.com"])


@settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(LOCALS, DOMAINS)
def test_a_canonical_address_is_its_own_canonical_form_and_keeps_what_is_not_ascii(local: str, domain: str) -> None:
    try:
        canonical = canonical_email(f"{local}@{domain}")
    except InvalidEmailError:
        return
    assert canonical_email(canonical) == canonical
    # Nothing that is not ASCII becomes ASCII: that is how one mailbox turns into another.
    assert sum(c.isascii() for c in canonical.rpartition("@")[0]) <= sum(c.isascii() for c in local)
