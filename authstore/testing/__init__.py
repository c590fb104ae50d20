"""For people who write adapters or test applications: the contract as a suite, a clock, a store, factories.

The pytest plugin `authstore.testing.plugin` is registered on installation and gives `auth_store` and `auth_clock`.
"""

from typing import TYPE_CHECKING, Any

from authstore.testing.clock import Clock
from authstore.testing.factories import (
    make_account,
    make_authenticator,
    make_email,
    make_role,
    make_session,
    make_user,
)

if TYPE_CHECKING:
    from authstore.testing.contract import AdapterContract

__all__ = [
    "AdapterContract",
    "Clock",
    "make_account",
    "make_authenticator",
    "make_email",
    "make_role",
    "make_session",
    "make_user",
]


def __getattr__(name: str) -> Any:
    # The plugin imports this package in every pytest run; the suite is loaded by those who subclass it.
    if name != "AdapterContract":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from authstore.testing.contract import AdapterContract

    return AdapterContract
