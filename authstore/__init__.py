"""authstore keeps who your users are: users, accounts, sessions, tokens, passkeys and roles in one SQLite file."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from authstore.connect import connect
from authstore.errors import (
    AccountLinkedError,
    AccountNotFoundError,
    AccountNotLinkedError,
    AuthenticatorNotFoundError,
    AuthStoreError,
    ChangesLostError,
    ConfigurationError,
    ConflictError,
    CounterError,
    EmailTakenError,
    InvalidEmailError,
    KeyUnavailableError,
    NotFoundError,
    NotSupportedError,
    RoleNotFoundError,
    SchemaError,
    StoreBusyError,
    StoreClosedError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreMisuseError,
    StoreNotFoundError,
    StoreReadOnlyError,
    StoreUnavailableError,
    UnknownOutcomeError,
    UserDisabledError,
    UserNotFoundError,
)
from authstore.expiry import SessionPolicy, utc_now

if TYPE_CHECKING:  # loaded when first asked for, as pydantic loads its own
    from authstore.adapter import (
        UNSET,
        Accounts,
        Adapter,
        Authenticators,
        Maintenance,
        Roles,
        Sessions,
        Unset,
        Users,
        VerificationTokens,
        Visits,
    )
    from authstore.models import (
        Account,
        Authenticator,
        CacheInfo,
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
    from authstore.observers import Observer, Statistic

__all__ = [
    "UNSET",
    "Account",
    "AccountLinkedError",
    "AccountNotFoundError",
    "AccountNotLinkedError",
    "Accounts",
    "Adapter",
    "AuthStoreError",
    "Authenticator",
    "AuthenticatorNotFoundError",
    "Authenticators",
    "CacheInfo",
    "ChangesLostError",
    "ConfigurationError",
    "ConflictError",
    "CounterError",
    "EmailTakenError",
    "Ended",
    "Event",
    "Health",
    "InvalidEmailError",
    "KeyUnavailableError",
    "Maintenance",
    "NotFoundError",
    "NotSupportedError",
    "Observer",
    "Permission",
    "PruneReport",
    "Role",
    "RoleNotFoundError",
    "Roles",
    "SchemaError",
    "Session",
    "SessionPolicy",
    "Sessions",
    "SignIn",
    "Statistic",
    "StoreBusyError",
    "StoreClosedError",
    "StoreCorruptError",
    "StoreError",
    "StoreFullError",
    "StoreMisuseError",
    "StoreNotFoundError",
    "StoreReadOnlyError",
    "StoreUnavailableError",
    "UnknownOutcomeError",
    "Unset",
    "User",
    "UserDisabledError",
    "UserNotFoundError",
    "Users",
    "VerificationToken",
    "VerificationTokens",
    "Visit",
    "Visits",
    "connect",
    "utc_now",
]


def __getattr__(name: str) -> Any:
    """The models and the protocols, which need all of pydantic."""
    if name in __all__:
        for room in ("authstore.models", "authstore.adapter", "authstore.observers"):
            if hasattr(module := import_module(room), name):
                found = globals()[name] = getattr(module, name)
                return found
    raise AttributeError(f"module 'authstore' has no attribute {name!r}")
