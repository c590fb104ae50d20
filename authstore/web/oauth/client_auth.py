"""How we prove to a provider's token endpoint which client we are (RFC 6749 §2.3, OpenID Connect Core §9)."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus

from authstore.tokens import new_secret
from authstore.web.called import called
from authstore.web.oauth.private_keys import signing_key
from authstore.web.oauth.provider import Provider
from authstore.web.oauth.signatures import signed

_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SECONDS: Final = 60  # that an assertion is good for


@dataclass(frozen=True, slots=True)
class ClientProof:
    """What goes with a request: headers, and fields of its form."""

    headers: Mapping[str, str]
    fields: Mapping[str, str]


async def client_proof(provider: Provider, metadata: Mapping[str, Any], url: str, now: int) -> ClientProof:
    """The proof for a request to `url`, `now` in seconds. Raises `ValueError` where the secret is none."""
    client_id, secret = provider.client_id, await _secret(provider)
    match provider.token_endpoint_auth_method or _offered_method(client_id, secret, metadata):
        case "none":
            return ClientProof({}, {"client_id": client_id})
        case "client_secret_post":
            return ClientProof({}, {"client_id": client_id, "client_secret": secret or ""})
        case "private_key_jwt":
            fields = {"client_assertion_type": _ASSERTION, "client_assertion": _assertion(client_id, secret, url, now)}
            return ClientProof({}, {"client_id": client_id, **fields})
        case _:
            pair = f"{quote_plus(client_id)}:{quote_plus(secret or '')}"  # RFC 6749 §2.3.1: form-encoded first
            return ClientProof({"authorization": f"Basic {b64encode(pair.encode()).decode()}"}, {})


async def _secret(provider: Provider) -> str | None:
    secret = provider.client_secret
    if callable(secret):
        try:
            secret = await called(secret)
        except Exception as error:  # of whatever keeps the application's secrets
            raise ValueError(f"client_secret was called and failed: {type(error).__name__}") from error
        if not isinstance(secret, str) or not secret:
            raise ValueError("client_secret was called and gave no text")
    return secret


def _offered_method(client_id: str, secret: str | None, metadata: Mapping[str, Any]) -> str:
    """What the provider offers; of secrets that must be encoded not every server knows it, so in the form by choice."""
    if secret is None:
        return "none"
    offered = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    is_plain = quote_plus(client_id + secret) == client_id + secret
    first = "client_secret_basic" if is_plain else "client_secret_post"
    if first in offered:
        return first
    return "client_secret_basic" if "client_secret_basic" in offered else "client_secret_post"


def _assertion(client_id: str, pem: str | None, url: str, now: int) -> str:
    """A token that only the holder of the key can make (RFC 7523 §2.2); the key says the algorithm."""
    claims = {"iss": client_id, "sub": client_id, "aud": url, "jti": new_secret(), "iat": now, "exp": now + _SECONDS}
    return signed(claims, *signing_key(pem or ""))
