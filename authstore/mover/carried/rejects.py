"""The rows of carried tables that cannot move: bad values, orphans, duplicates, and whatever hangs on such rows."""

from collections.abc import Iterator, Sequence

from authstore.mover.carried.columns import CarriedColumn, CarriedTable, source_value
from authstore.mover.carried.references import CarriedReference, QualifiedName, References, merged_user, user_id
from authstore.mover.catalog import SourceKey, SourceReference
from authstore.mover.copies import Reject, UserChanges
from authstore.mover.names import relation
from authstore.mover.postgres.statements import is_any
from authstore.mover.postgres.types import land


class Rejects:
    """Predicates on the source for the rows of each table that stay behind."""

    def __init__(self, references: References, changes: UserChanges, naive_tz: str) -> None:
        self._references = references
        self._changes = changes
        self._naive_tz = naive_tz
        self._reached = _reached(references)
        self._circles = {
            at: tuple(sorted(other for other in tables if at in self._reached.get(other, ())))
            for at, tables in self._reached.items()
        }
        self._spared: set[QualifiedName] = set()

    def of(self, table: CarriedTable) -> tuple[Reject, ...]:
        """Why rows of this table stay behind, over the alias s."""
        return tuple(self._all(table, "s", 0))

    def parents_first(self) -> list[QualifiedName]:
        """The tables in an order in which `spare` helps: what a table refers to comes before it, circles apart."""
        return sorted(self._reached, key=lambda at: (len(self._reached[at]), at))

    def spare(self, at: QualifiedName) -> None:
        """No row of this table stays behind, so nothing that hangs on it does."""
        self._spared.add(at)

    def _all(self, table: CarriedTable, alias: str, depth: int) -> list[Reject]:
        return [*self._own(table, alias, depth), *self._in_circle(table, alias, depth)]

    def _own(self, table: CarriedTable, alias: str, depth: int) -> Iterator[Reject]:
        for column in table.columns.values():
            yield from self._bad(column, alias)
            if column.mapped == "users":
                yield from self._without_user(column, alias)
        for key in table.source.keys if self._changes.merged else ():
            yield from self._duplicates(table, key, alias, depth)
        for link in self._references.links(table):
            yield from self._orphans(link, alias, depth)
            if link.reference.table not in (*self._circles[table.at], *self._spared):
                yield from self._after_parent(link, alias, depth)

    def _bad(self, column: CarriedColumn, alias: str) -> Iterator[Reject]:
        if not column.mapped:
            landing = land(column.source, source_value(column.source.name, alias), naive_tz=self._naive_tz)
            for reason, where in landing.bad:
                yield Reject(reason, where, "on_bad_row", column.source.name)

    def _without_user(self, column: CarriedColumn, alias: str) -> Iterator[Reject]:
        causes: dict[tuple[str, str], list[str]] = {}
        for gone in self._changes.gone:
            causes.setdefault(self._changes.reasons[gone], []).append(gone)
        user = user_id(column, source_value(column.source.name, alias))
        for (reason, decision), users in sorted(causes.items()):
            yield Reject(reason, is_any(user, sorted(users)), decision, column.source.name, follows=True)

    def _duplicates(self, table: CarriedTable, key: SourceKey, alias: str, depth: int) -> Iterator[Reject]:
        """Of rows that merging makes equal, the one that was the oldest user's already stays, else the first."""
        users = [name for name in key.columns if table.columns[name].mapped == "users"]
        if not users:
            return
        other, same = f"d{depth}", []
        for name in key.columns:
            one, two = source_value(name, alias), source_value(name, other)
            if name in users:
                one, two = (merged_user(user_id(table.columns[name], value), self._changes) for value in (one, two))
            same.append(f"{one} = {two}")
        earlier = f"({self._rank(table, users, other)}) < ({self._rank(table, users, alias)})"
        found = f"SELECT FROM {relation(table.source, other)} WHERE {' AND '.join(same)} AND {earlier}"
        moved = [is_any(self._user(table, name, alias), sorted(self._changes.merged)) for name in users]
        yield Reject("duplicate", f"({' OR '.join(moved)}) AND EXISTS ({found})", "on_duplicate", users[0])

    def _rank(self, table: CarriedTable, users: Sequence[str], alias: str) -> str:
        values = [self._user(table, name, alias) for name in users]
        merged = sorted(self._changes.merged)
        return ", ".join([*(is_any(value, merged) for value in values), *(f'{value} COLLATE "C"' for value in values)])

    def _user(self, table: CarriedTable, name: str, alias: str) -> str:
        return user_id(table.columns[name], source_value(name, alias))

    def _orphans(self, link: CarriedReference, alias: str, depth: int) -> Iterator[Reject]:
        """Rows that the source never checked: the foreign key is NOT VALID or NOT ENFORCED."""
        reference = link.reference
        if not reference.validated:
            other = f"o{depth}"
            given = " AND ".join(f"{source_value(name, alias)} IS NOT NULL" for name in reference.columns)
            found = f"SELECT FROM {self._parent(reference, other)} WHERE {_joined(reference, alias, other)}"
            yield Reject("orphan", f"{given} AND NOT EXISTS ({found})", "on_orphan", reference.columns[0])

    def _after_parent(self, link: CarriedReference, alias: str, depth: int) -> Iterator[Reject]:
        reference, inner = link.reference, f"p{depth}"
        parent = self._references.tables.get(reference.table)
        for cause in self._all(parent, inner, depth + 1) if parent is not None else ():
            joined = f"{_joined(reference, alias, inner)} AND ({cause.where})"
            where = f"EXISTS (SELECT FROM {self._parent(reference, inner)} WHERE {joined})"
            yield Reject(
                f'its row of "{reference.table[1]}" is left out',
                where,
                cause.decision,
                reference.columns[0],
                follows=True,
            )

    def _in_circle(self, table: CarriedTable, alias: str, depth: int) -> Iterator[Reject]:
        """Rows that hang, over any number of steps, on a row left out of a table that hangs on this one in turn."""
        members = [self._references.tables[at] for at in self._circles[table.at]]
        first = {member.at: list(self._own(member, f"b{depth}", depth + 1)) for member in members}
        for decision in sorted({cause.decision for causes in first.values() for cause in causes}):
            starts = [
                f"SELECT {at}, {_place(f'b{depth}')} FROM {relation(member.source, f'b{depth}')} WHERE {_any(wheres)}"
                for at, member in enumerate(members)
                if (wheres := [cause.where for cause in first[member.at] if cause.decision == decision])
            ]
            gone = f"gone{depth}"
            steps = " UNION ALL ".join(self._steps(members, gone))
            walk = (
                f"WITH RECURSIVE {gone} (t, place) AS ({' UNION ALL '.join(starts)} UNION "
                f"SELECT x.t, x.place FROM {gone} CROSS JOIN LATERAL ({steps}) AS x (t, place)) "
                f"SELECT place FROM {gone} WHERE t = {members.index(table)}"
            )
            own = [cause.where for cause in self._own(table, alias, depth + 1)]
            hangs = f"{_place(alias)} IN ({walk})"
            where = f"{hangs} AND ({_any(own)}) IS NOT TRUE" if own else hangs
            yield Reject("what it refers to is left out", where, decision, follows=True)

    def _steps(self, members: Sequence[CarriedTable], gone: str) -> Iterator[str]:
        places = {member.at: number for number, member in enumerate(members)}
        for member in members:
            for link in self._references.links(member):
                if link.reference.table in places:
                    yield (
                        f"SELECT {places[member.at]}, {_place('c')} FROM {relation(member.source, 'c')} "
                        f"JOIN {self._parent(link.reference, 'q')} ON {_joined(link.reference, 'c', 'q')} "
                        f"WHERE {gone}.t = {places[link.reference.table]} AND {_place('q')} = {gone}.place"
                    )

    def _parent(self, reference: SourceReference, alias: str) -> str:
        role = self._references.roles.get(reference.table)
        table = role.table if role is not None else self._references.tables[reference.table].source
        return relation(table, alias)


def _place(alias: str) -> str:
    """Where a row of one snapshot stands: what no other row of the table shares."""
    return f"concat_ws(' ', {alias}.tableoid, {alias}.ctid)"


def _any(predicates: Sequence[str]) -> str:
    return " OR ".join(f"({predicate})" for predicate in predicates)


def _joined(reference: SourceReference, alias: str, other: str) -> str:
    pairs = zip(reference.columns, reference.target_columns, strict=True)
    return " AND ".join(f"{source_value(target, other)} = {source_value(name, alias)}" for name, target in pairs)


def _reached(references: References) -> dict[QualifiedName, set[QualifiedName]]:
    """For each table: those it refers to, over any number of steps."""
    reached = {
        at: {link.reference.table for link in references.links(table)} for at, table in references.tables.items()
    }
    grown = True
    while grown:
        grown = False
        for at, tables in reached.items():
            further = set().union(*(reached.get(table, set()) for table in tables)) - tables
            if further:
                reached[at] = tables | further
                grown = True
    return reached
