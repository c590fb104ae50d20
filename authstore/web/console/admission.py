"""Who may see the console, and under which name they act."""

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

from starlette.responses import Response

from authstore.web.guards import public_path
from authstore.web.refusals import RefusedError
from authstore.web.routing.asked import Asked, redirect


class Admission(Protocol):
    """Who is let in."""

    async def admit(self, asked: Asked) -> str | Response:
        """What the change log calls whoever asks, or the answer to somebody who may not. Raises `RefusedError`."""
        ...

    def check_act(self, asked: Asked) -> None:
        """Raises `RefusedError` where somebody who was let in may look but not act now."""
        ...


@dataclass(frozen=True, slots=True)
class ByRole:
    """Signed-in users with this role. To others there is nothing here, and nothing tells how to get in."""

    role: str

    async def admit(self, asked: Asked) -> str | Response:
        """See `Admission`."""
        user, site = asked.presence.user, asked.site
        if user is None and asked.wants_json:
            raise RefusedError("sign_in", 401)
        if user is None:
            is_page = asked.request.method in ("GET", "HEAD")
            back = public_path(asked.request.scope, asked.presence) if is_page else site.path("/console")
            return redirect(f"{site.path('/sign-in')}?{urlencode({'next': back})}")
        if all(role.name != self.role for role in await site.store.get_roles(user.id)):
            raise RefusedError("not_found", 404)
        return f"{self.role}:{user.id}"

    def check_act(self, asked: Asked) -> None:
        """See `Admission`. As the other acts of the site: soon after signing in (ASVS 7.5.2)."""
        asked.freshly_signed_in()
