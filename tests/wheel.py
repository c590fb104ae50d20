"""Builds nothing: takes the wheel in a folder, installs it alone in a fresh environment and uses it there."""

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOMS = {"backends", "cli", "migrations", "mover", "store", "testing", "web"}
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


def main(folder: str) -> None:
    (wheel,) = Path(folder).glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    rooms = {name.split("/")[1] for name in names if name.startswith("authstore/") and name.count("/") > 1}
    missing = ROOMS - rooms
    assert not missing, f"not in the wheel: {missing}"
    assert "authstore/py.typed" in names
    assert "authstore/queries.sql" in names
    tree = {path.relative_to("migrations").name for path in Path("migrations").glob("*.sql")}
    assert tree == {
        Path(name).name for name in names if name.startswith("authstore/migrations/") and name.endswith(".sql")
    }
    for room in ("templates", "static"):
        files = {path.name for path in Path("authstore/web", room).iterdir() if path.is_file()}
        assert files <= {Path(name).name for name in names if f"/web/{room}/" in name}, f"web/{room} is incomplete"
    with tempfile.TemporaryDirectory() as empty:
        venv.create(Path(empty, "venv"), with_pip=True)
        python = Path(empty, "venv/bin/python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", wheel.resolve()], check=True)
        subprocess.run([python, "-c", USE], check=True, cwd=empty)
    print(f"{wheel.name}: every room is in it, and it works alone")


if __name__ == "__main__":
    main(sys.argv[1])
