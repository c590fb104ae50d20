"""A provider's metadata, checked and cut down to what is used."""

from collections.abc import Mapping
from typing import Any, Final

from authstore.web.oauth.provider import Provider, is_safe_url
from authstore.web.oauth.signatures import ASYMMETRIC

_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
# What is done without where it would not be safe.
_FURTHER: Final = ("end_session_endpoint", "pushed_authorization_request_endpoint")
_REQUIRED: Final = frozenset({"authorization_endpoint", "token_endpoint", "jwks_uri"})


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
        **{name: document[name] for name in _FURTHER if is_safe_url(document.get(name))},
        "issuer": document["issuer"],
        "id_token_signing_alg_values_supported": _algorithms(document, "id_token") or ["RS256"],
        "userinfo_signing_alg_values_supported": _algorithms(document, "userinfo") or list(ASYMMETRIC),
        "token_endpoint_auth_methods_supported": document.get("token_endpoint_auth_methods_supported"),
        "names_issuer": document.get("authorization_response_iss_parameter_supported") is True,
    }


def is_same_issuer(said: object, expected: str | None) -> bool:
    """Whether the metadata is the expected issuer's; Microsoft's shared ones hold a placeholder."""
    return isinstance(said, str) and expected is not None and said.rstrip("/") == expected.rstrip("/")


def _algorithms(document: Mapping[str, Any], what: str) -> list[str]:
    offered = document.get(f"{what}_signing_alg_values_supported")
    return [name for name in ASYMMETRIC if name in offered] if isinstance(offered, list) else []
