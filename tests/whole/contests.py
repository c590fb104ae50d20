"""What only one of many can get: how it is put there, how one tries, and what must be true afterwards.

Every attempt gives what was won, or `None`; an unexpected error is not caught.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from authstore import Account, Adapter
from authstore.errors import AccountLinkedError, ConflictError, CounterError, EmailTakenError

RIVALS = 50
ADA = "ada@example.com"
TOKEN = "a-token-that-everybody-holds"
SPELLINGS = ("ada@example.com", "ADA@EXAMPLE.COM", " Ada@Example.com ", "aDa@example.COM")


@dataclass(frozen=True)
class Contest:
    """`prepare` and `attempt` run in whichever process; `check` gets the winnings and looks at what is left."""

    prepare: Callable[[Adapter], Awaitable[Any]]
    attempt: Callable[[Adapter, Any, int], Awaitable[Any]]
    check: Callable[[Adapter, Any, Any], Awaitable[bool]]


async def _nothing(store: Adapter) -> None:
    await store.health()


async def _fine(store: Adapter, prize: Any, won: Any) -> bool:
    return True


async def _one_user(store: Adapter, prize: Any, won: Any) -> bool:
    return [user.id for user in await store.list_users()] == [won]


async def _a_token(store: Adapter) -> str:
    return (await store.create_verification_token(ADA)).token or ""


async def _use_token(store: Adapter, prize: str, me: int) -> Any:
    return await store.use_verification_token(SPELLINGS[me % 4], prize)


async def _create_user(store: Adapter, prize: None, me: int) -> Any:
    with suppress(EmailTakenError):
        return (await store.create_user(email=SPELLINGS[me % 4], name=str(me))).id


async def _create_user_with_id(store: Adapter, prize: None, me: int) -> Any:
    with suppress(ConflictError):
        return (await store.create_user(id="the-one", name=str(me))).id


async def _crowd(store: Adapter) -> list[str]:
    return [(await store.create_user(name=str(me))).id for me in range(RIVALS)]


async def _link(store: Adapter, users: list[str], me: int) -> Any:
    with suppress(AccountLinkedError):
        return (await store.link_account(users[me], "google", "1")).user_id


async def _owns(store: Adapter, users: list[str], won: str) -> bool:
    owner = await store.get_user_by_account("google", "1")
    links = [account for user in users for account in await store.list_accounts(user)]
    return owner is not None and owner.id == won and len(links) == 1


async def _sign_in(store: Adapter, prize: None, me: int) -> Any:
    signed_in = await store.sign_in_with_account(
        provider="google", provider_account_id="1", email=SPELLINGS[me % 4], email_verified=True
    )
    alone = [user.id for user in await store.list_users()]
    if alone != [signed_in.user.id] or signed_in.account.user_id != signed_in.user.id:
        raise AssertionError("two first sign-ins made two users")
    return signed_in.user.id if signed_in.created_user else None


async def _take_email(store: Adapter, users: list[str], me: int) -> Any:
    with suppress(EmailTakenError):
        user = await store.update_user(users[me], email=ADA)
        return user and user.id


async def _has_email(store: Adapter, users: list[str], won: str) -> bool:
    owner = await store.get_user_by_email(ADA)
    return owner is not None and owner.id == won


async def _ada(store: Adapter) -> str:
    return (await store.create_user(email=ADA)).id


async def _given_token(store: Adapter, user: str, me: int) -> Any:
    with suppress(ConflictError):
        return (await store.create_session(user, token=TOKEN)).id


async def _one_session(store: Adapter, user: str, won: str) -> bool:
    return [session.id for session in await store.list_sessions(user)] == [won]


async def _a_session(store: Adapter) -> str:
    return (await store.create_session(await _ada(store))).token or ""


async def _rotate(store: Adapter, token: str, me: int) -> Any:
    session = await store.rotate_session(token)
    return session and session.token


async def _rotated(store: Adapter, token: str, won: str) -> bool:
    return await store.get_session(token) is None and await store.get_session(won) is not None


async def _passkey(store: Adapter, users: list[str], me: int) -> Any:
    with suppress(ConflictError):
        return (await store.create_authenticator(users[me], "credential", b"key")).user_id


async def _has_passkey(store: Adapter, users: list[str], won: str) -> bool:
    passkey = await store.get_authenticator("credential")
    return passkey is not None and passkey.user_id == won


async def _a_passkey(store: Adapter) -> str:
    return (await store.create_authenticator(await _ada(store), "credential", b"key", counter=6)).credential_id


async def _count(store: Adapter, credential: str, me: int) -> Any:
    with suppress(CounterError):
        return (await store.update_authenticator_counter(credential, 7)).counter


async def _create_role(store: Adapter, prize: None, me: int) -> Any:
    with suppress(ConflictError):
        return await store.create_role("admin", description=str(me))


async def _a_grant(store: Adapter) -> str:
    await store.create_role("admin")
    return await _ada(store)


async def _granted(store: Adapter) -> str:
    user = await _a_grant(store)
    await store.grant_role(user, "admin")
    return user


async def _expired_access(store: Adapter) -> None:
    await store.link_account(await _ada(store), "google", "1", refresh_token="only-good-once")


async def _refresh(store: Adapter, prize: None, me: int) -> Any:
    asked: list[str] = []

    async def refresh(account: Account) -> Mapping[str, Any]:
        asked.append(f"fresh-{me}")
        await asyncio.sleep(0.7)
        return {"access_token": asked[0], "refresh_token": f"next-{me}"}

    account = await store.refresh_account("google", "1", refresh)
    stored = await store.get_account("google", "1")
    if stored is None or stored.access_token != account.access_token:
        raise AssertionError("somebody got another result")
    return account.access_token if asked else None


async def _refreshed(store: Adapter, prize: None, won: str) -> bool:
    stored = await store.get_account("google", "1")
    return stored is not None and stored.access_token == won


async def _true(answer: Awaitable[bool]) -> Any:
    return True if await answer else None


CONTESTS: dict[str, Contest] = {
    "use a verification token": Contest(_a_token, _use_token, _fine),
    "create a user with an address": Contest(_nothing, _create_user, _one_user),
    "create a user with an id": Contest(_nothing, _create_user_with_id, _one_user),
    "take an address": Contest(_crowd, _take_email, _has_email),
    "link an account": Contest(_crowd, _link, _owns),
    "sign in for the first time": Contest(_nothing, _sign_in, _one_user),
    "refresh an account": Contest(_expired_access, _refresh, _refreshed),
    "open a session with a token": Contest(_ada, _given_token, _one_session),
    "rotate a session": Contest(_a_session, _rotate, _rotated),
    "end a session": Contest(_a_session, lambda s, token, _: _true(s.delete_session(token)), _fine),
    "register a passkey": Contest(_crowd, _passkey, _has_passkey),
    "advance a counter": Contest(_a_passkey, _count, _fine),
    "delete a user": Contest(_ada, lambda s, user, _: _true(s.delete_user(user)), _fine),
    "create a role": Contest(_nothing, _create_role, _fine),
    "grant a role": Contest(_a_grant, lambda s, user, _: _true(s.grant_role(user, "admin")), _fine),
    "revoke a role": Contest(_granted, lambda s, user, _: _true(s.revoke_role(user, "admin")), _fine),
}
