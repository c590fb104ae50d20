"""What a provider signed: ID tokens, judged strictly (OpenID Connect Core §3.1.3.7) on Authlib's class, and user info.

Authlib alone takes a token for another client that names us as `azp`, an empty `sub`, and any `iss` where the
metadata is silent.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidClaimError, JoseError, UnsupportedAlgorithmError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

LEEWAY: Final = 120  # seconds our clock and the provider's may differ
MAX_AGE: Final = 3600  # seconds; the token was made for this very sign-in


@dataclass(frozen=True, slots=True)
class Expected:
    """What an ID token must say; `now` in seconds. `audiences`: whom else it may be for."""

    issuer: str
    client_id: str
    audiences: Sequence[str]
    nonce: str
    access_token: str
    now: int


class StrictIDToken(CodeIDToken):  # type: ignore[misc] # Authlib has no types
    """An ID token, with what is expected of it in `params`."""

    def validate(self, now: int | None = None, leeway: int = LEEWAY) -> None:
        """Raises joserfc's `JoseError` subclasses for whatever does not hold."""
        now = int(self.params["now"])
        super().validate(now=now, leeway=leeway)
        self._require("iss", self.get("iss") == issuer_for(self.params["issuer"], self))
        self._require("aud", self._is_for_us(self.get("aud")))
        self._require("sub", isinstance(self.get("sub"), str) and self["sub"] != "")
        self._require("nonce", _is_same(self.get("nonce"), self.params["nonce"]))
        self._require("iat", now - self["iat"] <= MAX_AGE + leeway)

    def _is_for_us(self, audience: object) -> bool:
        """Also for others, where each of them is trusted."""
        ours = self.params["client_id"]
        listed = audience if isinstance(audience, list) else [audience]
        return ours in listed and all(each in (ours, *self.params["audiences"]) for each in listed)

    def _require(self, claim: str, holds: bool) -> None:
        if not holds:
            raise InvalidClaimError(claim)


class _QuietRegistry(JWSRegistry):
    """The algorithms that were allowed, without the library's advice: which is used, the provider decides."""

    def get_alg(self, name: str) -> Any:
        """See `joserfc.jws.JWSRegistry.get_alg`."""
        if name not in (self.allowed or ()) or name not in self.algorithms:
            raise UnsupportedAlgorithmError(f"Algorithm of {name!r} is not allowed")
        return self.algorithms[name]


def checked_id_token(token: str, keys: object, algorithms: Sequence[str], expected: Expected) -> Mapping[str, Any]:
    """The claims of an ID token. Raises `ValueError` or joserfc's `JoseError` for whatever does not hold."""
    decoded = _decoded(token, keys, algorithms)
    params = {name: getattr(expected, name) for name in Expected.__slots__}
    essential = {name: {"essential": True} for name in ("aud", "sub", "nonce")}
    claims = StrictIDToken(decoded.claims, decoded.header, essential, params)
    claims.validate()
    return dict(claims)


def checked_user_info(token: str, keys: object, algorithms: Sequence[str], expected: Expected) -> Mapping[str, Any]:
    """The claims of a signed user info (Core §5.3.2). Raises as `checked_id_token`."""
    claims = _decoded(token, keys, algorithms).claims
    audience = claims.get("aud", expected.client_id)
    listed = audience if isinstance(audience, list) else [audience]
    if claims.get("iss", expected.issuer) != expected.issuer or expected.client_id not in listed:
        raise ValueError("the user info is for somebody else")
    return claims


def _decoded(token: str, keys: object, algorithms: Sequence[str]) -> jwt.Token:
    registry = _QuietRegistry(algorithms=list(algorithms), strict_check_header=False)
    return jwt.decode(token, key=_usable_keys(keys), registry=registry)


def _usable_keys(document: object) -> KeySet:
    """Those of a key set that we can verify with; others in it are for others."""
    listed = document.get("keys") if isinstance(document, dict) else None
    found = []
    for key in listed if isinstance(listed, list) else ():
        try:
            found += KeySet.import_key_set({"keys": [key]}).keys if _may_verify(key) else []
        except (JoseError, LookupError, TypeError, ValueError):
            continue
    if not found:
        raise ValueError("the provider publishes no key that verifies")
    return KeySet(found)


def _may_verify(key: object) -> bool:
    return isinstance(key, dict) and key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"


def issuer_for(issuer: str, claims: Mapping[str, Any]) -> str:
    """The issuer expected of these claims: of a shared endpoint, the tenant's that they name."""
    if "{tenantid}" not in issuer:
        return issuer
    try:
        tenant = str(UUID(str(claims.get("tid"))))
    except ValueError:
        raise InvalidClaimError("tid") from None
    return issuer.replace("{tenantid}", tenant)


def _is_same(said: object, expected: str) -> bool:
    return isinstance(said, str) and hmac.compare_digest(said.encode(), expected.encode())
