"""The command line: parses, calls a room, prints. Exit 0 = done, 1 = found problems, 2 = wrong usage."""

import os
import sys
import warnings
from importlib.util import find_spec

from authstore.extras import NOT_POSIX


def main() -> None:
    """The entry point of `authstore`."""
    if os.name != "posix":
        sys.stderr.write(f"authstore: {NOT_POSIX}\n")
        raise SystemExit(2)
    missing = [name for name in ("typer", "rich") if find_spec(name) is None]
    if missing:
        sys.stderr.write("authstore: the command line needs an extra: pip install 'authstore[cli]'\n")
        raise SystemExit(2)
    try:
        from authstore.cli.app import run, tell_warning  # only there once the extra is

        warnings.showwarning = tell_warning
        status = run(sys.argv[1:])
    except KeyboardInterrupt:  # so early, while modules are loaded, that nothing has begun
        status = 130
    raise SystemExit(status)
