"""Our routes in an application's: one among its own, which are found as quickly as without us."""

from collections.abc import Sequence
from typing import Any

from starlette.datastructures import URL, URLPath
from starlette.routing import BaseRoute, Match, Mount, Router
from starlette.types import Scope

from authstore.web.address import Address
from authstore.web.settings import Settings


class OwnRoutes(Mount):
    """All routes of ours; other paths below the prefix are left to the application."""

    def __init__(self, settings: Settings, address: Address, routes: Sequence[BaseRoute], name: str = "") -> None:
        # Starlette makes the redirect to the path without the slash from the Host header, which anybody can write.
        router = Router(routes, redirect_slashes=False)
        super().__init__(settings.route_prefix, app=router, name=settings.http.cookie_name + name)
        self._address = address

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """See `starlette.routing.Mount.matches`; ours too is a path of ours but for the slash at its end."""
        if self.path not in scope["path"]:
            return Match.NONE, {}  # as the pattern would say too: every request of the application comes by here
        match, child = super().matches(scope)
        if match is not Match.NONE:
            path = child["path"] = _whole_path(scope)
            spellings = ({**scope, **child, "path": each} for each in (path, path.rstrip("/"), path + "/"))
            if not any(map(self._has, spellings)):
                return Match.NONE, {}
        return match, child

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """See `starlette.routing.Mount.url_path_for`; made absolute, it is at `base_url`, whatever `Host` says."""
        return _PublicPath.at(self._address.url(self._address.path), super().url_path_for(name, **path_params))

    def place_in(self, routes: list[BaseRoute]) -> int:
        """Where among an application's routes: before the first that would answer for ours without meaning to."""
        asked: Scope = {"type": "http", "method": "GET", "path": f"{self.path}/sign-in", "root_path": "", "headers": []}
        for index, route in enumerate(routes):
            is_meant = str(getattr(route, "path", "")).startswith(self.path)
            if not is_meant and route.matches(dict(asked))[0] is not Match.NONE:
                return index
        return len(routes)

    def _has(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is not Match.NONE for route in self.routes)


def _whole_path(scope: Scope) -> str:
    """The path with `root_path` in front, as ASGI has it: some servers leave it out where a proxy took it off, and then
    Starlette finds nothing in a mount."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path if path == root or path.startswith(f"{root}/") else root + path


class _PublicPath(URLPath):
    _public: str

    @classmethod
    def at(cls, public: str, path: URLPath) -> "_PublicPath":
        protocol: Any = path.protocol  # plain text to pyright, one of three words to mypy
        made = cls(path, protocol=protocol, host=path.host)
        made._public = public
        return made

    def make_absolute_url(self, base_url: str | URL) -> URL:  # noqa: ARG002 - the base that is given is from Host
        return URL(f"{self._public}{self}")
