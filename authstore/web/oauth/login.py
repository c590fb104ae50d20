"""Signing in at a provider: `/login/{provider}` and `/callback/{provider}`."""

import hmac
import json
import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from authstore.adapter import Adapter, JsonObject
from authstore.email import canonical_email
from authstore.errors import AuthStoreError, ConflictError, InvalidEmailError
from authstore.models import Session, SignIn
from authstore.tokens import new_secret
from authstore.web.account.accounts import keep_name
from authstore.web.identity import Identity
from authstore.web.oauth.client import Arrival, ProviderClient, ProviderError, without_addresses
from authstore.web.oauth.origins import Origin, remember_origin
from authstore.web.oauth.provider import Provider
from authstore.web.refusals import RefusedError, refusal_of
from authstore.web.routing.asked import Asked, redirect
from authstore.web.routing.flows import finish_flow, leave_word, start_flow
from authstore.web.routing.routes import get, post
from authstore.web.site import Site
from authstore.web.visitors.cookies import MAX_AGE
from authstore.web.visitors.csrf import is_embedded
from authstore.web.wording import worded

log = logging.getLogger("authstore.web")

_MAX_CODE: Final = 8192
_MAX_STATE: Final = 128
_OUR_STATE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_MAX_NAME: Final = 1024
_ANSWERS: Final = ("state", "code", "error", "error_description", "iss")
_POSTED_NAME: Final = "oauth-name"  # purpose of a token that keeps a name from the form until the browser is back


@dataclass(frozen=True, slots=True)
class Login:
    """The routes of signing in at a provider, and of linking one.

    `?intent=sign-in` never links, `?intent=link` only links; without it, an account is linked where somebody is signed
    in who has none at this provider.
    """

    site: Site
    clients: Mapping[str, ProviderClient]
    trusted: frozenset[str]

    def routes(self) -> list[Route]:
        """Paths below the prefix."""
        routes = [
            get(self.site, "/login/{provider}", self.depart, "login", answers_head=False),
            get(self.site, "/callback/{provider}", self.arrive, "callback", answers_head=False),
        ]
        if any(client.provider.posts_back for client in self.clients.values()):
            path = "/callback/{provider}"
            routes.append(post(self.site, path, self.posted_back, "callback_posted", csrf="never"))
        return routes

    async def depart(self, asked: Asked) -> Response:
        """Sends the browser to the provider."""
        client = self._client(asked)
        # Another site, or a picture in a page, could send the browser here while it is signed in at the provider as
        # somebody else: a person has to click on a page of ours.
        headers = asked.request.headers
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") or is_embedded(headers):
            return redirect(f"{self.site.path('/sign-in')}?{urlencode({'next': asked.next})}")
        links_to = await self._linking_user(asked, client)
        return RedirectResponse(await self._remembered(asked, client, links_to), 303)

    async def arrive(self, asked: Asked) -> Response:
        """The browser comes back: state first, then everything else."""
        client = self._client(asked)
        if is_embedded(asked.request.headers):
            raise RefusedError("flow")
        browser = self.site.visitors.browser_of(asked.request.scope)
        flow = await finish_flow(self.site.store, browser, _purpose(client), asked.query("state", _MAX_STATE))
        user = asked.presence.user
        if flow is None or (flow["links_to"] is not None and (user is None or user.id != flow["links_to"])):
            raise RefusedError("flow")
        arrival = await self._checked_arrival(asked, client, flow)
        name = arrival.identity.name or await self._kept_name(client, asked.query("state", _MAX_STATE))
        arrival = replace(arrival, identity=replace(arrival.identity, name=name))
        may_be_made = await self._may_be_made(client, flow, arrival)
        async with self.site.store.transaction() as store:
            signed_in = await self._accept(store, client, flow, arrival)
            if signed_in.created_user and not may_be_made:
                raise RefusedError("not_allowed", 403)
            await keep_name(store, signed_in.account, arrival.identity)
            session = await self.site.sign_ins.begin(store, asked.request, signed_in.user)
            await self._remember_origin(store, client, session, arrival)
        if signed_in.linked_account:
            if flow["links_to"] is not None:
                await leave_word(self.site.store, self.site.visitors.browser_of(asked.request.scope), "linked")
            log.info("account linked: user %r, %s", signed_in.user.id, client.provider.name)
        return self.site.sign_ins.greet(redirect(str(flow["next"])), session, client.provider.name)

    async def posted_back(self, asked: Asked) -> Response:
        """A provider's form, posted across sites and so without our cookies: repeated as a GET, with them."""
        client = self._client(asked)
        if not client.provider.posts_back:
            raise RefusedError("request", 405)
        answer = {name: asked.text(name, _MAX_CODE) for name in _ANSWERS}
        await self._keep_name(asked, answer["state"])
        query = urlencode({name: value for name, value in answer.items() if value})
        return redirect(f"{self.site.path('/callback/')}{client.provider.name}?{query}")

    async def _keep_name(self, asked: Asked, state: str) -> None:
        """Apple tells the name once, unsigned, in the form, and never again: it is kept out of the URL."""
        name = _name_in(asked.text("user", _MAX_CODE))
        if name is None or not _OUR_STATE.fullmatch(state):
            return
        await self.site.check_begins(asked.request, "form")
        with suppress(ConflictError):  # the form came twice
            await start_flow(self.site.store, "", _POSTED_NAME, state, {"name": name}, self.site.deadline())

    async def _kept_name(self, client: ProviderClient, state: str) -> str | None:
        if not client.provider.posts_back:
            return None
        kept = await finish_flow(self.site.store, "", _POSTED_NAME, state)
        return None if kept is None else str(kept["name"])

    def _client(self, asked: Asked) -> ProviderClient:
        client = self.clients.get(asked.request.path_params["provider"])
        if client is None:
            raise RefusedError("not_found", 404)
        return client

    def _proves(self, provider: Provider, identity: Identity) -> bool:
        """Whether the address is proved: what anybody else calls verified is an address, and proves nothing."""
        return identity.email_verified and (provider.vouches or provider.name in self.trusted)

    def _callback(self, client: ProviderClient) -> str:
        return self.site.url(f"/callback/{client.provider.name}")

    async def _linking_user(self, asked: Asked, client: ProviderClient) -> str | None:
        """Whom to link the account to, if anybody. Raises `RefusedError` after too long (ASVS 7.5.1)."""
        user, intent = asked.presence.user, asked.query("intent")
        if intent == "sign-in" or (user is None and intent != "link"):
            return None
        if user is not None and intent != "link":
            accounts = await self.site.store.list_accounts(user.id)
            if any(account.provider == client.provider.name for account in accounts):
                return None
        return asked.freshly_signed_in()[1].id

    async def _remembered(self, asked: Asked, client: ProviderClient, links_to: str | None) -> str:
        await self.site.check_begins(asked.request, "login")
        browser, state = self.site.visitors.named_browser(asked.request.scope), new_secret()
        try:
            departure = await client.depart(self._callback(client), state)
        except ProviderError as error:
            raise _fault(client, error, links_to) from error
        data: JsonObject = {
            "next": asked.next,
            "links_to": links_to,
            "nonce": departure.nonce,
            "code_verifier": departure.code_verifier,
        }
        await start_flow(self.site.store, browser, _purpose(client), state, data, self.site.deadline())
        return departure.url

    async def _checked_arrival(self, asked: Asked, client: ProviderClient, flow: JsonObject) -> Arrival:
        nonce, code, links_to = flow["nonce"], asked.query("code", _MAX_CODE), flow["links_to"]
        try:
            if not await _is_issuer_right(asked, client):
                raise _failed(client, links_to)
            if asked.query("error"):
                raise _refused_there(asked, client, links_to)
            if not code:
                raise _failed(client, links_to)
            known = nonce if isinstance(nonce, str) else None
            return await client.arrive(self._callback(client), code, str(flow["code_verifier"]), known)
        except ProviderError as error:
            raise _fault(client, error, links_to) from error

    async def _remember_origin(
        self, store: Adapter, client: ProviderClient, session: Session, arrival: Arrival
    ) -> None:
        if client.provider.is_openid and arrival.subject is not None:
            origin = Origin(client.provider.name, arrival.identity.id, arrival.subject, arrival.provider_session)
            # A session without a lifetime goes on for as long as it is used.
            is_bounded = self.site.source.policy is None or self.site.source.policy.lifetime is not None
            until = session.expires if is_bounded else self.site.now() + timedelta(seconds=MAX_AGE)
            await remember_origin(store, session, origin, until)

    async def _may_be_made(self, client: ProviderClient, flow: JsonObject, arrival: Arrival) -> bool:
        """Whether a user may be made of who arrives; asked before anything is locked, and only where one would be."""
        store, identity, provider = self.site.store, arrival.identity, client.provider.name
        if self.site.settings.allow is None:
            return True
        if flow["links_to"] is not None or await store.get_user_by_account(provider, identity.id) is not None:
            return False
        address = _canonical(identity.email)
        if address is not None and await store.get_user_by_email(address) is not None:
            return False
        is_proved = self._proves(client.provider, identity)
        return await self.site.admits(replace(identity, provider=provider, email=address, email_verified=is_proved))

    async def _accept(self, store: Adapter, client: ProviderClient, flow: JsonObject, arrival: Arrival) -> SignIn:
        identity, links_to = arrival.identity, flow["links_to"]
        try:
            return await store.sign_in_with_account(
                provider=client.provider.name,
                provider_account_id=identity.id,
                type="oidc" if client.provider.is_openid else "oauth",
                email=identity.email,
                email_verified=self._proves(client.provider, identity),
                name=identity.name,
                image=identity.image,
                tokens=arrival.tokens,
                current_user_id=links_to if isinstance(links_to, str) else None,
                trust_email=client.provider.name in self.trusted,
            )
        except AuthStoreError as error:
            raise refusal_of(error, provider=client.provider.label) or error from error


def _refused_there(asked: Asked, client: ProviderClient, links_to: object) -> RefusedError:
    """What a provider answered instead of a code (RFC 6749 §4.1.2.1); only one of its errors means that people left."""
    error, described = asked.query("error")[:100], without_addresses(asked.query("error_description"))[:200]
    log.warning("%s: answered %r, %r", client.provider.name, error, described)
    if error == "access_denied":
        return RefusedError("cancelled", provider=client.provider.label)
    return _failed(client, links_to)


def _canonical(email: str | None) -> str | None:
    try:
        return None if email is None else canonical_email(email)
    except InvalidEmailError:
        return None


def _name_in(posted: str) -> str | None:
    try:
        told = json.loads(posted or "{}").get("name")
        parts = [worded(told.get(part), _MAX_NAME) for part in ("firstName", "lastName")]
    except (AttributeError, RecursionError, ValueError):
        return None
    return worded(" ".join(part for part in parts if part), _MAX_NAME)


async def _is_issuer_right(asked: Asked, client: ProviderClient) -> bool:
    """RFC 9207: an answer must name the provider it is from, where that promises to; a name given must be right."""
    said, expected = asked.request.query_params.getlist("iss"), await client.issuer()
    if not said and not expected.is_named:
        return True
    is_right = expected.issuer is None or hmac.compare_digest("".join(said).encode(), expected.issuer.encode())
    return len(said) == 1 and is_right


def _purpose(client: ProviderClient) -> str:
    return f"oauth:{client.provider.name}"


def _fault(client: ProviderClient, error: ProviderError, links_to: object) -> RefusedError:
    log.warning("%s", error)
    return _failed(client, links_to, 502)


def _failed(client: ProviderClient, links_to: object, status: int = 400) -> RefusedError:
    """That it came to nothing there, said to who signs in, or to who links an account."""
    label = client.provider.label
    if links_to is None:
        return RefusedError("provider", status, provider=label)
    return RefusedError("provider_link", status, provider=label)
