"""Leaves Postgres: plans, moves, catches up, verifies, and finds somebody's old session in the new file.

    pip install "authstore[move]"
    python examples/move_from_postgres.py postgresql://user@host/app sqlite:///auth.db [SESSION_TOKEN]

Safe to stop at any moment and to run again; running it again is catching up.
"""

import asyncio
import sys

from authstore import connect
from authstore.mover import Event, TableEvent, UndecidedError, make_plan, move, verify


def show(event: Event) -> None:
    if isinstance(event, TableEvent) and event.state == "done":
        print(f"  {event.table}: {event.rows} rows, {event.copied} copied, {event.deleted} deleted")


async def leave(source: str, target: str) -> bool:
    """Moves what can be moved; rows that cannot are in TARGET.rejects.jsonl. Whether source and target are equal."""
    plan = await make_plan(source, target, on_orphan="reject", on_bad_row="reject", secrets="drop")
    for table in plan.tables:
        print(f"{table.source} becomes {table.table}: {table.rows} rows")
    for problem in plan.problems:
        print(f"{'!' if problem.stops else '-'} {problem.table}: {problem.message}")
    try:
        report = await move(plan, on_progress=show)
    except UndecidedError as error:
        print(f"{error}: {error.hint}")
        return False
    print(f"moved in {report.seconds:.1f} s, {report.rejected} rows left out")
    compared = await verify(source, target)
    for name, found in compared.tables.items():
        print(f"  {name}: {found.missing} missing, {found.extra} extra, {found.changed} changed")
    return compared.ok


async def who_is(target: str, token: str) -> None:
    """The old cookie's token still signs its user in."""
    async with connect(target, create=False) as store:
        found = await store.get_session_and_user(token)
        print(f"that session is {found[1].id}'s" if found else "that session is not alive")


async def main() -> int:
    source, target, *tokens = sys.argv[1:]
    ok = await leave(source, target)
    for token in tokens if ok else ():
        await who_is(target, token)
    return 0 if ok else 1


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
