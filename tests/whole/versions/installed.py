"""A version of the package as a program finds it, and the processes that run it."""

import asyncio
import json
import os
import shutil
import sys
import zipfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from authstore.schema import migrations

HERE = Path(__file__).parent
MIGRATIONS = HERE.parents[2] / "migrations"
PATIENCE = 60.0  # seconds, for a machine with much else to do


class Done(NamedTuple):
    """What a command said."""

    status: int
    output: str
    errors: str


class Version:
    """One version. `folder` goes before everything else that Python finds; None: what is installed here."""

    def __init__(self, folder: Path | None) -> None:
        self._environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        if folder is not None:
            self._environment["PYTHONPATH"] = str(folder)

    async def _start(self, *arguments: str, cwd: Path) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, *arguments, cwd=cwd, env=self._environment, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )

    async def run(self, *arguments: str, cwd: Path) -> Done:
        """Its command line."""
        process = await self._start("-m", "authstore.cli", *arguments, cwd=cwd)
        output, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
        return Done(process.returncode or 0, output.decode(), errors.decode())

    @asynccontextmanager
    async def serving(self, name: str, url: str, ledger: Path, **options: Any) -> AsyncIterator["Serving"]:
        """A process that serves until it is told to end."""
        arguments = (str(HERE / "serving.py"), name, url, str(ledger), json.dumps(options))
        process = await self._start(*arguments, cwd=ledger.parent)
        try:
            assert process.stdout is not None
            line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
            yield Serving(process, is_open=line == b"ready\n")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


class Serving:
    """One of those processes."""

    def __init__(self, process: Process, *, is_open: bool) -> None:
        self._process = process
        self.is_open = is_open

    async def ended(self) -> dict[str, Any]:
        """Its report, once it was told to end."""
        output, errors = await asyncio.wait_for(self._process.communicate(b""), PATIENCE)
        assert (self._process.returncode, errors) == (0, b""), errors.decode()
        report: dict[str, Any] = json.loads(output)
        return report


def unpacked(schema: int, folder: Path) -> Version:
    """The last version that knows no later migration than this one."""
    with zipfile.ZipFile(HERE / f"schema{schema}.zip") as archive:
        archive.extractall(folder)
    (folder / "authstore" / "migrations").mkdir()
    shutil.copy(MIGRATIONS / "__init__.py", folder / "authstore" / "migrations")
    for dialect in ("sqlite", "postgres"):
        for step in migrations(dialect)[:schema]:
            name = f"{step.version:04}_{step.name}.{dialect}.sql"
            shutil.copy(MIGRATIONS / name, folder / "authstore" / "migrations")
    return Version(folder)
