"""Rows that share what only one may have: found by the target's rules, decided by `on_duplicate`, never by chance."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from authstore.mover.auth.draft import Draft, Unique
from authstore.mover.catalog import SourceTable
from authstore.mover.options import MoveOptions
from authstore.mover.postgres.asking import Asking
from authstore.mover.postgres.statements import is_any


@dataclass(frozen=True, slots=True)
class VerifiedUsers:
    """The users whose address is verified: their id in `source_from`, where `where` holds."""

    user_id: str
    source_from: str
    where: str

    def among(self, users: frozenset[str]) -> Asking[frozenset[str]]:
        """Those of these users."""
        where = f"{is_any(self.user_id, sorted(users))} AND {self.where}"
        found = yield f"SELECT {self.user_id} FROM {self.source_from} WHERE {where}"
        return frozenset(user for (user,) in found)


@dataclass(frozen=True, slots=True)
class Member:
    """One row of a group of duplicates."""

    identity: str
    row_id: str
    user: str | None
    shown: str | None
    verified: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that share one thing, the oldest first."""

    members: tuple[Member, ...]
    may_merge: bool

    @property
    def oldest(self) -> Member:
        return self.members[0]

    @property
    def others(self) -> tuple[Member, ...]:
        return self.members[1:]


def find_duplicates(
    draft: Draft, unique: Unique, movable: str, verified: VerifiedUsers | None
) -> Asking[tuple[Group, ...]]:
    """The groups among the rows that `movable` (a predicate) lets through; one query at most where there are none."""
    if is_vouched_for(draft.one.table, unique):
        return ()
    shared = _shared(draft, unique, movable)
    if not (yield f"{shared} LIMIT 1"):
        return ()
    keys = ", ".join(unique.sql)
    about = f"{draft.identity}, {draft.name}, {draft.user}, {draft.shown}, {draft.verified}"
    statement = (
        f"SELECT {keys}, {about} FROM {draft.source_from} WHERE {movable} AND ({keys}) IN ({shared}) "
        f"ORDER BY {', '.join([*(_sorted(sql) for sql in unique.sql), *draft.order])}"
    )
    width = len(unique.sql)
    found = groupby((yield statement), key=lambda row: row[:width])
    groups = [tuple(Member(*row[width:]) for row in group) for _, group in found]
    trusted = yield from _trusted(draft, groups, verified)
    return tuple(Group(members, _may_merge(draft, members, trusted)) for members in groups)


def is_open(group: Group, unique: Unique, options: MoveOptions) -> bool:
    """Whether nobody has decided about this group."""
    if unique.harmless or options.on_duplicate == "keep-oldest":
        return False
    return options.on_duplicate == "stop" or not group.may_merge


def is_vouched_for(table: SourceTable, unique: Unique) -> bool:
    """Whether a key of the source rules duplicates out. (Rows with nulls in it are bad rows.)"""
    return any(set(key.columns) <= set(unique.columns) for key in table.keys)


def _shared(draft: Draft, unique: Unique, movable: str) -> str:
    keys = ", ".join(unique.sql)
    there = " AND ".join(f"({sql}) IS NOT NULL" for sql in unique.sql)
    return f"SELECT {keys} FROM {draft.source_from} WHERE {movable} AND {there} GROUP BY {keys} HAVING count(*) > 1"


def _sorted(sql: str) -> str:
    return f'({sql}) COLLATE "C"'


def _trusted(
    draft: Draft,
    groups: Iterable[Sequence[Member]],
    verified: VerifiedUsers | None,
) -> Asking[frozenset[str]]:
    if verified is None or draft.one.role in ("users", "roles"):
        return frozenset()
    several = [users for users in map(_users, groups) if len(users) > 1]
    return (yield from verified.among(frozenset().union(*several))) if several else frozenset()


def _may_merge(draft: Draft, members: Sequence[Member], trusted: frozenset[str]) -> bool:
    """Whether nobody can get at another's account by merging: one user, or every address involved is verified."""
    if draft.one.role == "users":
        return all(member.verified for member in members)
    users = _users(members)
    return draft.one.role == "roles" or len(users) < 2 or users <= trusted


def _users(members: Iterable[Member]) -> frozenset[str]:
    return frozenset(member.user for member in members if member.user is not None)
