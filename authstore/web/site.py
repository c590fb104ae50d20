"""What every route needs: where the site stands, its store, its pages, who visits and who signs in."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from starlette.requests import HTTPConnection

from authstore.adapter import Adapter
from authstore.web.address import Address
from authstore.web.called import called
from authstore.web.counts import Counts, client_of
from authstore.web.identity import Identity
from authstore.web.pages import Pages
from authstore.web.redirects import safe_target
from authstore.web.refusals import RefusedError
from authstore.web.settings import Settings
from authstore.web.source import Source
from authstore.web.texts import Texts
from authstore.web.visitors.presence import Presence, Visitors
from authstore.web.visitors.signing import SignIns, ip_of

log = logging.getLogger("authstore.web")


_MOST_WARNED_OF: Final = 3


@dataclass(slots=True)
class Site:
    """The site as the routes see it. `page_values` are for every template."""

    address: Address
    settings: Settings
    source: Source
    visitors: Visitors
    sign_ins: SignIns
    pages: Pages
    page_values: Mapping[str, Any] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    warned_of: set[str] = field(default_factory=set)  # hosts
    answers_probes: bool = False  # whether the application has our health routes

    @property
    def store(self) -> Adapter:
        """The open store. Raises `ConfigurationError` where there is none."""
        return self.source.store

    def now(self) -> datetime:
        """The store's "now"."""
        return self.source.now()

    @property
    def link_lifetime(self) -> timedelta:
        """How long what is mailed or begun lives: as set, or as the store's policy says where that is shorter."""
        policy, chosen = self.source.policy, self.settings.limits.link_lifetime
        limit = None if policy is None else policy.token_lifetime
        return chosen if limit is None else min(limit, chosen)

    def deadline(self) -> datetime | None:
        """When what is mailed or begun now dies; `None` leaves that to a store whose clock is not known."""
        return None if self.source.timed is None else self.now() + self.link_lifetime

    def target(self, wanted: object) -> str:
        """Where somebody goes on: as they want, where that is this site or an allowed one, else home."""
        origins, home = self.settings.allowed_origins, self.settings.home
        return safe_target(wanted, self.address.origin, origins, home)

    def warns_of(self, host: str) -> bool:
        """Whether to warn of a host that is not ours: once of each, of a handful; anybody can write more."""
        is_new = host not in self.warned_of and len(self.warned_of) < _MOST_WARNED_OF
        if is_new:
            self.warned_of.add(host)
        return is_new

    def path(self, path: str) -> str:
        """The path of one of our routes."""
        return self.settings.prefix + path

    def url(self, path: str) -> str:
        """The absolute URL of one of our routes."""
        return self.address.url(self.path(path))

    async def is_within_limit(self, subject: str, limit: int, window: timedelta | None = None) -> bool:
        """Counts one more for `subject`, of which there may be `limit` while a link lives, or within `window`."""
        window = window or self.settings.limits.link_lifetime
        return await self.counts.allow(self.store, subject, limit, window=window, now=self.now())

    async def check_begins(self, connection: HTTPConnection, what: str) -> None:
        """Counts one more sign-in that this client begins. Raises `RefusedError` where it began too many."""
        ip, limit = ip_of(connection), self.settings.limits.sign_ins_per_client
        if not await self.is_within_limit(f"{what}-client:{client_of(ip)}", limit):
            log.warning("too many sign-ins begun, from %s", ip)
            raise RefusedError("too_many", 429)

    async def admits(self, identity: Identity) -> bool:
        """Whether a user may be made of them, as the application says."""
        if self.settings.allow is None:
            return True
        try:
            return await called(self.settings.allow, identity) is True
        except Exception as error:  # noqa: BLE001 - whatever the application raises, nobody comes in by it
            log.error("allow failed, so nobody was let in: %s", type(error).__name__)
            return False

    def texts_for(self, connection: HTTPConnection) -> Texts:
        """The sentences, in the language that this browser asks for."""
        return self.pages.texts_for(connection.headers.get("accept-language", ""))

    def context(self, connection: HTTPConnection, presence: Presence, values: Mapping[str, Any]) -> dict[str, Any]:
        """What every template gets, and `values`."""
        texts = self.texts_for(connection)
        return {
            "texts": texts,
            "links": [
                {"label": getattr(texts, f"link_{name.lower()}", name), "url": url}
                for name, url in self.settings.links.items()
            ],
            "logo": self.settings.logo,
            "coloured": self.settings.colours is not None,
            "site": self.settings.name,
            "prefix": self.settings.prefix,
            "home": self.settings.home,
            "csrf_token": self.visitors.csrf_token(connection.scope, presence),
            "user": presence.user,
            "now": self.now(),
            "messages": [],
            **self.page_values,
            **values,
        }
