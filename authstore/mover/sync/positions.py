"""Where sequences go on in PostgreSQL: where they stood there, or behind the numbers that were given since."""

from authstore.mover.names import literal, quote
from authstore.mover.postgres.target import BUILDING, PostgresTarget
from authstore.mover.rebuilding.incoming import Incoming
from authstore.mover.rebuilding.scheme import RebuildScheme
from authstore.mover.rebuilding.trial import sequence_of
from authstore.mover.sqlite.source import SqliteSource


def set_positions(target: PostgresTarget, source: SqliteSource, scheme: RebuildScheme, schema: str) -> None:
    """For every sequence of the tables in this schema."""
    own = [("changes", "seq"), ("verification_tokens", "id")]
    for one in scheme.tables:
        if one.is_own:
            for name, column in own:
                if name == one.target:
                    _count_on(target, source, one, column, schema)
        elif (defined := scheme.incoming.defined(one.target)) is not None:
            for place, column, known in defined.positions():
                found = _position(source, one, column, known["position"], known["step"])
                if found is not None:
                    _set(target, place, schema, str(found))
                elif first := known.get("first") or _first(source, one, column):
                    _set(target, place, schema, f"{first}, false")
        elif one.file.counted:
            _count_on(target, source, one, one.file.primary[0], schema)


def _count_on(target: PostgresTarget, source: SqliteSource, one: Incoming, column: str, schema: str) -> None:
    """Behind the greatest number that was ever given."""
    sequence = sequence_of(target, schema, one.name, one.names.get(column, column))
    given = source.sequences.get(one.target, 0)
    found = max([given, *_edges(source, one, column)], default=0)
    if sequence is not None and found > 0:
        target.execute(f"SELECT setval({literal(sequence)}, {found})")


def _position(source: SqliteSource, one: Incoming, column: str, position: int | None, step: int) -> int | None:
    """None: no number was given."""
    farther = max if step > 0 else min
    if one.file.counted and one.file.primary == (column,):
        now = source.sequences.get(one.target)
        if now is None or now == source.sequences_moved.get(one.target):
            return position
        return now if position is None else farther(position, now)
    edges = _edges(source, one, column)
    if position is None or not edges:
        return position
    return farther([position, *edges])


def _first(source: SqliteSource, one: Incoming, column: str) -> int | None:
    """With which number a key's sequence begins, where the ledger of an earlier version does not say it."""
    is_counted = one.file.counted and one.file.primary == (column,)
    before = source.sequences.get(one.target, 0) if is_counted else 0
    return before + 1 if before > 0 else None


def _edges(source: SqliteSource, one: Incoming, column: str) -> list[int]:
    """The least and the greatest number in the column, where there are any."""
    found = source.edges(one.target, column)
    return [edge for edge in found if isinstance(edge, int)]


def _set(target: PostgresTarget, place: str, schema: str, position: str) -> None:
    there = place.replace(f"{quote(BUILDING)}.", f"{quote(schema)}.")
    target.execute(f"SELECT setval({literal(there)}, {position})")
