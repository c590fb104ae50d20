"""Somebody proved that an address is theirs: the user it belongs to, who is made where there is none."""

import logging

from authstore.adapter import Adapter
from authstore.errors import UserDisabledError
from authstore.models import User
from authstore.web.identity import Identity
from authstore.web.refusals import RefusedError
from authstore.web.routing.asked import Asked
from authstore.web.site import Site

log = logging.getLogger("authstore.web")


async def may_come(site: Site, address: str) -> bool:
    """Whether this address has a user, or may get one. Asked outside of transactions: the application may take its
    time, and the store."""
    if site.settings.allow is None or await site.store.get_user_by_email(address) is not None:
        return True
    # Nobody becomes a user by a letter but who has it: by then the address is proved.
    return await site.admits(Identity(address, address, email_verified=True, provider="email"))


async def proved_user(store: Adapter, asked: Asked, address: str, *, may_be_made: bool) -> User:
    """The user of an address that was just proved. Raises `RefusedError` where none may be made."""
    user = await store.get_user_by_email(address)
    if user is None:
        if not may_be_made:
            raise RefusedError("not_allowed", 403)
        return await store.create_user(email=address, email_verified=asked.site.now())
    if user.disabled:
        raise UserDisabledError("this user is disabled")
    if user.email_verified is not None:
        return user
    present = asked.presence.user
    if present is None or present.id != user.id:
        await _evict(store, user)
    return await store.update_user(user.id, email_verified=asked.site.now()) or user


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
