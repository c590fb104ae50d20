"""The provider of `Auth.dev()`: plain OAuth 2.0 with PKCE, spoken inside the process, that believes what one says."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import httpx2
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from authstore.email import canonical_email
from authstore.tokens import new_secret
from authstore.web.oauth.provider import Provider, oauth2

NAME: Final = "pretend"
AUTHORIZE: Final = "/dev/provider"

_INSIDE: Final = "http://localhost/inside"  # never leaves the process
_MOST_KEPT: Final = 100


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may be taken for."""

    email: str
    name: str | None = None


PEOPLE: Final = (Person("ada@example.com", "Ada Lovelace"), Person("grace@example.com", "Grace Hopper"))


@dataclass(frozen=True, slots=True)
class _Grant:
    person: Person
    redirect_uri: str
    challenge: str


class PretendProvider:
    """Knows whoever people say they are. It is the transport of its own requests too."""

    def __init__(self) -> None:
        self._codes: dict[str, _Grant] = {}
        self._access: dict[str, Person] = {}

    def provider(self, prefix: str) -> Provider:
        """How a site whose routes stand below `prefix` reaches it."""
        made = oauth2(
            NAME,
            "laptop",
            None,
            authorize_url=prefix + AUTHORIZE,
            token_url=f"{_INSIDE}/token",
            userinfo_url=f"{_INSIDE}/me",
            scope="email",
            transport=self,
        )
        return replace(made, vouches=True)

    def approve(self, asked: Mapping[str, str], email: str, name: str | None) -> str:
        """Where the browser goes back to. Raises `InvalidEmailError`."""
        known = {person.email: person for person in PEOPLE}
        address = canonical_email(email)
        code = new_secret()
        grant = _Grant(known.get(address, Person(address, name)), asked["redirect_uri"], asked["code_challenge"])
        _keep(self._codes, code, grant)
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    async def handle_async_request(self, request: Any) -> Any:
        """Answers as the token endpoint, or tells who has a token."""
        if request.url.path.endswith("/token"):
            return _answer(self._redeemed(dict(parse_qsl((await request.aread()).decode()))))
        person = self._access.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if person is None:
            return httpx2.Response(401)
        return _answer({"sub": person.email, "email": person.email, "email_verified": True, "name": person.name})

    def _redeemed(self, params: Mapping[str, str]) -> Mapping[str, Any]:
        grant = self._codes.pop(params.get("code", ""), None)
        challenge = create_s256_code_challenge(params.get("code_verifier", ""))
        if grant is None or (grant.redirect_uri, grant.challenge) != (params.get("redirect_uri"), challenge):
            return {"error": "invalid_grant"}
        token = new_secret()
        _keep(self._access, token, grant.person)
        return {"access_token": token, "token_type": "Bearer"}


def _keep(kept: dict[str, Any], key: str, value: object) -> None:
    kept[key] = value
    if len(kept) > _MOST_KEPT:
        del kept[next(iter(kept))]


def _answer(told: Mapping[str, Any]) -> httpx2.Response:
    return httpx2.Response(400 if "error" in told else 200, json=told)
