"""Passkeys: what a caller may hand in."""

from typing import Any

import pytest

from authstore import connect


@pytest.mark.parametrize("transports", ["usb", "internal", ""])
async def test_one_text_is_no_list_of_transports(transports: Any) -> None:
    async with connect("sqlite://") as store:
        user = await store.create_user()
        with pytest.raises(TypeError, match="list of texts"):
            await store.create_authenticator(user.id, "credential", b"key", transports=transports)
        assert await store.list_authenticators(user.id) == []
