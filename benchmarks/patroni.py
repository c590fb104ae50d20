"""`python -m benchmarks.patroni`: a store on two nodes under Patroni with etcd; the node that takes writes is killed.

Writes results/patroni.md. Needs Debian's patroni, etcd-server and postgresql, which `make patroni` installs.
"""

import asyncio
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from string import Template

from authstore import connect
from tests.backends.postgres.ledger import Ledger

RESULT = Path(__file__).parent / "results" / "patroni.md"
TEMPLATE = Template((Path(__file__).parents[1] / "examples" / "patroni" / "patroni.yml").read_text())
WRITERS = 20
TTL = 10
PASSWORD = secrets.token_hex(8)


class Node:
    """One Patroni with its PostgreSQL."""

    def __init__(self, name: str, folder: Path, etcd: int) -> None:
        self.name = name
        self.port, self.rest_port = free_port(), free_port()
        self._folder = folder
        self._config = folder / f"{name}.yml"
        values = {
            "NAME": name,
            "ADDRESS": "127.0.0.1",
            "NETWORK": "127.0.0.1/32",
            "PORT": self.port,
            "REST_PORT": self.rest_port,
            "ETCD": f"127.0.0.1:{etcd}",
            "DATA": folder / name,
            "BIN": programs(),
            "SOCKETS": folder,
            "PASSWORD": PASSWORD,
        }
        self._config.write_text(TEMPLATE.substitute(values))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = started(["patroni", str(self._config)], self._folder / f"{self.name}.log")

    def kill(self) -> None:
        """As after a power cut: Patroni and every process of the server at once."""
        pids = [int(word) for word in _ps(f"{self._folder}/{self.name}")] if self._process else []
        for pid in [*pids, *(_children(pids))]:
            _kill(pid)
        if self._process is not None:
            _kill(self._process.pid)
            self._process.wait()

    def role(self) -> str:
        """What the node says of itself."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.rest_port}/patroni", timeout=2) as answer:
                found = json.load(answer)
        except (OSError, ValueError):
            return "away"
        if found.get("state") != "running":
            return str(found.get("state"))
        return "primary" if found.get("role") in ("master", "primary") else "standby"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def programs() -> Path:
    """The newest of Debian's PostgreSQLs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found or shutil.which("patroni") is None or shutil.which("etcd") is None:
        raise SystemExit("apt-get install patroni etcd-server postgresql: `make patroni` does")
    return found[-1].parent


def started(command: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    """A process in a session of its own, not as root: PostgreSQL refuses that."""
    user = "nobody" if os.geteuid() == 0 else None
    with log.open("ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=output, user=user, start_new_session=True, cwd="/")


def _ps(data: str) -> list[str]:
    """The number of the server on this folder."""
    try:
        return [Path(data, "postmaster.pid").read_text().split()[0]]
    except OSError:
        return []


def _children(pids: Sequence[int]) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1]) in pids:
                found.append(int(name))
        except OSError:
            continue
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def nodes() -> Iterator[tuple[Node, Node]]:
    """Two nodes and an etcd, running: the first takes writes, the second is its synchronous standby."""
    with (
        tempfile.TemporaryDirectory(prefix="authstore-patroni-", ignore_cleanup_errors=True) as name,
        ExitStack() as stack,
    ):
        folder = Path(name)
        if os.geteuid() == 0:
            os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
        client, peer = free_port(), free_port()
        etcd = started(
            [
                "etcd",
                *("--data-dir", str(folder / "etcd"), "--initial-cluster", f"default=http://127.0.0.1:{peer}"),
                *(
                    "--listen-client-urls",
                    f"http://127.0.0.1:{client}",
                    "--advertise-client-urls",
                    f"http://127.0.0.1:{client}",
                ),
                *(
                    "--listen-peer-urls",
                    f"http://127.0.0.1:{peer}",
                    "--initial-advertise-peer-urls",
                    f"http://127.0.0.1:{peer}",
                ),
            ],
            folder / "etcd.log",
        )
        stack.callback(etcd.wait)
        stack.callback(etcd.kill)
        first, second = Node("node1", folder, client), Node("node2", folder, client)
        for node, role in ((first, "primary"), (second, "standby")):
            stack.callback(node.kill)
            node.start()
            wait_for(node, role, folder)
        yield first, second


def wait_for(node: Node, role: str, folder: Path | None = None, seconds: float = 90) -> float:
    """Until the node has this role; how long that took."""
    began = time.monotonic()
    while node.role() != role:
        if time.monotonic() - began > seconds:
            log = (folder / f"{node.name}.log").read_text()[-3000:] if folder else ""
            raise RuntimeError(f"{node.name} is {node.role()}, not {role}: {log}")
        time.sleep(0.2)
    return time.monotonic() - began


async def measure(first: Node, second: Node) -> str:
    """Kills the primary under writers, and starts it again; the report."""
    url = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{first.port},127.0.0.1:{second.port}/postgres"
    ledger = Ledger()
    async with connect(url) as store:
        writers = [asyncio.create_task(ledger.write(store, me)) for me in range(WRITERS)]
        await asyncio.sleep(5)
        killed = time.monotonic()
        await asyncio.to_thread(first.kill)
        await asyncio.to_thread(wait_for, second, "primary")
        await asyncio.sleep(3)
        await asyncio.to_thread(first.start)
        came_back = await asyncio.to_thread(wait_for, first, "standby")
        await asyncio.sleep(3)
        ledger.is_over = True
        await asyncio.gather(*writers)
        there = {name for name in (*ledger.acknowledged, *ledger.failed) if await store.get_user(name) is not None}
    lost, appeared = set(ledger.acknowledged) - there, there & ledger.failed
    after = min(at for at in ledger.acknowledged.values() if at > killed + 1) - killed
    before = sum(at < killed for at in ledger.acknowledged.values())
    lines = [
        "# A store under Patroni with etcd",
        "",
        f"Two nodes and one etcd on one machine of {os.cpu_count()} cores, {WRITERS} writers, ttl {TTL} s,",
        f"synchronous mode; {datetime.now(UTC):%Y-%m-%d}, load {os.getloadavg()[0]:.1f}. Patroni and every server",
        "process of the primary are killed at once (`python -m benchmarks.patroni`, or `make patroni`).",
        "",
        "| | asked | measured | |",
        "|---|---|---:|---|",
        f"| first acknowledged write after the kill | ≤ 15 s | {after:.1f} s | {_verdict(after <= 15)} |",
        f"| acknowledged: before and after | | {before:,} + {len(ledger.acknowledged) - before:,} | |",
        f"| acknowledged and lost | 0 | {len(lost)} | {_verdict(not lost)} |",
        f"| refused and there nevertheless | 0 | {len(appeared)} | {_verdict(not appeared)} |",
        f"| in doubt, said so (`UnknownOutcomeError`) | | {len(ledger.in_doubt)} | |",
        f"| the old primary follows again, after its start | by itself | {came_back:.1f} s | reached |",
        "",
    ]
    return "\n".join(lines)


def _verdict(is_reached: bool) -> str:
    return "reached" if is_reached else "**missed**"


def main() -> None:
    """Measures and writes the page."""
    with nodes() as (first, second):
        time.sleep(3)  # until the primary counts its standby as synchronous
        RESULT.write_text(asyncio.run(measure(first, second)))
    print(RESULT.read_text())


if __name__ == "__main__":
    main()
