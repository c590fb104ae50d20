"""`make pictures`: the pages of a running application for docs/pictures/, as Chromium shows them, light and dark."""

import asyncio
import base64
import json
import os
import random
import shutil
import socket
from datetime import timedelta
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from playwright.async_api import Browser, Page, async_playwright

from authstore import Adapter, utc_now
from authstore.testing import Clock
from authstore.testing.web import Outbox
from authstore.web import Auth, github, gitlab, google, microsoft

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) Version/19.1 Mobile Safari/604.1"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
WIDTH = 760


def make(port: int, clock: Clock) -> tuple[Auth, FastAPI]:
    """The application that is looked at."""
    presets = (google, github, gitlab, microsoft)
    auth = Auth(
        "sqlite://",
        base_url=f"http://localhost:{port}",
        secrets=["a secret of at least 32 characters"],
        providers=[preset("client id", "client secret") for preset in presets],
        mailer=Outbox(),
        name="Notes",
        links={"terms": "/terms", "privacy": "/privacy"},
        clock=clock,
        insecure_dev=True,
    )
    app = FastAPI(lifespan=auth.lifespan)
    app.routes.append(auth.console())
    auth.install(app)
    return auth, app


async def main() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        clock = Clock(utc_now() - timedelta(days=30))
        auth, app = make(port, clock)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:  # noqa: ASYNC110 - uvicorn tells it by nothing else
            await asyncio.sleep(0.05)
        try:
            await take(f"http://localhost:{port}", await cookie_of_ada(auth, clock))
        finally:
            server.should_exit = True
            await serving


async def cookie_of_ada(auth: Auth, clock: Clock) -> dict[str, str]:
    """Somebody who has a bit of everything, signed in after a month of others: her cookie."""
    store = auth.store
    await others(store, clock, timedelta(days=27))
    ada = await store.create_user(email="ada@example.com", name="Ada Lovelace")
    await store.link_account(ada.id, "google", "1076", type="oidc", id_token=told(email="ada@example.com"))
    await store.link_account(ada.id, "github", "42", data={"called": "countess"})
    await store.create_authenticator(ada.id, "Y3JlZGVudGlhbA", b"key", name="iCloud Keychain", backed_up=True)
    await store.create_session(ada.id, ip="203.0.113.7", user_agent=IPHONE)
    await store.create_role("admin")
    await store.grant_role(ada.id, "admin")
    await others(store, clock, timedelta(days=3))
    name, value = auth.cookie_for(await store.create_session(ada.id, ip="198.51.100.23", user_agent=FIREFOX))
    return {name: value}


async def others(store: Adapter, clock: Clock, span: timedelta) -> None:
    """People who come by day, and by the week rather than at its end; some sign out again."""
    chance = random.Random(span.days)
    people = [await store.create_user(email=f"person{number}.{span.days}@example.com") for number in range(40)]
    for _ in range(int(span / timedelta(hours=1))):
        now = clock.advance(timedelta(hours=1))
        busy = 3 if 7 <= now.hour < 22 else 1
        for _ in range(chance.randint(0, busy if now.weekday() < 5 else 1)):
            session = await store.create_session(chance.choice(people).id, ip="203.0.113.50", user_agent=FIREFOX)
            if chance.random() < 0.3:
                await store.delete_session(session.token or "")


def told(**claims: str) -> str:
    """An ID token, as it is kept: nobody checks its signature again."""
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.e30"


async def take(url: str, cookies: dict[str, str]) -> None:
    """Every page, as it is in the light and in the dark."""
    chromium = os.environ.get("AUTHSTORE_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    PICTURES.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium)
        for scheme in ("light", "dark"):
            await sign_in_pages(await opened(browser, scheme, {}, url), url, scheme)
            page = await opened(browser, scheme, cookies, url)
            await page.goto(f"{url}/auth/sessions")
            await kept(page, f"account-{scheme}")
            await page.goto(f"{url}/auth/console")
            await kept(page, f"console-{scheme}", most=1180)
        await browser.close()


async def sign_in_pages(page: Page, url: str, scheme: str) -> None:
    await page.goto(f"{url}/auth/sign-in")
    await kept(page, f"sign-in-{scheme}")
    await page.fill("input[name=email]", "grace@example.com")
    await page.press("input[name=email]", "Enter")
    await page.wait_for_selector("input[name=code]")
    await kept(page, f"letter-{scheme}")


async def opened(browser: Browser, scheme: str, cookies: dict[str, str], url: str) -> Page:
    context = await browser.new_context(
        viewport={"width": WIDTH, "height": 400}, color_scheme=scheme, locale="en-GB", timezone_id="UTC"
    )
    await context.add_cookies([{"name": name, "value": value, "url": url} for name, value in cookies.items()])
    return await context.new_page()


async def kept(page: Page, name: str, most: int = 2000) -> None:
    """The page, down to so many pixels."""
    await page.evaluate("document.activeElement?.blur()")
    path = PICTURES / f"{name}.webp"
    height = min(most, await page.evaluate("document.body.scrollHeight"))
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": height, "scale": 1}
    devtools = await page.context.new_cdp_session(page)  # Playwright itself takes no WebP, a quarter of PNG's size
    shot = {"format": "webp", "quality": 90, "clip": clip, "captureBeyondViewport": True}
    path.write_bytes(base64.b64decode((await devtools.send("Page.captureScreenshot", shot))["data"]))
    print(f"{path} {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(main(), timedelta(minutes=2).total_seconds()))
