"""Every error authstore raises, as one tree.

AuthStoreError
├── ConfigurationError          what you passed to connect() or wrote in the settings
│   ├── KeyUnavailableError     a stored value is encrypted under a key you did not give
│   └── NotSupportedError       what the tables served in place have no room for
├── ConflictError               something unique is taken
│   ├── EmailTakenError
│   └── AccountLinkedError      .user_id of the owner
├── NotFoundError
│   ├── UserNotFoundError  AccountNotFoundError
│   └── RoleNotFoundError  AuthenticatorNotFoundError
├── InvalidEmailError
├── UserDisabledError
├── AccountNotLinkedError       the address belongs to a user who has not linked this provider
├── CounterError                a cloned or replayed authenticator
├── SchemaError                 the database is older, newer or not ours
└── StoreError                  the database itself
    ├── StoreNotFoundError  StoreClosedError  StoreReadOnlyError  StoreFullError  StoreCorruptError
    ├── StoreBusyError          waited the whole busy timeout
    ├── StoreMisuseError        wrong process, thread or event loop
    ├── StoreUnavailableError   server gone; safe to try again
    ├── ChangesLostError        .first event that is still kept
    └── UnknownOutcomeError     the connection was lost while committing: look before you repeat

Arguments of the wrong shape (a naive datetime, NUL in a text, a negative limit) are the standard
`ValueError` and `TypeError`. Each error has a `.hint`, what to do about it. No message holds a token, a secret or a
full e-mail address.
"""

from collections.abc import Mapping
from typing import Any


class AuthStoreError(Exception):
    """The root: `except AuthStoreError` catches whatever authstore itself raises.

    `hint` says in one sentence what to do about it; docs/errors.md tells more of each class.
    """

    hint: str = "look at the message, and at what docs/errors.md says of the class"


class ConfigurationError(AuthStoreError):
    """A URL, key or setting that cannot work; the text says what to write or install."""

    hint = "change the URL, key or setting that the message names"


class KeyUnavailableError(ConfigurationError):
    """A stored value is encrypted under a key that was not given to `connect`."""

    hint = "add the key to `keys`, after the newest one, or clear what no key opens with `forget_unreadable()`"


class NotSupportedError(ConfigurationError):
    """The tables that are served in place (`connect(tables=...)`) have no room for this; nothing was changed."""

    hint = "leave out what the message names, or move into tables of authstore's own"


class ConflictError(AuthStoreError):
    """Something unique is taken; nothing was changed."""

    hint = "take another id, name or token, or use what is there already"


class EmailTakenError(ConflictError):
    """Another user has this e-mail address."""

    hint = "let the owner of the address sign in, or take another address"


class AccountLinkedError(ConflictError):
    """This account at the provider is linked to another user.

    `user_id` is the user who has it.
    """

    hint = "sign in as the user in `user_id`, or unlink the account there first"

    def __init__(self, message: str, *, user_id: str) -> None:
        super().__init__(message)
        self.user_id = user_id

    def __reduce__(self) -> tuple[object, ...]:
        return (_account_linked, (str(self), self.user_id))


def _account_linked(message: str, user_id: str) -> AccountLinkedError:
    return AccountLinkedError(message, user_id=user_id)


class NotFoundError(AuthStoreError):
    """What the call needs does not exist."""

    hint = "make it first, or correct its name"


class UserNotFoundError(NotFoundError):
    """No user has this id."""

    hint = "look the id up again: the user may have been deleted meanwhile"


class AccountNotFoundError(NotFoundError):
    """No such account is linked."""

    hint = "let the user link the account again"


class RoleNotFoundError(NotFoundError):
    """No role has this name."""

    hint = "make the role first, or look for its name among those there are"


class AuthenticatorNotFoundError(NotFoundError):
    """No authenticator has this credential id."""

    hint = "let the user sign in another way and add the passkey again"


class InvalidEmailError(AuthStoreError, ValueError):
    """The text is not one plain e-mail address."""

    hint = "give one plain address, such as ada@example.com, with nothing around it"


class UserDisabledError(AuthStoreError):
    """The user is disabled and cannot sign in."""

    hint = "enable the user first, if they may come in again"


class AccountNotLinkedError(AuthStoreError):
    """A user with this address exists and has not linked this provider.

    Linking by address alone would hand the user to whoever registers the address at some provider;
    let the user sign in the usual way first, then link.
    """

    hint = "let the user sign in as they did before, then link this account"


class CounterError(AuthStoreError):
    """The signature counter did not grow: a cloned or replayed authenticator (WebAuthn §6.1.1)."""

    hint = "refuse this sign-in; if it happens again, have the user replace that passkey"


class SchemaError(AuthStoreError):
    """The database is older, newer or not ours."""

    hint = "name another database, or bring this one to the installed version with `authstore migrate`"


class StoreError(AuthStoreError):
    """The database itself failed; nothing of the call happened unless a subclass says otherwise.

    `fields`: what the callback of `refresh_account` had returned when its writing failed; else `None`. The old grant
    may be spent, so keep them, and give them to `link_account` when the database works again.
    """

    hint = "run `authstore doctor` on the store"

    fields: Mapping[str, Any] | None = None


class StoreNotFoundError(StoreError):
    """There is no store at this place and `create=False`."""

    hint = "correct the path (a relative one begins in the working directory), or make the store with `authstore init`"


class StoreClosedError(StoreError):
    """The store was closed."""

    hint = "open the store again, and use it within its block alone"


class StoreReadOnlyError(StoreError):
    """The database cannot be written."""

    hint = "let this process write the file and its folder, or name the server that takes writes"


class StoreFullError(StoreError):
    """The disk is full; the store goes on working once there is room."""

    hint = "make room on the disk; the store goes on by itself then"


class StoreCorruptError(StoreError):
    """The file is damaged or is no database, or a row holds what no store wrote: `table` and `id` say which."""

    hint = "put the last good backup back with `authstore restore`, or mend the row that `table` and `id` name"

    def __init__(self, message: str, *, table: str | None = None, id: object = None) -> None:
        super().__init__(message)
        self.table = table
        self.id = id


class StoreBusyError(StoreError):
    """Somebody else held the write lock for the whole busy timeout; safe to try again."""

    hint = "try again; where it happens often, keep transactions short"


class ChangesLostError(StoreError):
    """The change log no longer holds what comes after the event asked for, or never did (an older file was restored).

    `first` is the first event that it holds: `after=first - 1` goes on from there.
    """

    hint = "read afresh what you keep a copy of, then go on with `after=error.first - 1`"

    def __init__(self, message: str, *, first: int) -> None:
        super().__init__(message)
        self.first = first

    def __reduce__(self) -> tuple[object, ...]:
        return (_changes_lost, (str(self), self.first))


def _changes_lost(message: str, first: int) -> ChangesLostError:
    return ChangesLostError(message, first=first)


class StoreMisuseError(StoreError):
    """Used from another process, thread or event loop than the one that opened it, or by a refresh within itself."""

    hint = "open a store in each process, thread and event loop of asyncio that uses one"


class StoreUnavailableError(StoreError):
    """The server is gone; safe to try again."""

    hint = "try again; if it lasts, see that the server runs and can be reached"


class UnknownOutcomeError(StoreError):
    """The connection was lost while committing: look before you repeat."""

    hint = "look whether it happened before you repeat it"
