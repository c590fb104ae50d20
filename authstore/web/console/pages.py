"""The pages of the console, and the one thing that can be done there: ending sessions."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from authstore.acting import acting
from authstore.adapter import Adapter
from authstore.errors import ConfigurationError, StoreError
from authstore.models import Health, Session
from authstore.ops.overview import RECENT_HOURS, Overview, events_before, find_user, overview, user_view
from authstore.ops.slow_queries import SlowQueries
from authstore.ops.subject import Subject, subject
from authstore.store import Store
from authstore.web.account.user_agents import device_kind, device_name
from authstore.web.console import plots
from authstore.web.console.admission import Admission
from authstore.web.console.texts import ConsoleTexts
from authstore.web.refusals import RefusedError
from authstore.web.routing.asked import Asked, redirect
from authstore.web.routing.flows import take_word
from authstore.web.routing.routes import Handler, get, post
from authstore.web.site import Site

_HEALTH_TIMEOUT: Final = timedelta(seconds=0.5)
_QUERIES, _EVENTS, _PAGE = 10, 10, 50
_TEMPLATES: Final = (
    "console.html",
    "console_events.html",
    "console_find.html",
    "console_user.html",
    "base.html",
    "console_base.html",
    "console_parts.html",
    "console_plot.html",
    "icons.html",
    "parts.html",
)
_DIGITS: Final = 20  # more than any number of an event has
_UNITS: Final = ("B", "KB", "MB", "GB", "TB")

Act = Callable[[Asked, str], Awaitable[Response]]  # with the actor's name


@dataclass(slots=True)
class Console:
    """The routes. `slow_queries`: what times the store, taken from it when it is opened unless it was given. `seconds`:
    for what the database is asked for one page."""

    site: Site
    admission: Admission
    slow_queries: SlowQueries | None
    texts: ConsoleTexts
    seconds: float
    _subject: Subject | None = field(default=None, init=False)

    def routes(self) -> list[Route]:
        """Paths below the prefix."""
        self.site.pages.prepare(*_TEMPLATES)
        return [
            get(self.site, "/console", self._admitted(self.overview), "console"),
            get(self.site, "/console/", self._admitted(self.overview), "console_too"),  # as mounts are asked elsewhere
            get(self.site, "/console/events", self._admitted(self.events), "console_events"),
            get(self.site, "/console/user", self._admitted(self.user), "console_user"),
            post(self.site, "/console/find", self._admitted(self.find), "console_find"),
            post(self.site, "/console/end", self._acting(self.end), "console_end"),
        ]

    def look_into(self, store: Adapter) -> None:
        """The store was opened. Raises `ConfigurationError` for one that is not authstore's own."""
        try:
            self._subject = subject(store)
        except TypeError as error:
            raise ConfigurationError("the console looks into stores that authstore.connect opened") from error
        if isinstance(store, Store):
            self.slow_queries = self.slow_queries or _timing(store) or SlowQueries()
            if self.slow_queries not in store.observers:
                store.observe(self.slow_queries)

    async def overview(self, asked: Asked) -> Response:
        """What the store is like."""
        found, health = await asyncio.gather(
            overview(self._looked_at, seconds=self.seconds, events=_EVENTS), self._health()
        )
        return await self._page(
            asked,
            "console.html",
            found=found,
            health=health,
            plots=_plots(found),
            queries=self._slowest(),
        )

    async def events(self, asked: Asked) -> Response:
        """Events, newest first, a page at a time."""
        given = asked.query("before")
        before = _number(given) if given else None
        page = await events_before(self._looked_at, before, seconds=self.seconds, limit=_PAGE)
        return await self._page(asked, "console_events.html", page=page, is_first=before is None)

    async def user(self, asked: Asked) -> Response:
        """A user, a page of their living sessions, and what happened to them lately."""
        before = _place(given) if (given := asked.query("after")) else None
        view = await user_view(self._looked_at, asked.query("id"), before, seconds=self.seconds, limit=_PAGE)
        if view is None:
            raise RefusedError("not_found", 404)
        word = await take_word(self.site.store, self.site.visitors.browser_of(asked.request.scope))
        texts = self.site.pages.texts_for(self.texts.language)
        return await self._page(
            asked,
            "console_user.html",
            view=view,
            sessions=None
            if view.sessions is None
            else [self._session(each, texts.device_on) for each in view.sessions],
            after=None if view.after is None else f"{view.after.created_at.isoformat()}~{view.after.id}",
            messages=[] if word is None else [{"kind": "success", "text": getattr(texts, f"done_{word}")}],
        )

    async def find(self, asked: Asked) -> Response:
        """Leads to the user with this id or address; posted, so that no log of requests holds an address."""
        user = await find_user(self._looked_at, asked.text("user").strip(), seconds=self.seconds)
        if user is None:
            return await self._page(asked, "console_find.html", 404)
        return redirect(self._user_path(user.id))

    async def end(self, asked: Asked, actor: str) -> Response:
        """Ends one session of a user, or all of them."""
        self.admission.check_act(asked)
        user_id, session_id = asked.text("user_id"), asked.text("session_id")
        own = asked.presence.session
        with acting(actor):
            if asked.text("all") == "1":
                number = await self.site.store.revoke_sessions(user_id)
                response = await asked.told("revoked_all", self._user_path(user_id), revoked=number)
                is_own = own is not None and own.user_id == user_id
            else:
                number = int(await self.site.store.revoke_session(session_id))
                response = await asked.told("revoked", self._user_path(user_id), revoked=number)
                is_own = own is not None and own.id == session_id
        return self.site.sign_ins.dismiss(response, asked.presence) if is_own else response

    @property
    def _looked_at(self) -> Subject:
        self.site.source.check_open()
        if self._subject is None:
            raise ConfigurationError("the console has no store to look into")
        return self._subject

    def _admitted(self, handler: Handler) -> Handler:
        async def admitted(asked: Asked) -> Response:
            actor = await self.admission.admit(asked)
            return actor if isinstance(actor, Response) else await handler(asked)

        return admitted

    def _acting(self, act: Act) -> Handler:
        async def admitted(asked: Asked) -> Response:
            actor = await self.admission.admit(asked)
            return actor if isinstance(actor, Response) else await act(asked, actor)

        return admitted

    async def _page(self, asked: Asked, template: str, http_status: int = 200, /, **values: object) -> Response:
        own = {
            "said": self.texts,
            "texts": self.site.pages.texts_for(self.texts.language),
            "size_of": _size_of,
            "number_of": self._number_of,
            "now": self.site.now(),
            "path": self.site.path("/console"),
        }
        return await asked.long_page(template, http_status, **{**own, **values})

    def _user_path(self, user_id: str) -> str:
        return f"{self.site.path('/console/user')}?{urlencode({'id': user_id})}"

    async def _health(self) -> Health | None:
        try:
            return await self.site.store.health(timeout=_HEALTH_TIMEOUT)
        except StoreError:
            return None

    def _slowest(self) -> list[tuple[str, Any]]:
        stats = {} if self.slow_queries is None else self.slow_queries.stats()
        return sorted(stats.items(), key=lambda item: item[1].p99, reverse=True)[:_QUERIES]

    def _number_of(self, number: int, is_exact: bool) -> str:
        """With commas; an estimate in three digits that count, and said to be one."""
        if is_exact:
            return f"{number:,}"
        return self.texts.about.format(number=f"{round(number, 3 - len(str(number))):,}")

    def _session(self, session: Session, device_on: str) -> Mapping[str, Any]:
        return {
            "session": session,
            "device": device_name(session.user_agent, device_on),
            "kind": device_kind(session.user_agent),
        }


def _timing(store: Store) -> SlowQueries | None:
    """What times the queries of this store already."""
    return next((each for each in store.observers if isinstance(each, SlowQueries)), None)


def _plots(found: Overview) -> Mapping[str, Any]:
    recent, endings = found.hours[-RECENT_HOURS:], found.endings
    ended = None if not endings else plots.of_counts((hour.start, endings.get(hour.start, 0)) for hour in recent)
    return {
        "by_hour": plots.by_hour(recent) if recent else None,
        "by_day": plots.by_day(found.hours) if len(found.hours) > RECENT_HOURS else None,
        "endings": ended,
        "endings_since": min(endings) if endings else None,
    }


def _number(given: str) -> int:
    """The number of an event. Raises `RefusedError`."""
    number = int(given) if given.isascii() and given.isdecimal() and len(given) < _DIGITS else 0
    if not 0 < number < 2**63:
        raise RefusedError("request")
    return number


def _place(given: str) -> tuple[datetime, str]:
    """Where a page of sessions goes on. Raises `RefusedError`."""
    began, _, id = given.partition("~")
    try:
        instant = datetime.fromisoformat(began)
    except ValueError:
        raise RefusedError("request") from None
    if instant.tzinfo is None:
        raise RefusedError("request")
    return instant, id


def _size_of(number: float) -> str:
    """1536 → "1.5 KB"."""
    unit, *larger = _UNITS
    for next_one in larger:
        if number < 1024:
            break
        number, unit = number / 1024, next_one
    return f"{number:,.0f} {unit}" if unit == "B" else f"{number:,.1f} {unit}"
