"""From a draft to a `TableCopy`: every problem counted in the snapshot, rows that cannot move named as rejects.

A reject that no row has is left out of the query, so that a clean source is read at full speed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from authstore.mover.auth.draft import Draft, Unique
from authstore.mover.auth.duplicates import Group, VerifiedUsers, find_duplicates, is_vouched_for
from authstore.mover.auth.problems import duplicate_problems, expired_problem, where_from
from authstore.mover.copies import Reject, TableCopy
from authstore.mover.options import MoveOptions
from authstore.mover.postgres.asking import Asking
from authstore.mover.postgres.counting import count_first, first_rows
from authstore.mover.postgres.statements import is_any
from authstore.mover.problems import SAMPLES, rejected, sample
from authstore.mover.reports import Problem


@dataclass(frozen=True, slots=True)
class Decided:
    """`gone`: by reason and decision, the users (or roles) of rejected rows. `merged`: user → the oldest."""

    copy: TableCopy
    problems: tuple[Problem, ...]
    gone: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    merged: dict[str, str] = field(default_factory=dict)


def decide(draft: Draft, options: MoveOptions, verified: VerifiedUsers | None) -> Asking[Decided]:
    """Looks at the rows of a draft. `verified`: where there are users."""
    deciding = _Deciding(draft, options, verified)
    yield from deciding.leave_rejects()
    for unique in draft.uniques:
        yield from deciding.leave_duplicates(unique)
    return deciding.decided()


class _Deciding:
    def __init__(self, draft: Draft, options: MoveOptions, verified: VerifiedUsers | None) -> None:
        self._draft = draft
        self._options = options
        self._verified = verified
        self._living = "TRUE" if draft.ended == "FALSE" else f"NOT {draft.ended}"
        self._where = f"({self._living} AND NOT COALESCE({draft.over}, FALSE))" if draft.over else self._living
        self._rejects: list[Reject] = []
        self._problems: list[Problem] = list(draft.noted)
        self._watched = list(draft.watched)
        self._gone: dict[tuple[str, str], list[str]] = {}
        self._merged: dict[str, str] = {}

    def leave_rejects(self) -> Asking[None]:
        """Each row is rejected once, for the first reason it has; what has ended or expired is no reject."""
        draft = self._draft
        first = [draft.ended, draft.over or "FALSE", *(reject.where for reject in draft.rejects)]
        _, over, *counts = yield from count_first(draft.source_from, first)
        if over:
            self._problems.append(expired_problem(draft, over))
        else:
            self._where = self._living
            self._watched += [draft.over] if draft.over else []
        for reject, count in zip(draft.rejects, counts, strict=True):
            if count:
                where = " AND ".join([reject.where, *(f"NOT ({earlier.where})" for earlier in self._rejects)])
                seen = f"{self._where} AND {where}"
                samples = yield from self._samples(seen)
                self._problems.append(rejected(where_from(draft.one), reject, count, samples, self._options))
                yield from self._note_gone(reject, seen)
                self._rejects.append(Reject(reject.reason, f"({where})", reject.decision, reject.column))
            elif reject.where != "FALSE":
                self._watched.append(reject.where)

    def _samples(self, where: str) -> Asking[list[str]]:
        columns = f"{self._draft.name}, {self._draft.shown}"
        found = yield from first_rows(columns, self._draft.source_from, where, SAMPLES)
        return [sample(row_id, shown) for row_id, shown in found]

    def _note_gone(self, reject: Reject, where: str) -> Asking[None]:
        if self._draft.one.role not in ("users", "roles"):
            return
        what = self._draft.one.role.removesuffix("s")
        found = yield f"SELECT {self._draft.user} FROM {self._draft.source_from} WHERE {where}"
        ids = [user for (user,) in found if user]
        self._gone.setdefault((f"its {what} is rejected: {reject.reason}", reject.decision), []).extend(ids)

    def leave_duplicates(self, unique: Unique) -> Asking[None]:
        """All but the oldest row of each group, also of those that nobody has decided on (then the move stops)."""
        movable = " AND ".join([self._where, *(f"NOT ({earlier.where})" for earlier in self._rejects)])
        groups = yield from find_duplicates(self._draft, unique, movable, self._verified)
        if not groups:
            return
        self._problems += duplicate_problems(self._draft, unique, groups, self._options)
        losers = [member.identity for group in groups for member in group.others]
        merge = self._options.on_duplicate == "merge" and not unique.harmless
        reason = "merged into the oldest" if merge else f"the same {unique.name} as an older row"
        decision = "" if unique.harmless else "on_duplicate"
        self._rejects.append(Reject(reason, is_any(self._draft.identity, losers), decision))
        if self._draft.one.role in ("users", "roles") and unique.name != "id":
            self._note_changes(groups, merge)

    def _note_changes(self, groups: Iterable[Group], merge: bool) -> None:
        what = self._draft.one.role.removesuffix("s")
        for group in groups:
            for member in group.others:
                if member.user is None or group.oldest.user is None:
                    continue
                if merge and group.may_merge:
                    self._merged[member.user] = group.oldest.user
                else:
                    self._gone.setdefault((f"its {what} is a duplicate", "on_duplicate"), []).append(member.user)

    def decided(self) -> Decided:
        draft = self._draft
        copy = TableCopy(
            target=draft.target,
            role=draft.one.role,
            source=(draft.one.table.schema, draft.one.table.name),
            columns=draft.columns,
            key=draft.key,
            source_from=draft.source_from,
            where=self._where,
            rejects=tuple(self._rejects),
            row_id=draft.name,
            secrets=draft.secrets,
            watched=tuple(self._watched),
            is_told_apart=is_vouched_for(draft.one.table, draft.uniques[0]),
        )
        gone = {why: tuple(ids) for why, ids in self._gone.items()}
        return Decided(copy, tuple(self._problems), gone, self._merged)
