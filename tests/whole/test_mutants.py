"""`make mutants` takes long and is run now and then; that its list is about today's code is seen each time."""

import ast
from pathlib import Path

import pytest

from benchmarks.mutant_list import EQUIVALENT, MUTANTS, Mutant

PROJECT = Path(__file__).parents[2]
ROOMS = ("authstore/expiry.py", "authstore/queries.sql", "authstore/store/", "authstore/backends/sqlite/",
         "authstore/backends/postgres/", "authstore/web/", "authstore/mover/")  # fmt: skip


def _name(mutant: Mutant) -> str:
    return f"{mutant.file}: {' '.join(mutant.old.split())}"


@pytest.mark.parametrize("mutant", MUTANTS, ids=_name)
def test_a_mutant_can_be_put_in_and_is_a_program(mutant: Mutant) -> None:
    whole = (PROJECT / mutant.file).read_text(encoding="utf-8")
    assert mutant.old in whole
    changed = whole.replace(mutant.old, mutant.new, 1)
    assert changed != whole
    if mutant.file.endswith(".py"):
        ast.parse(changed)
    named = [test for test in mutant.tests if test.startswith("tests/")]
    assert named
    assert [test for test in named if not (PROJECT / test).exists()] == []


def test_there_are_enough_of_them_and_in_every_room() -> None:
    assert len(set(MUTANTS)) == len(MUTANTS) >= 60
    assert [room for room in ROOMS if sum(mutant.file.startswith(room) for mutant in MUTANTS) < 2] == []
    assert EQUIVALENT.keys() <= {(mutant.file, mutant.old) for mutant in MUTANTS}
