"""E-mail addresses made canonical on the server; the rare ones that need Unicode's tables are worked out here.

Plain ASCII addresses are lower-cased by SQL. All others (a handful among a million) are fetched once, put through
`canonical_email`, and joined in again as a constant, so that rows need not pass through Python.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from authstore.email import canonical_email
from authstore.errors import InvalidEmailError
from authstore.mover.statements import json_map, rows

_SPACE = r"E' \t\n\r\f\x0b'"
# What SQL may judge alone: an address that `canonical_email` accepts for certain and only lower-cases.
_LOCAL = "[-!#$%&''*+./0-9=?A-Z^_`a-z{|}~]+"
_PLAIN = f"'^{_LOCAL}@[A-Za-z0-9]+([.-][A-Za-z0-9]+)*$'"
_PLAIN_LENGTH = 64  # then no label is longer than 63


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of one column. `odd`: those that SQL cannot judge → the canonical form, where there is one."""

    value: str  # SQL text
    any_odd: bool = False
    odd: Mapping[str, str] = field(default_factory=dict)

    @property
    def trimmed(self) -> str:
        return f"btrim({self.value}, {_SPACE})"

    @property
    def canonical(self) -> str:
        """SQL: the canonical address; null where there is none (nothing, or no address)."""
        lower = f'lower({self.trimmed} COLLATE "C")'
        if not self.any_odd:
            return f"NULLIF({lower}, '')"
        looked_up = f"{json_map(self.odd)} ->> {self.trimmed}" if self.odd else "NULL"
        return f"CASE WHEN {_is_plain(self.trimmed)} THEN {lower} ELSE {looked_up} END"

    @property
    def bad(self) -> str:
        """Predicate, never null: there is something, and it is no address."""
        if not self.any_odd:
            return "FALSE"
        return f"(COALESCE({self.trimmed}, '') <> '' AND ({self.canonical}) IS NULL)"


def read_addresses(connection: psycopg.Connection[Any], value: str, source_from: str, where: str = "TRUE") -> Addresses:
    """The addresses in `value` (SQL text over `source_from`), with the odd ones looked at."""
    trimmed = Addresses(value).trimmed
    odd = f"{where} AND {trimmed} <> '' AND NOT ({_is_plain(trimmed)})"
    found = [text for (text,) in rows(connection, f"SELECT DISTINCT {trimmed} FROM {source_from} WHERE {odd}")]
    return Addresses(value, bool(found), dict(_canonical(found)))


def _is_plain(trimmed: str) -> str:
    return f"length({trimmed}) <= {_PLAIN_LENGTH} AND {trimmed} ~ {_PLAIN}"


def _canonical(addresses: Iterable[str]) -> Iterable[tuple[str, str]]:
    for address in addresses:
        try:
            yield address, canonical_email(address)
        except InvalidEmailError:
            continue
