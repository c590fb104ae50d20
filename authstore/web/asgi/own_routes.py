"""Our routes in an application's: one among its own, which are found as quickly as without us."""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Match, Mount, Router
from starlette.types import Scope


class OwnRoutes(Mount):
    """All routes of ours; other paths below the prefix are left to the application."""

    def __init__(self, prefix: str, routes: Sequence[BaseRoute]) -> None:
        # Starlette makes the redirect to the path without the slash from the Host header, which anybody can write.
        super().__init__(prefix, app=Router(routes, redirect_slashes=False), name="authstore")

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """See `starlette.routing.Mount.matches`; ours too is a path of ours but for the slash at its end."""
        if self.path not in scope["path"]:
            return Match.NONE, {}  # as the pattern would say too: every request of the application comes by here
        match, child = super().matches(scope)
        if match is not Match.NONE:
            path = scope["path"]
            spellings = ({**scope, **child, "path": each} for each in (path, path.rstrip("/"), path + "/"))
            if not any(map(self._has, spellings)):
                return Match.NONE, {}
        return match, child

    def _has(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is not Match.NONE for route in self.routes)
