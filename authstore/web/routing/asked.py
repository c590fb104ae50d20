"""A request that got as far as our code, and what it asks."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from authstore.models import Session, User
from authstore.web.reading import Fields, text_field, wants_json
from authstore.web.redirects import MAX_LENGTH, leads_into
from authstore.web.refusals import RefusedError
from authstore.web.routing.flows import leave_word
from authstore.web.site import Site
from authstore.web.texts import Texts
from authstore.web.visitors.presence import Presence


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that got as far as our code."""

    site: Site
    request: Request
    presence: Presence
    fields: Fields

    @property
    def wants_json(self) -> bool:
        """Whether a script asks rather than a person."""
        return wants_json(self.request)

    @property
    def texts(self) -> Texts:
        """The sentences, in the language that this browser asks for."""
        return self.site.texts_for(self.request)

    @property
    def next(self) -> str:
        """Where to go afterwards: posted, else in the query; where `Site.target` leads, and nothing else is begun."""
        kept = self.site.target(self.fields.get("next") or self.request.query_params.get("next"))
        # Who signs in must not find themselves linking another account by it: that takes a click of its own.
        links = kept.startswith("/") and leads_into(kept, self.site.path("/login/"))
        return self.site.settings.home if links else kept

    def text(self, name: str, max_length: int = MAX_LENGTH) -> str:
        """A posted field as text; "" where it is missing or too long."""
        return text_field(self.fields, name, max_length)

    def query(self, name: str, max_length: int = MAX_LENGTH) -> str:
        """A parameter of the query; "" where it is missing, repeated or too long."""
        values = self.request.query_params.getlist(name)
        return text_field({name: values[0]}, name, max_length) if len(values) == 1 else ""

    def signed_in(self) -> tuple[Session, User]:
        """The session and its user. Raises `RefusedError`."""
        if self.presence.session is None or self.presence.user is None:
            raise RefusedError("sign_in", 401)
        return self.presence.session, self.presence.user

    def freshly_signed_in(self) -> tuple[Session, User]:
        """As `signed_in`, and not long ago: for what decides who gets in tomorrow (ASVS 7.5.1)."""
        session, user = self.signed_in()
        if not self.site.source.is_fresh(session, self.site.settings.limits.fresh_for):
            raise RefusedError("fresh", 403)
        return session, user

    def page(self, template: str, http_status: int = 200, /, **values: object) -> Response:
        """A page of ours."""
        context = self.site.context(self.request, self.presence, values)
        return self.site.pages.page(template, context, http_status, is_secure=self.site.address.is_secure)

    async def long_page(self, template: str, http_status: int = 200, /, **values: object) -> Response:
        """As `page`, for a long one: see `Pages.page_by_pieces`."""
        context = self.site.context(self.request, self.presence, values)
        return await self.site.pages.page_by_pieces(
            template, context, http_status, is_secure=self.site.address.is_secure
        )

    def done(self, path: str, **values: object) -> Response:
        """The answer after a change: JSON for a script, a way back for a person."""
        return JSONResponse(values) if self.wants_json else redirect(path)

    async def told(self, word: str, path: str, **values: object) -> Response:
        """As `done`; the page that a person sees next says so (`done_<word>` of the texts)."""
        if not self.wants_json:
            browser = self.site.visitors.browser_of(self.request.scope)
            await leave_word(self.site.store, browser, word, self.site.deadline())
        return self.done(path, **values)


def redirect(path: str) -> Response:
    """Sends a browser on with GET."""
    return RedirectResponse(path, 303)
