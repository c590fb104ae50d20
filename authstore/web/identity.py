"""Who somebody says they are, before there is a user."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """What is taken over: the id at the provider, and what the user calls themselves there.

    Where `allow` is asked, `provider` is the name of the provider, or "email" for who comes by a letter; `email` is
    canonical, and `email_verified` whether it is proved: by the letter, or by a provider whose word counts. An
    `identify` gives what its provider says, and leaves `provider` to the flow.
    """

    id: str
    email: str | None = None
    email_verified: bool = False
    name: str | None = None
    image: str | None = None
    provider: str = ""


Allow = Callable[[Identity], Awaitable[bool] | bool]


async def invited_only(_: Identity) -> bool:
    """For `Auth(allow=…)`: nobody makes themselves a user here; `Auth.invite` does."""
    return False
