"""What may be wrong with what a store holds: each check is a unit that only reads, on any database."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from authstore.backends.inspection import Symptom, TableInfo
from authstore.database import Row, Unit
from authstore.email import canonical_email
from authstore.encryption import Cipher
from authstore.errors import InvalidEmailError, StoreCorruptError
from authstore.expiry import SessionPolicy
from authstore.ops.inspecting import count_sessions, cutoffs
from authstore.sql import Query, queries
from authstore.store import rows
from authstore.store.notes import BACKUP, get_note

Check = Callable[[], Unit[list[Symptom]]]

_PAGE = 1000
_NAMED = 5  # of many, so many are named
_MANY_DEAD = 1000  # and a tenth of all, before it is worth a word
_CLOCKS_DIFFER = timedelta(minutes=1)
_FIRST_DAY = timedelta(days=1)  # in which nobody asks for a backup
_OLD_BACKUP = timedelta(days=7)


class Rules(NamedTuple):
    """By what is judged. `cipher` is None where nobody said which keys there are."""

    now: datetime
    policy: SessionPolicy
    cipher: Cipher | None


def checks(rules: Rules) -> Sequence[Check]:
    """All of them."""
    units = (_orphans, _users, _others, _keys, dead_rows, _clock, backup_age)
    return [partial(unit, rules) for unit in units]


def _orphans(_: Rules) -> Unit[list[Symptom]]:
    found = yield queries.count_orphans()
    return [Symptom("orphans", ", ".join(f"{row['orphans']} of {row['name']}" for row in found))] if found else []


def _users(_: Rules) -> Unit[list[Symptom]]:
    """All users, page by page: whether they can be read, and found by their address."""
    unreadable: set[str] = set()
    odd: dict[str, str] = {}  # users by id: the form that their address should have
    after = ""
    while page := (yield queries.list_users(after=after, limit=_PAGE)):
        for row in page:
            unreadable |= _cannot_read(rows.user, row, "id")
            if isinstance(row["email"], str) and (form := _canonical(row["email"])) != row["email"]:
                odd[row["id"]] = form or ""
        if (last := _last(page, "id")) is None:
            break
        after = last
    twins: list[str] = []
    taken: dict[str, str] = {}
    for id, form in odd.items():
        found = (yield queries.get_user_by_email(email=form)) if form else []
        other = found[0]["id"] if found else taken.get(form) if form else None
        if other is not None:
            twins.append(f"{id} and {other}")
        taken[form] = id
    return [
        *_told("unreadable", "users", sorted(unreadable)),
        *_told("odd-address", "users", sorted(odd)),
        *_told("duplicate-address", "users", twins),
    ]


class _Table(NamedTuple):
    name: str
    scan: Query
    key: str
    first: str | int
    read: Callable[[Row], Any]


def _others(rules: Rules) -> Unit[list[Symptom]]:
    """All other rows, page by page: whether they can be read."""
    cipher = rules.cipher or Cipher(())
    tables = (
        _Table("accounts", queries.scan_accounts, "id", "", lambda row: rows.account_as_readable(row, cipher)),
        _Table("sessions", queries.scan_all_sessions, "id", "", rows.session),
        _Table("visits", queries.scan_all_visits, "id", "", rows.visit),
        _Table(
            "verification_tokens",
            queries.scan_all_verification_tokens,
            "id",
            -(2**63),
            lambda row: rows.verification_token(row, "0" * 32),
        ),
        _Table("authenticators", queries.scan_authenticators, "credential_id", "", rows.authenticator),
    )
    found: list[Symptom] = []
    for table in tables:
        unreadable: set[str] = set()
        after: Any = table.first
        while page := (yield table.scan(after=after, limit=_PAGE)):
            for row in page:
                unreadable |= _cannot_read(table.read, row, table.key)
            if (after := _last(page, table.key)) is None:
                break
        found += _told("unreadable", table.name, sorted(unreadable))
    roles = yield queries.list_roles()
    unreadable = {id for row in roles for id in _cannot_read(rows.role, row, "name")}
    return [*found, *_told("unreadable", "roles", sorted(unreadable))]


def _cannot_read(read: Callable[[Row], Any], row: Row, key: str) -> set[str]:
    try:
        read(row)
    except StoreCorruptError:
        return {str(row[key])}
    return set()


def _last(page: Sequence[Row], key: str) -> Any:
    """The last key of a page that can be asked for: text that is no UTF-8 comes as bytes, and cannot."""
    return next((row[key] for row in reversed(page) if not isinstance(row[key], bytes)), None)


def _canonical(address: str) -> str | None:
    try:
        return canonical_email(address)
    except InvalidEmailError:
        return None


def _told(kind: str, table: str, names: Sequence[str]) -> Iterator[Symptom]:
    if names:
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield Symptom(kind, f"{table}: {', '.join(names[:_NAMED])}{more}")


def _keys(rules: Rules) -> Unit[list[Symptom]]:
    cipher = rules.cipher
    if cipher is None:
        return []
    old = unknown = 0
    for row in (yield queries.count_provider_tokens()):
        prefix = None if row["prefix"] is None else bytes(row["prefix"])
        if prefix is not None and not cipher.is_known(prefix):
            unknown += row["tokens"]
        elif cipher.prefix and prefix != cipher.prefix:
            old += row["tokens"]
    found = [("old-key", old), ("unknown-key", unknown)]
    return [Symptom(kind, f"provider tokens: {count}") for kind, count in found if count]


def dead_rows(rules: Rules) -> Unit[list[Symptom]]:
    """Whether so many rows are dead that nobody seems to prune."""
    cut = cutoffs(rules.policy, rules.now)
    alive, dead = yield from count_sessions(cut, TableInfo("sessions", 0, None, ()))
    [tokens] = yield queries.count_dead_verification_tokens(
        now=rules.now, after=-(2**63), until=2**63 - 1, limit=1_000_000
    )
    [visits] = yield queries.count_dead_visits(**cut, after="", until="\U0010ffff", limit=1_000_000)
    found = [("sessions", dead, alive), ("visits", visits["dead"], 0), ("verification tokens", tokens["dead"], 0)]
    return [
        Symptom("dead-rows", f"{count:,} {name} are dead, {living:,} live")
        for name, count, living in found
        if count >= _MANY_DEAD and count * 9 >= living
    ]


def _clock(rules: Rules) -> Unit[list[Symptom]]:
    [row] = yield queries.get_newest()
    made = (_instant(row[name]) for name in ("newest_user", "newest_session"))
    ahead = max(filter(None, made), default=rules.now) - rules.now
    if ahead <= _CLOCKS_DIFFER:
        return []
    return [Symptom("clock", f"the newest row is from {ahead.total_seconds():,.0f} seconds ahead")]


def backup_age(rules: Rules) -> Unit[list[Symptom]]:
    """Whether there is a backup, and a new one."""
    [row] = yield queries.get_newest()
    note = yield from get_note(BACKUP)
    if note is not None and rules.now - note.at > _OLD_BACKUP:
        return [Symptom("no-backup", f"the newest is of {note.at:%Y-%m-%d %H:%M} UTC")]
    if note is None and (made := _instant(row["made"])) is not None and rules.now - made > _FIRST_DAY:
        return [Symptom("no-backup", "none was ever made by authstore")]
    return []


def _instant(value: str | datetime | None) -> datetime | None:
    """An instant of a row; of one that cannot be read another check tells."""
    try:
        return rows.maybe_instant(value)
    except ValueError:
        return None
