"""Tokens that a provider signed (RFC 7515), checked with the keys that it publishes (RFC 7517)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import JWKRegistry, Key
from joserfc.jws import JWSRegistry, extract_compact

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
            return _decoded(token, keys, registry)
        except UnsupportedAlgorithmError:
            raise
        except (JoseError, ValueError, TypeError):
            newer = await self._keys.anew(older_than=older_than)
            if newer is keys:
                raise
        return _decoded(token, newer, registry)

    async def _fetch(self) -> list[Key]:
        document = await self._published()
        return [key for data in document["keys"] for key in _imported(data)]


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


def _decoded(token: str, keys: Sequence[Key], registry: JWSRegistry) -> jwt.Token:
    """By the one key that fits, of all that the header may mean. Raises as `ProviderKeys.verified`."""
    header = extract_compact(token.encode(), registry=registry).headers()
    registry.get_alg(header["alg"])
    failure: Exception = ValueError(f"no key of the provider's is called {header.get('kid')!r}")
    for key in _meant(keys, header):
        try:
            return jwt.decode(token, key, registry=registry)
        except (JoseError, ValueError, TypeError) as error:
            failure = error
    raise failure


def _meant(keys: Sequence[Key], header: Mapping[str, Any]) -> list[Key]:
    """The keys that may have signed: those of the name in the header, which some providers give to several; where token
    or keys have none, as some have, all that could be meant."""
    name, algorithm = header.get("kid"), header["alg"]
    usable = [key for key in keys if key.get("use") in (None, "sig") and key.get("alg") in (None, algorithm)]
    named = [key for key in usable if key.get("kid") == name]
    return usable if name is None else named or [key for key in usable if key.get("kid") is None]


def _imported(data: Any) -> list[Key]:
    """The key; none where its kind is not known here (RFC 7517 §5)."""
    try:
        return [JWKRegistry.import_key(data)]
    except (JoseError, ValueError, TypeError, KeyError):
        return []
