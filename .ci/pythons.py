"""Tries each Python of the classifiers that this machine has, other than this one; arguments go to pytest.

A Python is looked for on the PATH, among pyenv's and among uv's. One that is missing is named; none is downloaded. What
failed is run once more by itself: the machine is uneven, and a test of waiting may have waited in vain.
"""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
UV = Path(sys.executable).with_name("uv")


def main(arguments: list[str]) -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    failed = []
    for version in named:
        if version == f"{sys.version_info.major}.{sys.version_info.minor}":
            continue
        python = next((found for found in _candidates(version) if _is(found, version)), None)
        if python is None:
            print(f"Python {version}: not on this machine, not tried", flush=True)
            continue
        print(f"Python {version}: {python}", flush=True)
        cache = f"cache_dir=.pytest_cache/{version}"
        command = [_installed(version, python), "-m", "pytest", "-q", "-o", cache, *arguments]
        if not (_passes(command) or _passes([*command, "--last-failed"])):
            failed.append(version)
    if failed:
        print(f"failed on Python {', '.join(failed)}")
    return len(failed)


def _passes(command: list[str]) -> bool:
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def _candidates(version: str) -> Iterator[Path]:
    yield from (Path(folder, f"python{version}") for folder in os.environ["PATH"].split(os.pathsep))
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    yield from sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)
    managed = subprocess.run([UV, "python", "dir"], capture_output=True, text=True, check=True).stdout.strip()
    yield from sorted(Path(managed).glob(f"cpython-{version}.*/bin/python"), reverse=True)


def _is(python: Path, version: str) -> bool:
    """Whether it runs and is what it is called: a shim of pyenv may have nothing behind it."""
    if not python.exists():
        return False
    program = "import sys; print(*sys.version_info[:2], sep='.')"
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    return done.stdout.strip() == version


def _installed(version: str, python: Path) -> Path:
    """The interpreter of an environment with everything in it, at the versions of constraints.txt."""
    folder = ROOT / f".venv-{version}"
    subprocess.run([UV, "venv", "--quiet", "--clear", "--python", python, folder], check=True)
    inside = folder / "bin/python"
    install = [UV, "pip", "install", "--quiet", "--python", inside, "--constraint", "constraints.txt"]
    subprocess.run([*install, "--editable", ".[demo]", "--group", "test"], cwd=ROOT, check=True)
    return inside


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
