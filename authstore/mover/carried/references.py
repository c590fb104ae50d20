"""Foreign keys of carried tables: what they point to in the target, and the columns that hold a key of authstore's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from authstore.mover.carried.columns import CarriedColumn, CarriedTable, source_value
from authstore.mover.catalog import SourceReference
from authstore.mover.copies import Role, UserChanges
from authstore.mover.names import relation
from authstore.mover.postgres.statements import json_map
from authstore.mover.postgres.types import Landing
from authstore.mover.postgres.values import key_text
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.reports import Problem

QualifiedName = tuple[str, str]  # schema and name of a source table
_KEYS: dict[Role, str] = {"users": "id", "roles": "name"}


@dataclass(frozen=True, slots=True)
class CarriedReference:
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
    """The foreign keys of all carried tables, resolved together. `tables`: with the columns that follow a key."""

    def __init__(
        self, carried: Mapping[QualifiedName, CarriedTable], recognised: Sequence[Recognised], changes: UserChanges
    ) -> None:
        self.roles = {(one.table.schema, one.table.name): one for one in recognised if one.moved}
        self._changes = changes
        self._keys = _key_columns(carried, self.roles)
        self.tables = {at: self._following(table) for at, table in carried.items()}
        found = {at: self._resolve(table) for at, table in self.tables.items()}
        self._links = {at: links for at, (links, _) in found.items()}
        self.problems = tuple(problem for _, problems in found.values() for problem in problems)

    def links(self, table: CarriedTable) -> list[CarriedReference]:
        """The foreign keys of a table that can be kept; `problems` says why the others cannot."""
        return self._links[table.at]

    def _resolve(self, table: CarriedTable) -> tuple[list[CarriedReference], list[Problem]]:
        links, problems = [], []
        for reference in table.source.references:
            link = self._link(table, self._shortened(reference))
            if isinstance(link, CarriedReference):
                links.append(link)
                problems += _weaker(table, reference, link)
            else:
                problems.append(_lost(table, reference, link))
        return links, problems

    def _shortened(self, reference: SourceReference) -> SourceReference:
        """Of a composite reference to the users, the part that points to the user's id; the rest has no place there."""
        role = self.roles.get(reference.table)
        if role is None or role.role != "users" or len(reference.columns) == 1 or reference.unsayable:
            return reference
        pairs = zip(reference.columns, reference.target_columns, strict=True)
        own = next((name for name, target in pairs if target == role.fields.get("id")), None)
        if own is None:
            return reference
        # Not validated: the source let rows pass in which another part was null.
        return replace(reference, columns=(own,), target_columns=(role.fields["id"],), validated=False)

    def _following(self, table: CarriedTable) -> CarriedTable:
        columns = dict(table.columns)
        for name, column in table.columns.items():
            key = self._keys.get((table.at, name))
            if key is not None:
                columns[name] = replace(column, landing=self._landing(key, column), mapped=key.role.role)
        return replace(table, columns=columns)

    def _landing(self, key: _Key, column: CarriedColumn) -> Landing:
        """The key as authstore knows it. What changes the value makes it unfit for checks."""
        if key.role.role == "roles":
            return Landing("TEXT", _role_name(key, column), "opaque")
        own = user_id(column, column.value)
        if not self._changes.merged:
            return Landing("TEXT", own, "exact")
        return Landing("TEXT", merged_user(own, self._changes), "opaque")

    def _link(self, table: CarriedTable, reference: SourceReference) -> CarriedReference | str:
        role = self.roles.get(reference.table)
        if reference.unsayable:
            return f"SQLite has no {reference.unsayable}"
        if role is not None:
            return _own_link(role, reference)
        parent = self.tables.get(reference.table)
        if parent is None:
            return "what it points to is not moved"
        return _carried_link(table, parent, reference)


def user_id(column: CarriedColumn, value: str) -> str:
    """A user's id as the target writes it, before duplicates are merged."""
    return key_text(column.source, value).sql


def merged_user(own: str, changes: UserChanges) -> str:
    """The id of the user with whom a duplicate was merged, or the user's own."""
    return f"coalesce({json_map(dict(sorted(changes.merged.items())))} ->> ({own}), {own})"


def _role_name(key: _Key, column: CarriedColumn) -> str:
    name = key.role.fields["name"]
    if key.column == name:
        return f"{column.value}::text"
    found = f"{source_value(key.column, 'r')} = {column.value}"
    return f"(SELECT {source_value(name, 'r')}::text FROM {relation(key.role.table, 'r')} WHERE {found})"


def _key_columns(
    carried: Mapping[QualifiedName, CarriedTable], roles: Mapping[QualifiedName, Recognised]
) -> dict[tuple[QualifiedName, str], _Key]:
    """The columns that hold a key of authstore's, also by way of other carried tables."""
    found: dict[tuple[QualifiedName, str], _Key] = {}
    pairs = [(table.at, reference) for table in carried.values() for reference in table.source.references]
    for at, reference in pairs:
        role = roles.get(reference.table)
        for name, target in zip(reference.columns, reference.target_columns, strict=True) if role else ():
            if role is not None and _is_key(role, target, alone=len(reference.columns) == 1):
                found[at, name] = _Key(role, target)
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
    alone = len(reference.target_columns) == 1
    return alone and not reference.unsayable and _is_key(role, reference.target_columns[0], alone=True)


def _is_key(role: Recognised, column: str, *, alone: bool) -> bool:
    if role.role == "roles":
        return alone and "name" in role.fields
    return role.role == "users" and column == role.fields.get("id")


def _own_link(role: Recognised, reference: SourceReference) -> CarriedReference | str:
    if not _points_to_key(role, reference):
        return f"it points to what authstore's {role.role} keep in another form"
    return CarriedReference(reference, role.role, (_KEYS[role.role],))


def _carried_link(table: CarriedTable, parent: CarriedTable, reference: SourceReference) -> CarriedReference | str:
    for name, target in zip(reference.columns, reference.target_columns, strict=True):
        if target not in parent.columns or name not in table.columns:
            return "a column of it stays behind"
        child, key = table.columns[name], parent.columns[target]
        if child.mapped or key.mapped:
            if child.mapped != key.mapped:
                return f'"{name}" holds the key of {child.mapped or key.mapped}, the other side does not'
        elif not _same(child, key):
            return f'"{name}" ({child.source.type}) and "{target}" ({key.source.type}) are equal in Postgres only'
    return CarriedReference(
        reference, parent.target, tuple(parent.columns[target].name for target in reference.target_columns)
    )


def _same(child: CarriedColumn, key: CarriedColumn) -> bool:
    """Whether values that are equal in Postgres are equal in SQLite."""
    left, right = child.landing, key.landing
    if (left.storage, left.collation) != (right.storage, right.collation):
        return False
    if left.reading == "digits" and child.source.modifier != key.source.modifier:
        return False
    if left.reading != right.reading and {left.reading, right.reading} != {"integer", "decimal"}:
        return False
    return child.keeps_equality


def _lost(table: CarriedTable, reference: SourceReference, why: str) -> Problem:
    pointed = ".".join(reference.table)
    return Problem("left-behind", table.label, f'foreign key "{reference.name}" to {pointed}: {why}')


def _weaker(table: CarriedTable, reference: SourceReference, link: CarriedReference) -> list[Problem]:
    said = ""
    if len(link.columns) < len(reference.columns):
        said = f'only "{link.reference.columns[0]}" refers to the users, of whom no more than the id is a key'
    elif reference.match == "FULL" and len(reference.columns) > 1:
        said = "MATCH FULL becomes SIMPLE, a partly null key is allowed"
    return [Problem("left-behind", table.label, f'foreign key "{reference.name}": {said}')] if said else []
