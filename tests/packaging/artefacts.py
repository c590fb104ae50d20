"""Builds nothing: takes the wheel in a folder, made of the sources beside it, and uses it in fresh environments."""

import re
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOMS = {"backends", "cli", "migrations", "mover", "store", "testing", "web"}
KINDS = {".typed", ".sql", ".toml", ".html", ".css", ".js", ".svg"}  # what is in it beside Python
USE = """
import asyncio, sys
from authstore import connect

async def main():
    async with connect("sqlite:///auth.db") as store:
        user = await store.create_user(email="ada@example.com")
        session = await store.create_session(user.id)
        found = await store.get_session_and_user(session.token)
        assert found is not None and found[1] == user

asyncio.run(main())
foreign = {"starlette", "fastapi", "typer", "psycopg", "pytest"} & set(sys.modules)
assert not foreign, foreign
"""
CONTRACT = """
import pytest
from authstore import connect
from authstore.testing import AdapterContract


class TestInstalled(AdapterContract):
    @pytest.fixture
    async def adapter(self, clock, tmp_path):
        async with connect(tmp_path / "auth.db", clock=clock) as store:
            yield store
"""
EXTRAS = {
    "web": "web",
    "web.fastapi": "web",
    "mover": "move",
    "testing.contract": "testing",
    "testing.web": "testing",
}


def look_into(wheel: Path) -> None:
    """Every room and every file that is no Python is in the wheel."""
    names = zipfile.ZipFile(wheel).namelist()
    rooms = {name.split("/")[1] for name in names if name.startswith("authstore/") and name.count("/") > 1}
    missing = ROOMS - rooms
    assert not missing, f"not in the wheel: {missing}"
    assert {name.split("/")[0] for name in names} == {"authstore", wheel.name.partition("-py3")[0] + ".dist-info"}
    here = {str(path) for path in Path("authstore").rglob("*") if path.suffix in KINDS}
    here |= {f"authstore/{path}" for path in Path("migrations").glob("*.sql")}
    assert here == {name for name in names if Path(name).suffix in KINDS}


def use_alone(wheel: Path, folder: Path) -> None:
    """With its core dependencies only it is a store, and each room says what it needs."""
    python = _environment(folder, str(wheel))
    subprocess.run([python, "-c", USE], check=True, cwd=folder)
    for room, extra in EXTRAS.items():
        done = subprocess.run([python, "-c", f"import authstore.{room}"], cwd=folder, capture_output=True, text=True)
        last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        assert last.startswith("ModuleNotFoundError: "), f"authstore.{room}: {last}"
        assert f"pip install 'authstore[{extra}]'" in last, f"authstore.{room}: {last}"
    done = subprocess.run([python.with_name("authstore")], cwd=folder, capture_output=True, text=True)
    assert "pip install 'authstore[cli]'" in done.stderr, done.stderr


def keep_the_contract(wheel: Path, folder: Path) -> None:
    """The suite that the wheel carries, run on the store that it carries."""
    python = _environment(folder, f"{wheel}[testing]", "pytest-asyncio")
    Path(folder, "test_installed.py").write_text(CONTRACT)
    command = [python, "-m", "pytest", "-q", "-W", "error", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider"]
    command += ["-o", "asyncio_default_fixture_loop_scope=function"]
    subprocess.run(command, check=True, cwd=folder)


def follow_the_examples(wheel: Path, folder: Path) -> None:
    """What an example says to install is all that it imports."""
    for example in sorted(Path("examples").resolve().glob("*.py")):
        found = re.search(r'^    pip install "authstore\[(.+)\]"(.*)$', example.read_text("utf-8"), re.MULTILINE)
        assert found, f"{example.name} does not say what to install"
        python = _environment(folder / example.stem, f"{wheel}[{found[1]}]", *found[2].split())
        load = f"import runpy; runpy.run_path({str(example)!r}, run_name='example')"
        subprocess.run([python, "-W", "error", "-c", load], check=True, cwd=folder)


def _environment(folder: Path, *packages: str) -> Path:
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv/bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-c", "constraints.txt", *packages], check=True)
    return python


def main(dist: str) -> None:
    (wheel,) = Path(dist).resolve().glob("*.whl")
    look_into(wheel)
    for what in (use_alone, follow_the_examples, keep_the_contract):
        with tempfile.TemporaryDirectory() as folder:
            what(wheel, Path(folder))
        print(f"{wheel.name}: {what.__name__.replace('_', ' ')}: yes", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
