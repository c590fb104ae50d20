"""`Auth`: what an application makes, installs and asks."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, Self, Unpack

from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import Mount, Route

from authstore.adapter import Adapter
from authstore.errors import AccountNotFoundError, ConfigurationError, StoreError
from authstore.expiry import SessionPolicy
from authstore.models import Account, Session, User
from authstore.web.address import Address
from authstore.web.asgi.backend import SessionBackend
from authstore.web.asgi.health import HealthRoutes
from authstore.web.asgi.installing import answerable, install
from authstore.web.assembly import made_post, made_route, made_site
from authstore.web.dev import LETTERS, PRETEND, SECRET, Laptop, LocalAddress
from authstore.web.email.invitations import Invitations
from authstore.web.email.mailers import Mailer
from authstore.web.oauth.client import ProviderClient
from authstore.web.oauth.provider import Provider, checked_providers
from authstore.web.options import Hooks, Http, Limits, Look, Options, Storage, grouped

if TYPE_CHECKING:
    from authstore.ops.slow_queries import SlowQueries
    from authstore.web.console.texts import ConsoleTexts

log = logging.getLogger("authstore.web")

_REFRESH_EARLY: Final = timedelta(seconds=60)
_PRUNE_SECONDS: Final = 5.0


class Auth:
    """Sign-in for a Starlette or FastAPI application.

    store: a URL or path, opened by `lifespan` (see `authstore.connect`); or an open `Adapter`, whose own policy, keys
        and clock hold, and which stays open.
    base_url: the public address; every link is made from it. http only with `insecure_dev=True`.
    secrets: sign the cookies; newest first, at least 32 characters each.
    providers: made by `github(…)`, `oidc(…)` and the like. trust_email_of: names of those whose verified addresses may
        link an account to a user with the same, verified, address.
    mailer: sends the sign-in letters; without one there is no sign-in by e-mail.
    policy: how long sessions live. prefix: where the routes are. passkeys: whether people may register and use them.
    storage, limits, look, http, hooks: everything else, in groups (see there); each member can be given by itself too.

    Raises `ConfigurationError` for what cannot work.
    """

    def __init__(
        self,
        store: str | PathLike[str] | Adapter,
        *,
        base_url: str | Address,
        secrets: str | bytes | Sequence[str | bytes],
        providers: Sequence[Provider] = (),
        mailer: Mailer | None = None,
        policy: SessionPolicy | None = None,
        prefix: str = "/auth",
        trust_email_of: Sequence[str] = (),
        insecure_dev: bool = False,
        passkeys: bool = True,
        storage: Storage | None = None,
        limits: Limits | None = None,
        look: Look | None = None,
        http: Http | None = None,
        hooks: Hooks | None = None,
        **options: Unpack[Options],
    ) -> None:
        given = {**options} if policy is None else {**options, "policy": policy}
        chosen = grouped(storage, limits, look, http, hooks, given)
        self._prune_every = chosen.storage.prune_every
        self.site = made_site(store, base_url, secrets, prefix, chosen, insecure_dev=insecure_dev)
        known = checked_providers(providers, trust_email_of)
        self._clients = {each.name: ProviderClient(each, self.site.now) for each in known}
        trusted = frozenset(trust_email_of)
        self._mail = made_post(self.site, mailer, chosen.look)
        self.route = made_route(self.site, self._clients, trusted, self._mail, with_passkeys=passkeys)
        self._health = HealthRoutes(self.site.source)

    @classmethod
    def dev(
        cls,
        store: str | PathLike[str] | Adapter = "sqlite://",
        *,
        base_url: str = "http://localhost:8000",
        secrets: str | bytes | Sequence[str | bytes] = SECRET,
        providers: Sequence[Provider] = (),
        mailer: Mailer | None = None,
        prefix: str = "/auth",
        trust_email_of: Sequence[str] = (),
        **options: Any,
    ) -> Self:
        """For a laptop, with nothing to register: anybody who opens it may be anybody.

        A provider in this process believes what one says, letters are shown at `/auth/dev/letters`, the store is in
        memory unless one is named (`"sqlite:///auth.db"`); http at localhost and 127.0.0.1, whatever the port. More
        providers, a mailer and all that `Auth` takes can be given. What comes under another host name, from another
        network or through a proxy is refused with 421.

        Raises `ConfigurationError` where `base_url` is not of this machine, and as `Auth` does.
        """
        laptop, address = Laptop(), LocalAddress.parse(base_url)
        auth = cls(
            store,
            base_url=address,
            secrets=secrets,
            providers=laptop.providers(address.path + prefix, providers),
            mailer=mailer or laptop.mailer,
            prefix=prefix,
            trust_email_of=[*trust_email_of, PRETEND],
            insecure_dev=True,
            **options,
        )
        auth.route.routes.extend(laptop.routes(auth.site))
        if mailer is None:
            auth.site.page_values = {**auth.site.page_values, "letters_url": auth.site.path(LETTERS)}
        return auth

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
        async with self.site.source.opened():
            pruning = asyncio.create_task(self._prune_for_ever())
            try:
                yield
            finally:
                pruning.cancel()
                with suppress(asyncio.CancelledError):
                    await pruning

    def install(self, app: Starlette) -> None:
        """Adds the middleware and the routes; `app.state.authstore` is this object then (by its `cookie_name`).

        Errors of `sign_in`, `sign_out` and `fresh_account` that the application's routes let go by become answers of
        ours: 403 for a disabled user, 503 where the store does not answer; `page_user` is answered. A handler of the
        application's own for `AuthStoreError`, or for less, comes first. Raises `ConfigurationError` for a second site
        of the same `cookie_name`.
        """
        name = self.site.visitors.name
        if getattr(app.state, name, self) is not self:
            raise ConfigurationError(f"another Auth is installed here as {name!r}: give each a cookie_name= of its own")
        install(app, self.site, self.route)
        setattr(app.state, name, self)

    def health_routes(self) -> list[Route]:
        """`GET /livez`, `/readyz`, `/healthz`, for the application to add: `app.routes.extend(auth.health_routes())`.

        `/livez` is about this process alone. The others ask the store to read and to write, at most once in five
        seconds however often they are called, and answer within one: `{"status": "pass"}`, `"warn"`, or `"fail"` with
        503. At the application's root they answer before `lifespan` has opened the store, too.
        """
        self.site.answers_probes = True
        return self._health.routes()

    def console(
        self,
        role: str = "admin",
        *,
        slow_queries: "SlowQueries | None" = None,
        texts: "ConsoleTexts | None" = None,
    ) -> Mount:
        """`/auth/console`, for the application to add: `app.routes.append(auth.console())`, before or after `install`.

        Pages for users with this role: health, sizes, sign-ins and sessions over time, the slowest queries, the newest
        events; find a user, see and end their sessions. They look by a connection of their own that only reads, and
        leave out what takes too long. Whoever is not signed in goes to the sign-in page and comes back; to anybody
        without the role there is nothing here (404).

        slow_queries: what times the store's queries; by default the one that the store was opened with, else a new
        one. texts: the sentences, in English unless others are given. Raises `ConfigurationError` for a store that is
        not authstore's own.
        """
        from authstore.web.console.mounting import for_role  # with authstore.ops, which nobody else needs here

        return for_role(self.site, role, slow_queries, texts)

    def user_of(self, connection: HTTPConnection) -> User | None:
        """Who is signed in at this very site, where several are installed; `request.state.user` is the innermost's.

        Raises `ConfigurationError` where `install` was not called.
        """
        known = self.site.visitors.known(connection.scope)
        if known is None:
            raise ConfigurationError("nobody looks sessions up: call auth.install(app) where the application is made")
        return known.user

    async def invite(
        self,
        email: str,
        *,
        roles: Sequence[str] = (),
        by: str | None = None,
        next: str | None = None,
        language: str = "",
    ) -> bool:
        """Mails a link that makes a user of whoever follows it, with these roles, and signs them in; works once, for
        `invitation_lifetime` (a week), and whatever `allow` says. Whoever has the address already gets the roles.

        `by` is named as the actor of the grants in the change log; `next` is where they go then, `language`
        that of the letter, such as "de". `False`: the address
        had its letters for today. Raises `InvalidEmailError`, `RoleNotFoundError`, what the mailer raises, and
        `ConfigurationError` without one.
        """
        if self._mail is None:
            raise ConfigurationError("an invitation is a letter: give Auth a mailer=")
        return await Invitations(self.site, self._mail).invite(email, roles, by, next, language)

    async def sign_in(self, connection: HTTPConnection, response: Response, user: User) -> Session:
        """For a way in of the application's own: a new session for this browser; the one it had ends."""
        with answerable():
            session = await self.site.sign_ins.begin(self.store, connection, user)
        self.site.sign_ins.greet(response, session)
        return session

    async def sign_out(self, connection: HTTPConnection, response: Response) -> None:
        """Ends this browser's session in the store, and the cookie."""
        with answerable():
            await self.site.sign_ins.end(response, await self.site.visitors.presence(connection.scope))

    def cookie_for(self, session: Session) -> tuple[str, str]:
        """Name and value of the cookie that signs in with this session, for tests. Needs the session's token."""
        if session.token is None:
            raise ValueError("this session does not show its token: take the one create_session returned")
        return self.site.visitors.cookies.session_name, self.site.visitors.cookies.signed(session.token)

    async def fresh_account(self, provider: str, provider_account_id: str) -> Account:
        """The account with an access token that is good for another minute, refreshed where it must be.

        Of many callers at once, in all processes, one refreshes. Raises `AccountNotFoundError`, `ProviderError` (the
        provider would not, or only a new sign-in helps); `ConfigurationError` for a provider that is not set up.
        """
        client = self._clients.get(provider)
        if client is None:
            raise ConfigurationError(f"no provider {provider!r} is set up")

        async def refresh(held: Account) -> Mapping[str, Any]:
            return {} if self._is_good(held) else await client.refresh(held)

        with answerable():
            account = await self.store.get_account(provider, provider_account_id)
            if account is None:
                raise AccountNotFoundError("no such account is linked")
            if self._is_good(account):
                return account
            return await self.store.refresh_account(provider, provider_account_id, refresh)

    def _is_good(self, account: Account) -> bool:
        if not account.access_token:  # databases that were moved have "" for none, too
            return False
        return account.expires_at is None or self.site.now() < account.expires_at - _REFRESH_EARLY

    async def _prune_for_ever(self) -> None:
        while (every := self._prune_every) is not None:
            await asyncio.sleep(every.total_seconds())
            try:
                await self.store.prune(max_seconds=_PRUNE_SECONDS)
            except StoreError as error:
                log.warning("pruning failed: %s", type(error).__name__)
