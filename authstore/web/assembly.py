"""A site and its routes, put together from what the application chose."""

from collections.abc import Mapping, Sequence
from os import PathLike

from starlette.routing import BaseRoute

from authstore.adapter import Adapter
from authstore.errors import ConfigurationError
from authstore.web.account.confirming import Confirming
from authstore.web.account.devices import Devices
from authstore.web.account.sessions import Sessions
from authstore.web.account.sign_in import SignInPage
from authstore.web.address import Address
from authstore.web.asgi.own_routes import OwnRoutes
from authstore.web.called import checked_function
from authstore.web.email.invitations import Invitations
from authstore.web.email.letters import checked_sender
from authstore.web.email.links import EmailLinks
from authstore.web.email.mailers import Mailer
from authstore.web.email.post import Post
from authstore.web.oauth.client import ProviderClient
from authstore.web.oauth.login import Login
from authstore.web.oauth.logout import ProviderLogout
from authstore.web.options import Choices, Look
from authstore.web.pages import Pages
from authstore.web.pages.static_files import static_routes
from authstore.web.passkeys.ceremonies import Ceremonies
from authstore.web.passkeys.routes import Passkeys
from authstore.web.settings import pictures_of, relying_party, settings_of
from authstore.web.site import Site
from authstore.web.source import Source
from authstore.web.telling import Telling
from authstore.web.visitors.cookies import Cookies, checked_secrets
from authstore.web.visitors.csrf import CsrfTokens
from authstore.web.visitors.presence import Visitors
from authstore.web.visitors.signing import SignIns
from authstore.web.visitors.visits import Visits


def made_site(
    store: str | PathLike[str] | Adapter,
    base_url: str | Address,
    secrets: str | bytes | Sequence[str | bytes],
    prefix: str,
    chosen: Choices,
    *,
    insecure_dev: bool,
) -> Site:
    """The site. Raises `ConfigurationError`."""
    address = base_url if isinstance(base_url, Address) else Address.parse(base_url, insecure_dev=insecure_dev)
    keys = checked_secrets(secrets)
    origins = _origins(chosen.http.allowed_origins, insecure_dev)
    settings, http = settings_of(address, prefix, chosen, origins), chosen.http
    source, name = Source(store, chosen.storage, Telling(chosen.hooks.on_event)), http.cookie_name
    cookies = Cookies(keys, is_secure=address.is_secure, former=http.former_cookies, name=name)
    entrance = f"{settings.prefix}/sign-in"
    visits = Visits(source, cookies) if http.visits else None
    visitors = Visitors(name, address, entrance, source, cookies, CsrfTokens(keys, name), origins, visits)
    pages = Pages(chosen.look.templates, chosen.look.texts, pictures_of(settings))
    return Site(address, settings, source, visitors, SignIns(source, cookies, visitors), pages)


def _origins(allowed: Sequence[str], insecure_dev: bool) -> tuple[str, ...]:
    """What was given as `allowed_origins`. Raises `ConfigurationError`."""
    if isinstance(allowed, str):
        raise ConfigurationError(f"allowed_origins is a list: [{allowed!r}]")
    addresses = []
    for each in allowed:
        try:
            addresses.append(Address.parse(each, insecure_dev=insecure_dev))
        except ConfigurationError as error:
            raise ConfigurationError(f"allowed_origins has {each!r}; like base_url: {error}") from None
    with_path = next((address for address in addresses if address.path), None)
    if with_path is not None:
        raise ConfigurationError(f"allowed_origins are without a path: {with_path.origin!r}")
    return tuple(address.origin for address in addresses)


def made_post(site: Site, mailer: Mailer | None, look: Look) -> Post | None:
    """What sends the letters of a site, where it sends any. Raises `ConfigurationError`."""
    if mailer is None:
        return None
    sender = checked_sender(look.mail_from) if look.mail_from else f"no-reply@{site.address.host}"
    checked_function("mailer", mailer)
    return Post(site, mailer, sender)


def made_route(
    site: Site,
    clients: Mapping[str, ProviderClient],
    trusted: frozenset[str],
    mail: Post | None,
    *,
    with_passkeys: bool,
) -> OwnRoutes:
    """The routes of a site. Raises `ConfigurationError`."""
    by_name = {name: client.provider for name, client in clients.items()}
    providers = list(by_name.values())
    rp_id = relying_party(site.address, site.settings.http) if with_passkeys else None
    site.page_values = {"email_enabled": mail is not None, "passkeys_enabled": rp_id is not None, "letters_url": None}
    provider_logout = ProviderLogout(site, clients)
    routes: list[BaseRoute] = [
        *SignInPage(site, providers).routes(),
        *Login(site, clients, trusted).routes(),
        *Sessions(site, provider_logout.onward).routes(),
        *provider_logout.routes(),
        *Devices(site, by_name).routes(),
        *Confirming(site, by_name).routes(),
        *static_routes(site.settings.colours),
    ]
    if mail is not None:
        routes += [*EmailLinks(site, mail, providers).routes(), *Invitations(site, mail).routes()]
    if rp_id is not None:
        routes += Passkeys(site, Ceremonies(site.address, site.settings.name, rp_id), by_name).routes()
    return OwnRoutes(site.settings, site.address, routes)
