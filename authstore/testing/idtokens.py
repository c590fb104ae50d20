"""ID tokens, honestly signed and forged (RFC 7519, RFC 8725 §2)."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

from authstore.testing.lies import Signature


@cache
def _key(owner: str) -> RSAKey:  # noqa: ARG001  # what the cache tells keys apart by
    """One key per owner and process: making one takes a tenth of a second."""
    return RSAKey.generate_key(2048, auto_kid=True)


class Signer:
    """Signs for one issuer, with RS256."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer

    def public_keys(self) -> dict[str, Any]:
        """The JSON Web Key Set to publish."""
        key = _key(self._issuer)
        return {"keys": [{**key.as_dict(private=False), "kid": key.kid, "use": "sig", "alg": "RS256"}]}

    def sign(self, claims: Mapping[str, Any], signature: Signature = "honest") -> str:
        """The compact form of the claims, signed honestly or not."""
        key = _key(self._issuer)
        match signature:
            case "honest":
                return jwt.encode({"alg": "RS256", "kid": key.kid}, dict(claims), key)
            case "stranger":
                return jwt.encode({"alg": "RS256", "kid": key.kid}, dict(claims), _key("a stranger"))
            case "none":
                return _unsigned({"alg": "none"}, claims) + "."
            case "public-key-as-secret":
                signed = _unsigned({"alg": "HS256", "kid": key.kid}, claims)
                return f"{signed}.{_b64(hmac.digest(key.as_pem(private=False), signed.encode(), 'sha256'))}"


def access_token_hash(access_token: str) -> str:
    """The `at_hash` of an access token under RS256 (OpenID Connect Core 1.0 §3.1.3.6)."""
    return _b64(hashlib.sha256(access_token.encode()).digest()[:16])


def _unsigned(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    return f"{_b64(json.dumps(header).encode())}.{_b64(json.dumps(claims).encode())}"


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
