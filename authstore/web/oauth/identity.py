"""Who somebody is, as a provider tells it. Only the boolean `true` counts as "verified"."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import httpx2

from authstore.web.identity import Identity
from authstore.web.wording import worded

_MAX_ID: Final = 255  # characters; OpenID Connect Core §2 for `sub`
_MAX_TEXT: Final = 1024

Fetch = Callable[[str], Awaitable[Any]]  # a URL to its JSON, with the access token


Identify = Callable[[Mapping[str, Any], Fetch], Awaitable[Identity] | Identity]


async def openid_identity(claims: Mapping[str, Any], _fetch: Fetch) -> Identity:
    """From the claims of OpenID Connect (Core §5.1)."""
    return _identity(claims, claims.get("sub"))


async def apple_identity(claims: Mapping[str, Any], _fetch: Fetch) -> Identity:
    """From Apple's ID token, which says `true` or `"true"` (Apple, "Authenticating users with Sign in with Apple")."""
    said = claims.get("email_verified")
    return _identity({**claims, "email_verified": said is True or said == "true"}, claims.get("sub"))


async def plain_identity(userinfo: Mapping[str, Any], _fetch: Fetch) -> Identity:
    """From an answer with the usual names."""
    sub, number = userinfo.get("sub"), userinfo.get("id")
    # What is there but unusable is refused: another field may hold somebody else's.
    is_said = bool(sub.strip()) if isinstance(sub, str) else isinstance(sub, int) and not isinstance(sub, bool)
    return _identity(userinfo, sub if is_said else number)


async def github_identity(userinfo: Mapping[str, Any], fetch: Fetch, emails_url: str) -> Identity:
    """From GitHub's `/user`, and the primary address from `/user/emails` (`/user` shows one without saying more)."""
    emails = await _if_told(fetch, emails_url)
    listed = emails if isinstance(emails, list) else []
    primary = next((entry for entry in listed if isinstance(entry, dict) and entry.get("primary") is True), {})
    told = {"email": primary.get("email"), "email_verified": primary.get("verified")}
    return _identity({**userinfo, "name": userinfo.get("name") or userinfo.get("login"), **told}, userinfo.get("id"))


async def discord_identity(userinfo: Mapping[str, Any], _fetch: Fetch) -> Identity:
    """From Discord's `/users/@me`."""
    name = userinfo.get("global_name") or userinfo.get("username")
    avatar, number = userinfo.get("avatar"), userinfo.get("id")
    image = f"https://cdn.discordapp.com/avatars/{number}/{avatar}.png" if avatar else None
    told = {"name": name, "picture": image, "email_verified": userinfo.get("verified")}
    return _identity({**userinfo, **told}, number)


async def facebook_identity(userinfo: Mapping[str, Any], _fetch: Fetch) -> Identity:
    """From Facebook's `/me`."""
    picture = _inside(_inside(userinfo, "picture"), "data").get("url")
    return _identity({**userinfo, "picture": picture, "email_verified": None}, userinfo.get("id"))


async def twitter_identity(userinfo: Mapping[str, Any], _fetch: Fetch) -> Identity:
    """From X's `/2/users/me`."""
    told = _inside(userinfo, "data")
    name = told.get("name") or told.get("username")
    return _identity({"name": name, "picture": told.get("profile_image_url")}, told.get("id"))


async def spotify_identity(userinfo: Mapping[str, Any], _fetch: Fetch) -> Identity:
    """From Spotify's `/v1/me`."""
    images = userinfo.get("images")
    first = images[0] if isinstance(images, list) and images and isinstance(images[0], dict) else {}
    told = {"email": userinfo.get("email"), "name": userinfo.get("display_name"), "picture": first.get("url")}
    return _identity(told, userinfo.get("id"))


async def twitch_identity(claims: Mapping[str, Any], _fetch: Fetch) -> Identity:
    """From Twitch's ID token, which calls the name `preferred_username`."""
    return _identity({**claims, "name": claims.get("name") or claims.get("preferred_username")}, claims.get("sub"))


async def _if_told(fetch: Fetch, url: str) -> Any:
    """What is asked beside, where the provider tells it: only a token that it calls bad ends the sign-in."""
    try:
        return await fetch(url)
    except httpx2.HTTPStatusError as error:
        if error.response.status_code == 401:
            raise
    except (httpx2.HTTPError, ValueError):
        pass
    return None


def usable(identity: Identity) -> Identity:
    """What an `identify` made, judged as a provider's own claims are. Raises `ValueError` for an id that is none."""
    if not isinstance(identity.id, str):
        raise ValueError(f"identify gave an id that is no text but {type(identity.id).__name__}")
    return replace(
        identity,
        id=_account_id(identity.id),
        email=_text(identity.email),
        email_verified=identity.email_verified is True,
        name=worded(identity.name, _MAX_TEXT),
        image=_picture(identity.image),
    )


def _identity(claims: Mapping[str, Any], number: object) -> Identity:
    return Identity(
        id=_account_id(number),
        email=_text(claims.get("email")),
        email_verified=claims.get("email_verified") is True,
        name=worded(claims.get("name"), _MAX_TEXT),
        image=_picture(claims.get("picture")) or _picture(claims.get("avatar_url")),
    )


def _account_id(value: object) -> str:
    """The id as text. Raises `ValueError` where it is none: a blank one would be everybody's."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and value.strip() and len(value) <= _MAX_ID and value.isprintable():
        return value
    raise ValueError("the provider gave no usable account id")


def _text(value: object) -> str | None:
    is_usable = isinstance(value, str) and value.isprintable() and 0 < len(value) <= _MAX_TEXT
    return value if is_usable and isinstance(value, str) else None


def _picture(value: object) -> str | None:
    """A picture's address; applications put it into their pages, where `javascript:` would run."""
    text = _text(value)
    return text if text is not None and text.lower().startswith(("https://", "http://")) else None


def _inside(answer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = answer.get(name)
    return found if isinstance(found, dict) else {}
