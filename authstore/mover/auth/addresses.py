"""E-mail addresses made canonical on the server; the rare ones that need Unicode's tables are worked out here.

Plain ASCII addresses are lower-cased by SQL. All others (a handful among a million) are fetched once, put through
`canonical_email`, and given to the server again as a constant, so that rows need not pass through Python.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from authstore.email import canonical_email
from authstore.errors import InvalidEmailError
from authstore.mover.postgres.asking import Asking
from authstore.mover.postgres.statements import is_any, json_map

# What SQL may judge alone: an address that `canonical_email` accepts for certain and only lower-cases. Two hyphens
# may be punycode; and where 64 characters are the whole, no label is longer than 63.
_LOCAL = "[-!#$%&''*+./0-9=?A-Z^_`a-z{|}~]+"
_PLAIN = f"'^{_LOCAL}@[A-Za-z0-9]+([.-][A-Za-z0-9]+)*$'"
_PLAIN_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of one column, `value` being SQL text."""

    value: str
    odd: Mapping[str, str] = field(default_factory=dict)  # what SQL would get wrong → canonical, "" for nothing
    none: tuple[str, ...] = ()  # what is no address
    as_written: bool = False  # every address is canonical already
    unseen: str = "FALSE"  # predicate: an address that SQL may get wrong, and that has not been looked at

    @property
    def canonical(self) -> str:
        """SQL: the canonical address, null where there is none. (What is no address comes out as anything.)"""
        lower = f'lower({self.value} COLLATE "C")'
        looked_up = f"COALESCE({json_map(self.odd)} ->> ({self.value}), {lower})" if self.odd else lower
        return f"NULLIF({looked_up}, '')"

    @property
    def bad(self) -> str:
        """Predicate, never null: there is something, and it is no address."""
        return is_any(self.value, self.none)


def read_addresses(value: str, source_from: str) -> Asking[Addresses]:
    """The addresses in `value` (SQL text over `source_from`)."""
    found = {text: _canonical(text) for text in (yield from _not_plain(value, source_from))}
    odd = {text: canonical for text, canonical in found.items() if canonical is not None}
    none = tuple(text for text, canonical in found.items() if canonical is None)
    changed = f'SELECT 1 FROM {source_from} WHERE {value} <> lower({value} COLLATE "C") LIMIT 1'
    as_written = not found and not (yield changed)
    return Addresses(value, odd, none, as_written, _unseen(value, found))


def read_identifiers(value: str, source_from: str) -> Asking[Addresses]:
    """The same for identifiers, which may be addresses: what is none is kept as it is written."""
    odd = {}
    for text in (yield from _not_plain(value, source_from)):
        odd[text] = _canonical(text) or text
    return Addresses(value, odd, unseen=_unseen(value, odd))


def _not_plain(value: str, source_from: str) -> Asking[list[str]]:
    statement = f"SELECT DISTINCT {value} FROM {source_from} WHERE {_is_not_plain(value)}"
    return [text for (text,) in (yield statement)]


def _is_not_plain(value: str) -> str:
    plain = f"octet_length({value}) <= {_PLAIN_LENGTH} AND {value} ~ {_PLAIN}"
    return f"{value} <> '' AND NOT ({plain})"


def _unseen(value: str, seen: Iterable[str]) -> str:
    return f"COALESCE({_is_not_plain(value)}, FALSE) AND NOT {is_any(value, sorted(seen))}"


def _canonical(text: str) -> str | None:
    """The canonical form; "" for white space alone, `None` for what is no address."""
    if not text.strip(" \t\n\r\v\f"):
        return ""
    try:
        return canonical_email(text)
    except InvalidEmailError:
        return None
