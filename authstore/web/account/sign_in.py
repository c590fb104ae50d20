"""The sign-in page: a button per provider, a passkey, the e-mail form."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from authstore.web.routing.asked import Asked
from authstore.web.routing.routes import get
from authstore.web.site import Site


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
        return sign_in_page(asked, self.providers)


def sign_in_page(
    asked: Asked,
    providers: Iterable[Shown],
    *,
    status: int = 200,
    email: str = "",
    messages: Sequence[Mapping[str, Any]] = (),
) -> Response:
    """The page, with what was typed and what was wrong with it."""
    return asked.page(
        "sign_in.html",
        status,
        providers=provider_buttons(asked, providers, intent="sign-in", next=asked.next),
        next=asked.next,
        email=email,
        messages=list(messages),
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
