"""A provider that people sign in with: any one, by OpenID Connect or plain OAuth 2.0."""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypedDict, Unpack, get_args
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm

from authstore.errors import ConfigurationError
from authstore.web.called import checked_function
from authstore.web.oauth.identity import Identify, openid_identity, plain_identity
from authstore.web.oauth.private_keys import signing_key
from authstore.web.redirects import safe_next

WELL_KNOWN: Final = "/.well-known/openid-configuration"
# Set by the flow, or by options of their own; a request object would replace them all (RFC 9101).
_OF_THE_FLOW: Final = frozenset(
    {
        "client_id",
        "client_secret",
        "code_challenge",
        "code_challenge_method",
        "nonce",
        "redirect_uri",
        "request",
        "request_uri",
        "response_type",
        "scope",
        "state",
    }
)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Transport(Protocol):
    """What carries requests to a provider: anything that answers one of httpx2 in its types."""

    async def handle_async_request(self, request: Any) -> Any:
        """Answers one request."""
        ...


ClientSecret = str | Callable[[], str | Awaitable[str]]
AuthMethod = Literal["client_secret_basic", "client_secret_post", "none", "private_key_jwt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """How to reach one provider and read its answers. Made by the functions below.

    `discovery_url` is set for OpenID Connect, the three other URLs for plain OAuth 2.0. `issuer` is compared with what
    the provider says of itself; `{tenantid}` in it stands for the ID token's `tid` (Microsoft). `vouches`: it verifies
    addresses itself, so that what it calls verified is proved. `audiences` are whom an ID token for us may be for too.
    """

    name: str
    client_id: str
    client_secret: ClientSecret | None = field(repr=False)
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
    token_endpoint_auth_method: AuthMethod | None = None
    audiences: tuple[str, ...] = ()
    vouches: bool = False
    transport: Transport | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigurationError(f"a provider's name is in its URLs: a-z, 0-9, - and _, not {self.name!r}")
        secret = self.client_secret
        if not self.client_id or secret == "":
            raise ConfigurationError(f"{self.name}: the client id or secret is empty")
        if not isinstance(self.client_id, str) or not (secret is None or isinstance(secret, str) or callable(secret)):
            raise ConfigurationError(f"{self.name}: client id and secret are texts, or the secret a function for one")
        checked_function(f"{self.name}: identify", self.identify)
        is_here = safe_next(self.authorize_url, "") == self.authorize_url  # a path of this very site
        for url in (self.discovery_url, None if is_here else self.authorize_url, self.token_url, self.userinfo_url):
            if url is not None and not is_safe_url(url):
                raise ConfigurationError(f"{self.name}: {url} must be https (http only on this machine)")
        if self.transport is not None and not callable(getattr(self.transport, "handle_async_request", None)):
            raise ConfigurationError(f"{self.name}: transport is an object with an async handle_async_request(request)")
        self._check_method()
        self._check_authorize_params()

    def _check_method(self) -> None:
        method, has_secret = self.token_endpoint_auth_method, self.client_secret is not None
        if method is not None and method not in get_args(AuthMethod):
            known = ", ".join(get_args(AuthMethod))
            raise ConfigurationError(f"{self.name}: token_endpoint_auth_method is one of {known}, not {method!r}")
        if method is not None and (method == "none") is has_secret:
            raise ConfigurationError(f"{self.name}: token_endpoint_auth_method={method!r} does not go with this secret")
        if method == "private_key_jwt" and isinstance(self.client_secret, str):
            try:
                signing_key(self.client_secret)
            except (TypeError, ValueError, UnsupportedAlgorithm):
                raise ConfigurationError(f"{self.name}: client_secret is no private key in PEM form") from None

    def _check_authorize_params(self) -> None:
        """What the flow sets itself protects it: another `state` or `nonce` would switch that off."""
        params = self.authorize_params
        if not isinstance(params, Mapping):
            raise ConfigurationError(f"{self.name}: authorize_params is a mapping, not {type(params).__name__}")
        taken = sorted(_OF_THE_FLOW & params.keys())
        if taken:
            raise ConfigurationError(f"{self.name}: authorize_params cannot set {taken[0]}, which the flow sets itself")
        mode = params.get("response_mode", "query")
        if mode not in ("query", "form_post"):
            raise ConfigurationError(f'{self.name}: response_mode is "query" or "form_post", not {mode!r}')

    @property
    def is_openid(self) -> bool:
        """Whether it signs ID tokens."""
        return self.discovery_url is not None

    @property
    def posts_back(self) -> bool:
        """Whether it answers with a form that the browser posts (response_mode=form_post)."""
        return self.authorize_params.get("response_mode") == "form_post"


class ProviderOptions(TypedDict, total=False):
    """What every provider takes.

    scope: what is asked for. name: in its URLs and in the store; label: on its button; icon: of one of ours.
    authorize_params: more for the authorization request. token_endpoint_auth_method: how the client was registered;
    by default as the provider offers; for "private_key_jwt" the secret is the key as PEM. audiences: others than this
    client that an ID token may be for. transport: carries the requests.
    """

    name: str
    label: str | None
    icon: str | None
    scope: str
    authorize_params: Mapping[str, str] | None
    token_endpoint_auth_method: AuthMethod | None
    audiences: Sequence[str]
    transport: Transport | None


class _Details(TypedDict, total=False):
    label: str | None
    icon: str | None
    issuer: str | None
    authorize_params: Mapping[str, str] | None
    token_endpoint_auth_method: AuthMethod | None
    audiences: Sequence[str]
    transport: Transport | None
    identify: Identify


def oidc(
    name: str,
    client_id: str,
    client_secret: ClientSecret | None,
    discovery_url: str,
    *,
    scope: str = "openid email profile",
    **details: Unpack[_Details],
) -> Provider:
    """Any OpenID Connect provider. `client_secret=None`: a public client, by PKCE alone; it may be a function.

    The issuer is the discovery URL without `/.well-known/openid-configuration` (OpenID Connect Discovery §4.3); pass
    `issuer` for a provider that stands elsewhere. Raises `ConfigurationError`.
    """
    if not isinstance(scope, str) or "openid" not in scope.split():
        raise ConfigurationError(f'{name}: the scope of an OpenID provider is a text that holds "openid"')
    if not isinstance(discovery_url, str):
        raise ConfigurationError(f"{name}: the discovery URL is missing")
    if details.get("issuer") is None and not discovery_url.endswith(WELL_KNOWN):
        raise ConfigurationError(f"{name}: the discovery URL does not end in {WELL_KNOWN}; say which issuer=")
    details["issuer"] = details.get("issuer") or discovery_url.removesuffix(WELL_KNOWN)
    details.setdefault("identify", openid_identity)
    return _provider(name, client_id, client_secret, scope, details, discovery_url=discovery_url)


def oauth2(
    name: str,
    client_id: str,
    client_secret: ClientSecret | None,
    *,
    authorize_url: str,
    token_url: str,
    userinfo_url: str,
    scope: str = "",
    **details: Unpack[_Details],
) -> Provider:
    """Any OAuth 2.0 provider with an address that tells who the user is.

    `identify(userinfo, fetch)`, async or not, makes an `Identity` of that answer; the default reads the usual names
    (`sub` or `id`, `email`, `email_verified`, `name`, `picture` or `avatar_url`). Raises `ConfigurationError`.
    """
    details.setdefault("identify", plain_identity)
    urls = {"authorize_url": authorize_url, "token_url": token_url, "userinfo_url": userinfo_url}
    return _provider(name, client_id, client_secret, scope, details, **urls)


def _provider(
    name: str, client_id: str, client_secret: ClientSecret | None, scope: str, details: _Details, **urls: str
) -> Provider:
    more: dict[str, Any] = {
        **details,
        **urls,
        "label": details.get("label") or name.capitalize(),
        "icon": details.get("icon") or name,
        "authorize_params": details.get("authorize_params") or {},
        "audiences": _checked_audiences(name, details.get("audiences", ())),
    }
    return Provider(name=name, client_id=client_id, client_secret=client_secret, scope=scope, **more)


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
        raise ConfigurationError("two providers have the same name: give one of them another by name=")
    if isinstance(trusted, str) or not isinstance(trusted, Collection):
        raise ConfigurationError(f"trust_email_of is a list of names: [{trusted!r}]")
    if not all(isinstance(name, str) for name in trusted):
        raise ConfigurationError("trust_email_of is a list of names, such as ['google'], not of what they name")
    unknown = [name for name in trusted if name not in names]
    if unknown:
        there = ", ".join(sorted(names)) or "none"
        raise ConfigurationError(f"trust_email_of names {unknown[0]!r}, which is not set up; there are: {there}")
    return providers
