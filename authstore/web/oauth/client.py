"""Speaking with a provider (RFC 6749, 7636, 9126; OpenID Connect Core). What is remembered meanwhile, `login` keeps."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from math import isfinite
from typing import Any, Final, TypeVar
from urllib.parse import urlencode, urlsplit

import httpx2
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from authstore.errors import AuthStoreError
from authstore.models import Account
from authstore.tokens import new_secret
from authstore.web.called import called
from authstore.web.identity import Identity
from authstore.web.oauth.client_auth import client_proof
from authstore.web.oauth.discovery import checked_metadata
from authstore.web.oauth.fetched import FAULTS, Fetched, Now
from authstore.web.oauth.http import ProviderHttp, is_jwt
from authstore.web.oauth.identity import usable
from authstore.web.oauth.idtoken import Expected, checked_id_token, checked_user_info
from authstore.web.oauth.logout_token import Ending, checked_logout_token
from authstore.web.oauth.provider import Provider
from authstore.web.oauth.signatures import ProviderKeys

log = logging.getLogger("authstore.web")

TIMEOUT: Final = 20.0  # seconds for a whole exchange
_LONGEST_LIFE: Final = 10**9  # seconds
_REST: Final = timedelta(seconds=10)
_ADDRESS: Final = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+")

# Fields of `link_account` that a token endpoint fills.
_TOKENS: Final = ("access_token", "refresh_token", "id_token", "token_type", "scope", "session_state")

# What people are known by, and the scope that asks for it (OpenID Connect Core §5.4).
_CLAIMS_OF_SCOPES: Final = (("email", "email"), ("profile", "name"), ("profile", "picture"))

_T = TypeVar("_T")


class ProviderError(AuthStoreError):
    """The provider did not answer, or not as it must; the cause says what."""

    hint = "let the user sign in there again; if it lasts, look at the cause and at the client's settings there"


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
    """Who came back, with the provider's tokens (fields of `link_account`).

    `subject` and `provider_session` are what an OpenID provider calls them and their session there (`sub`, `sid`).
    """

    identity: Identity
    tokens: Mapping[str, Any]
    subject: str | None = None
    provider_session: str | None = None


class ProviderClient:
    """One provider."""

    def __init__(self, provider: Provider, now: Now) -> None:
        self.provider = provider
        self._now = now
        self._metadata = Fetched(f"{provider.name}'s metadata", self._published_metadata, now)
        self._keys = ProviderKeys(provider.name, self._published_keys, now)

    async def issuer(self) -> Issuer:
        """Whose answers must be, and whether they must say so (RFC 9207). Raises `ProviderError`."""
        metadata = await self._guarded(self._known_metadata())
        said = metadata.get("issuer", self.provider.issuer)
        # The answers of an endpoint shared by tenants name the tenant's issuer; the ID token is checked for it.
        return Issuer(None if said and "{" in said else said, bool(metadata.get("names_issuer", False)))

    async def depart(self, redirect_uri: str, state: str) -> Departure:
        """Where the browser must go to sign in. Raises `ProviderError`."""
        return await self._guarded(self._departure(redirect_uri, state))

    async def arrive(self, redirect_uri: str, code: str, code_verifier: str, nonce: str | None) -> Arrival:
        """Redeems the code, checks the ID token, asks who it is. Raises `ProviderError`."""
        grant = {"code": code, "redirect_uri": redirect_uri, "code_verifier": code_verifier}
        return await self._guarded(self._arrival(grant, nonce or ""))

    async def refresh(self, account: Account) -> Mapping[str, Any]:
        """New tokens for old, as `refresh_account` wants them. Raises `ProviderError`."""
        if not account.refresh_token:
            raise ProviderError(
                f"{self.provider.name}: the access token is used up and there is no refresh token: the user must sign "
                "in there again"
            )
        return await self._guarded(self._refreshed(account.refresh_token))

    async def logout_url(self, id_token: str | None, back_to: str) -> str | None:
        """Where a browser ends the provider's own session (RP-Initiated Logout 1.0 §2); `None` where it cannot.

        `back_to` must be known to the provider as a `post_logout_redirect_uri`. Raises `ProviderError`.
        """
        endpoint = (await self._guarded(self._known_metadata())).get("end_session_endpoint")
        if endpoint is None:
            return None
        whose = {"id_token_hint": id_token} if id_token else {"client_id": self.provider.client_id}
        return _with_query(endpoint, {**whose, "post_logout_redirect_uri": back_to})

    async def checked_logout(self, logout_token: str) -> Ending:
        """What a logout token says. Raises `ProviderError` where it is not this provider's, for us and for now."""

        async def make() -> Ending:
            metadata, algorithms = await self._known_metadata(), "id_token_signing_alg_values_supported"
            # Anybody can send such a token: the provider's keys are not fetched for each.
            signed = await self._keys.verified(logout_token, metadata[algorithms], older_than=_REST)
            return checked_logout_token(signed, self._expected(metadata))

        return await self._guarded(make())

    async def _guarded(self, work: Awaitable[_T]) -> _T:
        try:
            async with asyncio.timeout(TIMEOUT):
                return await work
        except FAULTS as error:
            reason = without_addresses(str(error))[:200] if not isinstance(error, OSError) else ""
            raise ProviderError(f"{self.provider.name}: {type(error).__name__} {reason!r}") from error

    def _http(self) -> ProviderHttp:
        return ProviderHttp(self.provider.transport)

    # What the provider publishes

    async def _known_metadata(self) -> Mapping[str, Any]:
        return await self._metadata.get() if self.provider.is_openid else {}

    async def _published_metadata(self) -> dict[str, Any]:
        return checked_metadata(self.provider, await self._published(self.provider.discovery_url or ""))

    async def _published_keys(self) -> Any:
        return await self._published((await self._metadata.get())["jwks_uri"])

    async def _published(self, url: str) -> Any:
        async with self._http() as http:
            answer = await http.get(url)
        answer.raise_for_status()
        return answer.json()

    # Going there

    async def _departure(self, redirect_uri: str, state: str) -> Departure:
        metadata, verifier = await self._known_metadata(), new_secret()
        nonce = new_secret() if self.provider.is_openid else None
        asked = {
            **self.provider.authorize_params,
            "redirect_uri": redirect_uri,
            "scope": self.provider.scope or None,
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        stated = {name: value for name, value in asked.items() if value is not None}
        url = self.provider.authorize_url or metadata["authorization_endpoint"]
        if "pushed_authorization_request_endpoint" in metadata:
            return Departure(await self._pushed(url, metadata, stated), nonce, verifier)
        return Departure(prepare_grant_uri(url, self.provider.client_id, "code", **stated), nonce, verifier)

    async def _pushed(self, url: str, metadata: Mapping[str, Any], asked: Mapping[str, str]) -> str:
        """The URL for the browser, once what it asks for was told to the provider directly (RFC 9126)."""
        endpoint = metadata["pushed_authorization_request_endpoint"]
        async with self._http() as http:
            told = await self._posted(
                http, endpoint, {**asked, "response_type": "code", "client_id": self.provider.client_id}
            )
        if not isinstance(told.get("request_uri"), str):
            raise ValueError("the request was not taken when pushed")
        return _with_query(url, {"client_id": self.provider.client_id, "request_uri": told["request_uri"]})

    # Coming back

    async def _arrival(self, grant: Mapping[str, str], nonce: str) -> Arrival:
        async with self._http() as http:
            token = await self._granted(http, "authorization_code", grant)
            claims = await self._claims(http, token, nonce)
            identity = usable(await called(self.provider.identify, claims, lambda url: self._fetch(http, url, token)))
        return Arrival(identity, self._fields(token), _text(claims.get("sub")), _text(claims.get("sid")))

    async def _refreshed(self, refresh_token: str) -> Mapping[str, Any]:
        async with self._http() as http:
            return self._fields(await self._granted(http, "refresh_token", {"refresh_token": refresh_token}))

    async def _granted(self, http: ProviderHttp, grant_type: str, grant: Mapping[str, str]) -> Mapping[str, Any]:
        """The answer of the token endpoint, in which there is a token."""
        url = self.provider.token_url or (await self._known_metadata())["token_endpoint"]
        told = await self._posted(http, url, {"grant_type": grant_type, **grant})
        if not isinstance(told.get("access_token"), str) or not told["access_token"]:
            raise ValueError("the token endpoint gave no access token")
        return told

    async def _posted(self, http: ProviderHttp, url: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        proof = await client_proof(self.provider, await self._known_metadata(), url, self._seconds_now())
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
            return await self._user_info(http, self.provider.userinfo_url or "", token)
        if not isinstance(token.get("id_token"), str) or not nonce:
            raise ValueError("no ID token")
        metadata = await self._known_metadata()
        signed = await self._keys.verified(token["id_token"], metadata["id_token_signing_alg_values_supported"])
        claims = checked_id_token(signed, self._expected(metadata), nonce, token["access_token"])
        return await self._completed(http, claims, token)

    def _expected(self, metadata: Mapping[str, Any]) -> Expected:
        configured = self.provider.issuer or ""
        return Expected(
            issuer=configured if "{tenantid}" in configured else metadata["issuer"],
            client_id=self.provider.client_id,
            audiences=self.provider.audiences,
            now=self._seconds_now(),
        )

    def _seconds_now(self) -> int:
        return int(self._now().timestamp())

    async def _completed(
        self, http: ProviderHttp, claims: Mapping[str, Any], token: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Claims with those of the user info, where the ID token lacks something that was asked for."""
        url, scopes = (await self._known_metadata()).get("userinfo_endpoint"), self.provider.scope.split()
        wanted = {name for scope, name in _CLAIMS_OF_SCOPES if scope in scopes}
        lacking = {name for name in wanted if not _is_said(claims.get(name))}
        is_unjudged = "email" in wanted - lacking and claims.get("email_verified") is None  # said, but not how sure
        told = await self._told_beside(http, url, token) if url is not None and (lacking or is_unjudged) else {}
        if told.get("sub") is None:
            return claims
        if told["sub"] != claims["sub"]:
            raise ValueError("the user info is somebody else's")  # OpenID Connect Core §5.3.2
        # An address counts as verified only by whoever gave it.
        is_judged_there = not _is_said(claims.get("email")) or (is_unjudged and told.get("email") == claims["email"])
        giver = told if is_judged_there else claims
        stated = {name: value for name, value in claims.items() if value is not None and name not in lacking}
        return {**told, **stated, "email": giver.get("email"), "email_verified": giver.get("email_verified")}

    async def _told_beside(self, http: ProviderHttp, url: str, token: Mapping[str, Any]) -> Mapping[str, Any]:
        """The user info of somebody whom an ID token names already; empty where it cannot be had. An access token that
        is called bad, or a bad signature, ends the sign-in."""
        try:
            return await self._user_info(http, url, token)
        except httpx2.HTTPStatusError as error:
            if error.response.status_code == 401:
                raise
        except (httpx2.HTTPError, ValueError) as error:
            log.info("%s: no user info: %s", self.provider.name, type(error).__name__)
        return {}

    async def _user_info(self, http: ProviderHttp, url: str, token: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = await self._asked(http, url, token)
        if self.provider.is_openid and is_jwt(answer):
            metadata = await self._known_metadata()
            signed = await self._keys.verified(answer.text, metadata["userinfo_signing_alg_values_supported"])
            return checked_user_info(signed, self._expected(metadata))
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
            if not (value.isprintable() and value.isascii()):  # RFC 6749 appendix A
                raise ValueError(f"a {name} of characters that no header carries")
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


def _with_query(url: str, params: Mapping[str, str]) -> str:
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(params)}"


def _is_said(claim: object) -> bool:
    """Whether there is anything to be read."""
    return isinstance(claim, str) and bool(claim.strip())


def _text(claim: object) -> str | None:
    return claim if isinstance(claim, str) and claim else None
