"""Which of the keys that a provider publishes a token was signed with: providers name them, or do not, or not well."""

from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, RSAKey

from authstore.web.oauth.signatures import ProviderKeys, signed

ONE, OTHER, STRANGER = (ECKey.generate_key("P-256") for _ in range(3))
RSA = RSAKey.generate_key(2048)
SHARED = OctKey.generate_key(256)

CLAIMS = {"sub": "ada-1"}


def published(key: Any, **more: Any) -> dict[str, Any]:
    return {**key.as_dict(private=isinstance(key, OctKey)), **more}


def keys_of(*documents: Any) -> tuple[ProviderKeys, list[int]]:
    """And how often they were fetched."""
    fetched = [0]

    async def fetch() -> Any:
        fetched[0] += 1
        return {"keys": list(documents)}

    return ProviderKeys("corp", fetch, lambda: datetime(2026, 11, 22, tzinfo=UTC)), fetched


KNOWN: dict[str, tuple[tuple[Any, ...], str | None]] = {
    "by its name": ((published(OTHER, kid="b"), published(ONE, kid="a")), "a"),
    "of several, none of which has a name": ((published(OTHER), published(ONE)), None),
    "of several with names, by a token without": ((published(OTHER, kid="b"), published(ONE, kid="a")), None),
    "beside one for encryption": ((published(OTHER, use="enc"), published(ONE, use="sig")), None),
    "beside one of another kind": ((published(RSA), published(ONE)), None),
    "of two that share a name": ((published(OTHER, kid="a"), published(ONE, kid="a")), "a"),
    "of two kinds that share a name": ((published(RSA, kid="a"), published(ONE, kid="a")), "a"),
    "without a name, by a token with one": ((published(ONE),), "a"),
    "beside what is no key": (({"kty": "AKP"}, {}, None, 7, published(ONE, kid="a")), "a"),
}


@pytest.mark.parametrize(("documents", "name"), KNOWN.values(), ids=KNOWN.keys())
async def test_the_key_is_found(documents: tuple[Any, ...], name: str | None) -> None:
    keys, fetched = keys_of(*documents)
    token = await keys.verified(signed(CLAIMS, ONE, "ES256", name), ["ES256", "RS256"])
    assert (token.claims, fetched) == (CLAIMS, [1])


UNKNOWN: dict[str, tuple[Any, ...]] = {
    "none": (),
    "others": (published(OTHER), published(RSA), published(SHARED)),
    "another of that name": (published(OTHER, kid="a"), published(STRANGER, kid="b")),
    "one for encryption": (published(STRANGER, kid="a", use="enc"),),
    "one for another algorithm": (published(STRANGER, kid="a", alg="ES384"),),
}


@pytest.mark.parametrize("documents", UNKNOWN.values(), ids=UNKNOWN.keys())
async def test_where_no_key_fits_it_is_refused_after_another_look(documents: tuple[Any, ...]) -> None:
    keys, fetched = keys_of(*documents)
    with pytest.raises((JoseError, ValueError)):
        await keys.verified(signed(CLAIMS, STRANGER, "ES256", "a"), ["ES256"])
    assert fetched == [2]


@pytest.mark.parametrize(("key", "algorithm"), [(SHARED, "HS256"), (RSA, "RS256")])
async def test_an_algorithm_that_was_not_agreed_on_is_refused_whatever_is_published(key: Any, algorithm: str) -> None:
    keys, fetched = keys_of(published(key, kid="a"))
    with pytest.raises(JoseError, match="no algorithm"):
        await keys.verified(signed(CLAIMS, key, algorithm, "a"), ["ES256"])
    assert fetched == [1]
