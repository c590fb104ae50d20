"""The address of a site on this machine, whatever port its server was started on."""

from contextvars import ContextVar
from ipaddress import ip_address
from typing import Final, Self
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from authstore.errors import ConfigurationError
from authstore.web.address import Address

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_FORWARDED: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")

_port: ContextVar[int | None] = ContextVar("authstore_dev_port", default=None)


class LocalAddress(Address):
    """A site at `localhost`. Its port is the one that the request under way came by."""

    __slots__ = ()

    @classmethod
    def parse(cls, base_url: str, *, insecure_dev: bool = True) -> Self:
        """Reads a `base_url`. Raises `ConfigurationError` for one that is not of this machine."""
        address = super().parse(base_url, insecure_dev=insecure_dev)
        if address.host not in _LOOPBACK or address.is_secure:
            raise ConfigurationError(
                "Auth.dev() lets anybody in and is for this machine alone: base_url is http://localhost with a port. "
                "Anywhere else write Auth(…) with secrets, providers and a mailer of your own"
            )
        return address

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        port, written = _port.get(), f"[{self.host}]" if ":" in self.host else self.host
        return self.stated_origin if port is None else f"http://{written}" + ("" if port == 80 else f":{port}")

    def takes(self, scope: Scope) -> bool:
        """Whether it was asked under a name of this machine, from near by and through no proxy."""
        headers = Headers(scope=scope)
        try:
            asked = urlsplit(f"//{headers.get('host', '')}")
            host, port = asked.hostname, asked.port or 80
        except ValueError:
            return False
        if host not in _LOOPBACK or any(name in headers for name in _FORWARDED) or not _is_near(scope.get("client")):
            return False
        _port.set(port)
        return True


def _is_near(client: tuple[str, int] | None) -> bool:
    """Of this machine, or of a network of its own, as that of its containers is."""
    try:
        return client is None or ip_address(client[0]).is_private
    except ValueError:
        return True  # a socket in the file system, or a test
