"""The login chapter of the tour: walked through, and served."""

import asyncio
import re
from pathlib import Path

import httpx2
import pytest

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


async def _address(capsys: pytest.CaptureFixture[str]) -> str:
    told = ""
    while (found := re.search(r"open (http://localhost:\d+)/", told)) is None:
        await asyncio.sleep(0.05)
        told += capsys.readouterr().out
    return found[1]
