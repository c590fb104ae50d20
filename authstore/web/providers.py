"""Whom people can sign in with: presets, and any other provider by OpenID Connect or plain OAuth 2.0."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from authstore.errors import ConfigurationError
from authstore.web.identity import Fetch, Identity, discord_identity, github_identity, openid_identity, plain_identity

_WELL_KNOWN: Final = "/.well-known/openid-configuration"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_MICROSOFT: Final = "https://login.microsoftonline.com"
_MICROSOFT_TENANTS: Final = {"consumers": "9188040d-6c67-4c5b-b112-36a304b66dad"}
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Transport(Protocol):
    """What carries requests to a provider: an async transport of httpx2 (one that answers in its types)."""

    async def handle_async_request(self, request: Any) -> Any:
        """Answers one request."""
        ...


Identify = Callable[[Mapping[str, Any], Fetch], Awaitable[Identity]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """How to reach one provider and read its answers. Made by the functions below.

    `discovery_url` is set for OpenID Connect, the three other URLs for plain OAuth 2.0. `issuer` is compared with what
    the provider says of itself; `{tenantid}` in it stands for the ID token's `tid` (Microsoft).
    """

    name: str
    client_id: str
    client_secret: str | None = field(repr=False)
    label: str
    icon: str
    scope: str
    identify: Identify
    discovery_url: str | None = None
    issuer: str | None = None
    authorize_url: str | None = None
    token_url: str | None = None
    userinfo_url: str | None = None
    authorize_params: Mapping[str, str] = field(default_factory=dict)
    transport: Transport | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigurationError(f"a provider's name is in its URLs: a-z, 0-9, - and _, not {self.name!r}")
        if not self.client_id or self.client_secret == "":
            raise ConfigurationError(f"{self.name}: the client id or secret is empty")
        for url in (self.discovery_url, self.authorize_url, self.token_url, self.userinfo_url):
            if url is not None and not is_safe_url(url):
                raise ConfigurationError(f"{self.name}: {url} must be https (http only on this machine)")

    @property
    def is_openid(self) -> bool:
        """Whether it signs ID tokens."""
        return self.discovery_url is not None

    @property
    def posts_back(self) -> bool:
        """Whether it answers with a form that the browser posts (response_mode=form_post)."""
        return self.authorize_params.get("response_mode") == "form_post"


def oidc(
    name: str,
    client_id: str,
    client_secret: str | None,
    discovery_url: str,
    *,
    scope: str = "openid email profile",
    label: str | None = None,
    icon: str | None = None,
    issuer: str | None = None,
    authorize_params: Mapping[str, str] | None = None,
    transport: Transport | None = None,
    identify: Identify = openid_identity,
) -> Provider:
    """Any OpenID Connect provider. `client_secret=None`: a public client, by PKCE alone.

    The issuer is the discovery URL without `/.well-known/openid-configuration` (OpenID Connect Discovery §4.3); pass
    `issuer` for a provider that stands elsewhere. Raises `ConfigurationError`.
    """
    if "openid" not in scope.split():
        raise ConfigurationError(f'{name}: the scope of an OpenID provider holds "openid"')
    if issuer is None and not discovery_url.endswith(_WELL_KNOWN):
        raise ConfigurationError(f"{name}: the discovery URL does not end in {_WELL_KNOWN}; say which issuer=")
    return Provider(
        name=name,
        client_id=client_id,
        client_secret=client_secret,
        label=label or name.capitalize(),
        icon=icon or name,
        scope=scope,
        identify=identify,
        discovery_url=discovery_url,
        issuer=issuer or discovery_url.removesuffix(_WELL_KNOWN),
        authorize_params=authorize_params or {},
        transport=transport,
    )


def oauth2(
    name: str,
    client_id: str,
    client_secret: str | None,
    *,
    authorize_url: str,
    token_url: str,
    userinfo_url: str,
    scope: str = "",
    label: str | None = None,
    icon: str | None = None,
    issuer: str | None = None,
    authorize_params: Mapping[str, str] | None = None,
    transport: Transport | None = None,
    identify: Identify = plain_identity,
) -> Provider:
    """Any OAuth 2.0 provider with an address that tells who the user is.

    `identify(userinfo, fetch)` makes an `Identity` of that answer; the default reads the usual names (`sub` or `id`,
    `email`, `email_verified`, `name`, `picture` or `avatar_url`). Raises `ConfigurationError`.
    """
    return Provider(
        name=name,
        client_id=client_id,
        client_secret=client_secret,
        label=label or name.capitalize(),
        icon=icon or name,
        scope=scope,
        identify=identify,
        issuer=issuer,
        authorize_url=authorize_url,
        token_url=token_url,
        userinfo_url=userinfo_url,
        authorize_params=authorize_params or {},
        transport=transport,
    )


def github(
    client_id: str, client_secret: str, *, scope: str = "read:user user:email", transport: Transport | None = None
) -> Provider:
    """GitHub. The address is the primary one; GitHub says whether it was verified."""
    return oauth2(
        "github",
        client_id,
        _stated("github", client_secret),
        authorize_url="https://github.com/login/oauth/authorize",
        token_url="https://github.com/login/oauth/access_token",  # noqa: S106 - an address
        userinfo_url="https://api.github.com/user",
        scope=scope,
        label="GitHub",
        identify=github_identity,
        transport=transport,
    )


def discord(
    client_id: str, client_secret: str, *, scope: str = "identify email", transport: Transport | None = None
) -> Provider:
    """Discord."""
    return oauth2(
        "discord",
        client_id,
        _stated("discord", client_secret),
        authorize_url="https://discord.com/oauth2/authorize",
        token_url="https://discord.com/api/oauth2/token",  # noqa: S106 - an address
        userinfo_url="https://discord.com/api/users/@me",
        scope=scope,
        identify=discord_identity,
        transport=transport,
    )


def google(
    client_id: str, client_secret: str, *, scope: str = "openid email profile", transport: Transport | None = None
) -> Provider:
    """Google."""
    return _preset("google", client_id, client_secret, "https://accounts.google.com", scope=scope, transport=transport)


def microsoft(
    client_id: str,
    client_secret: str,
    *,
    tenant: str = "common",
    scope: str = "openid email profile",
    transport: Transport | None = None,
) -> Provider:
    """Microsoft Entra ID; `tenant`: an id, `organizations`, `consumers` or `common`.

    Its addresses are never taken as verified: a tenant's administrator writes what he likes there ("nOAuth").
    """
    home = "{tenantid}" if tenant in ("common", "organizations") else _MICROSOFT_TENANTS.get(tenant, tenant)
    if home != "{tenantid}" and not _UUID.fullmatch(home):
        raise ConfigurationError("microsoft: tenant is an id, not a domain name")
    return _preset(
        "microsoft",
        client_id,
        client_secret,
        f"{_MICROSOFT}/{tenant}/v2.0",
        scope=scope,
        issuer=f"{_MICROSOFT}/{home}/v2.0",
        identify=_microsoft_identity,
        transport=transport,
    )


def apple(
    client_id: str, client_secret: str, *, scope: str = "openid email name", transport: Transport | None = None
) -> Provider:
    """Apple; `client_secret` is the JWT made with your key, at most six months old."""
    return _preset(
        "apple",
        client_id,
        client_secret,
        "https://appleid.apple.com",
        scope=scope,
        authorize_params={"response_mode": "form_post"},
        transport=transport,
    )


def gitlab(
    client_id: str,
    client_secret: str,
    *,
    base_url: str = "https://gitlab.com",
    scope: str = "openid email profile",
    transport: Transport | None = None,
) -> Provider:
    """GitLab, or a GitLab of your own at `base_url`."""
    base = base_url.rstrip("/")
    return _preset("gitlab", client_id, client_secret, base, scope=scope, label="GitLab", transport=transport)


def _preset(name: str, client_id: str, client_secret: str, base: str, **more: Any) -> Provider:
    """An OpenID provider whose discovery document stands below `base`; `more`: as for `oidc`."""
    return oidc(name, client_id, _stated(name, client_secret), base + _WELL_KNOWN, **more)


async def _microsoft_identity(claims: Mapping[str, Any], fetch: Fetch) -> Identity:
    return await openid_identity({**claims, "email_verified": False}, fetch)


def _stated(name: str, client_secret: str) -> str:
    """The secret. Raises `ConfigurationError` without one, which would make a public client: a setting is missing."""
    if not client_secret:
        raise ConfigurationError(f"{name}: the client secret is missing")
    return client_secret


def is_safe_url(url: object) -> bool:
    """Whether secrets may be sent there: https, or http to this very machine."""
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and is_local))
