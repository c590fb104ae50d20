"""What an application chose, checked."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from authstore.errors import ConfigurationError
from authstore.web.redirects import safe_next

MAX_LINK_LIFETIME: Final = timedelta(minutes=10)  # ASVS 5.0 6.5.5

_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")


@dataclass(frozen=True, slots=True)
class Allowances:
    """How often one may ask while a link lives."""

    mails_per_address: int
    mails_per_client: int
    sign_ins_per_client: int

    def __post_init__(self) -> None:
        if min(self.mails_per_address, self.mails_per_client, self.sign_ins_per_client) < 1:
            raise ConfigurationError("at least one letter per address and client, and one sign-in")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`route_prefix` is where our routes stand in the application, `prefix` where a browser sees them."""

    name: str
    route_prefix: str
    prefix: str
    home: str
    fresh_for: timedelta
    link_lifetime: timedelta
    allowances: Allowances
    allowed_origins: tuple[str, ...] = ()
    prune_every: timedelta | None = None

    def __post_init__(self) -> None:
        self._check_texts()
        if not timedelta(0) < self.link_lifetime <= MAX_LINK_LIFETIME:
            raise ConfigurationError("link_lifetime is at most ten minutes: what is mailed must not lie around")
        if self.fresh_for <= timedelta(0) or (self.prune_every is not None and self.prune_every <= timedelta(0)):
            raise ConfigurationError("fresh_for and prune_every must be positive")

    def _check_texts(self) -> None:
        if not _PREFIX.fullmatch(self.route_prefix):
            raise ConfigurationError('prefix begins with a slash and does not end with one: "/auth"')
        if safe_next(self.home, "") != self.home:
            raise ConfigurationError('home is a path of this site: "/"')
        if not self.name.isprintable():
            raise ConfigurationError("name is one line: it stands in the subject of letters")
