"""Speaking with a provider, on Authlib's Starlette client.

Of that client the parts that speak are used, not the ones that keep state in `request.session`: those lose a second
tab's flow, and look at `error=` before `state`. State is kept by `flows`, and judged by `login`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from functools import cache
from ssl import SSLContext
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
from authlib.integrations.starlette_client import OAuth

from authstore.errors import AuthStoreError
from authstore.models import Account
from authstore.tokens import new_secret
from authstore.web.oauth.discovery import checked_metadata
from authstore.web.oauth.fetched import FAULTS, Fetched, Now
from authstore.web.oauth.identity import Identity
from authstore.web.oauth.idtoken import Expected, checked_id_token, checked_user_info
from authstore.web.oauth.logout_token import Ending, checked_logout_token
from authstore.web.oauth.provider import Provider
from authstore.web.oauth.signatures import ProviderKeys

TIMEOUT: Final = 20.0  # seconds for a whole exchange
_REST: Final = timedelta(seconds=10)

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
        self._client = OAuth().register(
            provider.name,
            client_id=provider.client_id,
            client_secret=provider.client_secret,
            authorize_url=provider.authorize_url,
            access_token_url=provider.token_url,
            authorize_params=dict(provider.authorize_params),
            client_kwargs={
                "scope": provider.scope,
                "code_challenge_method": "S256",
                "timeout": httpx2.Timeout(10.0),
                **({"transport": provider.transport} if provider.transport else {"verify": _trusted()}),
            },
        )

    async def issuer(self) -> Issuer:
        """Whose answers must be, and whether they must say so (RFC 9207). Raises `ProviderError`."""
        metadata = await self._guarded(self._known_metadata)
        said = metadata.get("issuer", self.provider.issuer)
        # The answers of an endpoint shared by tenants name the tenant's issuer; the ID token is checked for it.
        return Issuer(None if said and "{" in said else said, bool(metadata.get("names_issuer", False)))

    async def depart(self, redirect_uri: str, state: str) -> Departure:
        """Where the browser must go to sign in. Raises `ProviderError`."""

        async def make() -> Departure:
            metadata = await self._known_metadata()
            departure = {"state": state, "code_verifier": new_secret()}
            if self.provider.is_openid:
                departure["nonce"] = new_secret()
            url = (await self._client.create_authorization_url(redirect_uri, **departure))["url"]
            if "pushed_authorization_request_endpoint" in metadata:
                url = await self._pushed(url, metadata)
            return Departure(url, departure.get("nonce"), departure["code_verifier"])

        return await self._guarded(make)

    async def arrive(self, redirect_uri: str, code: str, code_verifier: str, nonce: str | None) -> Arrival:
        """Redeems the code, checks the ID token, asks who it is. Raises `ProviderError`."""

        async def make() -> Arrival:
            await self._known_metadata()
            token = await self._client.fetch_access_token(
                redirect_uri=redirect_uri, code=code, code_verifier=code_verifier
            )
            claims = await self._claims(token, nonce or "")
            identity = await self.provider.identify(claims, lambda url: self._fetch(url, token))
            return Arrival(identity, self._fields(token), _text(claims.get("sub")), _text(claims.get("sid")))

        return await self._guarded(make)

    async def refresh(self, account: Account) -> Mapping[str, Any]:
        """New tokens for old, as `refresh_account` wants them. Raises `ProviderError`."""

        async def make() -> Mapping[str, Any]:
            metadata = await self._known_metadata()
            url = self.provider.token_url or metadata["token_endpoint"]
            async with self._client._get_oauth_client(**metadata) as client:
                client.token = {"access_token": account.access_token, "refresh_token": account.refresh_token}
                return self._fields(await client.refresh_token(url, refresh_token=account.refresh_token))

        return await self._guarded(make)

    async def logout_url(self, id_token: str | None, back_to: str) -> str | None:
        """Where a browser ends the provider's own session (RP-Initiated Logout 1.0 §2); `None` where it cannot.

        `back_to` must be known to the provider as a `post_logout_redirect_uri`. Raises `ProviderError`.
        """
        endpoint = (await self._guarded(self._known_metadata)).get("end_session_endpoint")
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

        return await self._guarded(make)

    async def _guarded(self, work: Callable[[], Awaitable[_T]]) -> _T:
        try:
            async with asyncio.timeout(TIMEOUT):
                return await work()
        except FAULTS as error:
            reason = str(error)[:200] if not isinstance(error, OSError) else ""
            raise ProviderError(f"{self.provider.name}: {type(error).__name__} {reason!r}") from error

    async def _known_metadata(self) -> Mapping[str, Any]:
        if not self.provider.is_openid:
            return {}
        metadata = await self._metadata.get()
        self._client.server_metadata = metadata
        return metadata

    async def _published_metadata(self) -> dict[str, Any]:
        return checked_metadata(self.provider, await self._published(self.provider.discovery_url))

    async def _published_keys(self) -> Any:
        return await self._published((await self._metadata.get())["jwks_uri"])

    async def _published(self, url: str | None) -> Any:
        async with self._client._get_session() as client:
            answer = await client.request("GET", url, withhold_token=True)
            answer.raise_for_status()
            return answer.json()

    async def _pushed(self, url: str, metadata: Mapping[str, Any]) -> str:
        """The URL for the browser once its query was told to the provider directly (RFC 9126)."""
        asked = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
        async with self._client._get_oauth_client(**metadata) as client:
            if client.token_endpoint_auth_method in ("none", "client_secret_post"):
                del asked["client_id"]  # these methods add it themselves
            answer = await client.request(
                "POST",
                metadata["pushed_authorization_request_endpoint"],
                data=asked,
                auth=client.client_auth(client.token_endpoint_auth_method),
                headers={"Accept": "application/json"},
                withhold_token=True,
            )
        told = answer.json()
        if answer.status_code != 201 or not isinstance(told.get("request_uri"), str):
            raise ValueError(f"the request was not taken when pushed: {told.get('error')!r}")
        reference = {"client_id": self.provider.client_id, "request_uri": told["request_uri"]}
        return _with_query(metadata["authorization_endpoint"], reference)

    async def _claims(self, token: dict[str, Any], nonce: str) -> Mapping[str, Any]:
        if not self.provider.is_openid:
            return await self._userinfo(self.provider.userinfo_url, token)
        if not token.get("id_token") or not nonce:
            raise ValueError("no ID token")
        metadata = await self._known_metadata()
        signed = await self._keys.verified(token["id_token"], metadata["id_token_signing_alg_values_supported"])
        claims = checked_id_token(signed, self._expected(metadata), nonce, token.get("access_token"))
        return await self._completed(claims, token)

    def _expected(self, metadata: Mapping[str, Any]) -> Expected:
        configured = self.provider.issuer or ""
        return Expected(
            issuer=configured if "{tenantid}" in configured else metadata["issuer"],
            client_id=self.provider.client_id,
            audiences=self.provider.audiences,
            now=int(self._now().timestamp()),
        )

    async def _completed(self, claims: Mapping[str, Any], token: dict[str, Any]) -> Mapping[str, Any]:
        """Claims with those of the user info, where the ID token lacks the address that was asked for."""
        url = (await self._known_metadata()).get("userinfo_endpoint")
        if claims.get("email") is not None or url is None or "email" not in self.provider.scope.split():
            return claims
        told = await self._userinfo(url, token)
        if told.get("sub") != claims["sub"]:
            raise ValueError("the user info is somebody else's")  # OpenID Connect Core §5.3.2
        return {**told, **claims, "email": told.get("email"), "email_verified": told.get("email_verified")}

    async def _userinfo(self, url: str | None, token: dict[str, Any]) -> Mapping[str, Any]:
        answer = await self._answer(url or "", token)
        if _is_signed(answer):
            metadata = await self._known_metadata()
            signed = await self._keys.verified(answer.text, metadata["userinfo_signing_alg_values_supported"])
            return checked_user_info(signed, self._expected(metadata))
        told = answer.json()
        if not isinstance(told, dict):
            raise ValueError("the user info is not an object")
        return told

    async def _fetch(self, url: str, token: dict[str, Any]) -> Any:
        return (await self._answer(url, token)).json()

    async def _answer(self, url: str, token: dict[str, Any]) -> httpx2.Response:
        answer: httpx2.Response = await self._client.get(url, token=token)
        answer.raise_for_status()
        return answer

    def _fields(self, token: Mapping[str, Any]) -> dict[str, Any]:
        """A token answer as fields of `link_account`; times by the store's clock."""
        names = ("access_token", "refresh_token", "id_token", "token_type", "scope", "session_state")
        fields: dict[str, Any] = {name: token[name] for name in names if isinstance(token.get(name), str)}
        for name, value in fields.items():
            if not value.isprintable():  # RFC 6749 appendix A
                raise ValueError(f"a {name} of control characters")
        seconds = token.get("expires_in")
        if isinstance(seconds, (int, str)) and not isinstance(seconds, bool) and 0 < int(seconds) < 10**9:
            fields["expires_at"] = self._now().astimezone(UTC) + timedelta(seconds=int(seconds))
        return fields


@cache
def _trusted() -> SSLContext:
    """Made once: reading all certificates takes milliseconds."""
    return httpx2.create_ssl_context()


def _is_signed(answer: httpx2.Response) -> bool:
    """Whether the user info is a JWT (OpenID Connect Core §5.3.2)."""
    kind: str = answer.headers.get("content-type", "")
    return kind.partition(";")[0].strip().lower() == "application/jwt"


def _with_query(url: str, params: Mapping[str, str]) -> str:
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(params)}"


def _text(claim: object) -> str | None:
    return claim if isinstance(claim, str) and claim else None
