"""Confirm that it is you, then go on with what you asked for: `/confirm`, `/resume`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from authstore.web.account.sign_in import Shown, provider_buttons
from authstore.web.account.ways_in import ways_in
from authstore.web.redirects import leads_into
from authstore.web.routing.answers import ACTION, again_page
from authstore.web.routing.asked import Asked, redirect
from authstore.web.routing.flows import look_at_flow
from authstore.web.routing.routes import get
from authstore.web.site import Site


@dataclass(frozen=True, slots=True)
class Confirming:
    """The routes of who signed in too long ago for what they want to change (ASVS 7.5.1)."""

    site: Site
    providers: Mapping[str, Shown]

    def routes(self) -> list[Route]:
        """Paths below the prefix."""
        return [get(self.site, "/confirm", self.confirm, "confirm"), get(self.site, "/resume", self.resume, "resume")]

    async def confirm(self, asked: Asked) -> Response:
        """The page with this user's own ways in; each leads on to what was asked."""
        action = asked.query("action")
        onward = f"{self.site.path('/resume')}?{urlencode({'action': action})}" if action else asked.next
        session, user = asked.presence.session, asked.presence.user
        if session is None or user is None:
            return redirect(f"{self.site.path('/sign-in')}?{urlencode({'next': onward})}")
        if self.site.source.is_fresh(session, self.site.settings.limits.fresh_for):
            return redirect(onward)
        ways = await ways_in(self.site, self.site.store, user, self.providers)
        linked = dict.fromkeys(account.provider for account in ways.accounts if ways.counts(account))
        return asked.page(
            "confirm_it_is_you.html",
            providers=provider_buttons(asked, [self.providers[name] for name in linked], intent="sign-in", next=onward),
            email=user.email if ways.by_mail else None,
            by_passkey=ways.by_passkey and bool(ways.passkeys),
            next=onward,
        )

    async def resume(self, asked: Asked) -> Response:
        """What was asked before, to be sent again: by itself where it was a form of ours, by a click where a link."""
        browser = self.site.visitors.browser_of(asked.request.scope)
        action = await look_at_flow(self.site.store, browser, ACTION, asked.query("action"))
        user = asked.presence.user
        if action is None or user is None or user.id != action["user_id"]:
            return redirect(self.site.path("/sessions"))
        path, query, fields = str(action["path"]), action["query"], action["fields"]
        if query is None:
            return again_page(asked, path, _texts(fields), goes_on=True)
        name = path.rpartition("/")[2]
        if not leads_into(self.site.path(path), self.site.path("/login/")) or name not in self.providers:
            return redirect(self.site.path("/sessions"))
        shown = self.providers[name]
        url = f"{self.site.path(path)}?{query}"
        return asked.page("again_link.html", url=url, icon_name=shown.icon, label=shown.label)


def _texts(fields: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in fields.items()}
