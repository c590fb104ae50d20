"""What a plan says of the schemas that real tools make, word for word: `plans/NAME.txt`.

What is there is data: whoever changes what a plan says renews the files and looks at the difference.

    AUTHSTORE_RENEW_PLANS=1 pytest tests/mover/test_plans.py
"""

import io
import os
import re
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
import pytest
from rich.console import Console

from authstore.cli.output import Output
from authstore.cli.plan_view import show_plan
from authstore.mover import MoveOptions, make_plan
from tests.mover.seeds import SCHEMAS

PLANS = Path(__file__).parent / "plans"
OTHERS = {path.stem: path.read_text("utf-8") for path in sorted(PLANS.glob("*.sql"))}  # with a row or two
RENEWS = bool(os.environ.get("AUTHSTORE_RENEW_PLANS"))
_CHANGES = re.compile(r"^(from .* to .*|about .* connections to PostgreSQL)", re.MULTILINE)


@pytest.mark.parametrize("name", [*SCHEMAS, *OTHERS])
async def test_the_plan_of_a_known_schema_is_the_one_that_was_looked_at(
    source: psycopg.Connection[Any], source_url: str, tmp_path: Path, name: str
) -> None:
    source.execute(cast(LiteralString, (SCHEMAS | OTHERS)[name]))
    options = MoveOptions(schemas=("auth",)) if name == "gotrue" else MoveOptions()
    said = _as_text(await make_plan(source_url, tmp_path / "auth.db", options))
    golden = PLANS / f"{name}.txt"
    if RENEWS:
        golden.write_text(said, "utf-8")
    assert said == golden.read_text("utf-8")


def _as_text(plan: Any) -> str:
    output, shown = Output(is_json=False), io.StringIO()
    output.console = Console(file=shown, force_terminal=False, width=200, soft_wrap=True)
    show_plan(output, plan, with_columns=True)
    return _CHANGES.sub("…", shown.getvalue())


def test_every_golden_file_is_of_a_schema() -> None:
    assert {path.stem for path in PLANS.glob("*.txt")} == {*SCHEMAS, *OTHERS}
