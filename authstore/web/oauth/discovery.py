"""A provider's metadata, checked and cut down to what is used."""

from collections.abc import Mapping
from typing import Any, Final

from authstore.web.oauth.provider import Provider, is_safe_url

_ENDPOINTS: Final = (
    "authorization_endpoint",
    "token_endpoint",
    "userinfo_endpoint",
    "jwks_uri",
    "pushed_authorization_request_endpoint",
)
_REQUIRED: Final = frozenset({"authorization_endpoint", "token_endpoint", "jwks_uri"})
# Signatures that only the provider can make; "none" and the shared-secret ones (HS…) are no proof of origin.
_ASYMMETRIC: Final = (
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


def checked_metadata(provider: Provider, document: object) -> dict[str, Any]:
    """What we use of a discovery document. Raises `ValueError` where it is not this provider's, or unsafe."""
    if not isinstance(document, dict):
        raise ValueError("the metadata is not an object")
    if not is_same_issuer(document.get("issuer"), provider.issuer):
        raise ValueError("the metadata is another issuer's")
    endpoints = {name: document[name] for name in _ENDPOINTS if document.get(name) is not None}
    if not endpoints.keys() >= _REQUIRED or not all(map(is_safe_url, endpoints.values())):
        raise ValueError("the metadata lacks an endpoint, or has one that is not https")
    return {
        **endpoints,
        "issuer": document["issuer"],
        "id_token_signing_alg_values_supported": _algorithms(document),
        "token_endpoint_auth_methods_supported": document.get("token_endpoint_auth_methods_supported"),
        "require_pushed_authorization_requests": document.get("require_pushed_authorization_requests") is True,
        "names_issuer": document.get("authorization_response_iss_parameter_supported") is True,
    }


def is_same_issuer(said: object, expected: str | None) -> bool:
    """Whether the metadata is the expected issuer's; Microsoft's shared ones hold a placeholder."""
    return isinstance(said, str) and expected is not None and said.rstrip("/") == expected.rstrip("/")


def _algorithms(document: Mapping[str, Any]) -> list[str]:
    offered = document.get("id_token_signing_alg_values_supported")
    listed = offered if isinstance(offered, list) else []
    return [name for name in _ASYMMETRIC if name in listed] or ["RS256"]
