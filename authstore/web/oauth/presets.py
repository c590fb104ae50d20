"""Presets: providers that need no more than a client id and a secret.

All take `ProviderOptions`. Which of them are believed when they call an address verified is `Provider.vouches`: those
that verify every address themselves, at the one place where they run.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Unpack

from authstore.errors import ConfigurationError
from authstore.web.identity import Identity
from authstore.web.oauth.identity import (
    Fetch,
    Identify,
    apple_identity,
    discord_identity,
    facebook_identity,
    github_identity,
    openid_identity,
    spotify_identity,
    twitch_identity,
    twitter_identity,
)
from authstore.web.oauth.provider import WELL_KNOWN, ClientSecret, Provider, ProviderOptions, oauth2, oidc

_GITHUB: Final = "https://github.com"
_GITLAB: Final = "https://gitlab.com"
_FACEBOOK: Final = "v23.0"  # of the Graph API
_MICROSOFT: Final = "https://login.microsoftonline.com"
_MICROSOFT_TENANTS: Final = {"consumers": "9188040d-6c67-4c5b-b112-36a304b66dad"}
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+(:\d+)?")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._~-]+")


def google(client_id: str, client_secret: ClientSecret, **options: Unpack[ProviderOptions]) -> Provider:
    """Google. Refresh tokens: `authorize_params={"access_type": "offline", "prompt": "consent"}`."""
    made = _openid("google", client_id, client_secret, "https://accounts.google.com", options)
    return replace(made, vouches=True)


def github(
    client_id: str, client_secret: ClientSecret, *, base_url: str = _GITHUB, **options: Unpack[ProviderOptions]
) -> Provider:
    """GitHub, or a GitHub Enterprise at `base_url`. The address is the primary one, which GitHub verifies."""
    base = _base("github", base_url)
    api = f"{base}/api/v3"
    if base == _GITHUB or base.endswith(".ghe.com"):
        api = base.replace("https://", "https://api.")
    urls = (f"{base}/login/oauth/authorize", f"{base}/login/oauth/access_token", f"{api}/user")

    async def identify(userinfo: Mapping[str, Any], fetch: Fetch) -> Identity:
        return await github_identity(userinfo, fetch, f"{api}/user/emails")

    options = {"label": "GitHub", "scope": "read:user user:email", **options}
    return replace(_plain("github", client_id, client_secret, urls, identify, options), vouches=base == _GITHUB)


def gitlab(
    client_id: str, client_secret: ClientSecret, *, base_url: str = _GITLAB, **options: Unpack[ProviderOptions]
) -> Provider:
    """GitLab, or a GitLab of your own at `base_url`."""
    base = _base("gitlab", base_url)
    made = _openid("gitlab", client_id, client_secret, base, {"label": "GitLab", **options})
    return replace(made, vouches=base == _GITLAB)


def apple(client_id: str, client_secret: ClientSecret, **options: Unpack[ProviderOptions]) -> Provider:
    """Apple; `client_secret` is `apple_secret(…)`, which makes the token that Apple wants from your key."""
    more = {**(options.get("authorize_params") or {}), "response_mode": "form_post"}
    options = {"scope": "openid email name", **options, "authorize_params": more}
    base = "https://appleid.apple.com"
    made = _openid("apple", client_id, client_secret, base, options, identify=apple_identity)
    return replace(made, vouches=True)


def discord(client_id: str, client_secret: ClientSecret, **options: Unpack[ProviderOptions]) -> Provider:
    """Discord."""
    urls = (
        "https://discord.com/oauth2/authorize",
        "https://discord.com/api/oauth2/token",
        "https://discord.com/api/users/@me",
    )
    options = {"scope": "identify email", **options}
    return replace(_plain("discord", client_id, client_secret, urls, discord_identity, options), vouches=True)


def microsoft(
    client_id: str, client_secret: ClientSecret, *, tenant: str = "common", **options: Unpack[ProviderOptions]
) -> Provider:
    """Microsoft Entra ID; `tenant`: an id, `organizations`, `consumers` or `common`.

    Its addresses are never taken as verified: a tenant's administrator writes what he likes there ("nOAuth").
    """
    home = "{tenantid}" if tenant in ("common", "organizations") else _MICROSOFT_TENANTS.get(tenant, tenant)
    if home != "{tenantid}" and not (isinstance(home, str) and _UUID.fullmatch(home)):
        raise ConfigurationError("microsoft: tenant is an id, not a domain name")
    base, issuer = f"{_MICROSOFT}/{tenant}/v2.0", f"{_MICROSOFT}/{home}/v2.0"
    return _openid("microsoft", client_id, client_secret, base, options, issuer=issuer, identify=_microsoft_identity)


def okta(
    client_id: str,
    client_secret: ClientSecret,
    *,
    domain: str,
    server: str | None = None,
    **options: Unpack[ProviderOptions],
) -> Provider:
    """Okta at `domain` ("acme.okta.com"); `server`: the id of a custom authorization server, such as "default"."""
    path = f"/oauth2/{_part('okta', 'server', server)}" if server else ""
    return _openid("okta", client_id, client_secret, f"https://{_host('okta', domain)}{path}", options)


def auth0(client_id: str, client_secret: ClientSecret, *, domain: str, **options: Unpack[ProviderOptions]) -> Provider:
    """Auth0 at `domain` ("acme.eu.auth0.com")."""
    return _openid("auth0", client_id, client_secret, f"https://{_host('auth0', domain)}", options)


def cognito(
    client_id: str,
    client_secret: ClientSecret,
    *,
    region: str,
    user_pool: str,
    **options: Unpack[ProviderOptions],
) -> Provider:
    """A user pool of Amazon Cognito, such as "eu-central-1_AbCdEf123" in the region "eu-central-1"."""
    host = f"https://cognito-idp.{_part('cognito', 'region', region)}.amazonaws.com"
    base = f"{host}/{_part('cognito', 'user_pool', user_pool)}"
    return _openid("cognito", client_id, client_secret, base, options)


def keycloak(
    client_id: str, client_secret: ClientSecret, *, base_url: str, realm: str, **options: Unpack[ProviderOptions]
) -> Provider:
    """A realm of the Keycloak at `base_url`."""
    base = f"{_base('keycloak', base_url)}/realms/{_part('keycloak', 'realm', realm)}"
    return _openid("keycloak", client_id, client_secret, base, options)


def slack(client_id: str, client_secret: ClientSecret, **options: Unpack[ProviderOptions]) -> Provider:
    """Slack."""
    return _openid("slack", client_id, client_secret, "https://slack.com", options)


def linkedin(client_id: str, client_secret: ClientSecret, **options: Unpack[ProviderOptions]) -> Provider:
    """LinkedIn, by its user info: what its ID tokens are issued by changes."""
    urls = (
        "https://www.linkedin.com/oauth/v2/authorization",
        "https://www.linkedin.com/oauth/v2/accessToken",
        "https://api.linkedin.com/v2/userinfo",
    )
    options = {"label": "LinkedIn", "scope": "openid profile email", **options}
    options.setdefault("token_endpoint_auth_method", "client_secret_post")
    return _plain("linkedin", client_id, client_secret, urls, openid_identity, options)


def facebook(client_id: str, client_secret: ClientSecret, **options: Unpack[ProviderOptions]) -> Provider:
    """Facebook. It does not say whether an address was verified."""
    graph = f"https://graph.facebook.com/{_FACEBOOK}"
    urls = (
        f"https://www.facebook.com/{_FACEBOOK}/dialog/oauth",
        f"{graph}/oauth/access_token",
        f"{graph}/me?fields=id,name,email,picture.type(large)",
    )
    options = {"scope": "email public_profile", **options}
    options.setdefault("token_endpoint_auth_method", "client_secret_post")
    return _plain("facebook", client_id, client_secret, urls, facebook_identity, options)


def twitter(client_id: str, client_secret: ClientSecret, **options: Unpack[ProviderOptions]) -> Provider:
    """X, formerly Twitter. It tells no address."""
    urls = (
        "https://x.com/i/oauth2/authorize",
        "https://api.x.com/2/oauth2/token",
        "https://api.x.com/2/users/me?user.fields=profile_image_url",
    )
    options = {"label": "X", "scope": "users.read tweet.read", **options}
    return _plain("twitter", client_id, client_secret, urls, twitter_identity, options)


def spotify(client_id: str, client_secret: ClientSecret, **options: Unpack[ProviderOptions]) -> Provider:
    """Spotify. Its addresses are not verified."""
    urls = (
        "https://accounts.spotify.com/authorize",
        "https://accounts.spotify.com/api/token",
        "https://api.spotify.com/v1/me",
    )
    return _plain("spotify", client_id, client_secret, urls, spotify_identity, {"scope": "user-read-email", **options})


def twitch(client_id: str, client_secret: ClientSecret, **options: Unpack[ProviderOptions]) -> Provider:
    """Twitch."""
    asked = {"id_token": dict.fromkeys(("email", "email_verified", "picture", "preferred_username"))}
    more = {"claims": json.dumps(asked), **(options.get("authorize_params") or {})}
    options = {"scope": "openid user:read:email", **options, "authorize_params": more}
    options.setdefault("token_endpoint_auth_method", "client_secret_post")
    base = "https://id.twitch.tv/oauth2"
    return _openid("twitch", client_id, client_secret, base, options, identify=twitch_identity)


def _openid(
    preset: str, client_id: str, client_secret: ClientSecret, base: str, options: ProviderOptions, **more: Any
) -> Provider:
    """An OpenID provider whose discovery document stands below `base`; `more`: as for `oidc`."""
    given: dict[str, Any] = {"icon": preset, "label": preset.capitalize(), **options, **more}
    return oidc(given.pop("name", preset), client_id, _stated(preset, client_secret), base + WELL_KNOWN, **given)


def _plain(
    preset: str,
    client_id: str,
    client_secret: ClientSecret,
    urls: tuple[str, str, str],
    identify: Identify,
    options: ProviderOptions,
) -> Provider:
    """A plain OAuth 2.0 provider; `urls`: of authorization, tokens, user info."""
    given: dict[str, Any] = {"icon": preset, "label": preset.capitalize(), "identify": identify, **options}
    given |= dict(zip(("authorize_url", "token_url", "userinfo_url"), urls, strict=True))
    return oauth2(given.pop("name", preset), client_id, _stated(preset, client_secret), **given)


async def _microsoft_identity(claims: Mapping[str, Any], fetch: Fetch) -> Identity:
    return await openid_identity({**claims, "email_verified": False}, fetch)


def _stated(preset: str, client_secret: ClientSecret) -> ClientSecret:
    """The secret. Raises `ConfigurationError` without one, which would make a public client: a setting is missing."""
    if not client_secret:
        raise ConfigurationError(f"{preset}: the client secret is missing")
    return client_secret


def _base(preset: str, base_url: str) -> str:
    if not isinstance(base_url, str):
        raise ConfigurationError(f"{preset}: base_url is a URL, not {base_url!r}: is one of your settings missing?")
    if "?" in base_url or "#" in base_url:
        raise ConfigurationError(f"{preset}: base_url has no query and no fragment, so not {base_url!r}")
    return base_url.rstrip("/")


def _host(preset: str, domain: str) -> str:
    if not isinstance(domain, str) or not _HOST.fullmatch(domain):
        raise ConfigurationError(f'{preset}: domain is a host such as "acme.{preset}.com", not {domain!r}')
    return domain


def _part(preset: str, name: str, value: str) -> str:
    if not isinstance(value, str) or not _SEGMENT.fullmatch(value):
        raise ConfigurationError(f"{preset}: {name} is one part of a URL, not {value!r}")
    return value
