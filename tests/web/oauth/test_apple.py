"""Apple's client secret, made from its key."""

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey

from authstore import ConfigurationError
from authstore.web import apple, apple_secret, google


def pem(curve: ec.EllipticCurve) -> str:
    key = ec.generate_private_key(curve)
    kind, encoding = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
    return key.private_bytes(encoding, kind, serialization.NoEncryption()).decode()


def test_the_secret_says_what_apple_wants_and_is_signed_with_the_key() -> None:
    key = pem(ec.SECP256R1())
    made = apple_secret("com.example.app", team_id="TEAM", key_id="KEY", private_key=key)
    token = jwt.decode(made(), ECKey.import_key(key), algorithms=["ES256"])
    assert (token.header["alg"], token.header["kid"]) == ("ES256", "KEY")
    issued = token.claims.pop("iat")
    assert token.claims == {
        "iss": "TEAM",
        "sub": "com.example.app",
        "aud": "https://appleid.apple.com",
        "exp": issued + 300,
    }
    assert apple("com.example.app", made).client_secret is made


@pytest.mark.parametrize(
    "wrong",
    [{"private_key": "no key"}, {"private_key": None}, {"private_key": pem(ec.SECP384R1())}, {"team_id": ""}],
)
def test_what_cannot_be_the_key_is_refused_when_it_is_set_up(wrong: dict[str, Any]) -> None:
    given = {"team_id": "TEAM", "key_id": "KEY", "private_key": pem(ec.SECP256R1()), **wrong}
    with pytest.raises(ConfigurationError, match="apple_secret"):
        apple_secret("com.example.app", **given)


SAID = {True: True, "true": True, False: False, "false": False, None: False, "True": False, 2: False, "yes": False}


@pytest.mark.parametrize(("said", "is_verified"), SAID.items(), ids=repr)
async def test_apple_may_say_as_a_text_that_it_verified_the_address(said: Any, is_verified: bool) -> None:
    """And nobody else may. Where it counts as unproved, the next letter to it takes the Apple account away."""
    claims = {"sub": "001.7", "email": "ada@example.com", "email_verified": said}
    identity = await apple("com.example.app", "secret").identify(claims, _nothing_more)
    assert (identity.id, identity.email, identity.email_verified) == ("001.7", "ada@example.com", is_verified)
    assert apple("com.example.app", "secret").vouches
    assert not (
        await google("id", "secret").identify({**claims, "email_verified": "true"}, _nothing_more)
    ).email_verified


async def _nothing_more(_url: str) -> Any:
    raise AssertionError("all is said")
