"""Somebody at a browser that runs no scripts: cookies, redirects, and the forms of the provider's own pages."""

from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import httpx2

BASE = "https://app.example"
AFTER = f"{BASE}/after"


class Visitor(httpx2.AsyncClient):
    """Reaches the site in this process, and the provider where it really is."""

    def __init__(self, app: Any) -> None:
        at_site = httpx2.ASGITransport(app)
        headers = {"user-agent": "Firefox/1 Linux", "accept": "text/html"}
        super().__init__(mounts={BASE: at_site}, base_url=BASE, headers=headers, follow_redirects=True, timeout=30)

    async def sign_in(self, login: str = "ada", *, provider: str = "corp", query: str = "") -> httpx2.Response:
        """To the provider, through whatever it asks, and back: the page where that ends."""
        page = await self.get(f"/auth/login/{provider}?next=/after{query}")
        return await self.answered(page, login=login, password="any will do")

    async def answered(self, page: httpx2.Response, **typed: str) -> httpx2.Response:
        """Fills in and sends what is asked, page after page, for as long as the provider asks."""
        while page.url.host == "127.0.0.1" and page.is_success and (form := Form.of(page)) is not None:
            page = await self.submitted(form, typed)
        return page

    async def submitted(self, form: "Form", typed: dict[str, str]) -> httpx2.Response:
        """Sends one form, as a page of another site does."""
        fields = {name: typed.get(name, value) for name, value in form.fields.items()}
        return await self.request(form.method, form.action, data=fields, headers={"sec-fetch-site": "cross-site"})

    async def who(self) -> str | None:
        """The address of who is signed in."""
        answer = (await self.get("/auth/session", headers={"accept": "application/json"})).json()
        return None if answer is None else str(answer["user"]["email"])

    async def posted(self, path: str, **fields: str) -> httpx2.Response:
        """Sends a form of the site."""
        csrf = (await self.get("/auth/csrf", headers={"accept": "application/json"})).json()["csrf_token"]
        return await self.post(path, data={"csrf_token": csrf, **fields})


class Form(HTMLParser):
    """The first form of a page, with what a click on its first button would send."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.action, self.method = url, ""
        self.fields: dict[str, str] = {}

    @classmethod
    def of(cls, page: httpx2.Response) -> "Form | None":
        form = cls(str(page.url))
        form.feed(page.text)
        return form if form.method else None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.method:
            self.action, self.method = urljoin(self.action, said.get("action", "")), said.get("method", "get").upper()
        elif tag in ("input", "button") and said.get("name") and said["name"] not in self.fields:
            self.fields[said["name"]] = said.get("value", "")
