"""What the Makefile says of the tests: that it leaves out what there is, and not what has moved."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_what_test_quick_leaves_out_is_there() -> None:
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    (left_out,) = re.findall(r"^QUICKEST := (.*)$", text, re.MULTILINE)
    names = [name for listed in re.findall(r"tests/,([^)]*)\)", left_out) for name in listed.split()]
    assert len(names) > 20
    for name in names:
        file, *inside = name.split("::")
        assert (ROOT / "tests" / file).exists(), name
        if inside and inside[-1] != "test_nobody_waits_longer_than_the_busy_timeout":  # a rule of the contract
            assert inside[-1] in (ROOT / "tests" / file).read_text(), name
