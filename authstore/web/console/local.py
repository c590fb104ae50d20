"""The console by itself, for whoever sits at this machine: behind a link that works once."""

import secrets
from dataclasses import dataclass, field
from typing import Final

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from authstore.adapter import Adapter
from authstore.tokens import new_secret
from authstore.web.asgi.own_routes import OwnRoutes
from authstore.web.assembly import made_site
from authstore.web.console.mounting import mounted
from authstore.web.dev.address import LocalAddress
from authstore.web.options import grouped
from authstore.web.pages.static_files import static_routes
from authstore.web.routing.asked import Asked, redirect
from authstore.web.routing.routes import get
from authstore.web.site import Site

_PREFIX: Final = "/auth"
_NOT_OPEN: Final = "This console opens by the link that was printed when it was started, and by that once.\n"
_STAYS_HERE: Final = "This console is for the machine that it runs on.\n"


@dataclass(slots=True)
class ByLink:
    """See `authstore.web.console.admission.Admission`: whoever has followed the link, in that browser."""

    actor: str
    cookie: str
    link: str = field(default_factory=new_secret, repr=False)
    _key: str = field(default_factory=new_secret, repr=False)
    _is_used: bool = False

    async def admit(self, asked: Asked) -> str | Response:
        """See `Admission`."""
        shown = asked.request.cookies.get(self.cookie, "")
        return self.actor if _are_equal(shown, self._key) else PlainTextResponse(_NOT_OPEN, 403)

    def check_act(self, asked: Asked) -> None:
        """See `Admission`. Whoever may run the command may end sessions by another of its kind."""

    async def open(self, asked: Asked) -> Response:
        """Lets one browser in, once."""
        if self._is_used or not _are_equal(asked.query("key"), self.link):
            return PlainTextResponse(_NOT_OPEN, 403)
        self._is_used = True
        response = redirect(asked.site.path("/console"))
        response.set_cookie(self.cookie, self._key, httponly=True, samesite="lax")
        return response


def local_console(store: Adapter, *, port: int, name: str, actor: str) -> tuple[ASGIApp, str]:
    """The console of a store as an application for a server at 127.0.0.1, and the link that opens it once.

    name: of the store, as people are told it. actor: what the change log calls whoever acts. Requests under another
    name than this machine's, or through a proxy, are refused: a page elsewhere whose name leads here sees nothing.
    """
    cookie = f"authstore-console-{port}"  # cookies know no ports
    address = LocalAddress.parse(f"http://127.0.0.1:{port}")
    chosen = grouped(None, None, None, None, None, {"cookie_name": cookie, "name": name, "home": f"{_PREFIX}/console"})
    site = made_site(store, address, secrets.token_hex(), _PREFIX, chosen, insecure_dev=True)
    site.page_values = {"email_enabled": False, "passkeys_enabled": False, "letters_url": None}
    admission = ByLink(actor, f"{cookie}-key")
    opening = get(site, "/console/open", admission.open, "console_open", answers_head=False)
    own = OwnRoutes(site.settings, site.address, [opening, *static_routes(None)])
    app = Starlette(routes=[own, mounted(site, admission, None, None)])
    return _OfThisMachine(app, site), f"{address.origin}{_PREFIX}/console/open?key={admission.link}"


class _OfThisMachine:
    """Refuses what was asked under another name (DNS rebinding) or through a proxy."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and not self._site.address.takes(scope):
            await PlainTextResponse(_STAYS_HERE, 421)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _are_equal(shown: str, expected: str) -> bool:
    return secrets.compare_digest(shown.encode(), expected.encode())
