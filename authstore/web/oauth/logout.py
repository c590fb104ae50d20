"""Signing out at a provider too (OpenID Connect RP-Initiated Logout), or here because of it (Back-Channel Logout)."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from authstore.errors import ConflictError, KeyUnavailableError
from authstore.models import Session
from authstore.web.oauth.client import ProviderClient, ProviderError
from authstore.web.oauth.logout_token import Ending
from authstore.web.oauth.origins import Origin, origin_of, sessions_of
from authstore.web.refusals import RefusedError
from authstore.web.routing.asked import Asked
from authstore.web.routing.routes import post
from authstore.web.site import Site

log = logging.getLogger("authstore.web")

_MAX_TOKEN: Final = 16_384
_TAKEN: Final = "logout-token"  # purpose of a verification token


@dataclass(frozen=True, slots=True)
class ProviderLogout:
    """Ends sessions there because they end here, and here because they end there."""

    site: Site
    clients: Mapping[str, ProviderClient]

    def routes(self) -> list[Route]:
        """Paths below the prefix; none without a provider that could ask."""
        if not any(client.provider.is_openid for client in self.clients.values()):
            return []
        path = "/backchannel-logout/{provider}"
        return [post(self.site, path, self.ended_there, "backchannel_logout", csrf="never")]

    async def onward(self, session: Session, back_to: str) -> str | None:
        """Where the provider ends its own session and sends the browser back; `None` where it does not say."""
        origin = await origin_of(self.site.store, session.id)
        client = None if origin is None else self.clients.get(origin.provider)
        if origin is None or client is None:
            return None
        try:
            return await client.logout_url(await self._id_token(origin), back_to)
        except ProviderError as error:
            log.warning("%s", error)
            return None

    async def ended_there(self, asked: Asked) -> Response:
        """The provider says, without a browser, that somebody signed out; 400 for what is not from it."""
        client = self.clients.get(asked.request.path_params["provider"])
        if client is None or not client.provider.is_openid:
            raise RefusedError("not_found", 404)
        try:
            ending = await client.checked_logout(asked.text("logout_token", _MAX_TOKEN))
        except ProviderError as error:
            log.warning("%s", error)
            return JSONResponse({"error": "invalid_request"}, 400)
        if await self._was_sent(client, ending):
            return JSONResponse({"error": "invalid_request"}, 400)
        ids = await sessions_of(self.site.store, client.provider.name, ending.subject, ending.provider_session)
        for session_id in ids:
            if await self.site.store.revoke_session(session_id):
                log.info("signed out at %s: session %r", client.provider.name, session_id)
        # Only now: where the store fails before, the provider tells it again.
        if not await self._note(client, ending):
            return JSONResponse({"error": "invalid_request"}, 400)
        return Response(status_code=200)

    async def _id_token(self, origin: Origin) -> str | None:
        try:
            account = await self.site.store.get_account(origin.provider, origin.account_id)
        except KeyUnavailableError:
            return None
        return None if account is None else account.id_token

    async def _was_sent(self, client: ProviderClient, ending: Ending) -> bool:
        """Whether this logout token was taken before, in any process; known for as long as it is good."""
        seen = _seen(client, ending)
        found = await self.site.store.peek_verification_token(f"logout-token:{seen}", seen, purpose=_TAKEN)
        if found is not None:
            log.warning("%s: a logout token was sent twice", client.provider.name)
        return found is not None

    async def _note(self, client: ProviderClient, ending: Ending) -> bool:
        """Takes the token; `False` where somebody else just did."""
        seen = _seen(client, ending)
        try:
            await self.site.store.create_verification_token(
                f"logout-token:{seen}", purpose=_TAKEN, token=seen, expires=ending.good_until
            )
        except ConflictError:
            return False
        return True


def _seen(client: ProviderClient, ending: Ending) -> str:
    return sha256(f"{client.provider.name}\0{ending.token_id}".encode()).hexdigest()
