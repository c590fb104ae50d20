"""Replaces a session store in Postgres: nobody's cart is emptied, and who was signed in stays so.

    pip install "authstore[fastapi,move]"
    python examples/replace_session_store.py KIND postgresql://user@host/shop sqlite:///shop.db [COOKIE]

KIND: express (connect-pg-simple), flask (Flask-Session), starsessions or django. With the value of a browser's old
cookie it shows what that browser finds at the new site. FORMER_SECRET is what the old site signed its cookies with,
where it did.

Safe to run again: running it again is catching up, as long as the old site is the one that people use.
"""

import asyncio
import os
import secrets
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI, Request

from authstore.mover import make_plan, move, verify
from authstore.web import Auth, FormerCookie, express_cookie, flask_cookie
from authstore.web.fastapi import OptionalUser

# Which table it is, and where in a session stands who is signed in. Django's says that under its own key alone: there
# people sign in once more, and find their carts.
PROFILES = {
    "express": '[visits]\ntable = "session"\nuser_in = "$.passport.user"\n',
    "flask": '[visits]\ntable = "sessions"\nuser_in = "$._user_id"\n',
    "starsessions": '[visits]\ntable = "sessions"\nuser_in = "$.user_id"\n',
    "django": '[visits]\ntable = "django_session"\n',
}


def former_cookie(kind: str, secret: str) -> str | FormerCookie:
    """The cookie that the old site gave to browsers; a name where the bare id is in it."""
    if kind == "express":
        return express_cookie(secret)
    if kind == "flask" and secret:  # SESSION_USE_SIGNER
        return flask_cookie(secret)
    return "sessionid" if kind == "django" else "session"


async def bring(kind: str, source: str, target: str) -> bool:
    """Moves people and their sessions; whether source and target are equal then."""
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "profile.toml"
        profile.write_text(f"authstore_profile = 1\n{PROFILES[kind]}")
        decided: dict[str, Any] = {"on_bad_row": "reject", "on_orphan": "reject", "secrets": "drop"}
        report = await move(await make_plan(source, target, profile=str(profile), **decided))
        for name, table in report.tables.items():
            print(f"  {name}: {table.rows} rows, {table.copied} copied, {table.rejected} left out")
        return (await verify(source, target, profile=str(profile))).ok


def new_site(target: str, former_cookies: Sequence[str | FormerCookie], **options: Any) -> FastAPI:
    """The shop as it goes on: `request.session` holds what the old one kept, under the names it had there."""
    auth = Auth(
        target,
        base_url="https://shop.example",
        secrets=[secrets.token_hex()],  # from your settings
        visits=True,
        former_cookies=former_cookies,  # until the sessions of back then have run out
        **options,
    )
    app = FastAPI(lifespan=auth.lifespan)
    auth.install(app)

    @app.get("/cart")
    async def cart(request: Request, user: OptionalUser) -> dict[str, Any]:
        return {"user": user.email if user else None, "cart": request.session.get("cart", [])}

    @app.post("/cart/{article}")
    async def add(article: str, request: Request) -> dict[str, Any]:
        request.session.setdefault("cart", []).append(article)
        return {"cart": request.session["cart"]}

    return app


async def find(app: FastAPI, cookie: str) -> None:
    """What a browser with an old cookie finds at the new site, and with which cookie it goes on."""
    transport, headers = httpx2.ASGITransport(app), {"cookie": cookie}
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="https://shop.example") as browser,
    ):
        answer = await browser.get("/cart", headers=headers)
        print(answer.text)
        print(f"goes on with {', '.join(answer.cookies)}")


async def main() -> int:
    kind, source, target, *values = sys.argv[1:]
    if not await bring(kind, source, target):
        return 1
    cookie = former_cookie(kind, os.environ.get("FORMER_SECRET", ""))
    name = cookie if isinstance(cookie, str) else cookie.name
    for value in values:
        await find(new_site(target, [cookie]), f"{name}={value}")
    return 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
