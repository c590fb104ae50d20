"""What a laptop has in place of the world: somebody to say who one is, and a mailbox."""

import logging
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from authstore.errors import InvalidEmailError
from authstore.web.dev.people import AUTHORIZE, PEOPLE, PretendProvider
from authstore.web.email.mailers import Mailer
from authstore.web.oauth.provider import Provider
from authstore.web.refusals import RefusedError
from authstore.web.routing.asked import Asked, redirect
from authstore.web.routing.routes import get, post
from authstore.web.site import Site
from authstore.web.wording import worded

log = logging.getLogger("authstore.web")

# The cookies of a site that only this machine reaches. What they sign, a session's token, nobody can guess anyway; and
# with one that is made anew each time everybody would be signed out by every restart.
SECRET: Final = "authstore signs the cookies of a laptop with this and no others"  # noqa: S105

LETTERS: Final = "/dev/letters"

_MOST_LETTERS: Final = 20
_MAX_NAME: Final = 200
_ASKED: Final = ("redirect_uri", "state", "code_challenge")
_URL: Final = re.compile(r"https?://\S+")


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter as it is shown; `link` is the first there is in it."""

    to: str
    subject: str
    text: str
    link: str | None
    at: datetime


class Laptop:
    """The provider, the mailbox, and the two pages that show them."""

    def __init__(self) -> None:
        self._pretend = PretendProvider()
        self._letters: deque[Letter] = deque(maxlen=_MOST_LETTERS)
        self._site: Site | None = None

    def providers(self, prefix: str, more: Sequence[Provider]) -> list[Provider]:
        """The application's, and ours."""
        return [*more, self._pretend.provider(prefix)]

    @property
    def mailer(self) -> Mailer:
        """Keeps the newest letters."""
        return self._receive

    def routes(self, site: Site) -> list[Route]:
        """Paths below the prefix."""
        self._site = site
        return [
            get(site, AUTHORIZE, self.ask, "dev_provider"),
            post(site, AUTHORIZE, self.answer, "dev_provider_chosen"),
            get(site, LETTERS, self.letters, "dev_letters"),
        ]

    async def ask(self, asked: Asked) -> Response:
        """The provider's page: who are you?"""
        fields = {name: asked.query(name) for name in _ASKED}
        return asked.page("dev_provider.html", people=PEOPLE, fields=fields)

    async def answer(self, asked: Asked) -> Response:
        """Goes back as whoever was said."""
        fields = {name: asked.text(name) for name in _ASKED}
        if not fields["redirect_uri"].startswith(asked.site.url("/callback/")):
            raise RefusedError("request")
        email = asked.text("person") or asked.text("email")
        try:
            return redirect(self._pretend.approve(fields, email, worded(asked.text("name"), _MAX_NAME)))
        except InvalidEmailError:
            raise RefusedError("email") from None

    async def letters(self, asked: Asked) -> Response:
        """The mailbox, newest first."""
        return asked.page("dev_letters.html", letters=list(self._letters))

    async def _receive(self, message: EmailMessage) -> None:
        part = message.get_body(preferencelist=("plain",))
        text = "" if part is None else str(part.get_content())
        link = _URL.search(text)
        at = message["Date"].datetime
        self._letters.appendleft(Letter(str(message["To"]), str(message["Subject"]), text, link and link[0], at))
        if self._site is not None:
            log.warning("a letter was not sent: read it at %s", self._site.url(LETTERS))
