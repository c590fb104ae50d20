"""The sign-in page: a button per provider, a passkey, the e-mail form."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from authstore.web.routing.asked import Asked
from authstore.web.routing.routes import get
from authstore.web.site import Site
from authstore.web.visitors.cookies import cookie_line

_MANY: Final = 4  # providers, from which on they stand two in a row
# Ends that whoever is here knows of, or that are none.
_SILENT: Final = frozenset({"signed-out", "replaced", "rotated", "user-deleted"})
_REASONS: Final[Mapping[str, str]] = {
    "expired": "ended_expired",
    "idle": "ended_idle",
    "revoked": "ended_revoked",
    "limit": "ended_limit",
    "stolen": "ended_stolen",
    "user-disabled": "ended_user_disabled",
}


class Shown(Protocol):
    """What is shown of a provider."""

    @property
    def name(self) -> str:
        """As in its URLs."""
        ...

    @property
    def label(self) -> str:
        """As people call it."""
        ...

    @property
    def icon(self) -> str:
        """The name of its picture."""
        ...


@dataclass(frozen=True, slots=True)
class SignInPage:
    """The route of the page."""

    site: Site
    providers: Sequence[Shown]

    def routes(self) -> list[Route]:
        """Paths below the prefix."""
        return [get(self.site, "/sign-in", self.show, "sign_in")]

    async def show(self, asked: Asked) -> Response:
        """The page."""
        return sign_in_page(asked, self.providers, messages=await self._why(asked))

    async def _why(self, asked: Asked) -> list[Mapping[str, Any]]:
        """Why somebody is here whose session ended elsewhere."""
        token, texts = asked.presence.token, asked.texts
        ended = None if token is None or asked.presence.session is not None else await self.site.store.why_ended(token)
        if ended is None or ended.reason in _SILENT:
            return []
        return [{"kind": "info", "text": getattr(texts, _REASONS.get(ended.reason, "ended_otherwise"))}]


def sign_in_page(
    asked: Asked,
    providers: Iterable[Shown],
    *,
    status: int = 200,
    email: str = "",
    messages: Sequence[Mapping[str, Any]] = (),
) -> Response:
    """The page, with what was typed and what was wrong with it."""
    shown, user = list(providers), asked.presence.user
    return asked.page(
        "sign_in.html",
        status,
        providers=provider_buttons(asked, shown, intent="sign-in", next=asked.next),
        next=asked.next,
        email=email,
        messages=list(messages),
        last=asked.site.visitors.cookies.presented_last(cookie_line(asked.request.scope)),
        as_icons=len(shown) >= _MANY,
        who=None if user is None else user.name or user.email,
    )


def provider_buttons(asked: Asked, providers: Iterable[Shown], *, intent: str, next: str) -> list[dict[str, str]]:
    """What a template needs of each provider."""
    query = urlencode({"next": next, "intent": intent})
    return [
        {
            "name": provider.name,
            "label": provider.label,
            "icon": provider.icon,
            "url": f"{asked.site.path('/login/')}{provider.name}?{query}",
        }
        for provider in providers
    ]
