"""The console for everybody: light and dark, on a desk and in the hand, with a keyboard, and without scripts."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from playwright.sync_api import Page, expect

from authstore import connect
from tests.web.browser.test_browser_access import ARTEFACTS, AXE, NARROWEST, SCHEMES, SCREENS, faults_of


def apart(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs it elsewhere: Playwright's own loop runs in this thread."""
    with ThreadPoolExecutor() as threads:
        threads.submit(asyncio.run, work()).result()


def sign_in_as_admin(visitor: Any, page: Page) -> None:
    """Ada, who has the role."""

    async def grant() -> None:
        async with connect(visitor.site.database) as store:
            user = await store.get_user_by_email("ada@example.com")
            assert user is not None
            await store.create_role("admin")
            await store.grant_role(user.id, "admin")
            grace = await store.create_user(email="grace@example.com", name="Grace Hopper")
            for _ in range(3):
                await store.create_session(grace.id, user_agent="Mozilla/5.0 (iPhone) FxiOS/1", ip="192.0.2.7")

    page.goto("/auth/console")
    page.get_by_role("link", name="Continue with Pretend").click()
    page.get_by_role("button", name="Ada Lovelace").click()
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    visitor.forgive("404")
    apart(grant)
    page.goto("/auth/console")
    expect(page.get_by_role("heading", name="Console", exact=True)).to_be_visible()


def test_the_console_is_for_everybody_and_every_screen_and_works_without_scripts(visitor_of: Any) -> None:
    visitor = visitor_of(viewport=SCREENS["desktop"])
    page = visitor.tab()
    sign_in_as_admin(visitor, page)
    check_looks(page, "console")
    page.get_by_label("Id or e-mail address").fill("grace@example.com")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/user?**")
    check_looks(page, "console-user")
    scriptless = visitor_of(storage_state=visitor.context.storage_state(), java_script_enabled=False)
    page = scriptless.tab()
    page.goto("/auth/console")
    page.get_by_text("As a table").first.click()
    expect(page.get_by_role("cell", name="4", exact=True).first).to_be_visible()
    page.get_by_label("Id or e-mail address").fill("grace@example.com")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("button", name="End the session on Firefox on iPhone").first.click()
    expect(page.get_by_role("status")).to_have_text("Signed out there.")
    page.get_by_text("End all sessions").first.click()
    page.get_by_role("button", name="End all sessions").click()
    expect(page.get_by_text("This user is signed in nowhere.")).to_be_visible()
    page.get_by_role("link", name="Newest events").click()
    expect(page.get_by_role("cell", name="session.ended revoked")).to_have_count(3)


def check_looks(page: Page, name: str) -> None:
    """Nothing serious for axe, nothing that runs off the side, and a picture of each for whoever looks."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.evaluate(AXE)
    for screen, size in {**SCREENS, "narrowest": NARROWEST}.items():
        page.set_viewport_size(size)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=ARTEFACTS / f"{name}-{screen}-{scheme}.png", full_page=True)
            assert faults_of(page) == [], (screen, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROWEST["width"]
