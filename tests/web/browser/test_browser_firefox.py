"""The pages in another browser: opened, filled in, looked at."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from authstore import connect
from tests.web.browser.firefox import Firefox, firefox
from tests.web.browser.test_browser_access import ARTEFACTS, AXE

FAULTS = """const found = await axe.run();
return found.violations.filter((each) => ["serious", "critical"].includes(each.impact)).map((each) => each.id);"""


@pytest.fixture
def firefox_window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    with firefox(tmp_path_factory.mktemp("firefox")) as opened:
        yield opened


def check_looks(window: Firefox, name: str) -> None:
    """Nothing serious for axe, nothing that runs off the side, and a picture for whoever looks."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    window.run(f"{AXE}; window.axe = axe ?? window.axe; return true")
    for zoom in (1, 4):  # a fourth of the window's 1280 pixels is the narrowest page (WCAG 2.2, 1.4.10 Reflow)
        window.zoom(zoom)
        width = window.run("return innerWidth")
        assert width == 1280 // zoom
        assert window.run("return document.documentElement.scrollWidth") <= width, name
        assert window.run(FAULTS) == [], (name, zoom)
        window.look(ARTEFACTS / f"firefox-{name}-{zoom}00.png")
    window.zoom(1)


async def make_admin(database: str, email: str) -> None:
    async with connect(database) as store:
        user = await store.get_user_by_email(email)
        assert user is not None
        await store.create_role("admin")
        await store.grant_role(user.id, "admin")


def test_somebody_signs_in_sees_their_devices_and_the_console(site: Any, firefox_window: Firefox) -> None:
    window = firefox_window
    window.open(f"{site.url}/auth/sign-in?next=/me")
    check_looks(window, "sign-in")
    window.type("input[name=email]", "ada@example.com")
    window.click("form[action='/auth/email'] button")
    assert "ada@example.com" in window.text("main:has(input[name=code])")
    window.open(site.outbox.link("ada@example.com"))
    window.click("form[action='/auth/email/verify'] button")
    assert window.text("#me") == "ada@example.com"

    window.open(f"{site.url}/auth/sessions")
    assert "Firefox on Linux" in window.text("[aria-labelledby=sessions]")
    check_looks(window, "devices")

    asyncio.run(make_admin(site.database, "ada@example.com"))
    window.open(f"{site.url}/auth/console")
    check_looks(window, "console")
    window.type("input[name=user]", "ada@example.com")
    window.click("form:has(input[name=user]) button")  # a click waits for the page it leads to, a key does not
    assert "Firefox on Linux" in window.text("[aria-labelledby=sessions]")

    window.open(f"{site.url}/auth/sessions")
    window.click("form[action='/auth/logout'] button")
    assert window.text("#who") == "nobody"
    assert window.complaints() == []
