"""The command line as a process."""

import json
import os
import subprocess
import sys
from typing import Any


def run(*arguments: str, stdin: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `authstore …`, without what the environment says of stores."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("AUTHSTORE_")}
    return subprocess.run(
        [sys.executable, "-m", "authstore.cli", *arguments],
        capture_output=True,
        text=True,
        input=stdin,
        stdin=None if stdin is not None else subprocess.DEVNULL,
        timeout=120,
        env={**env, **environment},
        check=False,
    )


def events(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """The objects that `--json` printed."""
    return [json.loads(line) for line in done.stdout.splitlines()]
