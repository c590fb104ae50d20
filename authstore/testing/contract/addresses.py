"""E-mail addresses: equal if and only if their canonical forms are. Uses the `Users` protocol alone."""

import pytest

from authstore.adapter import Users
from authstore.errors import EmailTakenError, InvalidEmailError
from authstore.testing.contract.shared import ContractBase

SAME = [
    ("ada@example.com", "ada@example.com"),
    ("ADA@EXAMPLE.COM", "ada@example.com"),
    (" \t\r\n\v\fada@example.com\n", "ada@example.com"),
    ("a.b+tag@example.com", "a.b+tag@example.com"),
    ("jose\u0301@example.com", "jos\u00e9@example.com"),
    ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
    ("ada@bu\u0308cher.example", "ada@xn--bcher-kva.example"),
    ("ada@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"),
    ("ada@faß.example", "ada@xn--fa-hia.example"),
    ("ÀDA@example.com", "Àda@example.com"),
    # IDNA 2008 lets a few characters stand by their neighbours (RFC 5892, appendix A).
    ("ada@\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.example", "ada@xn--mgba3gch31f060k.example"),
    ("ada@col\u00b7lecci\u00f3.example", "ada@xn--collecci-ioa91d.example"),
    ("ada@\u30ac\u30fc\u30eb\u30fb\u30d5\u30ec\u30f3\u30c9.example", "ada@xn--mckyc9a9eg6b1cg.example"),
    ("ada@R3---sn.example", "ada@r3---sn.example"),
]

# Each a different mailbox, however alike they look or fold.
LOOK_ALIKES = [
    ("mike@example.com", "m\u0131ke@example.com"),
    ("mike@example.com", "M\u0130KE@example.com"),
    ("sam@example.com", "\u017fam@example.com"),
    ("strasse@example.com", "straße@example.com"),
    ("ada@fass.example", "ada@faß.example"),
    ("ada@example.com", "\u0430da@example.com"),
    ("\u00e4da@example.com", "\u00c4da@example.com"),
    ("fi@example.com", "\ufb01@example.com"),
    ("ada@example.com", "\uff41da@example.com"),
    ("ada@example.com", "a.da@example.com"),
    ("ada@example.com", "ada+tag@example.com"),
]

NO_ADDRESS = [
    "", " ", "ada", "@", "ada@", "@example.com", "a@b@example.com", "ada @example.com", "a\tda@example.com",
    "ada@exa mple.com", "ada@example.com,eve@example.com", "ada@example.com;eve@example.com", "<ada@example.com>",
    "Ada <ada@example.com>", '"ada"@example.com', "ada@example.com\0", "a\nda@example.com", "ada@example.com\neve",
    "a\u00a0da@example.com", "a\u200bda@example.com", "a\u202eda@example.com", "\ud800@example.com",
    "\u00a0ada@example.com", "a\u007fda@example.com", "ada@example..com", "ada@.example.com", "ada@-a.example",
    "\u212aate@example.com", "ada@\u212aelvin.example", "ada@exa\u037eple.com", "x" * 243 + "@example.com",
    "ada@\u0645\u0640\u0627.example", "ada@\u0301a.example", "ada@\u05d0a.example", "ada@\u00e4b--cd.example",
    "ada@xn--\u00fc.example", "ada@xn--zzzzzz.example", "ada@a\u200cb.example", "ada@a\u3002b.example",
]  # fmt: skip


class EmailContract(ContractBase):
    """The rules of canonical addresses."""

    @pytest.mark.parametrize(("given", "canonical"), SAME, ids=ascii)
    async def test_an_address_is_stored_canonical_and_found_in_any_spelling(
        self, adapter: Users, given: str, canonical: str
    ) -> None:
        user = await adapter.create_user(email=given)
        assert user.email == canonical
        assert await adapter.get_user_by_email(canonical) == user
        assert await adapter.get_user_by_email(given) == user
        for taken in (given, canonical):
            with pytest.raises(EmailTakenError):
                await adapter.create_user(email=taken)

    @pytest.mark.parametrize(("one", "other"), LOOK_ALIKES, ids=ascii)
    async def test_look_alikes_are_two_addresses(self, adapter: Users, one: str, other: str) -> None:
        first, second = await adapter.create_user(email=one), await adapter.create_user(email=other)
        assert first.email != second.email
        assert await adapter.get_user_by_email(one) == first
        assert await adapter.get_user_by_email(other) == second

    @pytest.mark.parametrize("text", NO_ADDRESS, ids=ascii)
    async def test_what_is_no_address_is_refused_and_not_found(self, adapter: Users, text: str) -> None:
        assert await adapter.get_user_by_email(text) is None
        with pytest.raises(InvalidEmailError):
            await adapter.create_user(email=text)
        assert await adapter.list_users() == []

    async def test_an_address_of_254_characters_is_the_longest(self, adapter: Users) -> None:
        longest = "x" * 242 + "@example.com"
        assert (await adapter.create_user(email=longest)).email == longest
        with pytest.raises(InvalidEmailError):
            await adapter.create_user(email="x" + longest)

    async def test_no_message_holds_the_address(self, adapter: Users) -> None:
        await adapter.create_user(email="ada.lovelace@example.com")
        with pytest.raises(EmailTakenError) as taken:
            await adapter.create_user(email="ada.lovelace@example.com")
        with pytest.raises(InvalidEmailError) as invalid:
            await adapter.create_user(email="ada.lovelace@example.com, eve@example.com")
        for caught in (taken, invalid):
            assert "ada.lovelace@example.com" not in f"{caught.value} {caught.value!r}"
