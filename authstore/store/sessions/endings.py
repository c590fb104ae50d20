"""How sessions end: why is written down, by the token's hash, before the row goes.

A token that was replaced with a grace is written down too, with its session: until then it is still good, and who
presents it later, or one from before it, has a copy.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from hmac import compare_digest
from typing import Any, NamedTuple

from authstore.database import Row, Unit
from authstore.errors import StoreCorruptError
from authstore.expiry import SessionPolicy, end_of_session, is_session_alive, oldest_start
from authstore.models import Ended
from authstore.sql import queries
from authstore.store import rows
from authstore.store.tuning import DEFAULT
from authstore.tokens import hash_token, named_session

STOLEN = "stolen"


class Ending(NamedTuple):
    """Why, when and by whom sessions are ended, and by which policy it is judged whether they still live.

    `many`: so many end in one transaction at most.
    """

    reason: str
    at: datetime
    actor: str | None
    policy: SessionPolicy
    many: int = DEFAULT.many_sessions

    @property
    def note(self) -> dict[str, Any]:
        """The parameters that tell it, and those that tell living sessions from dead ones."""
        return {
            "reason": self.reason,
            "at": self.at,
            "actor": self.actor,
            "now": self.at,
            "created_after": oldest_start(self.at, self.policy.lifetime),
            "used_after": oldest_start(self.at, self.policy.idle),
        }


class ManySessionsError(Exception):
    """More sessions of one user than should end in one transaction: a store ends most of them in slices, and runs the
    unit again. No caller sees it. `keep`: so many of them stay, those that were used last."""

    def __init__(self, user_id: str, ending: Ending, except_id: str, keep: int) -> None:
        super().__init__()
        self.user_id = user_id
        self.ending = ending
        self.except_id = except_id
        self.keep = keep


def find_session(token: str, *, to_change: bool = False) -> Unit[Row | None]:
    """The session that has this token now, living or dead. `to_change`: nobody else changes it meanwhile."""
    presented = hash_token(token)
    named = named_session(token)
    if named is not None:
        by_id = queries.get_session_by_id
        found = yield by_id.changing(id=named) if to_change else by_id(id=named)
        if found and compare_digest(found[0]["token_hash"], presented):
            return found[0]
    by_hash = queries.get_session_by_hash
    found = yield by_hash.changing(token_hash=presented) if to_change else by_hash(token_hash=presented)
    return found[0] if found else None


def find_presented(token: str, now: datetime, policy: SessionPolicy) -> Unit[Row | None]:
    """The session that has this token, or had it until a moment ago and lets it count (`replaced_until`).

    Ends the session where somebody presents a token that was replaced longer ago.
    """
    row = yield from find_session(token, to_change=True)
    if row is not None:
        return row
    replaced = yield queries.get_replaced_session(token_hash=hash_token(token))
    found = (yield queries.get_session_by_id.changing(id=replaced[0]["id"])) if replaced else []
    if not found:
        return None
    if now < rows.instant(replaced[0]["replaced_until"]):
        return {**found[0], "replaced_until": replaced[0]["replaced_until"]}
    if is_row_alive(found[0], now, policy):
        yield from end_found(found[0], Ending(STOLEN, now, None, policy))
    return None


def replace_token(row: Row, until: datetime | None, rotating: Ending) -> Unit[None]:
    """Writes down that the session's token is replaced. `until`: the end of its grace, where it has one."""
    yield queries.end_graces(session_id=row["id"], now=rotating.at)
    yield queries.insert_ended_token(
        token_hash=row["token_hash"],
        reason=rotating.reason,
        at=rotating.at if until is None else until,
        actor=rotating.actor,
        session_id=None if until is None else row["id"],
    )


def end_session(session_id: str, ending: Ending) -> Unit[bool]:
    """Ends a session by its id; whether there was one."""
    if not (yield queries.note_ending(id=session_id, **ending.note)):
        yield from _note_deaths((yield queries.get_session_row(id=session_id)), ending.policy)
    return bool((yield queries.delete_session(id=session_id)))


def end_found(row: Row, ending: Ending) -> Unit[bool]:
    """Ends the session of this row; one that was dead already died of that."""
    try:
        is_alive = is_row_alive(row, ending.at, ending.policy)
    except StoreCorruptError:  # what cannot be read can be ended
        is_alive = True
    if is_alive:
        yield queries.insert_ended_token(
            token_hash=row["token_hash"], reason=ending.reason, at=ending.at, actor=ending.actor, session_id=None
        )
    else:
        yield from _note_deaths([row], ending.policy)
    return bool((yield queries.delete_session(id=row["id"])))


def end_sessions(user_id: str, except_id: str, ending: Ending) -> Unit[int]:
    """Ends the sessions of a user, save one; how many. Raises `ManySessionsError`."""
    found = yield queries.list_session_ids(user_id=user_id, except_id=except_id, most=ending.many + 1)
    if len(found) > ending.many:
        raise ManySessionsError(user_id, ending, except_id, 0)
    return (yield from end_these([row["id"] for row in found], ending))


def refuse_many(user_id: str, ending: Ending, *, except_id: str, keep: int) -> Unit[None]:
    """Raises `ManySessionsError` where more sessions beyond those that stay would end than one transaction should."""
    most = ending.many + keep
    [counted] = yield queries.count_sessions(user_id=user_id, most=most + 1)
    if counted["counted"] > most:
        raise ManySessionsError(user_id, ending, except_id, keep)


def end_these(ids: list[str], ending: Ending, *, unused_since: datetime | None = None) -> Unit[int]:
    """Ends these sessions, or those of them that nobody used since; how many."""
    if unused_since is not None:
        found = yield queries.list_last_uses.changing(ids=rows.json_list(ids))
        ids = [row["id"] for row in found if rows.earliest_if_unreadable(row["last_used_at"]) <= unused_since]
    if not ids:
        return 0
    these = rows.json_list(ids)
    yield queries.note_endings(ids=these, **ending.note)
    yield from _note_deaths((yield queries.list_unnoted_sessions(ids=these)), ending.policy)
    return len((yield queries.delete_sessions(ids=these)))


def end_dead(found: Iterable[Row], policy: SessionPolicy) -> Unit[None]:
    """Writes down what these sessions died of, many in one step."""
    deaths = [[row["id"], reason, rows.instant_text(at)] for row, reason, at in _deaths(found, policy)]
    if deaths:
        yield queries.note_deaths(deaths=rows.json_text(deaths))


def is_row_alive(row: Row, now: datetime, policy: SessionPolicy) -> bool:
    """Whether the session of this row lives."""
    return is_session_alive(policy, now, **_instants(row))


def ended(row: Row | None, now: datetime, policy: SessionPolicy) -> Ended | None:
    """What the session of this row died of, though the row is still there; `None` where it lives."""
    if row is None:
        return None
    if not is_row_alive(row, now, policy):
        reason, at = _death(row, policy)
        return Ended(reason=reason, at=at, by=None)
    if row["user_updated_at"] is None:
        return Ended(reason="user-deleted", at=now, by=None)
    if row["user__disabled"]:
        return Ended(reason="user-disabled", at=rows.instant(row["user_updated_at"]), by=None)
    return None


def _note_deaths(found: Iterable[Row], policy: SessionPolicy) -> Unit[None]:
    for row, reason, at in _deaths(found, policy):
        yield queries.insert_ended_token(
            token_hash=row["token_hash"], reason=reason, at=at, actor=None, session_id=None
        )


def _deaths(found: Iterable[Row], policy: SessionPolicy) -> Iterator[tuple[Row, str, datetime]]:
    """What each died of; not of rows that cannot be read, which go nevertheless."""
    for row in found:
        with suppress(StoreCorruptError):
            yield (row, *_death(row, policy))


def _death(row: Row, policy: SessionPolicy) -> tuple[str, datetime]:
    return end_of_session(policy, **_instants(row))


def _instants(row: Row) -> dict[str, datetime]:
    try:
        return {name: rows.instant(row[name]) for name in ("expires", "created_at", "last_used_at")}
    except ValueError:
        raise rows.unreadable("sessions", row["id"]) from None
