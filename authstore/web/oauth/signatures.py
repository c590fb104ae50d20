"""Tokens that a provider signed (RFC 7515), checked with the keys that it publishes (RFC 7517)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import JWKRegistry, KeySet
from joserfc.jws import JWSRegistry

from authstore.web.oauth.fetched import Fetched, Now
from authstore.web.oauth.private_keys import PrivateKey

# Signatures that only the provider can make; "none" and the shared-secret ones (HS…) are no proof of origin.
ASYMMETRIC: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)


class ProviderKeys:
    """The keys of one provider."""

    def __init__(self, name: str, fetch: Callable[[], Awaitable[Any]], now: Now) -> None:
        self._published = fetch
        self._keys = Fetched(f"{name}'s keys", self._fetch, now)

    async def verified(
        self, token: str, algorithms: Sequence[str], *, older_than: timedelta = timedelta(0)
    ) -> jwt.Token:
        """The token's header and claims, once its signature has been checked; nothing is said of the claims.

        Where no key fits, keys `older_than` this are fetched anew: providers change them, and some under an old name.
        Raises `JoseError`, `ValueError` and whatever fetching raises.
        """
        registry = _Registry(algorithms=algorithms, strict_check_header=False)
        keys = await self._keys.get()
        try:
            return jwt.decode(token, keys, registry=registry)
        except UnsupportedAlgorithmError:
            raise
        except (JoseError, ValueError, TypeError):
            newer = await self._keys.anew(older_than=older_than)
            if newer is keys:
                raise
        return jwt.decode(token, newer, registry=registry)

    async def _fetch(self) -> KeySet:
        document = await self._published()
        return KeySet([key for data in document["keys"] for key in _imported(data)])


def signed(claims: Mapping[str, Any], key: PrivateKey, algorithm: str, key_id: str | None = None) -> str:
    """The claims as a token of ours; `key_id`: as the reader knows the key."""
    header = {"alg": algorithm} if key_id is None else {"alg": algorithm, "kid": key_id}
    return jwt.encode(header, dict(claims), key, registry=_Registry(algorithms=[algorithm]))


class _Registry(JWSRegistry):
    """Takes the algorithms that it is given, "EdDSA" too, the name that RFC 9864 replaces and providers go on using."""

    max_header_length = 8192  # bytes; some send a chain of certificates

    def get_alg(self, name: str) -> Any:
        """See `JWSRegistry.get_alg`."""
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError(f"{name!r} is no algorithm of this provider's")
        return self.algorithms[name]


def _imported(data: Any) -> list[Any]:
    """The key; none where its kind is not known here (RFC 7517 §5)."""
    try:
        return [JWKRegistry.import_key(data)]
    except (JoseError, ValueError, TypeError, KeyError):
        return []
