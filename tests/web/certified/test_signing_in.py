"""People sign in at a certified provider, whatever it signs with and however it wants the site to prove itself."""

from typing import Any

import pytest

from tests.web.certified.visitor import AFTER


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "PS256", "EdDSA"])
async def test_each_asymmetric_signature_is_checked_and_accepted(make_world: Any, algorithm: str) -> None:
    world = await make_world({"id_token_signed_response_alg": algorithm})
    page = await world.visitor.sign_in()
    assert str(page.url) == AFTER, world.provider.complaints()
    assert await world.visitor.who() == "ada@example.com"
