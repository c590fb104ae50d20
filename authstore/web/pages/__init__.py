"""The pages and what each template is given.

Every template gets `texts` (`authstore.web.texts.Texts`), `site` (its name), `prefix` (path of our routes, no slash at
the end; static files are under `{prefix}/static`), `home` (where the site starts), `csrf_token` (for the form field
`csrf_token` and the header `X-CSRF-Token`), `user` (`User` or `None`), `now`, `logo` (a URL or `None`), `links`
(`[{label, url}]`), `coloured` (whether `{prefix}/colour.css` is there) and `messages`: a list of
`{kind: "error" | "info" | "success", text}`. Times are aware datetimes.

| template | also gets |
|---|---|
| `sign_in.html` | `providers`: `[{name, label, icon, url}]`, `email_enabled`, `passkeys_enabled`, `next`, `email` (as typed, when refused, else ""), `last` (the way in that this browser took last: a provider's name, "email", "passkey" or `None`), `as_icons` (whether there are many providers), `who` (whoever is signed in, by name, or `None`) |
| `check_mail.html` | `minutes` (how long a link lives), `email` (as this browser typed it, or `None`), `next` |
| `invitation.html` | `email`, `token`: to be posted, with `csrf_token`, to `{prefix}/invitation` |
| `confirm.html` | `email`, `token`, `next`: to be posted, with `csrf_token`, to `{prefix}/email/verify`; `minutes` |
| `devices.html` | `sessions`: `[{id, current, device, kind: "phone" | "laptop", ip, created_at, last_used_at}]`, `accounts`: `[{provider, provider_account_id, called, label, icon, can_unlink}]`, `passkeys`: `[{credential_id, name, maker, created_at, last_used_at, can_delete}]`, `providers` (as above: those not linked yet), `email_enabled`, `passkeys_enabled`, `is_fresh`: whether what stands here may be changed |
| `confirm_it_is_you.html` | `providers` (as above: those that sign this user in), `email` (theirs, or `None`), `by_passkey`, `next` |
| `again.html` | `action`, `fields`: what to post there, with `csrf_token`; `goes_on`: whether it is sent by itself |
| `again_link.html` | `url`, `icon_name`, `label`: of the provider to link |
| `error.html` | `code` (what follows `error_` in `Texts`), `title`, `text`, `status`, `sign_in_url`, `reference` (in the log too), `is_alarming` |
| `mail.html` | `url`, `subject`, `intro`, `button` and `button_colours` (of its ground and of what is written on it), `code_intro` and `code` (or `None`), `expiry`, `ignore` |

Forms post to `{prefix}/email` (`email`, `next`), `{prefix}/logout`, `{prefix}/sessions/revoke` (`session_id`, or
`all=others`), `{prefix}/accounts/unlink` (`provider`, `provider_account_id`), `{prefix}/passkeys/delete`
(`credential_id`), `{prefix}/passkeys/rename` (`credential_id`, `name`), `{prefix}/email/code` (`email`, `code`). Providers are plain links. Nothing is inline: the policy is `default-src 'none'`, and `'self'` for
styles, scripts, images, fonts, connections and forms.

JSON for scripts, with the header `X-CSRF-Token`: `POST {prefix}/passkeys/register/options` → creation options;
`POST {prefix}/passkeys/register` `{credential, name}` → `{credential_id, name}`; `POST {prefix}/passkeys/sign-in/options`
→ request options; `POST {prefix}/passkeys/sign-in` `{credential, next}` → `{next}`. A refusal is
`{error: code, message: text}` with a 4xx status.
"""  # noqa: E501 - a table row is one line

import asyncio
from collections.abc import Collection, Mapping, Sequence
from importlib.resources import files
from os import PathLike
from os.path import isdir
from time import perf_counter
from typing import Any, Final

from jinja2 import BaseLoader, ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from authstore.errors import ConfigurationError
from authstore.web.texts import LANGUAGES, Texts, chosen

STATIC_FILES: Final = files("authstore.web.pages") / "static"

_PIECE_SECONDS: Final = 0.0005
_PAUSE_SECONDS: Final = 0.001  # database threads need Python's lock too, which a mere turn of the loop keeps

_POLICY: Final = "Content-Security-Policy"
PAGE_HEADERS: Final[Mapping[str, str]] = {
    _POLICY: (
        "default-src 'none'; object-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class Pages:
    """Renders the templates; those in `directory` come before ours."""

    def __init__(
        self,
        directory: str | PathLike[str] | None = None,
        texts: Texts | Sequence[Texts] = LANGUAGES,
        pictures: Collection[str] = (),
    ) -> None:
        if directory is not None and not isdir(directory):
            raise ConfigurationError(f"templates: there is no folder {directory}")
        own: list[BaseLoader] = [] if directory is None else [FileSystemLoader(directory)]
        self._languages = (texts,) if isinstance(texts, Texts) else tuple(texts)
        if not self._languages or not all(isinstance(each, Texts) for each in self._languages):
            raise ConfigurationError("texts is a Texts, or a list of one for each language")
        self._pictures = "".join(f" {origin}" for origin in pictures)
        self._templates = Environment(
            loader=ChoiceLoader([*own, PackageLoader("authstore.web.pages")]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def texts_for(self, accepted: str) -> Texts:
        """The sentences for whoever sends this `Accept-Language`."""
        return chosen(self._languages, accepted)

    def text(self, template: str, context: Mapping[str, Any]) -> str:
        """The filled-in template; `texts` are in the context."""
        return self._templates.get_template(template).render(context)

    def page(
        self, template: str, context: Mapping[str, Any], status: int = 200, *, is_secure: bool = True
    ) -> HTMLResponse:
        """The filled-in template as an answer with a strict Content-Security-Policy.

        Chromium holds every redirect that follows a posted form against `form-action`, and where the page of `next` or
        a provider sends people on to is theirs to say: any place by https may be the end, by http where we are served
        so (not `is_secure`).
        """
        return self._answer(self.text(template, context), status, is_secure=is_secure)

    def prepare(self, *templates: str) -> None:
        """Reads these templates now, which takes a moment, rather than when they are first asked for."""
        for template in templates:
            self._templates.get_template(template)

    async def page_by_pieces(
        self, template: str, context: Mapping[str, Any], status: int = 200, *, is_secure: bool = True
    ) -> HTMLResponse:
        """As `page`, for a long one: whoever else is served by this process need not wait until it is filled in."""
        pieces: list[str] = []
        since = perf_counter()
        for piece in self._templates.get_template(template).generate(context):
            pieces.append(piece)
            if perf_counter() - since > _PIECE_SECONDS:
                await asyncio.sleep(_PAUSE_SECONDS)
                since = perf_counter()
        return self._answer("".join(pieces), status, is_secure=is_secure)

    def _answer(self, text: str, status: int, *, is_secure: bool) -> HTMLResponse:
        page = HTMLResponse(text, status, headers=PAGE_HEADERS)
        policy, own, pictures = PAGE_HEADERS[_POLICY], "form-action 'self'", "img-src 'self'"
        policy = policy.replace(own, f"{own} https:" if is_secure else f"{own} https: http:")
        page.headers[_POLICY] = policy.replace(pictures, pictures + self._pictures)
        return page


def error_text(texts: Texts, code: str, **names: str) -> str:
    """What a person is told about this error."""
    text: str = getattr(texts, f"error_{code}")
    return text.format(**names)
