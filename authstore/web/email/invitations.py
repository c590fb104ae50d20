"""Invitations: a mailed link that makes the user, with roles. `/invitation`."""

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from authstore.acting import acting
from authstore.adapter import Adapter, JsonObject
from authstore.email import canonical_email
from authstore.errors import ConfigurationError, RoleNotFoundError
from authstore.models import User, VerificationToken
from authstore.tokens import MAX_TOKEN_LENGTH
from authstore.web.email.letters import invitation_letter
from authstore.web.email.post import Post
from authstore.web.email.proving import proved_user
from authstore.web.refusals import RefusedError
from authstore.web.routing.asked import Asked
from authstore.web.routing.routes import get, post
from authstore.web.site import Site

log = logging.getLogger("authstore.web")

_PURPOSE: Final = "invitation"


@dataclass(frozen=True, slots=True)
class Invitations:
    """Sends them, and the routes of whoever accepts one."""

    site: Site
    mail: Post

    def routes(self) -> list[Route]:
        """Paths below the prefix."""
        return [
            get(self.site, "/invitation", self.show, "invitation"),
            post(self.site, "/invitation", self.accept, "invitation_accepted"),
        ]

    async def invite(self, email: str, roles: Sequence[str], by: str | None, next: str | None, language: str) -> bool:
        """See `Auth.invite`."""
        if isinstance(roles, str):
            raise ConfigurationError(f"roles is a list of names: [{roles!r}]")
        address, store, limits = canonical_email(email), self.site.store, self.site.settings.limits
        for name in roles:
            if await store.get_role(name) is None:
                raise RoleNotFoundError(f"no role is called {name!r}: create it before you invite to it")
        if not await self.mail.is_within_a_day(address):
            log.warning("no invitation: the address had its letters for today")
            return False
        data: JsonObject = {"roles": list(roles), "by": by, "next": self.site.target(next)}
        made = await store.create_verification_token(
            address, purpose=_PURPOSE, data=data, expires=self.site.now() + limits.invitation_lifetime
        )
        url = f"{self.site.url('/invitation')}?{urlencode({'email': address, 'token': made.token})}"
        days = max(1, round(limits.invitation_lifetime.total_seconds() / 86_400))
        texts = self.site.pages.texts_for(language)
        await self.mail.send(
            invitation_letter(self.site, texts, sender=self.mail.sender, to=address, url=url, days=days)
        )
        return True

    async def show(self, asked: Asked) -> Response:
        """Asks for a click and consumes nothing, since scanners follow every link in a letter."""
        email, token = asked.query("email"), asked.query("token", MAX_TOKEN_LENGTH)
        found = await self.site.store.peek_verification_token(email, token, purpose=_PURPOSE)
        if found is None:
            raise RefusedError("link")
        return asked.page("invitation.html", email=found.identifier, token=token)

    async def accept(self, asked: Asked) -> Response:
        """Makes the user, or takes the one there is; grants the roles and signs in."""
        email, token = asked.text("email"), asked.text("token", MAX_TOKEN_LENGTH)
        async with self.site.store.transaction() as store:
            found = await store.use_verification_token(email, token, purpose=_PURPOSE)
            if found is None:
                raise RefusedError("link")
            user = await self._joined(store, asked, found)
            session = await self.site.sign_ins.begin(store, asked.request, user)
        where = self.site.target(found.data.get("next"))
        return self.site.sign_ins.greet(asked.done(where, next=where), session, "email")

    async def _joined(self, store: Adapter, asked: Asked, found: VerificationToken) -> User:
        user = await proved_user(store, asked, found.identifier, may_be_made=True)
        by, roles = found.data.get("by"), found.data.get("roles")
        with acting(by) if isinstance(by, str) and by else nullcontext():
            for name in roles if isinstance(roles, list) else ():
                if await store.get_role(str(name)) is None:
                    log.warning("an invitation grants a role that is gone")
                else:
                    await store.grant_role(user.id, str(name))
        log.info("invitation accepted: user %r", user.id)
        return user
