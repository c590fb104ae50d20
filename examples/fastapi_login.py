"""Sign-in with FastAPI: by a provider, by e-mail, by passkey; your devices; a role. No account anywhere needed.

    pip install "authstore[fastapi,testing]" uvicorn
    python examples/fastapi_login.py     then open http://localhost:8000

The provider runs in this very process, the letters appear in the terminal. For your own application take `github(…)`,
`google(…)` or `oidc(…)` with what they gave you, a mailer that sends, secrets from your settings, and your address.
"""

import secrets
from html import escape

import uvicorn
from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse

from authstore.testing.web import OpenIDProvider, Person
from authstore.web import Auth, ConsoleMailer, oidc
from authstore.web.fastapi import CurrentUser, OptionalUser, require_role

BASE_URL = "http://localhost:8000"

pretend = OpenIDProvider(
    f"{BASE_URL}/provider",
    people=(
        Person("ada-1", "ada@example.com", name="Ada Lovelace"),
        Person("grace-1", "grace@example.com", name="Grace Hopper"),
    ),
    ask=True,
)


auth = Auth(
    "sqlite:///login-example.db",
    base_url=BASE_URL,
    secrets=[secrets.token_hex()],
    providers=[
        oidc("pretend", "client", "client-secret", pretend.discovery_url, transport=pretend.transport),
    ],
    mailer=ConsoleMailer(),
    insecure_dev=True,  # http, for this computer only
)
app = FastAPI(lifespan=auth.lifespan)
auth.install(app)
app.mount("/provider", pretend.app)


@app.get("/")
async def home(user: OptionalUser) -> HTMLResponse:
    """For everybody."""
    if user is None:
        return HTMLResponse('<p>You are nobody here. <a href="/auth/sign-in">Sign in</a></p>')
    name = escape(user.name or user.email or user.id)
    return HTMLResponse(
        f'<p>Hello {name}. <a href="/auth/sessions">Your account</a> <a href="/me">You, as JSON</a></p>'
    )


@app.get("/me")
async def me(user: CurrentUser) -> dict[str, str | None]:
    """For whoever is signed in; 401 for others."""
    return {"id": user.id, "email": user.email, "name": user.name}


@app.get("/engine-room", dependencies=[Depends(require_role("engineer"))])
async def engine_room() -> dict[str, str]:
    """For engineers; 403 for others. Sign in, and make yourself one (`pip install "authstore[cli]"`):

    authstore roles create engineer --url sqlite:///login-example.db
    authstore roles grant ada@example.com engineer --url sqlite:///login-example.db
    """
    return {"pressure": "fine"}


if __name__ == "__main__":
    uvicorn.run(app, port=8000)
