"""The examples work as they say, from signing in to the role."""

import runpy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(params=["fastapi_login.py", "starlette_login.py"])
def example(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the example defines; its database stands in a folder of the test."""
    monkeypatch.chdir(tmp_path)
    return runpy.run_path(str(EXAMPLES / request.param))


@pytest.fixture
async def browser(example: dict[str, Any]) -> AsyncIterator[httpx2.AsyncClient]:
    app = example["app"]
    transport = httpx2.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=transport, base_url=example["BASE_URL"], headers={"accept": "text/html"}
        ) as browser,
    ):
        yield browser


async def sign_in_at_provider(browser: httpx2.AsyncClient) -> None:
    """As a human does: the button, the question who one is, and back."""
    departure = (await browser.get("/auth/login/pretend")).headers["location"]
    chooser = await browser.get(departure)
    assert "Who are you?" in chooser.text
    asked = {name: values[0] for name, values in parse_qs(urlsplit(departure).query).items()}
    chosen = await browser.post(departure.partition("?")[0], data={**asked, "person": "ada-1"})
    assert (await browser.get(chosen.headers["location"])).status_code == 303


async def test_an_example_signs_somebody_in_at_its_provider(browser: httpx2.AsyncClient) -> None:
    assert (await browser.get("/me")).status_code in (303, 401)
    await sign_in_at_provider(browser)
    assert (await browser.get("/me")).json()["email"] == "ada@example.com"
    assert "Hello Ada" in (await browser.get("/")).text


async def test_an_example_prints_its_letters(browser: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]) -> None:
    token = (await browser.get("/auth/csrf")).json()["csrf_token"]
    await browser.post("/auth/email", data={"email": "grace@example.com", "csrf_token": token})
    printed = "".join(capsys.readouterr())
    assert "grace@example.com" in printed
    assert "http://localhost:8000/auth/email/verify?" in printed


async def test_an_examples_engine_room_asks_for_the_role(example: dict[str, Any], browser: httpx2.AsyncClient) -> None:
    assert (await browser.get("/engine-room")).status_code in (401, 403)
    await sign_in_at_provider(browser)
    assert (await browser.get("/engine-room")).status_code == 403
    store = example["auth"].store
    user = await store.get_user_by_email("ada@example.com")
    await store.create_role("engineer")
    await store.grant_role(user.id, "engineer")
    assert (await browser.get("/engine-room")).json() == {"pressure": "fine"}


@pytest.mark.parametrize("name", ["fastapi_login.py", "starlette_login.py"])
def test_an_example_has_at_most_80_lines(name: str) -> None:
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) <= 80
