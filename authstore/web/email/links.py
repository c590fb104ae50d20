"""Signing in by a letter, its link or its code: `/email`, `/email/sent`, `/email/verify`, `/email/code`, `/token`."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from unicodedata import decimal
from urllib.parse import urlencode

from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from authstore.email import MAX_LENGTH, canonical_email
from authstore.errors import InvalidEmailError, StoreError
from authstore.models import Session
from authstore.tokens import MAX_TOKEN_LENGTH
from authstore.web.account.sign_in import Shown, sign_in_page
from authstore.web.counts import client_of
from authstore.web.email.codes import (
    Asker,
    NewLetter,
    is_spent,
    look_at_note,
    note_letter,
    remember_address,
    remembered_address,
    spend,
    typed,
)
from authstore.web.email.letters import sign_in_letter
from authstore.web.email.post import Post
from authstore.web.email.proving import may_come, proved_user
from authstore.web.pages import error_text
from authstore.web.reading import sends_json
from authstore.web.refusals import RefusedError
from authstore.web.routing.asked import Asked
from authstore.web.routing.routes import get, post
from authstore.web.site import Site
from authstore.web.texts import Texts
from authstore.web.visitors.cookies import new_browser
from authstore.web.visitors.signing import ip_of

log = logging.getLogger("authstore.web")

_PURPOSE: Final = "sign-in"
_MAX_CODE: Final = 32


@dataclass(frozen=True, slots=True)
class EmailLinks:
    """The routes of signing in by e-mail."""

    site: Site
    mail: Post
    providers: Sequence[Shown]

    def routes(self) -> list[Route]:
        """Paths below the prefix."""
        return [
            post(self.site, "/email", self.ask, "email", csrf="browsers"),
            get(self.site, "/email/sent", self.sent, "email_sent"),
            get(self.site, "/email/verify", self.confirm, "email_confirm"),
            post(self.site, "/email/verify", self.verify, "email_verify"),
            post(self.site, "/email/code", self.type_code, "email_code"),
            post(self.site, "/token", self.token, "token", csrf="browsers"),
        ]

    async def ask(self, asked: Asked) -> Response:
        """Mails a link and a code. The answer is the same whether anybody has the address, and before the letter is
        sent; a script without cookies gets a `flow`, which stands for its browser."""
        try:
            address = canonical_email(asked.text("email", 2 * MAX_LENGTH))
        except InvalidEmailError:
            return self._retyped(asked)
        is_native = sends_json(asked.request) and not self.site.visitors.has_cookies(asked.request.scope)
        flow = new_browser() if is_native else None
        browser = flow or self.site.visitors.named_browser(asked.request.scope)
        asker = Asker(browser) if is_native else Asker.of_browser(browser, address)
        is_allowed, deadline = await self._is_allowed(asked, address), self.site.deadline()
        told = {"sent": True} if flow is None else {"flow": flow}
        response = asked.done(self.site.path("/email/sent"), **told)
        seen = None if is_native else browser
        if is_allowed:
            letter = await note_letter(self.site.store, asker, address, asked.next, deadline, browser=seen)
            response.background = BackgroundTask(self._write_to, asked.texts, address, letter, asked.next)
        elif seen is not None:
            await remember_address(self.site.store, seen, address, asked.next, deadline)
        return response

    async def sent(self, asked: Asked) -> Response:
        """The page that says to look into the mailbox, and takes the code."""
        return await self._sent_page(asked)

    async def confirm(self, asked: Asked) -> Response:
        """Asks for a click and consumes nothing, since scanners follow every link in a letter."""
        email, token = asked.query("email"), asked.query("token", MAX_TOKEN_LENGTH)
        found = await self.site.store.peek_verification_token(email, token, purpose=_PURPOSE)
        letter = None if found is None else found.data.get("letter")
        if found is None or (isinstance(letter, str) and await is_spent(self.site.store, letter)):
            raise RefusedError("link")
        where = self.site.target(found.data.get("next"))
        return asked.page("confirm.html", email=found.identifier, token=token, next=where, minutes=self._minutes)

    async def verify(self, asked: Asked) -> Response:
        """Signs in the user of the address, who is made where there is none."""
        email = asked.text("email") or asked.query("email")
        token = asked.text("token", MAX_TOKEN_LENGTH) or asked.query("token", MAX_TOKEN_LENGTH)
        peeked = await self.site.store.peek_verification_token(email, token, purpose=_PURPOSE)
        if peeked is None:
            raise RefusedError("link")
        may_be_made = await may_come(self.site, peeked.identifier)
        async with self.site.store.transaction() as store:
            found = await store.use_verification_token(email, token, purpose=_PURPOSE)
            letter = None if found is None else found.data.get("letter")
            if found is None or (isinstance(letter, str) and not await spend(store, letter, found.expires)):
                raise RefusedError("link")
            user = await proved_user(store, asked, found.identifier, may_be_made=may_be_made)
            session = await self.site.sign_ins.begin(store, asked.request, user)
        where = self.site.target(found.data.get("next"))
        return self.site.sign_ins.greet(asked.done(where, next=where), session, "email")

    async def type_code(self, asked: Asked) -> Response:
        """Signs in the browser in which the code is typed, where that is the one that asked for the letter."""
        browser, flow = self.site.visitors.browser_of(asked.request.scope), asked.text("flow")
        try:
            address = canonical_email(asked.text("email", 2 * MAX_LENGTH))
        except InvalidEmailError:
            raise RefusedError("email") from None
        asker = Asker(flow) if flow else Asker.of_browser(browser or "", address)
        session, where = await self._by_code(asked, asker)
        if session is None:
            if asked.wants_json:
                raise RefusedError("code")
            text = error_text(asked.texts, "code")
            return await self._sent_page(asked, status=400, messages=[{"kind": "error", "text": text}])
        return self.site.sign_ins.greet(asked.done(where, next=where), session, "email")

    async def token(self, asked: Asked) -> Response:
        """For native clients: a session's token, to be sent as `Authorization: Bearer`; no cookie is set."""
        session, _ = await self._by_code(asked, Asker(asked.text("flow")))
        if session is None:
            raise RefusedError("code")
        return JSONResponse({"token": session.token, "expires": session.model_dump(mode="json")["expires"]})

    @property
    def _minutes(self) -> int:
        return max(1, int(self.site.link_lifetime.total_seconds() // 60))

    async def _by_code(self, asked: Asked, asker: Asker) -> tuple[Session | None, str]:
        noted = await look_at_note(self.site.store, asker)
        if noted is None:
            return None, ""
        address, code = str(noted["address"]), _digits(asked.text("code", _MAX_CODE))
        may_be_made = await may_come(self.site, address)
        async with self.site.store.transaction() as store:
            if await typed(store, asker, code) is None:
                return None, ""
            user = await proved_user(store, asked, address, may_be_made=may_be_made)
            session = await self.site.sign_ins.begin(store, asked.request, user)
        return session, self.site.target(noted["next"])

    def _retyped(self, asked: Asked) -> Response:
        if asked.wants_json:
            raise RefusedError("email")
        message: Mapping[str, str] = {"kind": "error", "text": error_text(asked.texts, "email")}
        email = asked.text("email", MAX_LENGTH)
        return sign_in_page(asked, self.providers, status=400, email=email, messages=[message])

    async def _write_to(self, texts: Texts, address: str, letter: NewLetter, next: str) -> None:
        """Apart from the answer, which takes as long whoever has the address and whoever may come."""
        try:
            if not await may_come(self.site, address):
                log.info("no letter: not allowed")
                return
            made = await self.site.store.create_verification_token(
                address, purpose=_PURPOSE, data={"next": next, "letter": letter.id}, expires=self.site.deadline()
            )
        except StoreError as error:
            log.error("no letter: %s", type(error).__name__)
            return
        query = urlencode({"email": address, "token": made.token})
        await self.mail.try_to_send(
            sign_in_letter(
                self.site,
                texts,
                sender=self.mail.sender,
                to=address,
                url=f"{self.site.url('/email/verify')}?{query}",
                code=letter.code,
                minutes=self._minutes,
            )
        )

    async def _is_allowed(self, asked: Asked, address: str) -> bool:
        """Whether this client and this address had less letters than they may."""
        limits, client = self.site.settings.limits, client_of(ip_of(asked.request))
        if (
            await self.site.is_within_limit(f"mail-client:{client}", limits.mails_per_client)
            and await self.site.is_within_limit(f"mail-address:{address}", limits.mails_per_address)
            and await self.mail.is_within_a_day(address)
        ):
            return True
        log.warning("no letter: too many asked for, from %s", ip_of(asked.request))
        return False

    async def _sent_page(self, asked: Asked, status: int = 200, **values: object) -> Response:
        browser = self.site.visitors.browser_of(asked.request.scope)
        known = None if browser is None else await remembered_address(self.site.store, browser)
        email, where = (None, asked.next) if known is None else (known["address"], self.site.target(known["next"]))
        return asked.page("check_mail.html", status, minutes=self._minutes, email=email, next=where, **values)


def _digits(typed: str) -> str:
    """A code as it stands in the letter, whatever gaps and whose digits it was typed with (full-width, Arabic, …)."""
    return "".join(str(decimal(each, each)) for each in typed if not (each.isspace() or each == "-"))
