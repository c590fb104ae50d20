"""Your devices: where a user is signed in, and in which ways. `/sessions`, `/sessions/revoke`, `/accounts/unlink`."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from authstore.adapter import offers
from authstore.models import Account, Authenticator, Session, User
from authstore.web.account.accounts import name_of
from authstore.web.account.passkeys import RenamesAuthenticators, maker_of, user_handle
from authstore.web.account.sessions import shown_session
from authstore.web.account.sign_in import Shown, provider_buttons
from authstore.web.account.user_agents import device_kind, device_name
from authstore.web.account.ways_in import WaysIn, ways_in
from authstore.web.refusals import RefusedError
from authstore.web.routing.asked import Asked, redirect
from authstore.web.routing.flows import take_word
from authstore.web.routing.routes import get, post
from authstore.web.settings import relying_party
from authstore.web.site import Site

log = logging.getLogger("authstore.web")

_MANY = 10_000  # sessions of one user, among which the one to end is looked for


@dataclass(frozen=True, slots=True)
class Devices:
    """The routes of a user's own account."""

    site: Site
    providers: Mapping[str, Shown]

    def routes(self) -> list[Route]:
        """Paths below the prefix."""
        return [
            get(self.site, "/sessions", self.show, "sessions"),
            post(self.site, "/sessions/revoke", self.revoke, "sessions_revoke", needs_session=True),
            post(self.site, "/accounts/unlink", self.unlink, "accounts_unlink", needs_session=True),
        ]

    async def show(self, asked: Asked) -> Response:
        """The page, or the same as JSON."""
        if asked.presence.session is None and not asked.wants_json:
            return redirect(f"{self.site.path('/sign-in')}?{urlencode({'next': self.site.path('/sessions')})}")
        session, user = asked.signed_in()
        sessions = await self.site.store.list_sessions(user.id)
        if all(each.id != session.id for each in sessions):
            sessions = [*sessions, session]  # older than a whole page of others
        ways = await ways_in(self.site, self.site.store, user, self.providers)
        if asked.wants_json:
            return JSONResponse(self._json(asked, sessions, session, ways))
        linked = {account.provider for account in ways.accounts}
        word = await take_word(self.site.store, self.site.visitors.browser_of(asked.request.scope))
        missing = [provider for name, provider in self.providers.items() if name not in linked]
        return asked.page(
            "devices.html",
            is_fresh=self.site.source.is_fresh(session, self.site.settings.limits.fresh_for),
            messages=[] if word is None else [{"kind": "success", "text": getattr(asked.texts, f"done_{word}")}],
            sessions=[{**self._session(asked, each, session), **_times(each)} for each in sessions],
            accounts=[self._account(account, ways) for account in ways.accounts],
            passkeys=[{**_passkey(passkey, ways), **_times(passkey)} for passkey in ways.passkeys],
            can_rename=offers(self.site.store, RenamesAuthenticators),
            accepted=self._accepted(user, ways),
            providers=provider_buttons(asked, missing, intent="link", next=self.site.path("/sessions")),
        )

    async def revoke(self, asked: Asked) -> Response:
        """Ends one session of the user, or all others (ASVS 7.5.2: soon after signing in)."""
        session, user = asked.freshly_signed_in()
        if asked.text("all") == "others":
            number = await self.site.store.revoke_sessions(user.id, except_token=asked.presence.token)
            return await asked.told("revoked_others", self.site.path("/sessions"), revoked=number)
        wanted = asked.text("session_id")
        if all(each.id != wanted for each in await self.site.store.list_sessions(user.id, limit=_MANY)):
            raise RefusedError("not_found", 404)
        number = int(await self.site.store.revoke_session(wanted))
        response = await asked.told("revoked", self.site.path("/sessions"), revoked=number)
        return self.site.sign_ins.dismiss(response, asked.presence) if wanted == session.id else response

    async def unlink(self, asked: Asked) -> Response:
        """Forgets an account at a provider, never the last way in."""
        _, user = asked.freshly_signed_in()
        named = asked.text("provider"), asked.text("provider_account_id")
        async with self.site.store.transaction() as store:
            ways = await ways_in(self.site, store, user, self.providers)
            account = next((a for a in ways.accounts if (a.provider, a.provider_account_id) == named), None)
            if account is None:
                raise RefusedError("not_found", 404)
            ways.check_account(account)
            await store.unlink_account(*named)
        log.info("account unlinked: user %r, %s", user.id, account.provider)
        return await asked.told("unlinked", self.site.path("/sessions"), unlinked=True)

    def _accepted(self, user: User, ways: WaysIn) -> str | None:
        """What a browser is told so that it forgets passkeys that were removed here (WebAuthn Level 3 §5.1.10)."""
        ids = [each.credential_id for each in ways.passkeys]
        if not ways.by_passkey:
            return None
        rp_id = relying_party(self.site.address, self.site.settings.http)
        return json.dumps({"rpId": rp_id, "userId": user_handle(user), "allAcceptedCredentialIds": ids})

    def _json(self, asked: Asked, sessions: list[Session], current: Session, ways: WaysIn) -> dict[str, Any]:
        return {
            "sessions": [{**shown_session(each), **self._session(asked, each, current)} for each in sessions],
            "accounts": [self._account(account, ways) for account in ways.accounts],
            "passkeys": [
                {**_passkey(each, ways), **each.model_dump(mode="json", include={"created_at", "last_used_at"})}
                for each in ways.passkeys
            ],
        }

    def _session(self, asked: Asked, session: Session, current: Session) -> dict[str, Any]:
        return {
            "id": session.id,
            "current": session.id == current.id,
            "device": device_name(session.user_agent, asked.texts.device_on),
            "kind": device_kind(session.user_agent),
            "ip": session.ip,
        }

    def _account(self, account: Account, ways: WaysIn) -> dict[str, Any]:
        provider = self.providers.get(account.provider)
        return {
            "provider": account.provider,
            "provider_account_id": account.provider_account_id,
            "called": name_of(account),
            "label": provider.label if provider else account.provider,
            "icon": provider.icon if provider else account.provider,
            "can_unlink": ways.number > int(ways.counts(account)),
        }


def _passkey(passkey: Authenticator, ways: WaysIn) -> dict[str, Any]:
    return {
        "credential_id": passkey.credential_id,
        "name": passkey.name,
        "maker": maker_of(passkey),
        "can_delete": ways.number > 1,
    }


def _times(thing: Session | Authenticator) -> dict[str, Any]:
    return {"created_at": thing.created_at, "last_used_at": thing.last_used_at}
