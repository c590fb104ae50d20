"""The claims of an ID token, judged strictly (OpenID Connect Core §3.1.3.7), on Authlib's class.

Authlib alone takes a token for another client that names us as `azp`, an empty `sub`, and any `iss` where the
metadata is silent.
"""

import hmac
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from authlib.oidc.core import CodeIDToken
from joserfc.errors import InvalidClaimError

LEEWAY: Final = 120  # seconds our clock and the provider's may differ
MAX_AGE: Final = 3600  # seconds; the token was made for this very sign-in


class StrictIDToken(CodeIDToken):  # type: ignore[misc] # Authlib has no types
    """`params` holds `client_id`, `nonce`, `issuer`, `access_token` and `now` (seconds)."""

    def validate(self, now: int | None = None, leeway: int = LEEWAY) -> None:
        """Raises joserfc's `JoseError` subclasses for whatever does not hold."""
        now = int(self.params["now"])
        super().validate(now=now, leeway=leeway)
        self._require("iss", self.get("iss") == issuer_for(self.params["issuer"], self))
        self._require("aud", self.get("aud") in (self.params["client_id"], [self.params["client_id"]]))
        self._require("sub", isinstance(self.get("sub"), str) and self["sub"] != "")
        self._require("nonce", _is_same(self.get("nonce"), self.params["nonce"]))
        self._require("iat", now - self["iat"] <= MAX_AGE + leeway)

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


def claims_class(**known: Any) -> Callable[..., StrictIDToken]:
    """`StrictIDToken` with more params than Authlib passes on."""

    def make(claims: Any, header: Any, options: Any, params: Mapping[str, Any]) -> StrictIDToken:
        return StrictIDToken(claims, header, options, {**params, **known})

    return make


def _is_same(said: object, expected: str) -> bool:
    return isinstance(said, str) and hmac.compare_digest(said.encode(), expected.encode())
