"""Who somebody says they are, before there is a user."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """What is taken over: the id at the provider, and what the user calls themselves there.

    `provider` is the name of the provider, "email" for who comes by a letter; `email` is canonical where `allow` is
    asked. A provider's `identify` leaves `provider` to the flow.
    """

    id: str
    email: str | None = None
    email_verified: bool = False
    name: str | None = None
    image: str | None = None
    provider: str = ""


Allow = Callable[[Identity], Awaitable[bool]]


async def invited_only(_: Identity) -> bool:
    """For `Auth(allow=…)`: nobody makes themselves a user here; `Auth.invite` does."""
    return False
