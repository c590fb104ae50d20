"""Programs run in an interpreter of their own: they must end by themselves, in time, and complain of nothing."""

import asyncio
import subprocess
import sys
from pathlib import Path

HEADER = """
import asyncio, gc, os, sys, threading, time
from pathlib import Path
from authstore import connect
from authstore.errors import *

PATH = Path(sys.argv[1]) / "auth.db"
KEPT = []

async def keep_open():
    store = await connect(PATH)
    await store.create_user(id="ada")
    return store

"""


async def run(script: str, folder: Path, *flags: str) -> str:
    """What a program printed that must end by itself, in time, without complaints."""
    lines = script.splitlines()
    program = HEADER + "\n".join(line.removeprefix("        ") for line in lines)
    command = [sys.executable, *flags, "-c", program, str(folder)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
