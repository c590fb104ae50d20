"""Session stores as the real libraries fill them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.web.certified.node import install, node

HERE = Path(__file__).parent


class Written(NamedTuple):
    """A session of the former site: the cookie's value in the browser, what was in it, and who is signed in by it."""

    cookie: str
    data: dict[str, object]
    user: str | None


Fill = Callable[..., list[Written]]


def _filled(*command: str | Path) -> list[Written]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [Written(**one) for one in json.loads(done.stdout)]


@pytest.fixture
def fill(source_url: str) -> Fill:
    """Lets a former site of this kind write its sessions into the source."""

    def fill(kind: str, *more: str) -> list[Written]:
        if kind == "express":
            return _filled(node(), HERE / "express_site.mjs", install() / "package.json", source_url)
        return _filled(sys.executable, HERE / f"{kind}_site.py", source_url, *more)

    return fill
