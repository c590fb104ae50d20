"""Passkeys: `/passkeys/register`, `/passkeys/sign-in` (both with `/options` before them), `/delete`, `/rename`."""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, cast

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from authstore.adapter import JsonObject, offers
from authstore.errors import ConflictError
from authstore.models import Authenticator, User
from authstore.tokens import new_secret
from authstore.web.account.passkeys import AAGUID, RenamesAuthenticators, maker, user_handle
from authstore.web.account.user_agents import device_name
from authstore.web.account.ways_in import ways_in
from authstore.web.passkeys.ceremonies import (
    HANDLE,
    TRANSPORTS,
    Ceremonies,
    Credential,
    challenge_of,
    is_handle_known,
)
from authstore.web.reading import MAX_BODY, text_field
from authstore.web.refusals import RefusedError
from authstore.web.routing.asked import Asked
from authstore.web.routing.flows import finish_flow, leave_word, start_flow
from authstore.web.routing.routes import post
from authstore.web.site import Site
from authstore.web.wording import worded

log = logging.getLogger("authstore.web")

_REGISTERING: Final = "passkey-register"
_SIGNING_IN: Final = "passkey-sign-in"
_MAX_NAME: Final = 100


@dataclass(frozen=True, slots=True)
class Passkeys:
    """The routes of passkeys."""

    site: Site
    ceremonies: Ceremonies
    providers: Collection[str]

    def routes(self) -> list[Route]:
        """Paths below the prefix."""
        return [
            post(self.site, "/passkeys/register/options", self.registration_options, "passkey_register_options"),
            post(self.site, "/passkeys/register", self.register, "passkey_register"),
            post(self.site, "/passkeys/sign-in/options", self.sign_in_options, "passkey_sign_in_options"),
            post(self.site, "/passkeys/sign-in", self.sign_in, "passkey_sign_in"),
            post(self.site, "/passkeys/delete", self.delete, "passkey_delete", needs_session=True),
            post(self.site, "/passkeys/rename", self.rename, "passkey_rename", needs_session=True),
        ]

    async def registration_options(self, asked: Asked) -> Response:
        """Begins to register a passkey for the user."""
        _, user = asked.freshly_signed_in()
        known = await self.site.store.list_authenticators(user.id)
        challenge = await self._begun(asked, _REGISTERING, {"user_id": user.id})
        return JSONResponse(self.ceremonies.creation_options(user, challenge, known))

    async def register(self, asked: Asked) -> Response:
        """Keeps the new passkey, for the user who began."""
        _, user = asked.freshly_signed_in()
        credential = _credential(asked, "passkey_add")
        challenge, begun = await self._finished(asked, _REGISTERING, credential, "passkey_add")
        if begun["user_id"] != user.id:
            raise RefusedError("passkey_add")
        made = self.ceremonies.registered(credential, challenge)
        told = credential["response"].get("transports")
        try:
            passkey = await self.site.store.create_authenticator(
                user.id,
                credential["id"],
                made.credential_public_key,
                counter=made.sign_count,
                device_type=made.credential_device_type.value,
                backed_up=made.credential_backed_up,
                transports=[name for name in TRANSPORTS if isinstance(told, list) and name in told],
                name=self._name(asked, made.aaguid),
                data={HANDLE: user_handle(user), AAGUID: made.aaguid},
            )
        except ConflictError:
            raise RefusedError("passkey_exists", 409) from None
        log.info("passkey added: user %r", user.id)
        browser = self.site.visitors.browser_of(asked.request.scope)
        await leave_word(self.site.store, browser, "added", self.site.deadline())
        return JSONResponse({"credential_id": passkey.credential_id, "name": passkey.name}, 201)

    async def sign_in_options(self, asked: Asked) -> Response:
        """Begins to sign in."""
        return JSONResponse(self.ceremonies.request_options(await self._begun(asked, _SIGNING_IN, {})))

    async def sign_in(self, asked: Asked) -> Response:
        """Signs in whoever has the passkey."""
        credential = _credential(asked, "passkey")
        challenge, _ = await self._finished(asked, _SIGNING_IN, credential, "passkey")
        passkey, user = await self._owner(credential)
        proof = self.ceremonies.authenticated(credential, challenge, passkey)
        async with self.site.store.transaction() as store:
            await store.update_authenticator_counter(passkey.credential_id, proof.new_sign_count)
            session = await self.site.sign_ins.begin(store, asked.request, user)
        return self.site.sign_ins.greet(JSONResponse({"next": asked.next}), session, "passkey")

    async def delete(self, asked: Asked) -> Response:
        """Forgets a passkey of the user, never the last way in."""
        _, user = asked.freshly_signed_in()
        wanted = asked.text("credential_id")
        async with self.site.store.transaction() as store:
            ways = await ways_in(self.site, store, user, self.providers)
            if all(passkey.credential_id != wanted for passkey in ways.passkeys):
                raise RefusedError("not_found", 404)
            ways.check_passkey()
            await store.delete_authenticator(wanted)
        log.info("passkey removed: user %r", user.id)
        return await asked.told("deleted", self.site.path("/sessions"), deleted=True)

    async def rename(self, asked: Asked) -> Response:
        """Gives a passkey of the user another name."""
        _, user = asked.signed_in()
        wanted, name, store = asked.text("credential_id"), worded(asked.text("name"), _MAX_NAME), self.site.store
        passkey = await store.get_authenticator(wanted)
        if passkey is None or passkey.user_id != user.id or not offers(store, RenamesAuthenticators):
            raise RefusedError("not_found", 404)
        if name is None:
            raise RefusedError("request")
        await cast(RenamesAuthenticators, store).rename_authenticator(wanted, name)
        return await asked.told("renamed", self.site.path("/sessions"), name=name)

    async def _begun(self, asked: Asked, purpose: str, data: JsonObject) -> str:
        await self.site.check_begins(asked.request, "passkey")
        browser, challenge = self.site.visitors.named_browser(asked.request.scope), new_secret()
        await start_flow(self.site.store, browser, purpose, challenge, data, self.site.deadline())
        return challenge

    async def _finished(
        self, asked: Asked, purpose: str, credential: Credential, refusal: str
    ) -> tuple[str, JsonObject]:
        challenge = challenge_of(credential, refusal)
        browser = self.site.visitors.browser_of(asked.request.scope)
        begun = await finish_flow(self.site.store, browser, purpose, challenge)
        if begun is None:
            raise RefusedError(refusal)
        return challenge, begun

    async def _owner(self, credential: Credential) -> tuple[Authenticator, User]:
        passkey = await self.site.store.get_authenticator(credential["id"])
        user = await self.site.store.get_user(passkey.user_id) if passkey is not None else None
        if passkey is None:
            raise RefusedError("passkey", is_unknown=True)
        if user is None or not is_handle_known(credential, passkey):
            raise RefusedError("passkey")
        return passkey, user

    def _name(self, asked: Asked, aaguid: str) -> str | None:
        given = worded(asked.text("name"), _MAX_NAME) or maker(aaguid)
        agent = asked.request.headers.get("user-agent")
        return given or device_name(agent, asked.texts.device_on) or None


def _credential(asked: Asked, refusal: str) -> Credential:
    """The posted credential, with an id and a response at least. Raises `RefusedError` of this code."""
    credential = asked.fields.get("credential")
    if not isinstance(credential, dict) or not isinstance(credential.get("response"), dict):
        raise RefusedError(refusal)
    if not text_field(credential, "id", MAX_BODY):
        raise RefusedError(refusal)
    return credential
