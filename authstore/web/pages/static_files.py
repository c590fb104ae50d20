"""The styles, scripts and pictures of our pages."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from authstore.web.pages import STATIC_FILES

_HEADERS: Final = {
    "cache-control": "public, max-age=3600",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


class OwnFiles(StaticFiles):
    """Static files that browsers may keep for an hour."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, or 404."""
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response


def static_routes(colours: str | None) -> list[BaseRoute]:
    """Serves them under `/static`, and the site's own colours as `/colour.css` where it has some."""

    async def colour(_: Request) -> Response:
        return Response(colours, media_type="text/css", headers=_HEADERS)

    mount = Mount("/static", app=OwnFiles(directory=str(STATIC_FILES)), name="static")
    return [mount] if colours is None else [mount, Route("/colour.css", colour, name="colour")]
