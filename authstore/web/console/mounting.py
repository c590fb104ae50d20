"""The console as routes for an application."""

from collections.abc import Sequence

from starlette.routing import BaseRoute

from authstore.errors import ConfigurationError
from authstore.ops.slow_queries import SlowQueries
from authstore.web.asgi.own_routes import OwnRoutes
from authstore.web.console.admission import Admission, ByRole
from authstore.web.console.pages import Console
from authstore.web.console.texts import ConsoleTexts
from authstore.web.site import Site


class ConsoleRoutes(OwnRoutes):
    """Below the same prefix as the site's other routes, so that what leads back to one of them leads here too."""

    def __init__(self, site: Site, routes: Sequence[BaseRoute]) -> None:
        super().__init__(site.settings, site.address, routes, "-console")
        self.path = f"{site.settings.route_prefix}/console"  # other paths are not looked at any further


def mounted(
    site: Site,
    admission: Admission,
    slow_queries: SlowQueries | None = None,
    texts: ConsoleTexts | None = None,
    seconds: float = 0.7,
) -> ConsoleRoutes:
    """The console, for whom `admission` lets in; `seconds`: for what the database is asked for one page.

    Raises `ConfigurationError`.
    """
    console = Console(site, admission, slow_queries, texts or ConsoleTexts(), seconds)
    site.source.when_open(console.look_into)
    return ConsoleRoutes(site, console.routes())


def for_role(site: Site, role: str, slow_queries: SlowQueries | None, texts: ConsoleTexts | None) -> ConsoleRoutes:
    """The console for users with this role. Raises `ConfigurationError`."""
    if not isinstance(role, str) or not role:
        raise ConfigurationError('role is the name of a role: auth.console(role="admin")')
    return mounted(site, ByRole(role), slow_queries, texts)
