"""Where the site stands. Links are made from this and never from the Host header, which anybody can write."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from authstore.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Address:
    """The public address: `origin` (scheme, host, port), `host`, `path` (no slash at the end), `is_secure`."""

    origin: str
    host: str
    path: str
    is_secure: bool

    @classmethod
    def parse(cls, base_url: str, *, insecure_dev: bool = False) -> Self:
        """Reads a `base_url`. Raises `ConfigurationError` for anything but plain https (http with `insecure_dev`)."""
        try:
            parts = urlsplit(base_url)
            port = parts.port
        except ValueError as error:
            raise ConfigurationError(f"base_url is not a URL: {error}") from None
        if parts.scheme not in ("https", "http") or not parts.hostname or "@" in parts.netloc:
            raise ConfigurationError('base_url is the public address of the site: "https://app.example"')
        if parts.query or parts.fragment:
            raise ConfigurationError("base_url has no query and no fragment")
        if parts.scheme == "http" and not insecure_dev:
            raise ConfigurationError("base_url must be https; for development on http pass insecure_dev=True")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        usual = port is None or port == (443 if parts.scheme == "https" else 80)
        origin = f"{parts.scheme}://{host}" + ("" if usual else f":{port}")
        return cls(origin, parts.hostname, parts.path.rstrip("/"), parts.scheme == "https")

    def url(self, path: str) -> str:
        """The absolute URL of a path of the site, `path` of the site included already."""
        return self.origin + path
