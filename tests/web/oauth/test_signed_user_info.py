"""Signed user info is from the provider and for us, where it says so, and the metadata name only safe places."""

from typing import Any

import pytest
from joserfc.errors import JoseError
from joserfc.jwt import Token

from authstore.web import oidc
from authstore.web.oauth.discovery import checked_metadata
from authstore.web.oauth.idtoken import Expected, checked_user_info

ISSUER = "https://id.example"
NOW = 1_800_000_000
EXPECTED = Expected(ISSUER, "client", ("project",), NOW)
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/jwks",
}


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"iss": ISSUER},
        {"aud": "client"},
        {"aud": ["client", "project"], "iss": ISSUER},
        {"exp": NOW - 100},
        {"iat": NOW + 100},
    ],
)
def test_what_it_says_of_itself_is_right(said: dict[str, Any]) -> None:
    claims = {"sub": "ada", **said}
    assert checked_user_info(Token({"alg": "ES256"}, claims), EXPECTED) == claims


@pytest.mark.parametrize(
    "said",
    [
        {"iss": "https://other.example"},
        {"iss": ISSUER + "/"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["client", "another"]},
        {"aud": ["project"]},
        {"aud": []},
        {"exp": NOW - 1000},
        {"nbf": NOW + 1000},
    ],
)
def test_what_it_says_of_itself_is_wrong(said: dict[str, Any]) -> None:
    with pytest.raises(JoseError):
        checked_user_info(Token({"alg": "ES256"}, {"sub": "ada", **said}), EXPECTED)


@pytest.mark.parametrize("name", ["end_session_endpoint", "pushed_authorization_request_endpoint"])
def test_a_place_that_is_not_safe_is_not_used(name: str) -> None:
    provider = oidc("corp", "client", "secret", f"{ISSUER}/.well-known/openid-configuration")
    assert checked_metadata(provider, {**DOCUMENT, name: f"{ISSUER}/there"})[name] == f"{ISSUER}/there"
    for unsafe in ("http://id.example/there", "javascript:alert(1)", "/there", 7, None):
        assert name not in checked_metadata(provider, {**DOCUMENT, name: unsafe})
