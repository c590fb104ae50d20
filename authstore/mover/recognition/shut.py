"""Columns by which a source keeps a row from being used: banned users, revoked sessions, spent tokens.

A move never opens what was shut. Names are compared as aliases are; what a name cannot say, its values say.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from authstore.mover.catalog import SourceColumn
from authstore.mover.copies import Role
from authstore.mover.recognition.aliases import normalised
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.type_names import DATES, INTEGERS, TEXTS

# yes: shut where true · no: shut where not true · since: shut from this instant on · until: shut up to it ·
# word: shut or open by what it says · standing: shut where it says so, whatever else it may say
Kind = Literal["yes", "no", "since", "until", "word", "standing"]

_PAST = (
    "banned|blocked|suspended|locked|lockedout|disabled|deactivated|deleted|softdeleted|removed|archived|inactive"
    "|frozen|terminated|blacklisted|discarded|barred|closed|revoked|trashed|expelled|erased|quarantined|shadowbanned"
)
_NOUN = "ban|block|suspension|suspend|lock|lockout|disable|deactivation|deletion|delete|removal|archive|termination"
_ENDED = "invalidated|expired|ended|loggedout|signedout|logout|signout|redeemed"
_SPENT = "used|consumed|claimed|verified"  # ends a token; of an account or a passkey it says nothing
_ENTERING = "login|logon|signin|access|authenticate"
_OPEN = (  # Spring Security says what a user is not
    f"active|enabled|activated|approved|allowed|valid|(not|non|un)({_PAST}|expired)|credentialsnonexpired"
    f"|(can|may|allow)({_ENTERING})|({_ENTERING})(enabled|allowed|permitted)"
)
_USER_OVER = "(valid|active|enabled|allowed)(until|till|to|thru|through)|(expires?|expiry|expiration)(at|on|date|time)?"
_WORDS = frozenset({"status", "state", "accountstatus", "userstatus", "accountstate", "userstate"})
_STANDINGS = frozenset(
    {"role", "userrole", "usertype", "accounttype", "type", "kind", "access", "accesslevel", "standing"}
)

_BARS = re.compile(
    r"(banned|blocked|suspended|locked|lockedout|disabled|deactivated|blacklisted|ban|block|suspension|lockout)"
    r"(at|on|until|till|since)?"
)
_OF_NO_SUBJECT = re.compile(
    r".*meta|.*metadata|(user|account|profile|raw|custom|extra|additional|app)*"
    r"(data|extras?|flags?|status|state|attributes|properties|props|profile|info|details|account|moderation|security"
    r"|fields|claims|json|document)"
)

OPEN_WORDS = ("active", "enabled", "ok", "normal", "approved", "activated", "live", "valid", "current", "confirmed")
SHUT_WORDS = (
    "banned", "blocked", "suspended", "locked", "disabled", "deactivated", "deleted", "archived", "inactive", "frozen",
    "terminated", "closed", "rejected", "revoked", "removed", "expired", "used", "consumed", "invalid", "blacklisted",
)  # fmt: skip
NO_WORDS = "('', '0', 'f', 'false', 'n', 'no', 'off')"
BAD_STANDINGS = (*SHUT_WORDS[:6], "deleted", "inactive", "frozen", "terminated", "blacklisted", "expelled")


@dataclass(frozen=True, slots=True)
class Shut:
    """A column that shuts rows out. `ends`: another one that says until when (Better Auth's banExpires).

    `path`: of a member of its JSON, the keys that lead there. One that is not `is_sure` may speak of something else.
    """

    column: SourceColumn
    kind: Kind
    ends: SourceColumn | None = None
    path: tuple[str, ...] = ()
    is_sure: bool = True

    @property
    def name(self) -> str:
        """As a profile calls it: `app_metadata.blocked`."""
        return ".".join((self.column.name, *self.path))


def shutting_of(one: Recognised) -> tuple[Shut, ...]:
    """Of a recognised table: by the profile's word one column or none; else all whose names say so."""
    if "disabled" not in one.told:
        taken = {column for name, column in one.fields.items() if name != "disabled"}
        return shutting(one.role, tuple(column for column in one.table.columns if column.name not in taken))
    told = one.told["disabled"]
    if path := path_told(one.table.columns, told):
        column = next(column for column in one.table.columns if column.name == path[0])
        return (member(one.role, column, path[1:]) or Shut(column, "yes", path=path[1:]),)
    found = shutting(one.role, one.table.columns)
    named = [column for column in one.table.columns if column.name == told]
    return tuple(next((shut for shut in found if shut.column is column), Shut(column, "yes")) for column in named)


def path_told(columns: Iterable[SourceColumn], told: str) -> tuple[str, ...]:
    """`app_metadata.blocked` as the column and the keys in its JSON; () where a column is called so, or none is."""
    names = {column.name for column in columns}
    column, *keys = told.split(".")
    return (column, *keys) if told not in names and column in names and all(keys) and keys else ()


def member(role: Role, column: SourceColumn, path: tuple[str, ...]) -> Shut | None:
    """What a member of a column of JSON keeps out, if anything. At the top of a column of no subject of its own it
    speaks of the row, as a column does; elsewhere it may speak of the newsletter."""
    kind = _kind(role, replace(column, name=path[-1], base="text", kind="b"))
    says_bar = _BARS.fullmatch(stem_of(path[-1])) is not None
    if (len(path) > 1 and not says_bar) or (kind is None and not says_bar):
        return None
    kind = "standing" if kind == "word" else kind or "yes"
    is_sure = len(path) == 1 and kind != "no" and _OF_NO_SUBJECT.fullmatch(normalised(column.name)) is not None
    return Shut(column, kind, path=path, is_sure=is_sure)


def shutting(role: Role, columns: tuple[SourceColumn, ...]) -> tuple[Shut, ...]:
    """Which of a table's columns keep rows of this role from being used."""
    found = []
    for column in columns:
        kind = _kind(role, column)
        if kind is not None:
            found.append(Shut(column, kind, _end_of(column, columns) if kind == "yes" else None))
    if role == "users" and not found:  # who was given a reason, or a judge, is out
        found = [Shut(column, "yes") for column in columns if _is_reason(column)]
    return tuple(found)


def _is_reason(column: SourceColumn) -> bool:
    name = stem(column)
    is_reason = column.base in TEXTS and re.fullmatch(rf"({_PAST}|{_NOUN})(reason|comment|note)", name)
    return bool(is_reason or re.fullmatch(rf"({_PAST})by((user|admin)?id)?", name))


def stem(column: SourceColumn) -> str:
    """Its normalised name without the words that say whose it is."""
    return stem_of(column.name)


def stem_of(name: str) -> str:
    """The same of a mere name."""
    return re.sub(r"^(is|was|has|account|user)+", "", normalised(name))


def _kind(role: Role, column: SourceColumn) -> Kind | None:
    name, is_word = stem(column), column.base in TEXTS or column.kind == "e"
    if normalised(column.name) in _WORDS and (is_word or column.base in INTEGERS):
        return "word"
    if role == "users" and normalised(column.name) in _STANDINGS and is_word:
        return "standing"
    return _time_kind(role, column, name) or _flag_kind(role, column, name)


def _past(role: Role) -> str:
    return {"users": _PAST, "verification_tokens": f"{_PAST}|{_ENDED}|{_SPENT}"}.get(role, f"{_PAST}|{_ENDED}")


def _time_kind(role: Role, column: SourceColumn, name: str) -> Kind | None:
    past = _past(role)
    if re.fullmatch(rf"({past}|{_NOUN})(until|till)|lockout(end|ends)(date|at|utc)?", name):
        return "until"
    if role == "users" and column.base in DATES | INTEGERS and re.fullmatch(_USER_OVER, name):
        return "since"
    if re.fullmatch(past, name):
        return "since" if column.base in DATES else "yes"
    if re.fullmatch(rf"({past}|{_NOUN})(at|on|date|time|datetime|since)", name):
        return "yes" if column.base == "bool" else "since"
    return None


def _flag_kind(role: Role, column: SourceColumn, name: str) -> Kind | None:
    is_flag = column.base in TEXTS | INTEGERS | {"bool", "bit", "numeric"} or column.kind == "e"
    if role == "users" and name == "expired" and is_flag:
        return "yes"
    return "no" if is_flag and re.fullmatch(_OPEN, name) else None


def _end_of(column: SourceColumn, columns: tuple[SourceColumn, ...]) -> SourceColumn | None:
    """`banned` ends by `banExpires`, `suspended` by `suspension_expires_at`."""
    start = stem(column)[:3]
    ends = re.compile(rf"(account|user)?{start}[a-z]*(expires?|expiry|expiration|ends?)(at|on|date|time)?")
    return next((other for other in columns if ends.fullmatch(normalised(other.name))), None)
