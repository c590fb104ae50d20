"""Apple's client secret: a token that is signed with the key from its developer account, made anew for each use."""

from collections.abc import Callable
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm

from authstore.errors import ConfigurationError
from authstore.expiry import utc_now
from authstore.web.oauth.private_keys import signing_key
from authstore.web.oauth.signatures import signed

_AUDIENCE: Final = "https://appleid.apple.com"
_SECONDS: Final = 300  # Apple takes up to six months


def apple_secret(client_id: str, *, team_id: str, key_id: str, private_key: str) -> Callable[[], str]:
    """The `client_secret` of `apple(…)`, from what Apple's developer account gives: `apple(ID, apple_secret(ID, …))`.

    `private_key` is the text of the `.p8` file, `key_id` and `team_id` stand beside it. Raises `ConfigurationError`.
    """
    try:
        key, algorithm = signing_key(private_key)
    except (AttributeError, TypeError, ValueError, UnsupportedAlgorithm):
        raise ConfigurationError("apple_secret: private_key is the text of the .p8 file from Apple") from None
    if algorithm != "ES256" or not all((client_id, team_id, key_id)):
        raise ConfigurationError("apple_secret wants a client id, a team id, a key id and a key on P-256")

    def make() -> str:
        now = int(utc_now().timestamp())
        claims = {"iss": team_id, "sub": client_id, "aud": _AUDIENCE, "iat": now, "exp": now + _SECONDS}
        return signed(claims, key, algorithm, key_id)

    return make
