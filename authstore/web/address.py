"""Where the site stands. Links are made from this and never from the Host header, which anybody can write."""

import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import SplitResult, urlsplit

from starlette.types import Scope

from authstore.errors import ConfigurationError

# As browsers write a host in `Origin` and for passkeys.
_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*")
_PLAIN: Final = re.compile(r"[!#-;=?-\[\]_a-z~]*")  # what a URL may hold (RFC 3986 §2), without spaces


@dataclass(frozen=True, slots=True)
class Address:
    """The public address: `stated_origin` (scheme, host, port), `host`, `path` (no slash at the end), `is_secure`."""

    stated_origin: str
    host: str
    path: str
    is_secure: bool

    @classmethod
    def parse(cls, base_url: str, *, insecure_dev: bool = False) -> Self:
        """Reads a `base_url`. Raises `ConfigurationError` for anything but plain https (http with `insecure_dev`)."""
        try:
            parts = urlsplit(base_url)
            host, port = parts.hostname or "", parts.port
        except (AttributeError, TypeError, ValueError) as error:
            raise ConfigurationError(f"base_url is not a URL: {error}") from None
        _check(base_url, parts, host)
        if parts.scheme == "http" and not insecure_dev:
            raise ConfigurationError("base_url must be https; for development on http pass insecure_dev=True")
        usual = port is None or port == (443 if parts.scheme == "https" else 80)
        written = f"[{host}]" if ":" in host else host
        origin = f"{parts.scheme}://{written}" + ("" if usual else f":{port}")
        return cls(origin, host, parts.path.rstrip("/"), parts.scheme == "https")

    @property
    def origin(self) -> str:
        """Scheme, host and port, as browsers write them."""
        return self.stated_origin

    def takes(self, scope: Scope) -> bool:  # noqa: ARG002 - that of a laptop looks at it
        """Whether a request is answered here at all; behind a proxy any may be."""
        return True

    def url(self, path: str) -> str:
        """The absolute URL of a path of the site, `path` of the site included already."""
        return self.origin + path


def _check(base_url: str, parts: SplitResult, host: str) -> None:
    if parts.scheme not in ("https", "http") or not host or "@" in parts.netloc:
        raise ConfigurationError('base_url is the public address of the site: "https://app.example"')
    if not _PLAIN.fullmatch(base_url) or not _HOST.fullmatch(host) or "//" in parts.path:
        raise ConfigurationError('base_url is plain ASCII, as browsers write it: "https://xn--mnchen-3ya.example"')
    if parts.query or parts.fragment:
        raise ConfigurationError("base_url has no query and no fragment")
