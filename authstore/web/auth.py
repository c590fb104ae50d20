"""`Auth`: what an application makes, installs and asks."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from os import PathLike
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount

from authstore.adapter import Adapter, Clock
from authstore.connect import connect
from authstore.errors import AccountNotFoundError, ConfigurationError, StoreError
from authstore.expiry import SessionPolicy, utc_now
from authstore.models import Account, Session, User
from authstore.web.address import Address
from authstore.web.backend import SessionBackend
from authstore.web.ceremonies import Ceremonies
from authstore.web.cookies import Cookies, checked_secrets
from authstore.web.csrf import CsrfTokens
from authstore.web.devices import Devices
from authstore.web.emails import EmailLinks
from authstore.web.letters import checked_sender
from authstore.web.login import Login
from authstore.web.mailers import Mailer, checked_mailer
from authstore.web.middleware import PresenceMiddleware
from authstore.web.oauth import ProviderClient
from authstore.web.own_routes import OwnRoutes
from authstore.web.pages import Pages
from authstore.web.passkeys import Passkeys
from authstore.web.providers import Provider
from authstore.web.sessions import Sessions
from authstore.web.settings import MAX_LINK_LIFETIME, Allowances, Settings
from authstore.web.signin_page import SignInPage
from authstore.web.site import Site
from authstore.web.static_files import static_mount
from authstore.web.texts import ENGLISH, Texts

log = logging.getLogger("authstore.web")

_REFRESH_EARLY: Final = timedelta(seconds=60)
_PRUNE_SECONDS: Final = 5.0


class Auth:
    """Sign-in for a Starlette or FastAPI application.

    store: a URL or path, opened by `lifespan` with `policy`, `keys` and `clock` (see `authstore.connect`); or an open
        `Adapter`, whose own policy and clock hold, and which stays open.
    base_url: the public address; every link is made from it. http only with `insecure_dev=True`.
    secrets: sign the cookies; newest first, at least 32 characters each.
    providers: see `authstore.web.providers`. trust_email_of: names of those whose verified addresses may link an
        account to a user with the same, verified, address.
    mailer: sends the sign-in letters, from `mail_from`; without one there is no sign-in by e-mail.
    prefix: where the routes are. home: where people go when nothing else was asked for. name: of the site, as people
        are told it. texts: the sentences. templates: a folder whose templates come before ours.
    passkeys: whether people may register and use them.
    fresh_for: how long after signing in someone may change the ways in.
    link_lifetime: of mailed links and of sign-ins begun, at most ten minutes; within it, one address gets at most
        `mails_per_address` letters, and one client may ask for `mails_per_client` and begin `sign_ins_per_client`
        sign-ins at providers, and as many with passkeys.
    prune_every: how often, while the application runs, dead rows are deleted; `None`: never.
    former_cookies: names of the cookies of a former system whose values are session tokens that were moved.
    allowed_origins: other origins whose pages may act for signed-in users ("https://spa.example"); everybody else's
        unsafe requests and WebSockets count as anonymous.

    Raises `ConfigurationError` for what cannot work.
    """

    def __init__(
        self,
        store: str | PathLike[str] | Adapter,
        *,
        base_url: str,
        secrets: str | bytes | Sequence[str | bytes],
        providers: Sequence[Provider] = (),
        mailer: Mailer | None = None,
        policy: SessionPolicy | None = None,
        keys: Sequence[str | bytes] = (),
        clock: Clock = utc_now,
        prefix: str = "/auth",
        trust_email_of: Sequence[str] = (),
        insecure_dev: bool = False,
        name: str | None = None,
        home: str = "/",
        mail_from: str | None = None,
        passkeys: bool = True,
        fresh_for: timedelta = timedelta(hours=1),
        link_lifetime: timedelta = MAX_LINK_LIFETIME,
        mails_per_address: int = 5,
        mails_per_client: int = 30,
        sign_ins_per_client: int = 1000,
        prune_every: timedelta | None = timedelta(hours=1),
        former_cookies: Sequence[str] = (),
        allowed_origins: Sequence[str] = (),
        templates: str | PathLike[str] | None = None,
        texts: Texts = ENGLISH,
    ) -> None:
        address, pages = Address.parse(base_url, insecure_dev=insecure_dev), Pages(templates, texts)
        settings = Settings(
            name=name or address.host,
            route_prefix=prefix,
            prefix=address.path + prefix,
            home=address.path + home,
            fresh_for=fresh_for,
            link_lifetime=link_lifetime,
            allowances=Allowances(mails_per_address, mails_per_client, sign_ins_per_client),
            allowed_origins=tuple(Address.parse(each, insecure_dev=insecure_dev).origin for each in allowed_origins),
            prune_every=prune_every,
        )
        self.site = _site(address, settings, checked_secrets(secrets), pages, former_cookies)
        self._source = _Source(self.site, store, policy, keys, clock)
        self._clients = {each.name: ProviderClient(each, self.site.now) for each in _checked(providers, trust_email_of)}
        self.route = self._made_route(mailer, mail_from, frozenset(trust_email_of), with_passkeys=passkeys)

    @property
    def store(self) -> Adapter:
        """The open store. Raises `ConfigurationError` before `lifespan` has opened it."""
        return self.site.store

    @property
    def backend(self) -> SessionBackend:
        """For Starlette's `AuthenticationMiddleware`: scopes are `authenticated` and the names of the user's roles."""
        return SessionBackend(self.site)

    @asynccontextmanager
    async def lifespan(self, _app: object = None) -> AsyncIterator[None]:
        """Opens the store for as long as the application runs, and prunes it; for `FastAPI(lifespan=…)`.

        An application with a lifespan of its own enters this one inside it: `async with auth.lifespan(app):`.
        """
        async with self._source.opened():
            pruning = asyncio.create_task(self._prune_for_ever())
            try:
                yield
            finally:
                pruning.cancel()
                with suppress(asyncio.CancelledError):
                    await pruning

    def install(self, app: Starlette) -> None:
        """Adds the middleware and the routes; `app.state.authstore` is this object then."""
        app.add_middleware(PresenceMiddleware, site=self.site)
        app.router.routes.append(self.route)
        app.state.authstore = self

    async def sign_in(self, connection: HTTPConnection, response: Response, user: User) -> Session:
        """For a way in of the application's own: a new session for this browser; the one it had ends."""
        session = await self.site.begin_session(self.store, connection, user)
        self.site.greet(response, session)
        return session

    async def sign_out(self, connection: HTTPConnection, response: Response) -> None:
        """Ends this browser's session in the store, and the cookie."""
        await self.site.sign_out(response, await self.site.presence(connection.scope))

    def cookie_for(self, session: Session) -> tuple[str, str]:
        """Name and value of the cookie that signs in with this session, for tests. Needs the session's token."""
        if session.token is None:
            raise ValueError("this session does not show its token: take the one create_session returned")
        return self.site.cookies.session_name, self.site.cookies.signed(session.token)

    async def fresh_account(self, provider: str, provider_account_id: str) -> Account:
        """The account with an access token that is good for another minute, refreshed where it must be.

        Of many callers at once, in all processes, one refreshes. Raises `AccountNotFoundError`, `ProviderError`;
        `ConfigurationError` for a provider that is not set up.
        """
        client = self._clients.get(provider)
        if client is None:
            raise ConfigurationError(f"no provider {provider!r} is set up")
        account = await self.store.get_account(provider, provider_account_id)
        if account is None:
            raise AccountNotFoundError("no such account is linked")
        if self._is_good(account):
            return account

        async def refresh(held: Account) -> Mapping[str, Any]:
            return {} if self._is_good(held) else await client.refresh(held)

        return await self.store.refresh_account(provider, provider_account_id, refresh)

    def _is_good(self, account: Account) -> bool:
        if account.expires_at is None or account.refresh_token is None:
            return True
        return self.site.now() < account.expires_at - _REFRESH_EARLY

    def _made_route(
        self, mailer: Mailer | None, mail_from: str | None, trusted: frozenset[str], *, with_passkeys: bool
    ) -> Mount:
        site, by_name = self.site, {name: client.provider for name, client in self._clients.items()}
        providers = list(by_name.values())
        site.page_values = {"email_enabled": mailer is not None, "passkeys_enabled": with_passkeys}
        routes: list[BaseRoute] = [
            *SignInPage(site, providers).routes(),
            *Login(site, self._clients, trusted).routes(),
            *Sessions(site).routes(),
            *Devices(site, by_name).routes(),
            static_mount(),
        ]
        if mailer is not None:
            sender = checked_sender(mail_from) if mail_from else f"no-reply@{site.address.host}"
            routes += EmailLinks(site, checked_mailer(mailer), sender, providers).routes()
        if with_passkeys:
            ceremonies = Ceremonies(site.address, site.settings.name)
            routes += Passkeys(site, ceremonies, by_name).routes()
        return OwnRoutes(site.settings.route_prefix, routes)

    async def _prune_for_ever(self) -> None:
        while (every := self.site.settings.prune_every) is not None:
            await asyncio.sleep(every.total_seconds())
            try:
                await self.store.prune(max_seconds=_PRUNE_SECONDS)
            except StoreError as error:
                log.warning("pruning failed: %s", type(error).__name__)


def _site(
    address: Address,
    settings: Settings,
    secrets: Sequence[str | bytes],
    pages: Pages,
    former_cookies: Sequence[str],
) -> Site:
    cookies = Cookies(secrets, is_secure=address.is_secure, former=former_cookies)
    return Site(address, settings, cookies, CsrfTokens(secrets), pages)


class _Source:
    """Where the store comes from: opened here, or given open."""

    def __init__(
        self,
        site: Site,
        store: str | PathLike[str] | Adapter,
        policy: SessionPolicy | None,
        keys: Sequence[str | bytes],
        clock: Clock,
    ) -> None:
        self._site = site
        self._url: str | Path | None = None
        self._policy, self._keys, self._clock = policy or SessionPolicy(), tuple(keys), clock
        if isinstance(store, (str, PathLike)):
            self._url = store if isinstance(store, str) else Path(store)
        elif isinstance(store, Adapter):
            site.open(store)
        else:
            raise ConfigurationError("store is a URL, a path, or an open store: `async with connect(…) as store`")

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        if self._url is None or self._site.opened is not None:
            yield
            return
        async with connect(self._url, policy=self._policy, keys=self._keys, clock=self._clock) as store:
            self._site.open(store)
            try:
                yield
            finally:
                self._site.close()


def _checked(providers: Sequence[Provider], trusted: Sequence[str]) -> Sequence[Provider]:
    if not isinstance(providers, Sequence) or not all(isinstance(each, Provider) for each in providers):
        raise ConfigurationError('providers is a list, each made by calling: [github("client id", "client secret")]')
    names = {provider.name for provider in providers}
    if len(names) < len(providers):
        raise ConfigurationError("two providers have the same name; give one another with oidc() or oauth2()")
    if isinstance(trusted, str) or not set(trusted) <= names:
        raise ConfigurationError("trust_email_of is a list of names of the providers that are set up")
    return providers
