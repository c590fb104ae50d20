"""Where the site and its routes stand, and what the application chose, checked."""

import re
from dataclasses import dataclass
from typing import Final

from authstore.errors import ConfigurationError
from authstore.web.address import Address
from authstore.web.options import Choices, Limits
from authstore.web.redirects import safe_next
from authstore.web.wording import worded

_MAX_NAME: Final = 200
_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`route_prefix` is where our routes stand in the application, `prefix` where a browser sees them.

    `allowed_origins` are origins as browsers write them.
    """

    name: str
    route_prefix: str
    prefix: str
    home: str
    limits: Limits
    allowed_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.route_prefix):
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
        prefix=address.path + prefix,
        home=address.path + chosen.look.home,
        limits=chosen.limits,
        allowed_origins=allowed_origins,
    )
