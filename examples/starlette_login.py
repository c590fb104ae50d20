"""Sign-in with plain Starlette: `request.state.user`, `@requires("authenticated")`, role names as scopes.

    pip install "authstore[web,testing]" uvicorn
    python examples/starlette_login.py     then open http://localhost:8000

The provider runs in this very process, the letters appear in the terminal; no account anywhere is needed.
"""

import secrets
from html import escape

import uvicorn
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from authstore.testing.web import OpenIDProvider, Person
from authstore.web import Auth, ConsoleMailer, oidc

BASE_URL = "http://localhost:8000"

pretend = OpenIDProvider(f"{BASE_URL}/provider", people=(Person("ada-1", "ada@example.com", name="Ada"),), ask=True)


auth = Auth(
    "sqlite:///login-example.db",
    base_url=BASE_URL,
    secrets=[secrets.token_hex()],
    providers=[oidc("pretend", "client", "client-secret", pretend.discovery_url, transport=pretend.transport)],
    mailer=ConsoleMailer(),
    insecure_dev=True,  # http, for this computer only
)


async def home(request: Request) -> Response:
    """For everybody."""
    user = request.state.user
    if user is None:
        return HTMLResponse('<p>You are nobody here. <a href="/auth/sign-in">Sign in</a></p>')
    name = escape(user.name or user.email or user.id)
    return HTMLResponse(
        f'<p>Hello {name}. <a href="/auth/sessions">Your account</a> <a href="/me">You, as JSON</a></p>'
    )


@requires("authenticated", redirect="authstore:sign_in")
async def me(request: Request) -> Response:
    """For whoever is signed in; others are sent to the sign-in page."""
    return JSONResponse({"id": request.state.user.id, "email": request.state.user.email})


@requires("engineer")
async def engine_room(request: Request) -> Response:
    """For users with the role; 403 for others."""
    return JSONResponse({"pressure": "fine"})


app = Starlette(
    routes=[Route("/", home), Route("/me", me), Route("/engine-room", engine_room), Mount("/provider", pretend.app)],
    middleware=[Middleware(AuthenticationMiddleware, backend=auth.backend)],
    lifespan=auth.lifespan,
)
auth.install(app)

if __name__ == "__main__":
    uvicorn.run(app, port=8000)
