"""Which servers a URL names, and how each is asked for: libpq's form, and its parameters."""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from authstore.adapter import Durability
from authstore.errors import ConfigurationError

Commit = Literal["on", "off", "remote_apply"]  # a value of the server's own synchronous_commit

CONNECT_SECONDS = 5.0
_DIGITS = re.compile("[0-9]{1,9}")
COMMIT: dict[Durability, Commit] = {"full": "on", "relaxed": "off"}
# What libpq takes and this driver has no need of: it finds the primary itself, and bounds every wait.
_LEFT_OUT = frozenset(
    {
        "channel_binding",
        "client_encoding",
        "fallback_application_name",
        "gssencmode",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "load_balance_hosts",
        "target_session_attrs",
        "tcp_user_timeout",
    }
)
# What the driver takes in the URL; all else would be a setting of the server.
_TAKEN = frozenset(
    {
        "application_name",
        "database",
        "dbname",
        "host",
        "options",
        "passfile",
        "password",
        "port",
        "service",
        "sslcert",
        "sslcrl",
        "sslkey",
        "sslmode",
        "sslnegotiation",
        "sslpassword",
        "sslrootcert",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "user",
    }
)


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers of one store, in the order of the URL; `urls` hold the password and are never shown."""

    urls: tuple[str, ...]
    connect_seconds: float
    options: dict[str, str]

    @property
    def database(self) -> str:
        """What the store is called in what people see."""
        return urlsplit(self.urls[0]).path.lstrip("/")


def servers(url: str) -> Servers:
    """Takes a URL apart. Raises `ConfigurationError`, whose text never holds the URL: it may hold a password."""
    try:
        parts = urlsplit(url)
        given = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError as error:
        raise ConfigurationError("the URL cannot be read: write postgresql://user:password@host:5432/database") from (
            error
        )
    if parts.fragment:
        raise ConfigurationError("the URL holds a #: write %23 where a password has one")
    seconds = _seconds(given.pop("connect_timeout", ""))
    unknown = sorted(set(given) - _TAKEN - _LEFT_OUT)
    if unknown:
        raise ConfigurationError(f"the URL has parameters that PostgreSQL's own do not have: {', '.join(unknown)}")
    options = {"application_name": given.pop("application_name", "authstore")}
    if given.get("options"):
        options["options"] = given["options"]
    given.pop("options", None)
    query = urlencode({name: value for name, value in given.items() if name in _TAKEN}, quote_via=quote)
    login, at, hosts = parts.netloc.rpartition("@")
    _check_ports(hosts, given.get("port", ""))
    places = [f"{login}{at}{host}" for host in hosts.split(",")]
    urls = tuple(f"postgresql://{place}{parts.path}{'?' if query else ''}{query}" for place in places)
    return Servers(urls, seconds, options)


def settings(servers: Servers, commit: Commit, *, is_pooled: bool) -> dict[str, str]:
    """What each connection asks of the server at its start; a pooler passes on only what it knows."""
    common = {**servers.options, "TimeZone": "UTC"}
    if is_pooled:
        return common
    return {
        **common,
        "synchronous_commit": commit,
        "default_transaction_isolation": "read committed",
        "lock_timeout": "5s",
        # A plan that was made while a table was empty would read the whole of it when it no longer is.
        "enable_seqscan": "off",
        "jit": "off",  # of what has no index the plan seems dear enough to be compiled
    }


def _check_ports(hosts: str, others: str) -> None:
    """Those of the hosts, behind each, and those of the parameter."""
    ports = [host.rpartition("]")[2].partition(":")[2] for host in hosts.split(",")] + others.split(",")
    if not all(port == "" or (_DIGITS.fullmatch(port) and 0 < int(port) < 2**16) for port in ports):
        raise ConfigurationError("the URL names a port that is none: write a number from 1 to 65535")


def _seconds(text: str) -> float:
    if not text:
        return CONNECT_SECONDS
    if not _DIGITS.fullmatch(text):
        raise ConfigurationError("connect_timeout in the URL is a whole number of seconds")
    return max(float(text), 2.0) if text != "0" else CONNECT_SECONDS  # as libpq has it
