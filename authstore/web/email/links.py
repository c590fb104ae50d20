"""Signing in by a link in a letter: `/email`, `/email/sent`, `/email/verify`."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from typing import Final
from urllib.parse import urlencode

from starlette.background import BackgroundTask
from starlette.responses import Response
from starlette.routing import Route

from authstore.adapter import Adapter
from authstore.email import MAX_LENGTH, canonical_email
from authstore.errors import InvalidEmailError, UserDisabledError
from authstore.models import User
from authstore.tokens import MAX_TOKEN_LENGTH
from authstore.web.account.sign_in import Shown, sign_in_page
from authstore.web.counts import client_of
from authstore.web.email.letters import sign_in_letter
from authstore.web.email.mailers import Mailer
from authstore.web.refusals import RefusedError
from authstore.web.routing.asked import Asked
from authstore.web.routing.routes import get, post
from authstore.web.site import Site
from authstore.web.visitors.signing import ip_of

log = logging.getLogger("authstore.web")

_MAIL_TIMEOUT: Final = 60.0  # seconds
_PURPOSE: Final = "sign-in"


@dataclass(frozen=True, slots=True)
class EmailLinks:
    """The routes of signing in by e-mail."""

    site: Site
    mailer: Mailer
    sender: str
    providers: Sequence[Shown]

    def routes(self) -> list[Route]:
        """Paths below the prefix."""
        return [
            post(self.site, "/email", self.ask, "email"),
            get(self.site, "/email/sent", self.sent, "email_sent"),
            get(self.site, "/email/verify", self.confirm, "email_confirm"),
            post(self.site, "/email/verify", self.verify, "email_verify"),
        ]

    async def ask(self, asked: Asked) -> Response:
        """Mails a link. The answer is the same whether anybody has the address, and before the letter is sent."""
        try:
            address = canonical_email(asked.text("email", 2 * MAX_LENGTH))
        except InvalidEmailError:
            return self._retyped(asked)
        letter = await self._letter(asked, address)
        response = asked.done(self.site.path("/email/sent"), sent=True)
        response.background = BackgroundTask(self._send, letter) if letter is not None else None
        return response

    async def sent(self, asked: Asked) -> Response:
        """The page that says to look into the mailbox."""
        return asked.page("check_mail.html", minutes=self._minutes)

    async def confirm(self, asked: Asked) -> Response:
        """Asks for a click and consumes nothing, since scanners follow every link in a letter."""
        email, token = asked.query("email"), asked.query("token", MAX_TOKEN_LENGTH)
        found = await self.site.store.peek_verification_token(email, token, purpose=_PURPOSE)
        if found is None:
            raise RefusedError("link")
        where = self.site.target(found.data.get("next"))
        return asked.page("confirm.html", email=found.identifier, token=token, next=where, minutes=self._minutes)

    async def verify(self, asked: Asked) -> Response:
        """Signs in the user of the address, who is made where there is none."""
        email = asked.text("email") or asked.query("email")
        token = asked.text("token", MAX_TOKEN_LENGTH) or asked.query("token", MAX_TOKEN_LENGTH)
        async with self.site.store.transaction() as store:
            found = await store.use_verification_token(email, token, purpose=_PURPOSE)
            if found is None:
                raise RefusedError("link")
            user = await self._proved(store, asked, found.identifier)
            session = await self.site.sign_ins.begin(store, asked.request, user)
        where = self.site.target(found.data.get("next"))
        return self.site.sign_ins.greet(asked.done(where, next=where), session)

    @property
    def _minutes(self) -> int:
        return max(1, int(self.site.link_lifetime.total_seconds() // 60))

    def _retyped(self, asked: Asked) -> Response:
        if asked.wants_json:
            raise RefusedError("email")
        message: Mapping[str, str] = {"kind": "error", "text": self.site.pages.error_text("email")}
        typed = asked.text("email", MAX_LENGTH)
        return sign_in_page(asked, self.providers, status=400, email=typed, messages=[message])

    async def _letter(self, asked: Asked, address: str) -> EmailMessage | None:
        """The letter, or `None` where this client or address has had enough."""
        if not await self._is_allowed(asked, address):
            log.warning("no letter: too many asked for, from %s", ip_of(asked.request))
            return None
        made = await self.site.store.create_verification_token(
            address, purpose=_PURPOSE, data={"next": asked.next}, expires=self.site.deadline()
        )
        query = urlencode({"email": address, "token": made.token})
        return sign_in_letter(
            self.site.pages,
            sender=self.sender,
            to=address,
            url=f"{self.site.url('/email/verify')}?{query}",
            site=self.site.settings.name,
            minutes=self._minutes,
            now=self.site.now(),
        )

    async def _is_allowed(self, asked: Asked, address: str) -> bool:
        allowances = self.site.settings.limits
        client = client_of(ip_of(asked.request))
        counts = (
            (f"mail-client:{client}", allowances.mails_per_client, None),
            (f"mail-address:{address}", allowances.mails_per_address, None),
            (f"mail-address-a-day:{address}", allowances.mails_per_address_a_day, timedelta(days=1)),
        )
        for subject, limit, window in counts:
            if not await self.site.is_within_limit(subject, limit, window):
                return False
        return True

    async def _send(self, letter: EmailMessage) -> None:
        try:
            async with asyncio.timeout(_MAIL_TIMEOUT):
                await self.mailer(letter)
        except Exception as error:  # noqa: BLE001 - whatever the mailer raises must not reach the person who asked
            log.error("the mailer failed: %s", type(error).__name__)

    async def _proved(self, store: Adapter, asked: Asked, address: str) -> User:
        """The user of an address that was just proved."""
        user = await store.get_user_by_email(address)
        if user is None:
            return await store.create_user(email=address, email_verified=self.site.now())
        if user.disabled:
            raise UserDisabledError("this user is disabled")
        if user.email_verified is not None:
            return user
        present = asked.presence.user
        if present is None or present.id != user.id:
            await _evict(store, user)
        return await store.update_user(user.id, email_verified=self.site.now()) or user


async def _evict(store: Adapter, user: User) -> None:
    """Takes every way in from whoever took this address without proving it, and left it for its owner to find.

    Source: Sudhodanan and Paverd, "Pre-hijacked accounts", USENIX Security 2022, §6.
    """
    await store.revoke_sessions(user.id)
    for account in await store.list_accounts(user.id):
        await store.unlink_account(account.provider, account.provider_account_id)
    for passkey in await store.list_authenticators(user.id):
        await store.delete_authenticator(passkey.credential_id)
    log.warning("user %r: the address was proved by somebody else; other ways in were ended", user.id)
