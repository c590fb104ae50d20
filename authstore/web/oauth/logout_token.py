"""Logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.4), judged as §2.6 says."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from joserfc.errors import InvalidClaimError
from joserfc.jwt import JWTClaimsRegistry, Token

from authstore.web.oauth.idtoken import LEEWAY, Expected

_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
_TYPES: Final = (None, "logout+jwt", "application/logout+jwt", "jwt")
_MAX_AGE: Final = 3600  # seconds; providers make them for minutes


@dataclass(frozen=True, slots=True)
class Ending:
    """Whose session ended at the provider: that one, or where there is none, all of that subject's."""

    subject: str | None
    provider_session: str | None
    token_id: str
    good_until: datetime


def checked_logout_token(token: Token, expected: Expected) -> Ending:
    """What it says. Raises `JoseError` for whatever does not hold."""
    claims = token.claims
    required: dict[str, Any] = {name: {"essential": True} for name in ("iss", "aud", "iat", "exp", "jti", "events")}
    JWTClaimsRegistry(now=expected.now, leeway=LEEWAY, **required).validate(claims)
    expected.check_issuer(claims)
    expected.check_audience(claims)
    said_type = token.header.get("typ")
    _require("typ", (said_type.lower() if isinstance(said_type, str) else said_type) in _TYPES)
    _require("iat", expected.now - claims["iat"] <= _MAX_AGE + LEEWAY)
    _require("exp", claims["exp"] - expected.now <= _MAX_AGE + LEEWAY)
    _require("events", isinstance(claims["events"], dict) and isinstance(claims["events"].get(_EVENT), dict))
    _require("nonce", "nonce" not in claims)  # an ID token is no logout token
    subject, provider_session = (_text(claims, name) for name in ("sub", "sid"))
    _require("sub", subject is not None or provider_session is not None)
    good_until = datetime.fromtimestamp(int(claims["exp"]), UTC) + timedelta(seconds=LEEWAY + 1)
    return Ending(subject, provider_session, str(_text(claims, "jti")), good_until)


def _text(claims: dict[str, Any], name: str) -> str | None:
    said = claims.get(name)
    _require(name, name not in claims or (isinstance(said, str) and said != ""))
    return said


def _require(claim: str, holds: bool) -> None:
    if not holds:
        raise InvalidClaimError(claim)
