"""`Auth.dev()`: signs in as it stands, on this machine alone."""

import asyncio
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from authstore import ConfigurationError
from authstore.testing.web import Outbox
from authstore.web import Auth, github
from authstore.web.fastapi import PageUser

HTML = {"accept": "text/html"}


@asynccontextmanager
async def running(*store: str, **options: Any) -> AsyncIterator[FastAPI]:
    """An application as a newcomer writes it."""
    auth = Auth.dev(*store, **options)
    app = FastAPI(lifespan=auth.lifespan)
    auth.install(app)

    @app.get("/")
    async def home(user: PageUser) -> dict[str, str | None]:
        return {"you": user.email}

    async with app.router.lifespan_context(app):
        yield app


def browser(app: FastAPI, base_url: str = "http://localhost:8000", **options: Any) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app, **options)
    return httpx2.AsyncClient(transport=transport, base_url=base_url, headers=HTML, follow_redirects=True)


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of the first form."""
    form = page[page.index("<form") : page.index("</form>")]
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form.replace("&amp;", "&")))


async def sign_in(client: httpx2.AsyncClient, **who: str) -> httpx2.Response:
    """As a newcomer does: opens the site, takes the only provider, says who they are."""
    page = await client.get("/")
    assert page.url.path == "/auth/sign-in"
    link = re.search(r'href="(/auth/login/pretend[^"]*)"', page.text)
    assert link is not None
    chooser = await client.get(str(page.url.join(link[1].replace("&amp;", "&"))))
    assert "Who are you?" in chooser.text
    return await client.post(str(chooser.url), data={**hidden(chooser.text), **who})


@pytest.mark.parametrize("opened", ["http://localhost:8000", "http://127.0.0.1:8000", "http://localhost:9123"])
async def test_a_newcomer_signs_in_at_the_very_url_that_the_server_prints(opened: str) -> None:
    async with running() as app, browser(app, opened) as client:
        home = await sign_in(client, person="ada@example.com")
        assert home.json() == {"you": "ada@example.com"}
        assert str(home.url) == opened.replace("127.0.0.1", "localhost") + "/"


async def test_anybody_can_be_anybody(tmp_path: Path) -> None:
    async with running(f"sqlite:///{tmp_path / 'auth.db'}") as app:
        for _ in range(2):
            async with browser(app) as client:
                assert (await sign_in(client, email="Eve@Example.com")).json() == {"you": "eve@example.com"}
        async with browser(app) as client:
            assert (await sign_in(client, email="nobody at all")).status_code == 400


async def test_a_letter_is_read_on_a_page_and_signs_in_the_same_user() -> None:
    async with running() as app, browser(app, "http://localhost:8765") as client:
        fields = hidden((await client.get("/auth/sign-in?next=/")).text)
        sent = await client.post("/auth/email", data={**fields, "email": "ada@example.com"})
        assert 'href="/auth/dev/letters"' in sent.text
        letters = (await client.get("/auth/dev/letters")).text
        link = re.search(r'href="(http://localhost:8765/auth/email/verify[^"]*)"', letters)
        assert link is not None
        confirm = await client.get(link[1].replace("&amp;", "&"))
        home = await client.post("/auth/email/verify", data=hidden(confirm.text))
        assert home.json() == {"you": "ada@example.com"}
    async with running() as app, browser(app) as client:
        await sign_in(client, person="ada@example.com")
        assert (await client.get("/")).json() == {"you": "ada@example.com"}


async def test_who_is_signed_in_stays_so_over_a_restart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'auth.db'}"
    async with running(url) as app, browser(app) as client:
        await sign_in(client, person="ada@example.com")
        cookies = client.cookies
    async with running(url) as app, browser(app) as client:
        client.cookies = cookies
        assert (await client.get("/")).json() == {"you": "ada@example.com"}


@pytest.mark.parametrize(
    "base_url", ["https://app.example", "http://app.example", "http://192.168.1.7:8000", "https://localhost:8000"]
)
def test_an_address_that_is_not_of_this_machine_is_refused_at_once(base_url: str) -> None:
    with pytest.raises(ConfigurationError, match="this machine alone"):
        Auth.dev(base_url=base_url)


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ({"host": "app.example"}, ("127.0.0.1", 1)),
        ({"host": "localhost.evil.example:8000"}, ("127.0.0.1", 1)),
        ({"host": "localhost:no"}, ("127.0.0.1", 1)),
        ({"x-forwarded-for": "203.0.113.7"}, ("127.0.0.1", 1)),
        ({"forwarded": "for=203.0.113.7"}, ("127.0.0.1", 1)),
        ({}, ("8.8.8.8", 1)),
        ({}, ("2606:4700::1111", 1)),
    ],
)
async def test_what_comes_from_elsewhere_is_answered_by_nothing_but_a_sentence(
    headers: dict[str, str], client: tuple[str, int]
) -> None:
    async with running() as app, browser(app, client=client) as elsewhere:
        for path in ("/", "/auth/sign-in", "/auth/dev/provider"):
            answer = await elsewhere.get(path, headers=headers)
            assert (answer.status_code, answer.text[:10]) == (421, "Auth.dev()")


async def test_a_container_of_this_machine_is_near() -> None:
    async with running() as app, browser(app, client=("172.17.0.1", 1)) as client:
        assert (await client.get("/auth/sign-in")).status_code == 200


async def test_the_provider_sends_nobody_elsewhere() -> None:
    async with running() as app, browser(app) as client:
        asked = {"redirect_uri": "https://evil.example/", "state": "s", "code_challenge": "c"}
        page = await client.get("/auth/dev/provider", params=asked)
        answer = await client.post("/auth/dev/provider", data={**hidden(page.text), "person": "ada@example.com"})
        assert answer.status_code == 400


async def test_what_is_given_beside_it_counts() -> None:
    outbox = Outbox()
    given: dict[str, Any] = {"mailer": outbox, "name": "Notes", "prefix": "/way-in"}
    async with running(**given, base_url="http://localhost:3000/sub") as app, browser(app) as client:
        page = await client.get("/way-in/sign-in")
        assert "Notes" in page.text
        assert "/sub/way-in/login/pretend" in page.text
        await client.post("/way-in/email", data={**hidden(page.text), "email": "ada@example.com"})
        assert outbox.link().startswith("http://localhost:8000/sub/way-in/email/verify")


def test_a_name_that_is_misspelt_is_named() -> None:
    with pytest.raises(ConfigurationError, match="trust_email_of names 'gogle', which is not set up"):
        Auth.dev(trust_email_of=["gogle"])
    with pytest.raises(ConfigurationError, match="a list of names"):
        Auth.dev(trust_email_of=[github("id", "secret")])  # type: ignore[list-item]


async def test_without_the_lifespan_the_first_request_says_what_to_write() -> None:
    auth, app = Auth.dev(), FastAPI()
    auth.install(app)
    async with browser(app) as client:
        with pytest.raises(ConfigurationError, match=r"FastAPI\(lifespan=auth.lifespan\)"):
            await client.get("/")


async def sign_in_over_the_wire(url: str) -> Any:
    async with httpx2.AsyncClient(base_url=url, headers=HTML, follow_redirects=True) as client:
        return (await sign_in(client, person="grace@example.com")).json()


@pytest.mark.processes
def test_the_readmes_block_signs_in_as_it_stands_with_one_command(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text("utf-8")
    [block] = [block for block in re.findall(r"^```python\n(.*?)^```$", readme, re.M | re.S) if "Auth.dev(" in block]
    (tmp_path / "app.py").write_text(block, "utf-8")
    assert "$ uvicorn app:app\n" in readme
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port)]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        printed = next(found for line in server.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))[0]
        try:
            assert asyncio.run(sign_in_over_the_wire(printed)) == {"you": "grace@example.com"}
        finally:
            server.terminate()
        server.stderr.read()
