"""The source's URL, as the tools of the source write it, in the words of libpq."""

import socket
from urllib.parse import unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from authstore.errors import ConfigurationError

# Parameters by which other tools speak to themselves, to their pool or to their driver.
_THEIRS = frozenset(
    {
        "schema", "connection_limit", "pool_timeout", "pgbouncer", "socket_timeout", "statement_cache_size",  # Prisma
        "uselibpqcompat", "max", "idletimeoutmillis",  # node-postgres
        "prepared_statement_cache_size", "async_fallback", "command_timeout",  # asyncpg and SQLAlchemy's dialect
        "supa", "pool_mode", "pool", "pool_size",  # Supabase's, and others' pools
        "serverversion", "charset", "binary_parameters", "prepared_statements",  # Doctrine, Go's pq, Rails
    }
)  # fmt: skip
_TLS = {"no-verify": "require", "true": "require", "1": "require", "on": "require", "false": "disable", "0": "disable"}
_SSL = ("ssl", "sslmode", "sslaccept")
_CODES = "@ is %40, : %3A, / %2F, ? %3F, # %23"
_ANSWER_SECONDS = 2.0


def checked_url(url: str, side: str = "source") -> str:
    """The URL as libpq takes it, if it is one of PostgreSQL's. Raises `ConfigurationError`, which does not show it.

    `side`: whose it is, for what is said of it.
    """
    scheme, separator, rest = url.partition("://") if isinstance(url, str) else ("", "", "")
    kind, _, _driver = scheme.partition("+")  # SQLAlchemy names its driver here: postgresql+asyncpg
    if not separator or kind not in ("postgresql", "postgres"):
        plain = "write it without jdbc: and as " if scheme.startswith("jdbc:") else ""
        raise ConfigurationError(f"the {side} is a URL: {plain}postgresql://user@host/database")
    authority = rest.partition("/")[0].partition("?")[0]
    if rest.count("@") > 1 or "@" in rest[len(authority) :]:
        raise ConfigurationError(
            f"the {side}'s URL has an @ where none may be: percent-encode the password's own characters ({_CODES})"
        )
    plain = f"postgresql://{_in_libpq_s_words(rest)}"
    try:
        conninfo_to_dict(plain)
    except psycopg.ProgrammingError:  # libpq's words quote what they stumble over, which may be the password
        raise ConfigurationError(f"the {side}'s URL cannot be read: {_wrong_with(plain)}") from None
    return plain


def _in_libpq_s_words(rest: str) -> str:
    """Without what is said to others; the option `schemas` says which schema is meant."""
    start = rest.rfind("@") + 1  # a password may have question marks of its own
    address, mark, query = rest[start:].partition("?")
    kept = [_parameter(part) for part in query.split("&") if part.partition("=")[0].lower() not in _THEIRS]
    parameters = list(dict.fromkeys(part for part in kept if part))
    return f"{rest[:start]}{address}{mark if parameters else ''}{'&'.join(parameters)}"


def _parameter(part: str) -> str:
    """One parameter; what asks for TLS in any tool's words asks for it in libpq's."""
    name, _, value = part.partition("=")
    if name.lower() not in _SSL:
        return part
    said = unquote(value).lower()
    return f"sslmode={'require' if name.lower() == 'sslaccept' else _TLS.get(said, said)}"


def _wrong_with(url: str) -> str:
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    unknown = [name for name in _parameters(url) if name not in known]
    if unknown:
        return f"libpq knows no parameter {unknown[0]!r}"
    return f"percent-encode the characters of the password ({_CODES})"


def _parameters(url: str) -> list[str]:
    """Their names; none where they may be half of a password with a question mark."""
    query = url.rpartition("?")[2] if "?" in url else ""
    return [] if "@" in query or not query else [part.partition("=")[0] for part in query.split("&")]


def answering_host(url: str) -> str | None:
    """A host of the URL at which something listens, so that who refuses is the server and not the network."""
    try:
        named = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return None
    hosts = str(named.get("hostaddr") or named.get("host") or "localhost").split(",")
    ports = str(named.get("port") or "5432").split(",")
    for place, host in enumerate(hosts):
        port = ports[min(place, len(ports) - 1)] or "5432"
        if not host.startswith("/") and port.isdecimal() and _listens(host, int(port)):
            return f"{host}:{port}"
    return None


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), _ANSWER_SECONDS).close()
    except (OSError, OverflowError):  # a port beyond 65535
        return False
    return True
