"""The ledger of a target that was followed: row by row it was changed, stretch by stretch it is written down here."""

import json
from collections.abc import Mapping

from authstore.mover.batches import plain, whole
from authstore.mover.sqlite.connection import TargetConnection
from authstore.mover.sqlite.ledger import FOLLOW_NOTES, Ledger
from authstore.mover.sqlite.reading import target_packs
from authstore.mover.sync.pieces import Side


def unfolded(notes: Mapping[str, str]) -> set[str]:
    """The tables whose stretches are not as the ledger says, because a follower changed rows of them."""
    return set(json.loads(notes.get("follow_changed", "[]")))


def fold(target: TargetConnection, stretch_rows: int) -> None:
    """Writes down the stretches as they are now, in one transaction, and that nobody follows."""
    ledger = Ledger(target)
    queries, tables = ledger.queries(), unfolded(ledger.notes())
    target.execute("BEGIN IMMEDIATE")
    for name in sorted(tables & set(queries)):
        _fold_table(target, ledger, name, queries[name], stretch_rows)
    target.executemany("DELETE FROM authstore_move WHERE name = ?", [(name,) for name in FOLLOW_NOTES])
    target.execute("COMMIT")


def _fold_table(target: TargetConnection, ledger: Ledger, name: str, query: str, stretch_rows: int) -> None:
    side = Side(target_packs(target, name, query))
    for stretch in ledger.stretches(name):
        _, digests = side.take(plain(stretch.last_key))
        if not stretch.holds(digests):
            ledger.put(name, stretch.number, stretch.last_key, digests)
    side.reach(stretch_rows)
    while side.keys:
        keys, digests = side.take(side.keys[:stretch_rows][-1])
        ledger.put(name, ledger.next_number(name), whole(keys[-1]), digests)
        side.reach(stretch_rows)
