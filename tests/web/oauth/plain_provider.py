"""An OAuth 2.0 provider that knows nothing of OpenID."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from authstore.web import oauth2


class PlainProvider:
    """An OAuth 2.0 provider without OpenID: a token endpoint, and JSON at some paths."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.authorizations: list[str] = []
        self.token_requests: list[tuple[str | None, dict[str, str]]] = []
        self.token: Any = {"access_token": "the-access-token", "token_type": "bearer", "scope": "x"}
        self.transport = httpx2.ASGITransport(
            Starlette(routes=[Route("/{path:path}", self.answer, methods=["GET", "POST"])])
        )

    async def answer(self, request: Request) -> Response:
        if request.method == "POST":
            form = parse_qs((await request.body()).decode())
            assert form["grant_type"] in (["authorization_code"], ["refresh_token"])
            assert form["grant_type"] == ["refresh_token"] or len(form["code_verifier"][0]) >= 43
            fields = {name: values[0] for name, values in form.items()}
            self.token_requests.append((request.headers.get("authorization"), fields))
            return self.token if isinstance(self.token, Response) else JSONResponse(self.token)
        self.authorizations.append(request.headers["authorization"])
        answer = self.answers[request.url.path.strip("/").replace("/", "_").replace("@", "")]
        return answer if isinstance(answer, Response) else JSONResponse(answer)


async def arrive(world: Any, browser: Any, name: str) -> Any:
    """Goes to a plain provider and comes back with a code."""
    departure = await browser.get(f"/auth/login/{name}")
    asked = parse_qs(urlsplit(departure.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    return await browser.get(f"/auth/callback/{name}", params={"state": asked["state"][0], "code": "c"})


def plain(provider: PlainProvider, client_secret: Any = "secret", **more: Any) -> Any:
    return oauth2(
        "plain",
        "id",
        client_secret,
        authorize_url="https://plain.example/authorize",
        token_url="https://plain.example/token",
        userinfo_url="https://plain.example/me",
        transport=provider.transport,
        **more,
    )
