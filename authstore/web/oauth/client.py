"""Speaking with a provider, on Authlib's Starlette client.

Of that client the parts that speak are used, not the ones that keep state in `request.session`: those lose a second
tab's flow, and look at `error=` before `state`. State is kept by `flows`, and judged by `login`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from ssl import SSLContext
from time import monotonic
from typing import Any, Final, TypeVar

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth
from joserfc.errors import JoseError

from authstore.errors import AuthStoreError
from authstore.models import Account
from authstore.tokens import new_secret
from authstore.web.oauth.discovery import checked_metadata
from authstore.web.oauth.identity import Identity
from authstore.web.oauth.idtoken import claims_class
from authstore.web.oauth.provider import Provider

TIMEOUT: Final = 20.0  # seconds for a whole exchange
_METADATA_AGE: Final = 3600.0  # seconds; keys are fetched anew with it

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
        self._fresh_until = 0.0
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
        metadata = await self._guarded(self._metadata)
        said = metadata.get("issuer", self.provider.issuer)
        # The answers of an endpoint shared by tenants name the tenant's issuer; the ID token is checked for it.
        return Issuer(None if said and "{" in said else said, bool(metadata.get("names_issuer", False)))

    async def depart(self, redirect_uri: str, state: str) -> Departure:
        """Where the browser must go to sign in. Raises `ProviderError`."""

        async def make() -> Departure:
            await self._metadata()
            departure = {"state": state, "code_verifier": new_secret()}
            if self.provider.is_openid:
                departure["nonce"] = new_secret()
            asked = await self._client.create_authorization_url(redirect_uri, **departure)
            return Departure(asked["url"], departure.get("nonce"), departure["code_verifier"])

        return await self._guarded(make)

    async def arrive(self, redirect_uri: str, code: str, code_verifier: str, nonce: str | None) -> Arrival:
        """Redeems the code, checks the ID token, asks who it is. Raises `ProviderError`."""

        async def make() -> Arrival:
            await self._metadata()
            token = await self._client.fetch_access_token(
                redirect_uri=redirect_uri, code=code, code_verifier=code_verifier
            )
            claims = await self._claims(token, nonce or "")
            identity = await self.provider.identify(claims, lambda url: self._fetch(url, token))
            return Arrival(identity, self._fields(token))

        return await self._guarded(make)

    async def refresh(self, account: Account) -> Mapping[str, Any]:
        """New tokens for old, as `refresh_account` wants them. Raises `ProviderError`."""

        async def make() -> Mapping[str, Any]:
            metadata = await self._metadata()
            url = self.provider.token_url or metadata["token_endpoint"]
            async with self._client._get_oauth_client(**metadata) as client:
                client.token = {"access_token": account.access_token, "refresh_token": account.refresh_token}
                return self._fields(await client.refresh_token(url, refresh_token=account.refresh_token))

        return await self._guarded(make)

    async def _guarded(self, work: Callable[[], Awaitable[_T]]) -> _T:
        try:
            async with asyncio.timeout(TIMEOUT):
                return await work()
        except _FAULTS as error:
            reason = str(error)[:200] if not isinstance(error, OSError) else ""
            raise ProviderError(f"{self.provider.name}: {type(error).__name__} {reason!r}") from error

    async def _metadata(self) -> dict[str, Any]:
        known: dict[str, Any] = self._client.server_metadata
        if not self.provider.is_openid or monotonic() < self._fresh_until:
            return known
        document = await self._document()
        known.clear()
        known.update(document)
        self._fresh_until = monotonic() + _METADATA_AGE
        return known

    async def _document(self) -> dict[str, Any]:
        async with self._client._get_session() as client:
            answer = await client.request("GET", self.provider.discovery_url, withhold_token=True)
            answer.raise_for_status()
            return checked_metadata(self.provider, answer.json())

    async def _claims(self, token: dict[str, Any], nonce: str) -> Mapping[str, Any]:
        if not self.provider.is_openid:
            return await self._userinfo(self.provider.userinfo_url, token)
        if not token.get("id_token") or not nonce:
            raise ValueError("no ID token")
        claims: Mapping[str, Any] = await self._client.parse_id_token(
            token,
            nonce=nonce,
            claims_options={"aud": {"essential": True}, "sub": {"essential": True}, "nonce": {"essential": True}},
            claims_cls=claims_class(
                issuer=self.provider.issuer if "{tenantid}" in (self.provider.issuer or "") else self._issuer,
                access_token=token.get("access_token"),
                now=int(self._now().timestamp()),
            ),
        )
        return await self._completed(claims, token)

    @property
    def _issuer(self) -> str:
        return str(self._client.server_metadata["issuer"])

    async def _completed(self, claims: Mapping[str, Any], token: dict[str, Any]) -> Mapping[str, Any]:
        """Claims with those of the user info, where the ID token lacks the address that was asked for."""
        url = self._client.server_metadata.get("userinfo_endpoint")
        if claims.get("email") is not None or url is None or "email" not in self.provider.scope.split():
            return claims
        told = await self._userinfo(url, token)
        if told.get("sub") != claims["sub"]:
            raise ValueError("the user info is somebody else's")  # OpenID Connect Core §5.3.2
        return {**told, **claims, "email": told.get("email"), "email_verified": told.get("email_verified")}

    async def _userinfo(self, url: str | None, token: dict[str, Any]) -> Mapping[str, Any]:
        told = await self._fetch(url or "", token)
        if not isinstance(told, dict):
            raise ValueError("the user info is not an object")
        return told

    async def _fetch(self, url: str, token: dict[str, Any]) -> Any:
        answer = await self._client.get(url, token=token)
        answer.raise_for_status()
        return answer.json()

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
