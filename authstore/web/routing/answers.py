"""What is answered where a request is refused: to a script its code, to a person a page that leads on."""

import logging
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from authstore.adapter import JsonObject
from authstore.errors import AuthStoreError, StoreError
from authstore.tokens import new_secret
from authstore.web.pages import error_text
from authstore.web.refusals import RETRY_AFTER, RefusedError, refusal_of
from authstore.web.routing.asked import Asked, redirect
from authstore.web.routing.flows import start_flow
from authstore.web.site import Site
from authstore.web.visitors.signing import ip_of

log = logging.getLogger("authstore.web")

ACTION: Final = "confirmed-action"  # purpose of a token that keeps what was asked until somebody said who they are

# What stands over an error that is nobody's fault; over any other: that it did not work.
_TITLES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("link", "flow", "stale"), "error_title_over"),
    **dict.fromkeys(("not_allowed", "disabled"), "error_title_closed"),
    **dict.fromkeys(("unavailable", "too_many"), "error_title_later"),
    "not_found": "error_title_missing",
}

_MAX_KEPT: Final = 4096  # characters of all fields
_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # The origin alone: links with tokens in them are never told on, and browsers still say who posts.
    "referrer-policy": "strict-origin",
    "x-content-type-options": "nosniff",
}


async def refused_answer(asked: Asked, refused: RefusedError) -> Response:
    """The answer to what was refused."""
    request = asked.request
    reference = new_secret()[:8]
    response = None
    try:
        response = await _leading_on(asked, refused)
    except RefusedError as further:  # what was asked for could not be kept
        refused = further
    except StoreError as error:
        refused = known_refusal(error)
    told = refused.code, request.method, request.url.path, ip_of(request), reference
    log.info("refused: %s, %s %r, from %s, reference %s", *told)
    response = response or _told(asked, refused, reference)
    if refused.status in (429, 503):
        response.headers["retry-after"] = RETRY_AFTER
    return response


def known_refusal(error: AuthStoreError) -> RefusedError:
    """What an error of the store is to a person. Raises it where it is a fault of the program."""
    refused = refusal_of(error)
    if refused is None:
        raise error
    return refused


def finished(asked: Asked, response: Response) -> Response:
    """The answer with the headers that all of ours have."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    hsts = asked.site.settings.http.hsts
    if asked.site.address.is_secure and hsts is not None:
        response.headers.setdefault("strict-transport-security", f"max-age={hsts}")
    browser = asked.site.visitors.new_name(asked.request.scope)
    if browser is not None:
        response.headers.append("set-cookie", asked.site.visitors.cookies.browser_header(browser))
    return response


def again_page(asked: Asked, path: str, fields: Mapping[str, str], *, goes_on: bool) -> Response:
    """A fresh page with what was asked in it; with `goes_on` it is sent by itself where scripts run."""
    kept = {name: value for name, value in fields.items() if name != "csrf_token"}
    return asked.page("again.html", action=asked.site.path(path), fields=kept, goes_on=goes_on)


async def _leading_on(asked: Asked, refused: RefusedError) -> Response | None:
    """Where a person goes on from here, so that nothing they asked for is lost; `None` where there is no such way."""
    fields = {name: value for name, value in asked.fields.items() if isinstance(value, str)}
    if asked.wants_json or sum(map(len, (*fields, *fields.values()))) > _MAX_KEPT:
        return None
    path = asked.request.url.path.removeprefix(asked.request.scope.get("root_path", ""))
    if refused.code == "stale":
        return again_page(asked, path, fields, goes_on=False)
    if refused.code == "fresh" and asked.presence.user is not None:
        query = asked.request.url.query if asked.request.method == "GET" else None
        action: JsonObject = {"path": path, "fields": dict(fields), "query": query, "user_id": asked.presence.user.id}
        return redirect(f"{asked.site.path('/confirm')}?{urlencode({'action': await _kept(asked, action)})}")
    return None


async def _kept(asked: Asked, action: JsonObject) -> str:
    await asked.site.check_begins(asked.request, "confirm")
    browser, secret = asked.site.visitors.named_browser(asked.request.scope), new_secret()
    await start_flow(asked.site.store, browser, ACTION, secret, action, asked.site.deadline())
    return secret


def _told(asked: Asked, refused: RefusedError, reference: str) -> Response:
    texts = asked.texts
    text = error_text(texts, refused.code, provider=refused.provider, site=asked.site.settings.name)
    if asked.wants_json:
        told: dict[str, object] = {"error": refused.code, "message": text}
        if refused.is_unknown:
            told["unknown"] = True
        if refused.code == "fresh":
            told["confirm"] = f"{asked.site.path('/confirm')}?{urlencode({'next': asked.site.path('/sessions')})}"
        return JSONResponse(told, refused.status)
    return asked.page(
        "error.html",
        refused.status,
        code=refused.code,
        title=getattr(texts, _TITLES.get(refused.code, "error_title")),
        is_alarming=refused.code not in _TITLES,
        reference=reference,
        text=text,
        status=refused.status,
        sign_in_url=_sign_in_url(asked.site, refused),
    )


def _sign_in_url(site: Site, refused: RefusedError) -> str:
    """The sign-in page; who must sign in anew for something in their account comes back there."""
    page = site.path("/sign-in")
    return f"{page}?{urlencode({'next': site.path('/sessions')})}" if refused.code in ("fresh", "sign_in") else page
