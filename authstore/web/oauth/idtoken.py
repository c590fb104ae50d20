"""The claims of what a provider signs, judged strictly: ID tokens (OpenID Connect Core §3.1.3.7) on Authlib's class.

Authlib alone takes a token for another client that names us as `azp`, an empty `sub`, and any `iss` where the
metadata is silent.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from authlib.oidc.core import CodeIDToken
from joserfc.errors import InvalidClaimError
from joserfc.jwt import JWTClaimsRegistry, Token

LEEWAY: Final = 120  # seconds our clock and the provider's may differ
MAX_AGE: Final = 3600  # seconds; the token was made for this very sign-in


@dataclass(frozen=True, slots=True)
class Expected:
    """Whom a token must be from, and for. `audiences`: who else it may be for. `now`: in seconds."""

    issuer: str
    client_id: str
    audiences: tuple[str, ...]
    now: int

    def check_audience(self, claims: Mapping[str, Any]) -> None:
        """It is for us, and for nobody whom we were not told to trust. Raises `InvalidClaimError`."""
        said = claims.get("aud")
        named = said if isinstance(said, list) else [said]
        if self.client_id not in named or not all(each in (self.client_id, *self.audiences) for each in named):
            raise InvalidClaimError("aud")

    def check_issuer(self, claims: Mapping[str, Any]) -> None:
        """It is from the provider. Raises `InvalidClaimError`."""
        if claims.get("iss") != issuer_for(self.issuer, claims):
            raise InvalidClaimError("iss")


def checked_id_token(token: Token, expected: Expected, nonce: str, access_token: str | None) -> Mapping[str, Any]:
    """The claims. Raises `JoseError` for whatever does not hold."""
    params = {"client_id": expected.client_id, "nonce": nonce, "access_token": access_token, "expected": expected}
    essential = {name: {"essential": True} for name in ("aud", "sub", "nonce")}
    claims = StrictIDToken(token.claims, token.header, essential, params)
    claims.validate()
    return dict(claims)


def checked_user_info(token: Token, expected: Expected) -> Mapping[str, Any]:
    """The claims of signed user info; who they are about is the caller's to check. Raises `JoseError`."""
    JWTClaimsRegistry(now=expected.now, leeway=LEEWAY).validate(token.claims)
    if "iss" in token.claims:
        expected.check_issuer(token.claims)
    if "aud" in token.claims:
        expected.check_audience(token.claims)
    return token.claims


class StrictIDToken(CodeIDToken):  # type: ignore[misc] # Authlib has no types
    """`params` holds `client_id`, `nonce`, `access_token` and `expected`."""

    def validate(
        self,
        now: int | None = None,  # noqa: ARG002  # the library's signature; the time is what is expected
        leeway: int = LEEWAY,
    ) -> None:
        """Raises joserfc's `JoseError` subclasses for whatever does not hold."""
        expected: Expected = self.params["expected"]
        super().validate(now=expected.now, leeway=leeway)
        expected.check_issuer(self)
        expected.check_audience(self)
        self._require("sub", isinstance(self.get("sub"), str) and self["sub"] != "")
        self._require("nonce", _is_same(self.get("nonce"), self.params["nonce"]))
        self._require("iat", expected.now - self["iat"] <= MAX_AGE + leeway)

    def _require(self, claim: str, holds: bool) -> None:
        if not holds:
            raise InvalidClaimError(claim)


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
