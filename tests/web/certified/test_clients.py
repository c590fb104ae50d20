"""The site proves to the provider who it is, by each method that clients are registered with."""

from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.web.certified.visitor import AFTER

# All of printable ASCII may be in a secret (RFC 6749 appendix A.2); under Basic it is form-encoded first (§2.3.1).
SECRETS = ["a+b", "a%2Bb", "a:b:c", "with some spaces", "100%", "a=b&c=d;e", "\"'\\/?#<>", "~`!@$^*()[]{}|,."]


async def signs_in(world: Any) -> None:
    page = await world.visitor.sign_in()
    assert str(page.url) == AFTER, (page.text, world.provider.complaints()[-2000:])
    assert await world.visitor.who() == "ada@example.com"


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
@pytest.mark.parametrize("secret", SECRETS)
async def test_a_secret_is_told_as_it_is(make_world: Any, method: str, secret: str) -> None:
    client = {"client_secret": secret, "token_endpoint_auth_method": method}
    await signs_in(await make_world(client, token_endpoint_auth_method=method))


async def test_a_wrong_secret_lets_nobody_in(make_world: Any) -> None:
    world = await make_world(client_secret="another-secret")
    assert (await world.visitor.sign_in()).status_code == 502
    assert await world.visitor.who() is None
    assert "invalid_client" in world.provider.complaints()


async def test_a_public_client_has_pkce_alone(make_world: Any) -> None:
    client = {"client_secret": None, "token_endpoint_auth_method": "none"}
    await signs_in(await make_world(client, client_secret=None))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_key_instead_of_a_secret_never_leaves_the_site(make_world: Any, algorithm: str) -> None:
    key = new_key(algorithm)
    client = {
        "client_secret": None,
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": algorithm,
        "jwks": {"keys": [key.as_dict(private=False)]},
    }
    pem = key.as_pem(private=True).decode()
    world = await make_world(client, client_secret=pem, token_endpoint_auth_method="private_key_jwt")
    await signs_in(world)


async def test_a_key_signs_by_the_stores_clock(make_world: Any) -> None:
    key = new_key("ES256")
    client = {
        "client_secret": None,
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [key.as_dict(private=False)]},
    }
    pem = key.as_pem(private=True).decode()
    world = await make_world(client, client_secret=pem, token_endpoint_auth_method="private_key_jwt")
    world.clock.advance(1000)
    await signs_in(world)


async def test_a_secret_that_is_made_anew_is_asked_for_each_time(make_world: Any) -> None:
    made = []

    def secret() -> str:
        made.append("the-secret-of-the-client")
        return made[-1]

    world = await make_world(client_secret=secret)
    await signs_in(world)
    assert made


def new_key(algorithm: str) -> Any:
    parameters = {"use": "sig", "alg": algorithm}
    if algorithm == "EdDSA":
        return OKPKey.generate_key("Ed25519", parameters)
    if algorithm == "ES256":
        return ECKey.generate_key("P-256", parameters)
    return RSAKey.generate_key(2048, parameters)
