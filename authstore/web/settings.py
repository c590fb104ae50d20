"""Where the site and its routes stand, and what the application chose, checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from authstore.errors import ConfigurationError
from authstore.web.address import Address
from authstore.web.identity import Allow
from authstore.web.options import Choices, Http, Limits
from authstore.web.pages.colour import button_of, stylesheet_of
from authstore.web.redirects import origin_of, safe_next
from authstore.web.wording import worded

_MAX_NAME: Final = 200
_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`route_prefix` is where our routes stand in the application, `prefix` where a browser sees them.

    `allowed_origins` are origins as browsers write them. `colours` is a stylesheet; `button` the colours of a letter's
    button and of what is written on it.
    """

    name: str
    route_prefix: str
    prefix: str
    home: str
    limits: Limits
    http: Http
    allow: Allow | None = None
    logo: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    colours: str | None = None
    button: tuple[str, str]
    allowed_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.route_prefix, str) or not _PREFIX.fullmatch(self.route_prefix):
            raise ConfigurationError('prefix begins with a slash and does not end with one: "/auth"')
        if safe_next(self.home, "") != self.home:
            raise ConfigurationError('home is a path of this site: "/"')


def settings_of(address: Address, prefix: str, chosen: Choices, allowed_origins: tuple[str, ...]) -> Settings:
    """The settings of a site that stands at this address."""
    name = worded(chosen.look.name or address.host, _MAX_NAME)
    if name is None:
        raise ConfigurationError("name is one line to be read, without control characters or bidirectional overrides")
    return Settings(
        name=name,
        route_prefix=prefix,
        prefix=f"{address.path}{prefix}",
        home=address.path + chosen.look.home,
        limits=chosen.limits,
        http=chosen.http,
        allow=chosen.hooks.allow,
        logo=_checked_link("logo", chosen.look.logo),
        links={_checked_label(name): _checked_link("links", url) or "" for name, url in chosen.look.links.items()},
        colours=None if chosen.look.accent is None else stylesheet_of(chosen.look.accent),
        button=button_of(chosen.look.accent),
        allowed_origins=allowed_origins,
    )


def pictures_of(settings: Settings) -> tuple[str, ...]:
    """Origins that pictures of our pages come from, beside our own."""
    origin = None if settings.logo is None else origin_of(settings.logo)
    return () if origin is None else (origin,)


def _checked_label(label: str) -> str:
    if worded(label, _MAX_NAME) is None:
        raise ConfigurationError(f'links: what one is called is a line of text ("terms", "Help centre"), not {label!r}')
    return label


def _checked_link(what: str, url: str | None) -> str | None:
    if (
        url is None
        or safe_next(url, "") == url
        or (isinstance(url, str) and url.startswith("https://") and origin_of(url))
    ):
        return url
    raise ConfigurationError(f'{what}: a path of this site ("/terms") or an https URL, not {url!r}')


def relying_party(address: Address, http: Http) -> str | None:
    """The id that passkeys are made for: the host, or a parent domain of it; `None` at an IP address, which has none.

    Raises `ConfigurationError` for one that no browser would take (WebAuthn Level 3 §5.1.3).
    """
    rp_id = http.rp_id
    if rp_id is None:
        return None if _is_ip(address.host) else address.host
    if _is_ip(address.host):
        raise ConfigurationError(f"rp_id: {address.host} is an IP address, at which there are no passkeys")
    if rp_id != address.host and ("." not in rp_id or not address.host.endswith(f".{rp_id}")):
        raise ConfigurationError(f"rp_id is the host of base_url or a parent domain of it: {rp_id!r} is neither")
    return rp_id


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
