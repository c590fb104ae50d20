"""The login chapter of the tour: walked through, and served."""

import asyncio
import re
from pathlib import Path

import httpx2
import pytest

from authstore import connect
from authstore.cli.demo import web
from authstore.cli.demo.story import Story


async def test_the_chapter_walks_through_the_whole_login(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await web.tour(Story(), tmp_path, is_check=True)
    told = capsys.readouterr().out
    assert "28 of 28 end in nobody being signed in" in told
    assert "✗" not in told


async def test_the_application_is_served_afterwards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    serving = asyncio.create_task(web.tour(Story(), tmp_path, is_check=False))
    try:
        url = await asyncio.wait_for(_address(capsys), 20)
        async with httpx2.AsyncClient(base_url=url) as browser:
            assert "Hello, nobody" in (await browser.get("/")).text
            assert "Sign in" in (await browser.get("/auth/sign-in")).text
            assert "None yet" in (await browser.get("/letters")).text
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def test_a_cookie_from_before_a_move_opens_me(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database, token = f"sqlite:///{tmp_path / 'moved.db'}", "a-token-of-the-former-system"
    async with connect(database) as store:
        user = await store.create_user(email="ada@example.com")
        await store.create_session(user.id, token=token)
    await web.former_session(Story(), database, "authjs.session-token", token)
    assert "ada@example.com" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        await web.former_session(Story(), database, "authjs.session-token", "a-token-that-never-was")


async def _address(capsys: pytest.CaptureFixture[str]) -> str:
    told = ""
    while (found := re.search(r"open (http://localhost:\d+)/", told)) is None:
        await asyncio.sleep(0.05)
        told += capsys.readouterr().out
    return found[1]
