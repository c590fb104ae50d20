"""Presets: providers that need no more than a client id and a secret."""

import re
from collections.abc import Mapping
from typing import Any, Final

from authstore.errors import ConfigurationError
from authstore.web.oauth.identity import Fetch, Identity, discord_identity, github_identity, openid_identity
from authstore.web.oauth.provider import WELL_KNOWN, Provider, Transport, oauth2, oidc

_MICROSOFT: Final = "https://login.microsoftonline.com"
_MICROSOFT_TENANTS: Final = {"consumers": "9188040d-6c67-4c5b-b112-36a304b66dad"}
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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
    return oidc(name, client_id, _stated(name, client_secret), base + WELL_KNOWN, **more)


async def _microsoft_identity(claims: Mapping[str, Any], fetch: Fetch) -> Identity:
    return await openid_identity({**claims, "email_verified": False}, fetch)


def _stated(name: str, client_secret: str) -> str:
    """The secret. Raises `ConfigurationError` without one, which would make a public client: a setting is missing."""
    if not client_secret:
        raise ConfigurationError(f"{name}: the client secret is missing")
    return client_secret
