"""console: pages for whoever sits at this machine."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from authstore import connect
from tests.cli.running import run

HTML = {"accept": "text/html"}


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a store."""
    if request.param == "postgres":
        source: str = request.getfixturevalue("source_url")
        return source
    return f"sqlite:///{tmp_path}/auth.db"


async def test_a_link_lets_one_browser_in_and_what_it_does_is_noted(url: str) -> None:
    async with connect(url) as store:
        user = await store.create_user(email="ada@example.com")
        session = await store.create_session(user.id)
        command = [sys.executable, "-m", "authstore.cli", "console", url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220 - a server
            try:
                assert process.stdout is not None
                [link] = re.findall(r"http://127\.0\.0\.1:\d+/\S+", process.stdout.readline())
                await _visit(link, user.id, session.id)
            finally:
                process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
        assert await store.get_session(str(session.token)) is None
        ended = [event for event in await store.events() if event.type == "session.ended"]
        assert [(event.session_id, (event.actor or "").partition(":")[0]) for event in ended] == [
            (session.id, "console")
        ]


async def _visit(link: str, user_id: str, session_id: str) -> None:
    site = link.partition("/auth/")[0]
    async with httpx2.AsyncClient(base_url=site, headers=HTML) as stranger, httpx2.AsyncClient(headers=HTML) as browser:
        assert (await stranger.get("/auth/console")).status_code == 403
        assert (await stranger.get(f"{link}x")).status_code == 403
        for abused in ({"host": "evil.example"}, {"x-forwarded-for": "203.0.113.7"}):
            assert (await stranger.get(link, headers=abused)).status_code == 421
        assert (await stranger.head(link)).status_code == 405
        arrival = await browser.get(link)
        assert (arrival.status_code, arrival.headers["location"]) == (303, "/auth/console")
        cookie = next(line for line in arrival.headers.get_list("set-cookie") if "-key=" in line)
        assert "HttpOnly" in cookie
        assert (await stranger.get(link)).status_code == 403
        page = (await browser.get(f"{site}/auth/console")).text
        assert "Healthy" in page
        assert link.rpartition("=")[2] not in page
        assert (await browser.get(f"{site}/auth/static/console.css")).status_code == 200
        fields = {"csrf_token": re.findall(r'name="csrf_token" value="([^"]+)"', page)[0], "user_id": user_id}
        found = await browser.post(f"{site}/auth/console/find", data={**fields, "user": "ada@example.com"})
        assert (await browser.get(f"{site}{found.headers['location']}")).text.count("ada@example.com") >= 1
        ended = await browser.post(f"{site}/auth/console/end", data={**fields, "session_id": session_id})
        assert ended.status_code == 303


def test_a_port_that_is_taken_is_said_to_be(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/auth.db"
    assert run("init", url).returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("console", url, "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "--port 0" in done.stderr


def test_without_pages_or_a_server_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util\nfind = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'uvicorn' else find(name, *rest)\n"
    )
    done = run("console", f"sqlite:///{tmp_path}/auth.db", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "pip install 'authstore[cli,dev]'" in done.stderr
