"""Tables in the order of their foreign keys: parents first, circles named."""

from collections.abc import Sequence

from authstore.mover.catalog import QualifiedName, Source
from authstore.mover.copies import TableCopy


def in_order(copies: Sequence[TableCopy], source: Source) -> tuple[tuple[TableCopy, ...], tuple[tuple[str, ...], ...]]:
    """The copies, each after those it refers to, and the circles where that cannot be (of two tables or more).

    Within what is free, the given order stays.
    """
    parents = _parents(copies, source)
    waiting: dict[QualifiedName, list[TableCopy]] = {}
    for copy in copies:
        waiting.setdefault(copy.source, []).append(copy)  # what names users in a session store comes as sessions too
    ordered: list[TableCopy] = []
    circles: list[tuple[str, ...]] = []
    while waiting:
        free = [at for at in waiting if not parents[at] & waiting.keys()]
        if not free:
            circle = _circle(waiting, parents)
            circles.append(tuple(copy.target for at in circle for copy in waiting[at]))
            free = circle
        ordered += [copy for at in free for copy in waiting.pop(at)]
    return tuple(ordered), tuple(circles)


def _parents(copies: Sequence[TableCopy], source: Source) -> dict[QualifiedName, set[QualifiedName]]:
    moved = {copy.source for copy in copies}
    found: dict[QualifiedName, set[QualifiedName]] = {at: set() for at in moved}
    for table in source.tables:
        at = (table.schema, table.name)
        if at in moved:
            found[at] = {reference.table for reference in table.references if reference.table in moved} - {at}
    return found


def _circle(
    waiting: dict[QualifiedName, list[TableCopy]], parents: dict[QualifiedName, set[QualifiedName]]
) -> list[QualifiedName]:
    """Walks up until a table comes again: what lies between is a circle."""
    path: list[QualifiedName] = [next(iter(waiting))]
    while (parent := min(parents[path[-1]] & waiting.keys())) not in path:
        path.append(parent)
    return path[path.index(parent) :]
