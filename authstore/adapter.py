"""The contract: what every store can do, as the sum of small protocols that can be implemented alone.

Every method is a coroutine. `get_*` returns the model or `None`; `list_*` a list, possibly empty;
`create_*` and `link_*` the stored model; `update_*` the new model, or `None` where there is nothing to
update; `delete_*`, `unlink_*` and `revoke_*` a bool or a count, and may be repeated.

Errors are those of `authstore.errors`; an argument of the wrong shape is `ValueError` or `TypeError`.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, Final, Literal, Protocol, runtime_checkable

from pydantic import JsonValue

from authstore.models import (
    Account,
    AccountType,
    Authenticator,
    DeviceType,
    Ended,
    Event,
    Health,
    Permission,
    PruneReport,
    Role,
    Session,
    SignIn,
    User,
    VerificationToken,
    Visit,
)


class Unset(Enum):
    """The type of `UNSET`, the default of arguments for which `None` means "clear"."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET

Clock = Callable[[], datetime]
Durability = Literal["full", "relaxed"]
# Not a Sequence: one secret, a str, would be one of those.
Keys = list[str] | list[bytes] | list[str | bytes] | tuple[str | bytes, ...]
JsonObject = Mapping[str, JsonValue]
Refresh = Callable[[Account], Awaitable[Mapping[str, Any]]]
Permissions = Iterable[Permission]


class Users(Protocol):
    """Who there is."""

    async def create_user(
        self,
        *,
        email: str | None = None,
        name: str | None = None,
        email_verified: datetime | None = None,
        image: str | None = None,
        data: JsonObject | None = None,
        id: str | None = None,
    ) -> User:
        """A new user.

        Raises `EmailTakenError`, `ConflictError` (the id is taken) or `InvalidEmailError`; another user's
        row is never touched.
        """
        ...

    async def get_user(self, user_id: str) -> User | None:
        """The user with this id."""
        ...

    async def get_user_by_email(self, email: str) -> User | None:
        """The user with this address, in any spelling; text that is no address is simply not found."""
        ...

    async def get_user_by_account(self, provider: str, provider_account_id: str) -> User | None:
        """The user who linked this account."""
        ...

    async def update_user(
        self,
        user_id: str,
        *,
        email: str | None | Unset = UNSET,
        name: str | None | Unset = UNSET,
        email_verified: datetime | None | Unset = UNSET,
        image: str | None | Unset = UNSET,
        disabled: bool | Unset = UNSET,
        data: JsonObject | Unset = UNSET,
    ) -> User | None:
        """Changes what is named; `None` clears. Disabling ends all sessions in the same transaction.

        Of more than 10 000 sessions most end just before, in slices, so that no other writer waits for them; a call
        that is refused ends none.

        A changed address keeps its `email_verified` unless that is named too: pass `email_verified=None`
        until the new address is proved. Raises `EmailTakenError` or `InvalidEmailError`.
        """
        ...

    async def delete_user(self, user_id: str) -> bool:
        """Deletes the user with all accounts, sessions, authenticators, role grants and verification tokens
        for the address, atomically. Of more than 10 000 sessions most end just before, in slices, so that no
        other writer waits for them."""
        ...

    async def list_users(self, *, after: str | None = None, limit: int = 100) -> list[User]:
        """Users in the order of their ids; the next page comes after the last id of this one."""
        ...


class Accounts(Protocol):
    """Which identities at providers they linked."""

    async def link_account(
        self,
        user_id: str,
        provider: str,
        provider_account_id: str,
        *,
        type: AccountType = "oauth",
        access_token: str | None = None,
        refresh_token: str | None = None,
        id_token: str | None = None,
        token_type: str | None = None,
        scope: str | None = None,
        session_state: str | None = None,
        expires_at: datetime | None = None,
        data: JsonObject | None = None,
    ) -> Account:
        """Links the account, or updates it where this user has it already (`None` keeps the old value).

        Raises `UserNotFoundError`, or `AccountLinkedError` where another user has it (nothing changes).
        """
        ...

    async def get_account(self, provider: str, provider_account_id: str) -> Account | None:
        """The account; provider ids are compared byte for byte.

        Raises `KeyUnavailableError` where one of its tokens is encrypted under a key that was not given.
        """
        ...

    async def list_accounts(self, user_id: str) -> list[Account]:
        """The user's accounts, oldest first. A token whose key is missing is `None`, and named in `unreadable`."""
        ...

    async def unlink_account(self, provider: str, provider_account_id: str) -> bool:
        """Forgets the account and its tokens."""
        ...

    async def refresh_account(self, provider: str, provider_account_id: str, refresh: Refresh) -> Account:
        """Lets exactly one of many concurrent callers, across processes, call `await refresh(account)`.

        `refresh` returns a mapping of `link_account`'s fields; the others get its result. When it raises, or does
        not return within a minute (`TimeoutError`), its caller gets that error and the next waiter tries. A holder
        that died is replaced after 30 s.

        What it returned is written as long as the right to ask lasts, however busy the database is; else the
        `StoreError` has it as `.fields`. An account that was given newer tokens meanwhile is returned as it stands.
        Raises `AccountNotFoundError` (also where it was unlinked, or linked to somebody else, meanwhile),
        `KeyUnavailableError`, `StoreMisuseError` (within its own refresh, which it would wait for).
        """
        ...

    async def sign_in_with_account(
        self,
        *,
        provider: str,
        provider_account_id: str,
        type: AccountType = "oidc",
        email: str | None = None,
        email_verified: bool = False,
        name: str | None = None,
        image: str | None = None,
        tokens: Mapping[str, Any] | None = None,
        current_user_id: str | None = None,
        trust_email: bool = False,
    ) -> SignIn:
        """One atomic step from "the provider says so" to a user.

        A known account gives its user and keeps the new tokens; else it is linked to `current_user_id`;
        else, where a user has this address, `AccountNotLinkedError`, unless `trust_email` and the provider vouches
        (`email_verified is True`): then it is linked, and where nobody had proved the address before, that user's
        sessions, accounts and authenticators end, so that who proves it now has the user alone; else user and
        account are created. Raises `AccountLinkedError` (`current_user_id` is somebody else),
        `UserDisabledError`, `UserNotFoundError`.
        """
        ...


class Sessions(Protocol):
    """Who is signed in, and until when."""

    async def create_session(
        self,
        user_id: str,
        *,
        expires: datetime | None = None,
        token: str | None = None,
        ip: str | None = None,
        user_agent: str | None = None,
        data: JsonObject | None = None,
    ) -> Session:
        """A new session, with its token: the only time it is shown.

        A given `token` (moved data) has 16 to 512 characters; a taken one is `ConflictError`. Raises
        `UserNotFoundError`, `UserDisabledError`. Beyond the policy's `max_per_user` the longest unused goes.
        """
        ...

    async def get_session_and_user(self, token: str) -> tuple[Session, User] | None:
        """The living session of this token, and its user: the hot path. Never writes (but see `rotate_session`)."""
        ...

    async def get_session(self, token: str) -> Session | None:
        """The same rule, without the user."""
        ...

    async def touch_session(self, token: str) -> Session | None:
        """Notes a use, at most once per `touch_every`; never revives a dead session."""
        ...

    async def update_session(
        self,
        token: str,
        *,
        expires: datetime | Unset = UNSET,
        data: JsonObject | Unset = UNSET,
        merge: Mapping[str, JsonValue | Unset] | Unset = UNSET,
    ) -> Session | None:
        """Changes what is named; `expires` is clamped to what the policy allows, and no touch goes beyond it; never
        revives.

        `merge` is laid over `data` key by key in one step, so that two tabs lose nothing; `UNSET` as a value takes
        a key away. With `data`, which replaces all of it, it is `ValueError`.
        """
        ...

    async def rotate_session(self, token: str, *, grace: timedelta | None = None) -> Session | None:
        """The same session under a new token; the old one is dead at once (ASVS 5.0 7.2.4).

        With `grace` (a few seconds, for tabs that race) the old one finds the session until then, and rotating it gives
        the session with `token=None`. Presented later, or the one before it at any time, it was copied: that is
        `None`, and the session ends as "stolen".
        """
        ...

    async def delete_session(self, token: str, *, reason: str = "signed-out") -> bool:
        """Ends the session of this token. `reason` is what `why_ended` tells."""
        ...

    async def why_ended(self, token: str) -> Ended | None:
        """Why, when and by whom the session of this token ended; `None` for a living one, or a token never known.

        Kept for 30 days, or as long as `audit` where that is longer. Asking is not presenting.
        """
        ...

    async def list_sessions(self, user_id: str, *, after: Session | None = None, limit: int = 100) -> list[Session]:
        """The user's living sessions, newest first (`created_at`, then id), without tokens.

        `after`: the last session of the page before, which may be gone.
        """
        ...

    async def revoke_session(self, session_id: str, *, reason: str = "revoked") -> bool:
        """Ends a session by its id."""
        ...

    async def revoke_sessions(self, user_id: str, *, except_token: str | None = None, reason: str = "revoked") -> int:
        """Ends all sessions of the user, save the one of `except_token`; how many. More than 10 000 end in slices, so
        that no other writer waits for them: call it again where it was stopped."""
        ...


class Visits(Protocol):
    """What a site keeps for a browser before anybody signs in, and beside it: carts, flash messages.

    A visit has a token as a session has one, lives as long by the same policy, and is nobody's.
    """

    async def open_visit(
        self, *, token: str | None = None, data: JsonObject | None = None, expires: datetime | None = None
    ) -> Visit:
        """A new visit, with its token: the only time it is shown.

        A given `token` (moved data) has 16 to 512 characters; that of a living visit is `ConflictError`.
        """
        ...

    async def get_visit(self, token: str) -> Visit | None:
        """The living visit of this token. Never writes."""
        ...

    async def change_visit(
        self, token: str, *, merge: Mapping[str, JsonValue | Unset], rotate: bool = False
    ) -> Visit | None:
        """Lays `merge` over the visit's `data` key by key, in one step, so that two tabs lose nothing; `UNSET` as a
        value takes a key away. Notes the use, also where `merge` is empty; never revives.

        `rotate`: the visit goes on under a new token, and the old one is dead at once (ASVS 5.0 7.2.4).
        """
        ...

    async def delete_visit(self, token: str) -> bool:
        """Ends the visit of this token."""
        ...


class VerificationTokens(Protocol):
    """Proofs of control over an address, used once."""

    async def create_verification_token(
        self,
        identifier: str,
        *,
        purpose: str = "sign-in",
        expires: datetime | None = None,
        token: str | None = None,
        data: JsonObject | None = None,
    ) -> VerificationToken:
        """A new token, shown only here. At most five living ones stand per identifier and purpose: the one that was
        made first goes. A given `token` that a living one has is `ConflictError`.

        `identifier`: an e-mail address is made canonical, anything else is exact text of up to 254 characters.
        """
        ...

    async def peek_verification_token(
        self, identifier: str, token: str, *, purpose: str = "sign-in"
    ) -> VerificationToken | None:
        """Whether it would work, without using it: for a page that asks for a click, since mail scanners
        follow links."""
        ...

    async def use_verification_token(
        self, identifier: str, token: str, *, purpose: str = "sign-in"
    ) -> VerificationToken | None:
        """The token, to exactly one caller; it and the identifier's others of that purpose are gone then.

        An expired one is `None` and gone; a wrong guess consumes nothing.
        """
        ...


class Authenticators(Protocol):
    """Passkeys."""

    async def create_authenticator(
        self,
        user_id: str,
        credential_id: str,
        public_key: bytes,
        *,
        counter: int = 0,
        device_type: DeviceType | None = None,
        backed_up: bool = False,
        transports: Iterable[str] = (),
        name: str | None = None,
        data: JsonObject | None = None,
    ) -> Authenticator:
        """Registers a passkey. Raises `ConflictError` where anyone has it, `UserNotFoundError`."""
        ...

    async def get_authenticator(self, credential_id: str) -> Authenticator | None:
        """The passkey with this credential id."""
        ...

    async def list_authenticators(self, user_id: str) -> list[Authenticator]:
        """The user's passkeys, oldest first."""
        ...

    async def update_authenticator_counter(self, credential_id: str, counter: int) -> Authenticator:
        """Compare-and-set of the signature counter (WebAuthn §6.1.1), and the time of use.

        Raises `CounterError` unless it grew or both are 0, `AuthenticatorNotFoundError`.
        """
        ...

    async def delete_authenticator(self, credential_id: str) -> bool:
        """Forgets the passkey."""
        ...


class Roles(Protocol):
    """Who may do what."""

    async def create_role(
        self,
        name: str,
        *,
        description: str | None = None,
        permissions: Permissions = (),
        data: JsonObject | None = None,
    ) -> Role:
        """A new role. Raises `ConflictError` where the name is taken."""
        ...

    async def get_role(self, name: str) -> Role | None:
        """The role with this name."""
        ...

    async def list_roles(self) -> list[Role]:
        """All roles, by name."""
        ...

    async def update_role(
        self,
        name: str,
        *,
        new_name: str | Unset = UNSET,
        description: str | None | Unset = UNSET,
        permissions: Permissions | Unset = UNSET,
        data: JsonObject | Unset = UNSET,
    ) -> Role | None:
        """Changes what is named; grants follow a new name. Raises `ConflictError` where that is taken."""
        ...

    async def delete_role(self, name: str) -> bool:
        """Deletes the role and its grants."""
        ...

    async def grant_role(self, user_id: str, name: str) -> bool:
        """`False` where it was granted already. Raises `UserNotFoundError`, `RoleNotFoundError`."""
        ...

    async def revoke_role(self, user_id: str, name: str) -> bool:
        """Takes the role away."""
        ...

    async def get_roles(self, user_id: str) -> list[Role]:
        """The user's roles, by name."""
        ...

    async def has_permission(self, user_id: str, resource: str, action: str) -> bool:
        """Whether one of the user's roles permits it; a disabled user may nothing."""
        ...

    async def list_users_with_role(self, name: str, *, after: str | None = None, limit: int = 100) -> list[User]:
        """Who has the role, in the order of their ids."""
        ...


class Maintenance(Protocol):
    """Keeping the store itself in order."""

    async def prune(self, *, batch: int = 1000, max_seconds: float | None = None) -> PruneReport:
        """Deletes dead sessions and tokens in short transactions of at most `batch` rows, until none is left or
        `max_seconds` are over; the next call goes on where that was.

        `remaining` counts the dead that are left then; where that would take more than a quarter of a second, it is
        at least so many.
        """
        ...

    def transaction(self) -> AbstractAsyncContextManager["Adapter"]:
        """An `Adapter` whose calls are one serializable transaction: all or nothing.

        A call refused inside may be survived; nested, it is a savepoint. Writers outside wait, at most the
        busy timeout, then `StoreBusyError`.
        """
        ...

    async def health(self, *, timeout: timedelta = timedelta(seconds=1)) -> Health:
        """A read and a write that is committed, answered within `timeout` whatever the database does.

        `status` is "warn" where it is alive but busy or slow, or its log has grown beyond 64 MB; "fail" where a
        read or a write does not work. Callers within five seconds share one write that succeeded.
        """
        ...

    async def events(self, *, after: int = 0, limit: int = 100) -> list[Event]:
        """What happened after the event with this `seq`, oldest first, in the order of commits, none skipped.

        Raises `ChangesLostError` where the log no longer holds all of it.
        """
        ...

    async def rekey(self) -> int:
        """Encrypts anew, under the newest key, every provider token that is plain or under an older key;
        the number of accounts changed."""
        ...

    async def forget_unreadable(self) -> int:
        """Clears every provider token that no key opens; the number of accounts changed."""
        ...

    async def close(self) -> None:
        """Lets go of the database; may be repeated."""
        ...


@runtime_checkable
class Adapter(Users, Accounts, Sessions, Visits, VerificationTokens, Authenticators, Roles, Maintenance, Protocol):
    """A whole store."""


def offers(thing: object, protocol: type) -> bool:
    """Whether it has everything that a protocol names, by itself or handed on by its `__getattr__`: from Python 3.12 on
    `isinstance` asks for the former alone (gh-102433), and a store in a wrapper would be none."""
    return all(hasattr(thing, name) for name in _members(protocol))


@cache
def _members(protocol: type) -> frozenset[str]:
    return frozenset(
        name
        for kind in protocol.__mro__
        if getattr(kind, "_is_protocol", False) and kind is not Protocol
        for name in vars(kind)
        if not name.startswith("_")
    )
