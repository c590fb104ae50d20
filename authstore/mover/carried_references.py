"""Foreign keys of carried tables: what they point to in the target, and the rows that must follow a missing parent."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from authstore.mover.carried_columns import CarriedColumn, CarriedTable, source_value
from authstore.mover.names import literal, relation
from authstore.mover.shapes import Problem, Recognised, Reject, Role, SourceReference, SourceTable, UserChanges
from authstore.mover.types import Landing, land, land_as_text

_At = tuple[str, str]
_KEYS: dict[Role, str] = {"users": "id", "roles": "name"}


@dataclass(frozen=True, slots=True)
class Link:
    """A foreign key that the target keeps."""

    reference: SourceReference
    table: str  # in the target
    columns: tuple[str, ...]  # there


@dataclass(frozen=True, slots=True)
class _Key:
    """What a column refers to in an auth table: the role, and the column of the source's table."""

    role: Recognised
    column: str


class References:
    """The foreign keys of all carried tables, resolved together."""

    def __init__(
        self,
        carried: Mapping[_At, CarriedTable],
        recognised: Sequence[Recognised],
        changes: UserChanges,
        naive_tz: str = "UTC",
    ) -> None:
        self._roles = {(one.table.schema, one.table.name): one for one in recognised if one.moved}
        self._changes = changes
        self._naive_tz = naive_tz
        self._mapped = _mapped_columns(carried, self._roles)
        self.tables = {at: self._with_mapped_columns(table) for at, table in carried.items()}

    def links(self, table: CarriedTable) -> tuple[list[Link], list[Problem]]:
        """The foreign keys that can be kept, and why the others cannot."""
        links, problems = [], []
        for reference in table.source.references:
            link = self._link(table, reference)
            if isinstance(link, Link):
                links.append(link)
            else:
                problems.append(_lost(table, reference, link))
            problems.extend(_weaker(table, reference) if isinstance(link, Link) else ())
        return links, problems

    def rejects(self, table: CarriedTable) -> tuple[Reject, ...]:
        """The rows that cannot move: bad values, orphans, and whatever hangs on a row that stays behind."""
        return tuple(self._rejects(table, "s", ()))

    def _with_mapped_columns(self, table: CarriedTable) -> CarriedTable:
        columns = dict(table.columns)
        for name, column in table.columns.items():
            key = self._mapped.get((table.at, name))
            if key is not None:
                columns[name] = replace(column, landing=self._landing(key, column.value), mapped=key.role.role)
        return replace(table, columns=columns)

    def _landing(self, key: _Key, value: str) -> Landing:
        """The value of a referring column as authstore knows the key. What changes it makes it unfit for checks."""
        landing = land_as_text(value)
        if key.role.role == "roles":
            return replace(landing, expression=_role_name(key, value), reading="opaque")
        if not self._changes.merged:
            return landing
        merged = literal(json.dumps(dict(sorted(self._changes.merged.items())), ensure_ascii=False))
        followed = f"coalesce({merged}::jsonb ->> ({landing.expression}), {landing.expression})"
        return replace(landing, expression=followed, reading="opaque")

    def _link(self, table: CarriedTable, reference: SourceReference) -> Link | str:
        role = self._roles.get(reference.table)
        if reference.unsayable:
            return f"SQLite has no {reference.unsayable}"
        if role is not None:
            return self._own_link(role, reference)
        parent = self.tables.get(reference.table)
        if parent is None:
            return "what it points to is not moved"
        if any(name not in parent.columns for name in reference.target_columns):
            return "the column it points to stays behind"
        return _carried_link(table, parent, reference)

    def _own_link(self, role: Recognised, reference: SourceReference) -> Link | str:
        if not _points_to_key(role, reference):
            return f"it points to what authstore's {role.role} keep in another form"
        return Link(reference, role.role, (_KEYS[role.role],))

    def _rejects(self, table: CarriedTable, alias: str, path: tuple[_At, ...]) -> Iterator[Reject]:
        for name, column in table.columns.items():
            for reason, predicate in self._bad(column, alias):
                yield Reject(reason, predicate, "--on-bad-row", name)
            if column.mapped == "users" and self._changes.gone:
                yield from self._without_user(name, land_as_text(source_value(name, alias)).expression)
        for link in self.links(table)[0]:
            yield from self._orphans(table, link, alias, path)

    def _bad(self, column: CarriedColumn, alias: str) -> tuple[tuple[str, str], ...]:
        value = source_value(column.source.name, alias)
        return () if column.mapped else land(column.source, value, naive_tz=self._naive_tz).bad

    def _without_user(self, name: str, user: str) -> Iterator[Reject]:
        causes: dict[tuple[str, str], list[str]] = {}
        for gone in self._changes.gone:
            causes.setdefault(self._changes.reasons.get(gone, ("rejected", "--on-bad-row")), []).append(gone)
        for (reason, option), users in sorted(causes.items()):
            wanted = ", ".join(map(literal, sorted(users)))
            yield Reject(f"its user is left out: {reason}", f"{user} IN ({wanted})", option, name)

    def _orphans(self, table: CarriedTable, link: Link, alias: str, path: tuple[_At, ...]) -> Iterator[Reject]:
        reference = link.reference
        column = reference.columns[0] if len(reference.columns) == 1 else None
        if not reference.validated:
            where = _no_parent(reference, self._source(reference.table), alias, len(path))
            yield Reject("orphan", where, "--on-orphan", column)
        parent = self.tables.get(reference.table)
        if parent is None or reference.table in (*path, table.at):
            return
        inner = f"p{len(path)}"
        for cause in self._rejects(parent, inner, (*path, table.at)):
            where = _has_parent(reference, parent.source, alias, inner, cause.where)
            reason = cause.reason if cause.reason.startswith("its ") else f"its {parent.source.name} is left out"
            yield Reject(reason, where, cause.option, column)

    def _source(self, at: _At) -> SourceTable:
        return self._roles[at].table if at in self._roles else self.tables[at].source


def _mapped_columns(
    carried: Mapping[_At, CarriedTable], roles: Mapping[_At, Recognised]
) -> dict[tuple[_At, str], _Key]:
    """The columns that hold a key of authstore's, also by way of other carried tables."""
    found: dict[tuple[_At, str], _Key] = {}
    pairs = [(table.at, reference) for table in carried.values() for reference in table.source.references]
    for at, reference in pairs:
        role = roles.get(reference.table)
        if role is not None and _points_to_key(role, reference):
            found[at, reference.columns[0]] = _Key(role, reference.target_columns[0])
    grown = True
    while grown:
        before = len(found)
        for at, reference in pairs:
            for name, target in zip(reference.columns, reference.target_columns, strict=True):
                if (reference.table, target) in found:
                    found.setdefault((at, name), found[reference.table, target])
        grown = len(found) > before
    return found


def _points_to_key(role: Recognised, reference: SourceReference) -> bool:
    """Whether it points to the key of authstore's table, or to what that can be looked up by."""
    if reference.unsayable or len(reference.target_columns) != 1:
        return False
    if role.role == "roles":
        return "name" in role.fields
    return role.role == "users" and reference.target_columns[0] == role.fields.get("id")


def _role_name(key: _Key, value: str) -> str:
    name = key.role.fields["name"]
    if key.column == name:
        return f"{value}::text"
    found = f"{source_value(key.column, 'r')} = {value}"
    return f"(SELECT {source_value(name, 'r')}::text FROM {relation(key.role.table, 'r')} WHERE {found})"


def _carried_link(table: CarriedTable, parent: CarriedTable, reference: SourceReference) -> Link | str:
    for name, target in zip(reference.columns, reference.target_columns, strict=True):
        child, key = table.columns[name], parent.columns[target]
        if child.mapped or key.mapped:
            if child.mapped != key.mapped:
                return f'"{name}" holds the key of {child.mapped or key.mapped}, the other side does not'
        elif not _same(child, key):
            return f'"{name}" ({child.source.type}) and "{target}" ({key.source.type}) are equal in Postgres only'
    columns = tuple(parent.columns[target].name for target in reference.target_columns)
    return Link(reference, parent.target, columns)


def _same(child: CarriedColumn, key: CarriedColumn) -> bool:
    """Whether values that are equal in Postgres are equal in SQLite."""
    left, right = child.landing, key.landing
    if (left.storage, left.collation) != (right.storage, right.collation):
        return False
    if left.reading == "digits":
        return child.source.modifier == key.source.modifier >= 4
    return left.reading not in ("citext", "json") and child.source.base != "interval"


def _lost(table: CarriedTable, reference: SourceReference, why: str) -> Problem:
    pointed = ".".join(reference.table)
    return Problem("left-behind", table.label, f'foreign key "{reference.name}" to {pointed}: {why}')


def _weaker(table: CarriedTable, reference: SourceReference) -> list[Problem]:
    if reference.match == "FULL" and len(reference.columns) > 1:
        message = f'foreign key "{reference.name}": MATCH FULL becomes SIMPLE, a partly null key is allowed'
        return [Problem("left-behind", table.label, message)]
    return []


def _no_parent(reference: SourceReference, parent: SourceTable, alias: str, depth: int) -> str:
    other = f"o{depth}"
    given = " AND ".join(f"{source_value(name, alias)} IS NOT NULL" for name in reference.columns)
    return f"{given} AND NOT EXISTS (SELECT FROM {relation(parent, other)} WHERE {_joined(reference, alias, other)})"


def _has_parent(reference: SourceReference, parent: SourceTable, alias: str, inner: str, where: str) -> str:
    joined = _joined(reference, alias, inner)
    return f"EXISTS (SELECT FROM {relation(parent, inner)} WHERE {joined} AND ({where}))"


def _joined(reference: SourceReference, alias: str, other: str) -> str:
    pairs = zip(reference.columns, reference.target_columns, strict=True)
    return " AND ".join(f"{source_value(target, other)} = {source_value(name, alias)}" for name, target in pairs)
