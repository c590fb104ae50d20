"""Columns by which a source keeps a row from being used: banned users, revoked sessions, spent tokens.

A move never opens what was shut. Names are compared as aliases are; what a name cannot say, its values say.
"""

import re
from dataclasses import dataclass
from typing import Literal

from authstore.mover.catalog import SourceColumn
from authstore.mover.copies import Role
from authstore.mover.recognition.aliases import normalised
from authstore.mover.type_names import DATES, INTEGERS, TEXTS

# yes: shut where true · no: shut where not true · since: shut from this instant on · until: shut up to it ·
# word: shut or open by what it says
Kind = Literal["yes", "no", "since", "until", "word"]

_PAST = (
    "banned|blocked|suspended|locked|lockedout|disabled|deactivated|deleted|softdeleted|removed|archived|inactive"
    "|frozen|terminated|blacklisted|discarded|barred|closed|revoked"
)
_NOUN = "ban|block|suspension|suspend|lock|lockout|disable|deactivation|deletion|delete|removal|archive|termination"
_ENDED = "invalidated|expired|ended|loggedout|signedout|logout|signout|redeemed"
_SPENT = "used|consumed|claimed|verified"  # ends a token; of an account or a passkey it says nothing
_OPEN = "active|enabled|activated|approved|allowed|valid"
_WORDS = frozenset({"status", "state", "accountstatus", "userstatus", "accountstate", "userstate"})

OPEN_WORDS = ("active", "enabled", "ok", "normal", "approved", "activated", "live", "valid", "current", "confirmed")
SHUT_WORDS = (
    "banned", "blocked", "suspended", "locked", "disabled", "deactivated", "deleted", "archived", "inactive", "frozen",
    "terminated", "closed", "rejected", "revoked", "removed", "expired", "used", "consumed", "invalid", "blacklisted",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shut:
    """A column that shuts rows out. `ends`: another one that says until when (Better Auth's banExpires)."""

    column: SourceColumn
    kind: Kind
    ends: SourceColumn | None = None


def shutting(role: Role, columns: tuple[SourceColumn, ...]) -> tuple[Shut, ...]:
    """Which of a table's columns keep rows of this role from being used."""
    found = []
    for column in columns:
        kind = _kind(role, column)
        if kind is not None:
            found.append(Shut(column, kind, _end_of(column, columns) if kind == "yes" else None))
    return tuple(found)


def _kind(role: Role, column: SourceColumn) -> Kind | None:
    name = re.sub(r"^(is|was|has|account|user)+", "", normalised(column.name))
    past = {"users": _PAST, "verification_tokens": f"{_PAST}|{_ENDED}|{_SPENT}"}.get(role, f"{_PAST}|{_ENDED}")
    is_word = column.base in TEXTS or column.kind == "e"
    if normalised(column.name) in _WORDS and (is_word or column.base in INTEGERS):
        return "word"
    if re.fullmatch(rf"({past}|{_NOUN})(until|till)|lockout(end|ends)(date|at|utc)?", name):
        return "until"
    if re.fullmatch(past, name):
        return "since" if column.base in DATES else "yes"
    if re.fullmatch(rf"({past}|{_NOUN})(at|on|date|time|datetime|since)", name):
        return "yes" if column.base == "bool" else "since"
    if re.fullmatch(_OPEN, name) and (is_word or column.base in INTEGERS or column.base == "bool"):
        return "no"
    return None


def _end_of(column: SourceColumn, columns: tuple[SourceColumn, ...]) -> SourceColumn | None:
    """`banned` ends by `banExpires`, `suspended` by `suspension_expires_at`."""
    stem = re.sub(r"^(is|was|has|account|user)+", "", normalised(column.name))[:3]
    ends = re.compile(rf"(account|user)?{stem}[a-z]*(expires?|expiry|expiration|ends?)(at|on|date|time)?")
    return next((other for other in columns if ends.fullmatch(normalised(other.name))), None)
