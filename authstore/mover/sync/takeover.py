"""What was built takes the place of what was there, in one transaction, and can give it back."""

import json
from collections.abc import Collection, Sequence

from authstore.expiry import utc_now
from authstore.mover.errors import TargetChangedError, TargetError
from authstore.mover.names import quote
from authstore.mover.options import MoveOptions
from authstore.mover.plan import iso
from authstore.mover.postgres.named_queries import named_queries
from authstore.mover.postgres.schemas import (
    SchemaObject,
    move_objects,
    objects_of,
    references_from_outside,
    taken_names,
)
from authstore.mover.postgres.target import ASIDE, BEFORE, BUILDING, PostgresTarget
from authstore.mover.postgres.target_ledger import PostgresLedger
from authstore.mover.postgres.writing import packs_of
from authstore.mover.rebuilding.scheme import RebuildScheme
from authstore.mover.rebuilding.steps import placed
from authstore.mover.sync.pieces import Side, count_foreign
from authstore.mover.sync.start import changed_error

_RELATIONS = "rpvmfS"


def is_moved(ledger: PostgresLedger) -> bool:
    """Whether a move has brought what is in the schema, to its end."""
    return "finished_at" in ledger.notes()


def judge_target(target: PostgresTarget, scheme: RebuildScheme, options: MoveOptions) -> None:
    """Raises `TargetChangedError` for what a move would not go over, `TargetError` for what it could not."""
    ledger = PostgresLedger(target, target.home)
    if not options.replace:
        if is_moved(ledger):
            refuse_foreign(ledger, scheme.system)
            refuse_written(target, ledger)
        elif there := sorted(one.label for one in colliding(target, scheme.tried.objects)):
            raise TargetChangedError(
                f"schema {target.home} of the target has what would come: {', '.join(there[:_SHOWN])}",
                hint="choose another database or schema, or give `replace`: what is there then stands in"
                f" {BEFORE} for `authstore rollback`",
            )
    aside = what_goes_aside(target, ledger, scheme.tried.objects)
    refuse_entangled(target, aside)
    left = taken_names(target, target.home) - _names_with(target, aside)
    if both := sorted(left & scheme.tried.relations):
        raise TargetError(
            f"indexes or sequences of other tables have names that would come: {', '.join(both[:_SHOWN])}",
            hint="rename them, or choose another schema",
        )


_SHOWN = 5


def _names_with(target: PostgresTarget, objects: Sequence[SchemaObject]) -> set[str]:
    """The names of these relations and of all that goes with them."""
    names = [
        one.name for one in objects if one.kind in _RELATIONS or one.kind == "type"
    ]  # composite ones are relations
    found = target.rows(named_queries("target.sql")["belongings"], {"schema": target.home, "tables": names})
    return {*names, *(name for (name,) in found)}


def refuse_foreign(ledger: PostgresLedger, system: str) -> None:
    """What was moved here from another store. Raises `TargetChangedError`."""
    if ledger.notes().get("source") != system:
        raise TargetChangedError(
            "the target was moved from another source", hint="choose another target, or give `replace` to move over it"
        )


def refuse_written(target: PostgresTarget, ledger: PostgresLedger) -> None:
    """Rows that no move put there. Raises `TargetChangedError` with their counts."""
    changes = {}
    with target.trial():
        for name, query in ledger.queries().items():
            if foreign := count_foreign(Side(packs_of(target, placed(query, target.home))), ledger.stretches(name)):
                changes[name] = foreign
    if changes:
        raise changed_error(changes)


def refuse_entangled(target: PostgresTarget, aside: Sequence[SchemaObject]) -> None:
    """Other tables that refer to what would be set aside: they would refer to it there. Raises `TargetError`."""
    tables = [one.name for one in aside if one.is_table]
    for label, name, pointed in references_from_outside(target, target.home, tables):
        raise TargetError(
            f'foreign key "{name}" of {label} refers to {pointed}, which would be set aside',
            hint="drop that foreign key first, and make it again afterwards",
        )


def colliding(target: PostgresTarget, coming: Collection[SchemaObject]) -> list[SchemaObject]:
    """What has the name of something that comes."""
    names = {name for one in coming for name in _names_of(one)}
    return [one for one in objects_of(target, target.home) if names & _names_of(one)]


def _names_of(one: SchemaObject) -> set[tuple[str, str, str]]:
    """Relations share their names, as do types, of which each table and view has one called like it."""
    is_relation = one.kind in _RELATIONS
    is_type = one.kind in ("type", "domain") or (is_relation and one.kind != "S")
    groups = {name for name, fits in (("relation", is_relation), ("type", is_type)) if fits} or {one.kind}
    return {(group, one.name, one.arguments) for group in groups}


def what_goes_aside(
    target: PostgresTarget, ledger: PostgresLedger, coming: Collection[SchemaObject]
) -> list[SchemaObject]:
    """What collides, and all that the move before had brought."""
    brought = {SchemaObject(*one) for one in json.loads(ledger.notes().get("objects", "[]"))}
    there = colliding(target, coming)
    return [one for one in objects_of(target, target.home) if one in there or one in brought]


def take_over(target: PostgresTarget, notes: dict[str, str]) -> bool:
    """Everything that was built gets its place; whether something else had stood there."""
    ledger = PostgresLedger(target, target.home)
    with target.transaction():
        target.execute("SET LOCAL synchronous_commit = on")
        coming = objects_of(target, BUILDING)
        aside = what_goes_aside(target, ledger, coming)
        brought = json.dumps([[one.kind, one.name, one.arguments] for one in coming])
        PostgresLedger(target, BUILDING).note(
            {**notes, "finished_at": iso(utc_now()), "objects": brought, "before": "yes" if aside else ""}
        )
        if aside:
            _make_room(target, BEFORE)
            move_objects(target, aside, target.home, BEFORE)
        move_objects(target, coming, BUILDING, target.home)
        target.execute(f"DROP SCHEMA {quote(BUILDING)}")
    return bool(aside)


def _make_room(target: PostgresTarget, name: str) -> None:
    """An empty schema of this name; one that is there gets a number, the later the higher."""
    if target.has_schema(name):
        number = max(_numbers(target, name), default=0) + 1
        target.execute(f"ALTER SCHEMA {quote(name)} RENAME TO {quote(f'{name}_{number}')}")
    target.execute(f"CREATE SCHEMA {quote(name)}")


def _numbers(target: PostgresTarget, name: str) -> list[int]:
    found = target.rows("SELECT nspname::text FROM pg_namespace WHERE starts_with(nspname, %s)", [f"{name}_"])
    numbers = [text.removeprefix(f"{name}_") for (text,) in found]
    return [int(number) for number in numbers if number.isdecimal()]


def give_back(target: PostgresTarget) -> tuple[str | None, str]:
    """Takes the last move back. Gives the schema in which stood what is there again, and the one where the move's are.

    Raises `TargetError` where no move made what is there.
    """
    ledger = PostgresLedger(target, target.home)
    notes = ledger.notes()
    if "finished_at" not in notes:
        raise TargetError("what is at the target was not made by a move", hint="there is nothing to roll back")
    with target.transaction():
        target.execute("SET LOCAL synchronous_commit = on")
        brought = {SchemaObject(*one) for one in json.loads(notes["objects"])}
        _make_room(target, ASIDE)
        move_objects(target, [one for one in objects_of(target, target.home) if one in brought], target.home, ASIDE)
        if not notes.get("before"):
            return None, ASIDE
        if not target.has_schema(BEFORE):
            raise TargetError(f"the schema {BEFORE} is gone", hint="nothing was changed")
        move_objects(target, objects_of(target, BEFORE), BEFORE, target.home)
        target.execute(f"DROP SCHEMA {quote(BEFORE)}")
        if numbers := _numbers(target, BEFORE):
            target.execute(f"ALTER SCHEMA {quote(f'{BEFORE}_{max(numbers)}')} RENAME TO {quote(BEFORE)}")
    return BEFORE, ASIDE
