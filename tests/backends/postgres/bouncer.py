"""pgbouncer in transaction mode before a server: Debian's, installed by `make test`."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

CONFIGURATION = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = any
auth_user = postgres
pool_mode = transaction
default_pool_size = 6
reserve_pool_size = 0
max_client_conn = 200
server_reset_query =
server_round_robin = 1
logfile = {folder}/log
pidfile = {folder}/pid
"""


@contextmanager
def bouncer(server_url: str) -> Iterator[str]:
    """Where it listens, as host:port. Six sessions of the server for each database, handed round."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise RuntimeError("no pgbouncer: apt-get install pgbouncer (`make test` does), then run the tests again")
    folder = Path(tempfile.mkdtemp(prefix="authstore-bouncer-"))
    own_port, server = _free_port(), urlsplit(server_url)
    (folder / "ini").write_text(
        CONFIGURATION.format(host=server.hostname, port=server.port, own_port=own_port, folder=folder).replace(
            "* = host", f"* = user={server.username} password={server.password} host"
        )
    )
    user = "nobody" if os.geteuid() == 0 else None
    if user is not None:
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    process = subprocess.Popen([program, "-q", folder / "ini"], user=user, stderr=subprocess.DEVNULL)
    try:
        _wait_for(own_port, folder)
        yield f"127.0.0.1:{own_port}"
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, folder: Path) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"pgbouncer did not start: {(folder / 'log').read_text()[-2000:]}")
