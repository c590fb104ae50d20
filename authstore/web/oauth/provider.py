"""A provider that people sign in with: any one, by OpenID Connect or plain OAuth 2.0."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from authstore.errors import ConfigurationError
from authstore.web.oauth.identity import Fetch, Identity, openid_identity, plain_identity

WELL_KNOWN: Final = "/.well-known/openid-configuration"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


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
    the provider says of itself; `{tenantid}` in it stands for the ID token's `tid` (Microsoft). `audiences` are whom an
    ID token for us may be for too.
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
    audiences: tuple[str, ...] = ()
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
    audiences: Sequence[str] = (),
    transport: Transport | None = None,
    identify: Identify = openid_identity,
) -> Provider:
    """Any OpenID Connect provider. `client_secret=None`: a public client, by PKCE alone.

    The issuer is the discovery URL without `/.well-known/openid-configuration` (OpenID Connect Discovery §4.3); pass
    `issuer` for a provider that stands elsewhere. An ID token may be for us alone, or for us and `audiences`. Raises
    `ConfigurationError`.
    """
    if "openid" not in scope.split():
        raise ConfigurationError(f'{name}: the scope of an OpenID provider holds "openid"')
    if issuer is None and not discovery_url.endswith(WELL_KNOWN):
        raise ConfigurationError(f"{name}: the discovery URL does not end in {WELL_KNOWN}; say which issuer=")
    return Provider(
        name=name,
        client_id=client_id,
        client_secret=client_secret,
        label=label or name.capitalize(),
        icon=icon or name,
        scope=scope,
        identify=identify,
        discovery_url=discovery_url,
        issuer=issuer or discovery_url.removesuffix(WELL_KNOWN),
        authorize_params=authorize_params or {},
        audiences=_checked_audiences(name, audiences),
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


def _checked_audiences(name: str, audiences: Sequence[str]) -> tuple[str, ...]:
    if isinstance(audiences, str) or not all(isinstance(each, str) and each for each in audiences):
        raise ConfigurationError(f"{name}: audiences is a list of texts")
    return tuple(audiences)


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


def checked_providers(providers: Sequence[Provider], trusted: Sequence[str]) -> Sequence[Provider]:
    """The providers. Raises `ConfigurationError` for what is none, or named twice, or trusted and not there."""
    if not isinstance(providers, Sequence) or not all(isinstance(each, Provider) for each in providers):
        raise ConfigurationError('providers is a list, each made by calling: [github("client id", "client secret")]')
    names = {provider.name for provider in providers}
    if len(names) < len(providers):
        raise ConfigurationError("two providers have the same name; give one another with oidc() or oauth2()")
    if isinstance(trusted, str):
        raise ConfigurationError(f"trust_email_of is a list of names: [{trusted!r}]")
    unknown = [name for name in trusted if name not in names]
    if unknown:
        there = ", ".join(sorted(names)) or "none"
        raise ConfigurationError(f"trust_email_of names {unknown[0]!r}, which is not set up; there are: {there}")
    return providers
