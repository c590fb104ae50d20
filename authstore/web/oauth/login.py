"""Signing in at a provider: `/login/{provider}` and `/callback/{provider}`."""

import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from authstore.adapter import Adapter, JsonObject
from authstore.errors import AuthStoreError
from authstore.models import Session, SignIn
from authstore.tokens import new_secret
from authstore.web.cookies import MAX_AGE
from authstore.web.csrf import is_embedded
from authstore.web.flows import finish_flow, start_flow
from authstore.web.oauth.client import Arrival, ProviderClient, ProviderError
from authstore.web.oauth.origins import Origin, remember_origin
from authstore.web.refusals import RefusedError, refusal_of
from authstore.web.routing import Asked, get, post, redirect
from authstore.web.site import Site

log = logging.getLogger("authstore.web")

_MAX_CODE: Final = 8192
_MAX_STATE: Final = 128


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
            routes.append(post(self.site, path, self.posted_back, "callback_posted", checks_csrf=False))
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
        async with self.site.store.transaction() as store:
            signed_in = await self._accept(store, client, flow, arrival)
            session = await self.site.sign_ins.begin(store, asked.request, signed_in.user)
            await self._remember_origin(store, client, session, arrival)
        if signed_in.linked_account:
            log.info("account linked: user %r, %s", signed_in.user.id, client.provider.name)
        return self.site.sign_ins.greet(redirect(str(flow["next"])), session)

    async def posted_back(self, asked: Asked) -> Response:
        """A provider's form, posted across sites and so without our cookies: repeated as a GET, with them."""
        client = self._client(asked)
        if not client.provider.posts_back:
            raise RefusedError("request", 405)
        answer = {name: asked.text(name, _MAX_CODE) for name in ("state", "code", "error", "iss")}
        query = urlencode({name: value for name, value in answer.items() if value})
        return redirect(f"{self.site.path('/callback/')}{client.provider.name}?{query}")

    def _client(self, asked: Asked) -> ProviderClient:
        client = self.clients.get(asked.request.path_params["provider"])
        if client is None:
            raise RefusedError("not_found", 404)
        return client

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
            raise _fault(client, error) from error
        data: JsonObject = {
            "next": asked.next,
            "links_to": links_to,
            "nonce": departure.nonce,
            "code_verifier": departure.code_verifier,
        }
        await start_flow(self.site.store, browser, _purpose(client), state, data, self.site.deadline())
        return departure.url

    async def _checked_arrival(self, asked: Asked, client: ProviderClient, flow: JsonObject) -> Arrival:
        nonce, code = flow["nonce"], asked.query("code", _MAX_CODE)
        try:
            await _check_issuer(asked, client)
            if asked.query("error"):
                raise RefusedError("cancelled", provider=client.provider.label)
            if not code:
                raise RefusedError("provider", provider=client.provider.label)
            known = nonce if isinstance(nonce, str) else None
            return await client.arrive(self._callback(client), code, str(flow["code_verifier"]), known)
        except ProviderError as error:
            raise _fault(client, error) from error

    async def _remember_origin(
        self, store: Adapter, client: ProviderClient, session: Session, arrival: Arrival
    ) -> None:
        if client.provider.is_openid and arrival.subject is not None:
            origin = Origin(client.provider.name, arrival.identity.id, arrival.subject, arrival.provider_session)
            # A session without a lifetime goes on for as long as it is used.
            is_bounded = self.site.source.policy is None or self.site.source.policy.lifetime is not None
            until = session.expires if is_bounded else self.site.now() + timedelta(seconds=MAX_AGE)
            await remember_origin(store, session, origin, until)

    async def _accept(self, store: Adapter, client: ProviderClient, flow: JsonObject, arrival: Arrival) -> SignIn:
        identity, links_to = arrival.identity, flow["links_to"]
        try:
            return await store.sign_in_with_account(
                provider=client.provider.name,
                provider_account_id=identity.id,
                type="oidc" if client.provider.is_openid else "oauth",
                email=identity.email,
                email_verified=identity.email_verified,
                name=identity.name,
                image=identity.image,
                tokens=arrival.tokens,
                current_user_id=links_to if isinstance(links_to, str) else None,
                trust_email=client.provider.name in self.trusted,
            )
        except AuthStoreError as error:
            raise refusal_of(error, provider=client.provider.label) or error from error


async def _check_issuer(asked: Asked, client: ProviderClient) -> None:
    """RFC 9207: an answer must name the provider it is from, where that promises to; a name given must be right."""
    said, expected = asked.request.query_params.getlist("iss"), await client.issuer()
    if not said and not expected.is_named:
        return
    is_right = expected.issuer is None or hmac.compare_digest("".join(said).encode(), expected.issuer.encode())
    if len(said) != 1 or not is_right:
        raise RefusedError("provider", provider=client.provider.label)


def _purpose(client: ProviderClient) -> str:
    return f"oauth:{client.provider.name}"


def _fault(client: ProviderClient, error: ProviderError) -> RefusedError:
    log.warning("%s", error)
    return RefusedError("provider", 502, provider=client.provider.label)
