"""For Starlette's `AuthenticationMiddleware` and `@requires`."""

from starlette.authentication import AuthCredentials, AuthenticationBackend, BaseUser
from starlette.requests import HTTPConnection

from authstore.models import User
from authstore.web.site import Site


class SignedInUser(BaseUser):
    """`request.user`; the model itself is `.user`."""

    def __init__(self, user: User) -> None:
        self.user = user

    @property
    def is_authenticated(self) -> bool:
        """Always."""
        return True

    @property
    def display_name(self) -> str:
        """The name, else the address, else the id."""
        return self.user.name or self.user.email or self.user.id

    @property
    def identity(self) -> str:
        """The user's id."""
        return self.user.id


class SessionBackend(AuthenticationBackend):
    """Scopes are `authenticated` and the names of the user's roles."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        """The credentials of the session, or `None`."""
        presence = await self._site.visitors.presence(conn.scope)
        if presence.user is None:
            return None
        roles = await self._site.store.get_roles(presence.user.id)
        # A role of this name must not make anybody more than its grant says.
        scopes = ["authenticated", *(role.name for role in roles if role.name != "authenticated")]
        return AuthCredentials(scopes), SignedInUser(presence.user)
