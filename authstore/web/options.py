"""What an application may choose, in groups: `Auth(…, look=Look(name="Notes"), limits=Limits(fresh_for=…))`.

Every option can also be given to `Auth` by itself, under the same name.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from os import PathLike
from types import NoneType
from typing import Any, Final, TypedDict, TypeVar, get_args, get_origin

from authstore.adapter import Clock, Keys
from authstore.errors import ConfigurationError
from authstore.expiry import SessionPolicy
from authstore.web.called import checked_function
from authstore.web.former import FormerCookie
from authstore.web.identity import Allow
from authstore.web.telling import OnEvent
from authstore.web.texts import LANGUAGES, Texts

MAX_LINK_LIFETIME: Final = timedelta(minutes=10)  # ASVS 5.0 6.5.5

_COOKIE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LEAST_COOKIE_BYTES: Final = 1024

_Group = TypeVar("_Group", "Storage", "Limits", "Look", "Http", "Hooks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """How `Auth` opens the store of a URL; an open one keeps what it was opened with.

    policy: how long sessions live. keys: encrypt provider tokens (see `authstore.connect`). clock: the "now".
    prune_every: how often, while the application runs, dead rows are deleted; `None`: never.
    """

    policy: SessionPolicy | None = None
    keys: Keys = ()
    clock: Clock | None = None
    prune_every: timedelta | None = timedelta(hours=1)

    def __post_init__(self) -> None:
        _check_kinds(self)
        if self.prune_every is not None and self.prune_every <= timedelta(0):
            raise ConfigurationError("prune_every must be positive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How often, and for how long.

    link_lifetime: of mailed links and of sign-ins begun, at most ten minutes; within it, one address gets at most
        `mails_per_address` letters, and one client may ask for `mails_per_client` and begin `sign_ins_per_client`
        sign-ins at providers, and as many with passkeys.
    mails_per_address_a_day: whoever asks, and however often.
    fresh_for: how long after signing in someone may change the ways in.
    invitation_lifetime: how long `Auth.invite` holds.
    """

    link_lifetime: timedelta = MAX_LINK_LIFETIME
    mails_per_address: int = 5
    mails_per_address_a_day: int = 20
    mails_per_client: int = 30
    sign_ins_per_client: int = 1000
    fresh_for: timedelta = timedelta(hours=1)
    invitation_lifetime: timedelta = timedelta(days=7)

    def __post_init__(self) -> None:
        _check_kinds(self)
        if (
            min(self.mails_per_address, self.mails_per_address_a_day, self.mails_per_client, self.sign_ins_per_client)
            < 1
        ):
            raise ConfigurationError("at least one letter per address and client, and one sign-in")
        if not timedelta(0) < self.link_lifetime <= MAX_LINK_LIFETIME:
            raise ConfigurationError("link_lifetime is at most ten minutes: what is mailed must not lie around")
        if min(self.fresh_for, self.invitation_lifetime) <= timedelta(0):
            raise ConfigurationError("fresh_for and invitation_lifetime must be positive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What people see.

    name: of the site, as people are told it; the host by default. home: where people go when nothing else was asked
        for. texts: the sentences, or those of several languages, of which browsers say the one they want; by default
        English, German, French, Spanish and Japanese. templates: a folder whose templates come before ours. mail_from:
        whom letters are from, "no-reply" at the host by default.
    logo: a picture of the site, by a path of it or an https URL. links: at the foot of every page, by what they are
        called; "terms", "privacy", "imprint" and "help" are said in every language. accent: the colour of buttons and
        links, as "#14563c"; it is made readable on light and dark.
    """

    name: str | None = None
    home: str = "/"
    texts: Texts | Sequence[Texts] = LANGUAGES
    templates: str | PathLike[str] | None = None
    mail_from: str | None = None
    logo: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    accent: str | None = None

    def __post_init__(self) -> None:
        _check_kinds(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """What browsers are told and believed.

    former_cookies: cookies of a former system whose sessions or visits were moved: names, where the bare token is in
        them, `express_cookie(…)` and its like, where it is signed.
    allowed_origins: other origins whose pages may act for signed-in users ("https://spa.example"); everybody else's
        unsafe requests and WebSockets count as anonymous. `next` may lead there.
    cookie_name: of every cookie of the site; another for each of several sites on one host, or in one application.
    rp_id: a parent domain of the host, for passkeys that were made there.
    hsts: seconds for which browsers are told to use https alone; `None`: not told.
    max_cookie_bytes: all cookies of a request; more are refused.
    visits: whether `request.session` is a mapping that the site keeps for each browser (see `BrowserSession`).
    """

    former_cookies: Sequence[str | FormerCookie] = ()
    allowed_origins: Sequence[str] = ()
    cookie_name: str = "authstore"
    rp_id: str | None = None
    hsts: int | None = 31_536_000
    max_cookie_bytes: int = 8192
    visits: bool = False

    def __post_init__(self) -> None:
        _check_kinds(self)
        if not _COOKIE.fullmatch(self.cookie_name) or self.cookie_name.endswith(("-browser", "-last", "-visit")):
            raise ConfigurationError(
                "cookie_name: letters, digits, - and _; -browser, -last and -visit are taken as ends"
            )
        if self.hsts is not None and self.hsts < 0:
            raise ConfigurationError("hsts is a number of seconds, or None")
        if self.max_cookie_bytes < _LEAST_COOKIE_BYTES:
            raise ConfigurationError(f"max_cookie_bytes is at least {_LEAST_COOKIE_BYTES}: ours need them")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What the application is asked and told.

    allow: whether a user may be made; not asked of known users, of links and of who was invited. Refused ones get no
        letter, and everybody the same answer; where it raises, that refuses and is logged.
    on_event: told every event of this process after it happened, in order; where it raises, or hangs for ten seconds,
        that is logged and the next one follows.

    Both may be async, or plain: then they run in a thread.
    """

    allow: Allow | None = None
    on_event: OnEvent | None = None

    def __post_init__(self) -> None:
        for name in ("allow", "on_event"):
            given = getattr(self, name)
            if given is not None:
                checked_function(name, given)


class Options(TypedDict, total=False):
    """The members of the groups, as `Auth` takes them by themselves."""

    keys: Keys
    clock: Clock
    prune_every: timedelta | None
    link_lifetime: timedelta
    mails_per_address: int
    mails_per_address_a_day: int
    mails_per_client: int
    sign_ins_per_client: int
    fresh_for: timedelta
    invitation_lifetime: timedelta
    name: str | None
    home: str
    texts: Texts | Sequence[Texts]
    templates: str | PathLike[str] | None
    mail_from: str | None
    logo: str | None
    links: Mapping[str, str]
    accent: str | None
    former_cookies: Sequence[str | FormerCookie]
    allowed_origins: Sequence[str]
    cookie_name: str
    rp_id: str | None
    hsts: int | None
    max_cookie_bytes: int
    visits: bool
    allow: Allow | None
    on_event: OnEvent | None


@dataclass(frozen=True, slots=True)
class Choices:
    """All groups."""

    storage: Storage
    limits: Limits
    look: Look
    http: Http
    hooks: Hooks


def grouped(
    storage: Storage | None,
    limits: Limits | None,
    look: Look | None,
    http: Http | None,
    hooks: Hooks | None,
    options: Mapping[str, Any],
) -> Choices:
    """The groups, with the options that were given by themselves.

    Raises `ConfigurationError` for one that is given both ways, `TypeError` for one that there is not.
    """
    left = dict(options)
    chosen = Choices(
        _completed(Storage, storage, left),
        _completed(Limits, limits, left),
        _completed(Look, look, left),
        _completed(Http, http, left),
        _completed(Hooks, hooks, left),
    )
    if left:
        raise TypeError(f"Auth has no option {next(iter(left))!r}")
    return chosen


def _completed(kind: type[_Group], given: _Group | None, options: dict[str, Any]) -> _Group:
    if given is not None and not isinstance(given, kind):
        raise ConfigurationError(f"{kind.__name__.lower()} is a {kind.__name__}(…), not {type(given).__name__}")
    group, default = given or kind(), kind()
    own = {each.name: options.pop(each.name) for each in fields(kind) if each.name in options}
    twice = [name for name in own if getattr(group, name) != getattr(default, name)]
    if twice:
        raise ConfigurationError(f"{twice[0]} is given twice: in {kind.__name__}(…) and by itself")
    return replace(group, **own)


# What an option is called by its kind; True and False are whole numbers too, so they come first.
_SAID: Final[Mapping[type, str]] = {
    bool: "True or False",
    int: "a whole number",
    timedelta: "a timedelta",
    Mapping: "a mapping",
    str: "a text",
    tuple: "a list",
}


def _check_kinds(group: Any) -> None:
    """Raises `ConfigurationError` for a member that is of another kind than its default, or than it is declared."""
    for each in fields(group):
        given, allowed = getattr(group, each.name), get_args(each.type)
        if given is None and NoneType in allowed:
            continue
        if given is None:
            raise ConfigurationError(f"{each.name} is None: is one of your settings missing?")
        default = each.default_factory() if callable(each.default_factory) else each.default
        kinds, said = _kinds_of(default, allowed)
        if not isinstance(given, kinds) or (int in kinds and isinstance(given, bool)):
            raise ConfigurationError(f"{each.name} is {said}, not {type(given).__name__}")


def _kinds_of(default: object, allowed: tuple[Any, ...]) -> tuple[tuple[type, ...], str]:
    """What an option with this default may be, and what that is called; `allowed`: of which types it may be one."""
    declared = tuple(get_origin(each) or each for each in allowed if each is not NoneType)
    if default is None:
        return declared, " or ".join(_SAID.get(each, f"a {each.__name__}") for each in declared)
    if isinstance(default, tuple):
        return (Collection, Texts) if Texts in declared else (Collection,), _SAID[tuple]
    kind = next(kind for kind in _SAID if isinstance(default, kind))
    return (kind,), _SAID[kind]
