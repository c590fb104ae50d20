"""Who makes this request."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.types import Scope

from authstore.models import Session, User

if TYPE_CHECKING:
    from authstore.web.site import Site

KEY: Final = "authstore"  # of the ASGI scope


@dataclass(slots=True)
class Presence:
    """Of one request: the token it presented, and the living session and user behind it, or `None`."""

    site: "Site"
    token: str | None
    session: Session | None
    user: User | None


def presence_of(scope: Scope) -> Presence | None:
    """What our middleware found out about this request; `None` where it did not run."""
    presence: Presence | None = scope.get(KEY)
    return presence
