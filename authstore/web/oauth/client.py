"""Speaking with a provider (RFC 6749, 7636, 9126; OpenID Connect Core). What is remembered meanwhile, `login` keeps."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from time import monotonic
from typing import Any, Final, TypeVar

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError

from authstore.errors import AuthStoreError
from authstore.models import Account
from authstore.tokens import new_secret
from authstore.web.oauth.client_auth import client_proof
from authstore.web.oauth.discovery import checked_metadata
from authstore.web.oauth.http import ProviderHttp
from authstore.web.oauth.identity import Identity
from authstore.web.oauth.idtoken import Expected, checked_id_token, checked_user_info
from authstore.web.oauth.provider import Provider

TIMEOUT: Final = 20.0  # seconds for a whole exchange
_METADATA_AGE: Final = 3600.0  # seconds; keys are fetched anew with it
_LONGEST_LIFE: Final = 10**9  # seconds
_ADDRESS: Final = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+")

_METADATA_PATIENCE: Final = 60.0  # seconds, with what is known, of a provider that does not tell it anew

Now = Callable[[], datetime]

# Whatever a provider can do wrong on the way.
_FAULTS: Final = (
    AuthlibBaseError,
    JoseError,
    httpx2.HTTPError,
    httpx2.InvalidURL,
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RecursionError,
    TimeoutError,
    TypeError,
    ValueError,
)

# Fields of `link_account` that a token endpoint fills.
_TOKENS: Final = ("access_token", "refresh_token", "id_token", "token_type", "scope", "session_state")

# What people are known by, and the scope that asks for it (OpenID Connect Core §5.4).
_CLAIMS_OF_SCOPES: Final = (("email", "email"), ("profile", "name"), ("profile", "picture"))

_T = TypeVar("_T")


class ProviderError(AuthStoreError):
    """The provider did not answer, or not as it must; the cause says what."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who a provider is to itself (`None`: not known beforehand), and whether its answers name it."""

    issuer: str | None
    is_named: bool


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send the browser, and what to remember until it is back."""

    url: str
    nonce: str | None
    code_verifier: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who came back, with the provider's tokens (fields of `link_account`)."""

    identity: Identity
    tokens: Mapping[str, Any]


class ProviderClient:
    """One provider."""

    def __init__(self, provider: Provider, now: Now) -> None:
        self.provider = provider
        self._now = now
        self._metadata: Mapping[str, Any] = {}
        self._keys: object = None
        self._fresh_until = 0.0

    async def issuer(self) -> Issuer:
        """Whose answers must be, and whether they must say so (RFC 9207). Raises `ProviderError`."""

        async def ask(http: ProviderHttp) -> Issuer:
            metadata = await self._known(http)
            said = metadata.get("issuer", self.provider.issuer)
            # The answers of an endpoint shared by tenants name the tenant's issuer; the ID token is checked for it.
            return Issuer(None if said and "{" in said else said, bool(metadata.get("names_issuer", False)))

        return await self._guarded(ask)

    async def depart(self, redirect_uri: str, state: str) -> Departure:
        """Where the browser must go to sign in. Raises `ProviderError`."""

        async def make(http: ProviderHttp) -> Departure:
            metadata, verifier = await self._known(http), new_secret()
            nonce = new_secret() if self.provider.is_openid else None
            asked = {
                **self.provider.authorize_params,
                "redirect_uri": redirect_uri,
                "scope": self.provider.scope or None,
                "nonce": nonce,
                "code_challenge": create_s256_code_challenge(verifier),
                "code_challenge_method": "S256",
            }
            url = self.provider.authorize_url or metadata["authorization_endpoint"]
            asked = {name: value for name, value in asked.items() if value is not None}
            if metadata.get("require_pushed_authorization_requests"):
                return Departure(await self._pushed(http, url, state, asked), nonce, verifier)
            made = prepare_grant_uri(url, self.provider.client_id, "code", state=state, **asked)
            return Departure(made, nonce, verifier)

        return await self._guarded(make)

    async def arrive(self, redirect_uri: str, code: str, code_verifier: str, nonce: str | None) -> Arrival:
        """Redeems the code, checks the ID token, asks who it is. Raises `ProviderError`."""

        async def make(http: ProviderHttp) -> Arrival:
            grant = {"code": code, "redirect_uri": redirect_uri, "code_verifier": code_verifier}
            token = await self._granted(http, "authorization_code", grant)
            claims = await self._claims(http, token, nonce or "")
            identity = await self.provider.identify(claims, lambda url: self._fetch(http, url, token))
            return Arrival(identity, self._fields(token))

        return await self._guarded(make)

    async def refresh(self, account: Account) -> Mapping[str, Any]:
        """New tokens for old, as `refresh_account` wants them. Raises `ProviderError`."""
        if account.refresh_token is None:
            raise ProviderError(
                f"{self.provider.name}: the access token is used up and there is no refresh token: the user must sign "
                "in there again"
            )
        refresh_token = account.refresh_token

        async def make(http: ProviderHttp) -> Mapping[str, Any]:
            return self._fields(await self._granted(http, "refresh_token", {"refresh_token": refresh_token}))

        return await self._guarded(make)

    async def _guarded(self, work: Callable[[ProviderHttp], Awaitable[_T]]) -> _T:
        try:
            async with asyncio.timeout(TIMEOUT), ProviderHttp(self.provider.transport) as http:
                return await work(http)
        except _FAULTS as error:
            reason = without_addresses(str(error))[:200] if not isinstance(error, OSError) else ""
            raise ProviderError(f"{self.provider.name}: {type(error).__name__} {reason!r}") from error

    async def _known(self, http: ProviderHttp) -> Mapping[str, Any]:
        """The metadata; what was known before, where the provider does not tell it anew."""
        if self.provider.discovery_url is None or monotonic() < self._fresh_until:
            return self._metadata
        try:
            answer = await http.get(self.provider.discovery_url)
            answer.raise_for_status()
        except httpx2.HTTPError:
            if not self._metadata:
                raise
            self._fresh_until = monotonic() + _METADATA_PATIENCE
            return self._metadata
        self._metadata, self._keys = checked_metadata(self.provider, answer.json()), None
        self._fresh_until = monotonic() + _METADATA_AGE
        return self._metadata

    async def _pushed(self, http: ProviderHttp, url: str, state: str, asked: Mapping[str, str]) -> str:
        """The authorization request, told to the provider beforehand (RFC 9126)."""
        form = {**asked, "response_type": "code", "state": state, "client_id": self.provider.client_id}
        told = await self._posted(http, self._metadata["pushed_authorization_request_endpoint"], form)
        query = httpx2.QueryParams({"client_id": self.provider.client_id, "request_uri": told["request_uri"]})
        return f"{url}{'&' if '?' in url else '?'}{query}"

    async def _granted(self, http: ProviderHttp, grant_type: str, grant: Mapping[str, str]) -> Mapping[str, Any]:
        """The answer of the token endpoint, in which there is a token."""
        metadata = await self._known(http)
        url = self.provider.token_url or metadata["token_endpoint"]
        told = await self._posted(http, url, {"grant_type": grant_type, **grant})
        if not isinstance(told.get("access_token"), str) or not told["access_token"]:
            raise ValueError("the token endpoint gave no access token")
        return told

    async def _posted(self, http: ProviderHttp, url: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        proof = await client_proof(self.provider, self._metadata, url)
        answer = await http.post(url, data={**form, **proof.fields}, headers=dict(proof.headers))
        if answer.is_server_error:
            answer.raise_for_status()
        told = answer.json()
        if not isinstance(told, dict):
            raise ValueError(f"an answer that is no object ({answer.status_code})")
        if told.get("error"):  # some say so with 200
            raise ValueError(f"{told['error']}: {told.get('error_description')}")
        answer.raise_for_status()
        return told

    async def _claims(self, http: ProviderHttp, token: Mapping[str, Any], nonce: str) -> Mapping[str, Any]:
        if not self.provider.is_openid:
            return await self._user_info(http, self.provider.userinfo_url or "", token, nonce)
        if not isinstance(token.get("id_token"), str) or not nonce:
            raise ValueError("no ID token")
        claims = await self._verified(http, checked_id_token, token["id_token"], token, nonce)
        return await self._completed(http, claims, token, nonce)

    async def _verified(
        self,
        http: ProviderHttp,
        check: Callable[..., Mapping[str, Any]],
        signed: str,
        token: Mapping[str, Any],
        nonce: str,
    ) -> Mapping[str, Any]:
        """The claims of what the provider signed; keys are fetched anew where those that are known do not fit."""
        issuer = self.provider.issuer or ""
        expected = Expected(
            issuer=issuer if "{tenantid}" in issuer else self._metadata["issuer"],
            client_id=self.provider.client_id,
            audiences=self.provider.audiences,
            nonce=nonce,
            access_token=token["access_token"],
            now=int(self._now().timestamp()),
        )
        algorithms = self._metadata["id_token_signing_alg_values_supported"]
        if self._keys is not None:
            try:
                return check(signed, self._keys, algorithms, expected)
            except (BadSignatureError, InvalidKeyIdError):
                self._keys = None
        answer = await http.get(self._metadata["jwks_uri"])
        answer.raise_for_status()
        self._keys = answer.json()
        return check(signed, self._keys, algorithms, expected)

    async def _completed(
        self, http: ProviderHttp, claims: Mapping[str, Any], token: Mapping[str, Any], nonce: str
    ) -> Mapping[str, Any]:
        """Claims with those of the user info, where the ID token lacks something that was asked for."""
        url, scopes = self._metadata.get("userinfo_endpoint"), self.provider.scope.split()
        wanted = [name for scope, name in _CLAIMS_OF_SCOPES if scope in scopes]
        if url is None or all(claims.get(name) is not None for name in wanted):
            return claims
        try:
            told = await self._user_info(http, url, token, nonce)
        except httpx2.HTTPError as error:
            if isinstance(error, httpx2.HTTPStatusError) and error.response.status_code == 401:
                raise
            return claims
        if told.get("sub") != claims["sub"]:
            raise ValueError("the user info is somebody else's")  # OpenID Connect Core §5.3.2
        # An address counts as verified only by whoever gave it.
        giver = told if claims.get("email") is None else claims
        stated = {name: value for name, value in claims.items() if value is not None}
        return {**told, **stated, "email": giver.get("email"), "email_verified": giver.get("email_verified")}

    async def _user_info(self, http: ProviderHttp, url: str, token: Mapping[str, Any], nonce: str) -> Mapping[str, Any]:
        answer = await self._asked(http, url, token)
        if answer.headers["content-type"].partition(";")[0].strip() == "application/jwt" and self.provider.is_openid:
            return await self._verified(http, checked_user_info, answer.text.strip(), token, nonce)
        told = answer.json()
        if not isinstance(told, dict):
            raise ValueError("the user info is not an object")
        return told

    async def _fetch(self, http: ProviderHttp, url: str, token: Mapping[str, Any]) -> Any:
        return (await self._asked(http, url, token)).json()

    async def _asked(self, http: ProviderHttp, url: str, token: Mapping[str, Any]) -> httpx2.Response:
        """Asks with the access token as it came: it was made this moment, whatever is said of its lifetime."""
        kind = token.get("token_type")
        if isinstance(kind, str) and kind.lower() != "bearer":
            raise ValueError(f"a token of the type {kind!r}, which must not be sent as a bearer's")
        answer = await http.get(url, headers={"authorization": f"Bearer {token['access_token']}"})
        answer.raise_for_status()
        return answer

    def _fields(self, token: Mapping[str, Any]) -> dict[str, Any]:
        """A token answer as fields of `link_account`; times by the store's clock."""
        fields: dict[str, Any] = {name: token[name] for name in _TOKENS if isinstance(token.get(name), str)}
        for name, value in fields.items():
            if not value.isprintable():  # RFC 6749 appendix A
                raise ValueError(f"a {name} of control characters")
        seconds = _seconds(token.get("expires_in"))
        if seconds is not None:
            fields["expires_at"] = self._now().astimezone(UTC) + timedelta(seconds=seconds)
        return fields


def _seconds(said: object) -> float | None:
    """How long a token lives; `None` where that is not said in a way that can be meant."""
    if isinstance(said, bool) or not isinstance(said, (int, float, str)):
        return None
    try:
        seconds = float(said)
    except (ValueError, OverflowError):
        return None
    return seconds if isfinite(seconds) and 0 < seconds < _LONGEST_LIFE else None


def without_addresses(text: str) -> str:
    """The text with e-mail addresses left out, for logs and messages."""
    return _ADDRESS.sub("(address)", text)
