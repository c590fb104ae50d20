"""Where a login may send somebody afterwards: to a path of this site, or a page of a site that was allowed by name."""

import re
from collections.abc import Collection
from posixpath import normpath
from typing import Final
from urllib.parse import quote, unquote, urlsplit

MAX_LENGTH: Final = 2048

# Browsers read "\\" as "/" and drop tabs and newlines, so `/\\evil`, `/<tab>/evil` and `//evil` all leave the site.
_LOCAL_PATH: Final = re.compile(r"/(?!/)[!-\[\]-~]*")
_ABSOLUTE: Final = re.compile(
    r"https?://[^\x00- /?#\\\x7f]+(?P<path>/[!-\[\]-~]*)?(?P<rest>[?#][!-\[\]-~]*)?", re.IGNORECASE
)
_BUT_SPACES: Final = "".join(map(chr, range(128))).replace(" ", "")
_USUAL_PORTS: Final = {"http": 80, "https": 443}


def safe_next(wanted: object, default: str = "/") -> str:
    """`wanted` where it is a path of this site (one leading slash, no backslash, no control character), else `default`.

    Spaces and what is not ASCII come back percent-encoded, as browsers send them; spaces around it are left out.
    """
    path = _encoded(wanted)
    return path if path is not None and _LOCAL_PATH.fullmatch(path) else default


def safe_target(wanted: object, own_origin: str, allowed_origins: Collection[str], default: str) -> str:
    """As `safe_next`; also for a URL of this site, as its path, and for one of an allowed origin, as it is."""
    url = _encoded(wanted) or ""
    absolute = _ABSOLUTE.fullmatch(url)
    if absolute is None:
        return safe_next(wanted, default)
    origin = origin_of(url)
    local = safe_next((absolute["path"] or "/") + (absolute["rest"] or ""), "")
    if not local or origin not in (own_origin, *allowed_origins):
        return default
    return local if origin == own_origin else f"{origin}{local}"


def origin_of(url: str) -> str | None:
    """The origin of a URL as browsers compare them: case and default ports do not matter (RFC 6454 §4)."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or "@" in parts.netloc or parts.scheme not in _USUAL_PORTS:
        return None
    written = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{written}" + ("" if port in (None, _USUAL_PORTS[parts.scheme]) else f":{port}")


def leads_into(path: str, folder: str) -> bool:
    """Whether a path of this site stands below `folder`, however it is spelled."""
    return normpath(unquote(urlsplit(path).path)).startswith(folder)


def _encoded(wanted: object) -> str | None:
    if not isinstance(wanted, str):
        return None
    try:
        encoded = quote(wanted.strip(" "), safe=_BUT_SPACES)
    except UnicodeEncodeError:  # a lone surrogate
        return None
    return encoded if len(encoded) <= MAX_LENGTH else None
