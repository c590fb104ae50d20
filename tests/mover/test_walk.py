"""A reader's way through planning: whoever follows one parameter through it comes by few modules, and back seldom.

Every function counts once, in the order in which a plan of a real source enters them. A stay: functions that are given
the parameter, or an object that holds it, one after the other in one module. A return: a stay in a module seen before.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import psycopg
import pytest

from authstore import mover
from authstore.mover.catalog import Source
from authstore.mover.options import MoveOptions
from authstore.mover.plan import plan_of, scheme_of
from authstore.mover.postgres.snapshot import snapshot
from tests.mover.seeds import seed

HOME = str(Path(mover.__file__).parent)
MOST_STAYS, MOST_RETURNS = 44, 28  # half of what it was when planning was one shelf
PARAMETERS = [psycopg.Connection, Source, MoveOptions]


class Walk:
    """Notes in which module each function is that gets the parameter, on the way down and on the way back."""

    def __init__(self, parameter: type) -> None:
        self._parameter = parameter
        self._stack: list[str] = []
        self._seen: set[CodeType] = set()
        self.stays: list[str] = []

    @property
    def returns(self) -> int:
        return len(self.stays) - len(set(self.stays))

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if not code.co_filename.startswith(HOME):
            return
        if event == "call":
            names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            is_new = code not in self._seen and any(self._holds(frame.f_locals.get(name), 2) for name in names)
            if is_new:
                self._seen.add(code)
                self._stay(code.co_filename)
            self._stack.append(code.co_filename if is_new else "")
        elif event == "return" and self._stack and self._stack.pop():
            self._stay(next((module for module in reversed(self._stack) if module), ""))

    def _stay(self, module: str) -> None:
        if module and (not self.stays or self.stays[-1] != module):
            self.stays.append(module)

    def _holds(self, value: Any, depth: int) -> bool:
        if isinstance(value, self._parameter):
            return True
        if depth == 0 or not type(value).__module__.startswith(mover.__name__):
            return False
        slots = [getattr(value, name, None) for name in getattr(type(value), "__slots__", ())]
        return any(self._holds(inner, depth - 1) for inner in (*getattr(value, "__dict__", {}).values(), *slots))


@contextmanager
def followed(parameter: type) -> Iterator[Walk]:
    walk, before = Walk(parameter), sys.getprofile()
    sys.setprofile(walk)
    try:
        yield walk
    finally:
        sys.setprofile(before)


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.__name__)
def test_a_parameter_of_planning_is_soon_followed(
    source: psycopg.Connection[Any], source_url: str, tmp_path: Path, parameter: type
) -> None:
    seed(source, "noormme", users=5)
    source.execute("CREATE TABLE orders (id serial PRIMARY KEY, note text DEFAULT 'x', buyer uuid REFERENCES users)")
    source.execute("INSERT INTO orders (buyer) SELECT id FROM users")
    with snapshot(source_url) as view, followed(parameter) as walk:
        options = MoveOptions()
        plan = plan_of(scheme_of(view.main, options), source_url, tmp_path / "auth.db", options)
    assert {"users", "sessions", "orders"} <= {table.table for table in plan.tables}
    assert 1 < len(walk.stays) <= MOST_STAYS, [Path(module).stem for module in walk.stays]
    assert walk.returns <= MOST_RETURNS
