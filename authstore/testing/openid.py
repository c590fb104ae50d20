"""An OpenID provider in this process: discovery, authorization code with PKCE, ID tokens, user info, refresh.

It is honest and strict (RFC 9700: PKCE S256 required, codes used once, redirect URIs compared exactly) until it is
given `Lies`. The application reaches it through `transport`; a browser reaches it where `app` is mounted or served.
"""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

import httpx2
from starlette.applications import Starlette
from starlette.datastructures import FormData, ImmutableMultiDict
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from authstore.testing.idtokens import Signer, access_token_hash
from authstore.testing.lies import Lies, overlaid
from authstore.testing.openid_pages import chooser_page, form_post_page, refusal_page
from authstore.testing.people import Person
from authstore.testing.transport import InProcessTransport

TOKEN_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True)
class Seen:
    """A request the provider got: which endpoint, and the parameters."""

    endpoint: str
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Grant:
    person: Person
    scope: str
    redirect_uri: str
    nonce: str | None
    challenge: str | None


class _RefusedError(Exception):
    """An error answer of the token endpoint (RFC 6749 §5.2)."""

    def __init__(self, error: str, status: int = 400) -> None:
        super().__init__(error)
        self.error = error
        self.status = status


class OpenIDProvider:
    """A provider at `issuer`, for one client.

    `person` is signed in there and consents at once; with `ask=True` a page lets a human choose among `people`.
    `lies` may be changed at any time; `seen` holds every request, oldest first. `redirect_uris` empty: any.
    `client_secret=None` accepts every secret. `token_seconds` is what it says of the lifetime of access tokens.
    """

    def __init__(
        self,
        issuer: str = "https://id.example",
        *,
        client_id: str = "client",
        client_secret: str | None = "client-secret",  # noqa: S107 - the test client's, and no secret
        redirect_uris: tuple[str, ...] = (),
        people: tuple[Person, ...] = (Person("ada-1", "ada@example.com", name="Ada Lovelace"),),
        ask: bool = False,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.issuer = issuer.rstrip("/")
        self.client_id = client_id
        self.client_secret = client_secret
        self.redirect_uris = redirect_uris
        self.people = list(people)
        self.person = people[0]
        self.ask = ask
        self.lies = Lies()
        self.seen: list[Seen] = []
        self.token_seconds = TOKEN_SECONDS
        self._clock = clock or (lambda: datetime.now(UTC))
        self._signer = Signer(self.issuer)
        self._codes: dict[str, _Grant] = {}
        self._access: dict[str, _Grant] = {}
        self._refresh: dict[str, _Grant] = {}
        self.app = Starlette(routes=self._routes())

    @property
    def discovery_url(self) -> str:
        """Where the metadata stands (OpenID Connect Discovery 1.0 §4)."""
        return f"{self.issuer}/.well-known/openid-configuration"

    @property
    def transport(self) -> httpx2.AsyncBaseTransport:
        """What lets an httpx (or httpx2) client reach the provider without a network."""
        return InProcessTransport(Starlette(routes=[Mount(urlsplit(self.issuer).path, app=self.app)]))

    async def approve(self, authorization_url: str, person: Person | None = None) -> str:
        """Does what a browser does at the provider: returns the URL it is sent back to, with the answer in it."""
        if person is not None:
            self.person = person
        asked = urlsplit(authorization_url)
        query = dict(parse_qs(asked.query, keep_blank_values=True))
        answer = self._answer({name: values[-1] for name, values in query.items()}, self.person)
        if answer is None:
            raise ValueError("the provider shows a page of its own: unknown client or redirect URI")
        return _with_query(*answer)

    def person_with(self, sub: str) -> Person | None:
        """Who has this subject identifier."""
        return next((person for person in [self.person, *self.people] if person.sub == sub), None)

    def _routes(self) -> list[Route]:
        return [
            Route("/.well-known/openid-configuration", self._metadata),
            Route("/authorize", self._authorize, methods=["GET", "POST"]),
            Route("/token", self._token, methods=["POST"]),
            Route("/jwks", self._jwks),
            Route("/userinfo", self._userinfo, methods=["GET", "POST"]),
        ]

    async def _metadata(self, _: Request) -> Response:
        self.seen.append(Seen("metadata", {}))
        truth = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "form_post"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "email", "profile", "offline_access"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
        return JSONResponse(overlaid(truth, self.lies.metadata))

    async def _jwks(self, _: Request) -> Response:
        self.seen.append(Seen("jwks", {}))
        return JSONResponse(self._signer.public_keys())

    async def _authorize(self, request: Request) -> Response:
        form = await request.form() if request.method == "POST" else None
        params = _flat(form if form is not None else request.query_params)
        if self.ask and form is None:
            return HTMLResponse(chooser_page(self.people, params))
        person = self.person_with(params.pop("person", "")) or self.person
        answer = self._answer(params, person)
        if answer is None:
            return HTMLResponse(refusal_page(), status_code=400)
        if params.get("response_mode") == "form_post":
            return HTMLResponse(form_post_page(*answer))
        return RedirectResponse(_with_query(*answer), status_code=303)

    def _answer(self, params: Mapping[str, str], person: Person) -> tuple[str, dict[str, str]] | None:
        """Where to send the browser and with what; `None` where it must not be sent anywhere (RFC 6749 §4.1.2.1)."""
        self.seen.append(Seen("authorize", dict(params)))
        redirect_uri = params.get("redirect_uri", "")
        known = redirect_uri and (not self.redirect_uris or redirect_uri in self.redirect_uris)
        if params.get("client_id") != self.client_id or not known:
            return None
        error = self.lies.error or self._fault(params)
        said = {"error": error} if error else {"code": self._code(params, person)}
        truth = {**said, "state": params.get("state"), "iss": self.issuer}
        return redirect_uri, overlaid(truth, self.lies.response)

    def _fault(self, params: Mapping[str, str]) -> str | None:
        if params.get("response_type") != "code":
            return "unsupported_response_type"
        pkce = params.get("code_challenge") and params.get("code_challenge_method") == "S256"
        return None if pkce or self.lies.ignore_pkce else "invalid_request"

    def _code(self, params: Mapping[str, str], person: Person) -> str:
        code = secrets.token_urlsafe(16)
        self._codes[code] = _Grant(
            person=person,
            scope=params.get("scope", ""),
            redirect_uri=params["redirect_uri"],
            nonce=params.get("nonce"),
            challenge=params.get("code_challenge"),
        )
        return code

    async def _token(self, request: Request) -> Response:
        params = _flat(await request.form())
        self.seen.append(Seen("token", params))
        lies = self.lies
        await asyncio.sleep(lies.delay)
        if lies.body is not None:
            return Response(lies.body, lies.status, media_type="application/json")
        try:
            self._check_client(request, params)
            answer = self._tokens(self._granted(params))
        except _RefusedError as refused:
            return JSONResponse({"error": refused.error}, refused.status)
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    def _check_client(self, request: Request, params: Mapping[str, str]) -> None:
        client_id, secret = _basic(request.headers.get("authorization", "")) or (
            params.get("client_id", ""),
            params.get("client_secret", ""),
        )
        right = self.client_secret is None or secrets.compare_digest(secret.encode(), self.client_secret.encode())
        if client_id != self.client_id or not right:
            raise _RefusedError("invalid_client", 401)

    def _granted(self, params: Mapping[str, str]) -> _Grant:
        match params.get("grant_type"):
            case "authorization_code":
                return self._redeemed(params)
            case "refresh_token":
                grant = self._refresh.pop(params.get("refresh_token", ""), None)
                if grant is None:
                    raise _RefusedError("invalid_grant")
                return grant
            case _:
                raise _RefusedError("unsupported_grant_type")

    def _redeemed(self, params: Mapping[str, str]) -> _Grant:
        grant = self._codes.pop(params.get("code", ""), None)
        if grant is None or grant.redirect_uri != params.get("redirect_uri"):
            raise _RefusedError("invalid_grant")
        verified = grant.challenge == _s256(params.get("code_verifier", ""))
        if not verified and not self.lies.ignore_pkce:
            raise _RefusedError("invalid_grant")
        return grant

    def _tokens(self, grant: _Grant) -> dict[str, Any]:
        access, refresh = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self._access[access] = self._refresh[refresh] = grant
        tokens: dict[str, Any] = {
            "access_token": access,
            "refresh_token": refresh,
            "token_type": "Bearer",
            "expires_in": self.token_seconds,
            "scope": grant.scope,
        }
        if "openid" in grant.scope.split() and self.lies.id_token:
            tokens["id_token"] = self._signer.sign(self._claims(grant, access), self.lies.signature)
        return tokens

    def _claims(self, grant: _Grant, access_token: str) -> dict[str, Any]:
        now = int(self._clock().timestamp())
        truth = {
            "iss": self.issuer,
            "aud": self.client_id,
            "iat": now,
            "auth_time": now,
            "exp": now + TOKEN_SECONDS,
            "nonce": grant.nonce,
            "at_hash": access_token_hash(access_token),
            **grant.person.claims(grant.scope),
        }
        shifted = {name: truth[name] + seconds for name, seconds in self.lies.shifts.items()}
        return overlaid(overlaid(truth, shifted), self.lies.claims)

    async def _userinfo(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        self.seen.append(Seen("userinfo", {}))
        grant = self._access.get(token)
        if scheme.lower() != "bearer" or grant is None:
            return JSONResponse({"error": "invalid_token"}, 401, headers={"WWW-Authenticate": "Bearer"})
        truth = {**grant.person.claims(grant.scope), **grant.person.extra}
        return JSONResponse(overlaid(truth, self.lies.userinfo))


def _flat(params: ImmutableMultiDict[str, Any] | FormData) -> dict[str, str]:
    return {name: value for name, value in params.items() if isinstance(value, str)}


def _with_query(url: str, params: Mapping[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(params)}"


def _s256(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _basic(header: str) -> tuple[str, str] | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return unquote_plus(name), unquote_plus(secret)
