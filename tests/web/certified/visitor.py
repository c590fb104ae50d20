"""Somebody at a browser that runs no scripts: cookies, redirects, and the forms of the provider's own pages."""

from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import httpx2

BASE = "https://app.example"
AFTER = f"{BASE}/after"


class Visitor(httpx2.AsyncClient):
    """Reaches the site in this process, and the provider where it really is; `trail`: where redirects led."""

    def __init__(self, app: Any) -> None:
        headers = {"user-agent": "Firefox/1 Linux", "accept": "text/html"}
        mounts = {BASE: httpx2.ASGITransport(app)}
        super().__init__(mounts=mounts, base_url=BASE, headers=headers, timeout=30, verify=False)  # no TLS is spoken
        self.trail: list[str] = []

    async def open(self, url: str, *, stop_before: str | None = None) -> httpx2.Response:
        """The page that a click on a link ends at; or the redirect to a URL that holds `stop_before`."""
        return await self._led(await self.get(url), stop_before)

    async def sign_in(
        self, login: str = "ada", *, provider: str = "corp", query: str = "", stop_before: str | None = None
    ) -> httpx2.Response:
        """To the provider, through whatever it asks, and back: the page where that ends."""
        page = await self.open(f"/auth/login/{provider}?next=/after{query}")
        typed = {"login": login, "password": "any will do"}
        while page.url.host == "127.0.0.1" and page.is_success and (form := Form.of(page)) is not None:
            page = await self.submit(form, stop_before=stop_before, **typed)
        return page

    async def submit(self, form: "Form", *, stop_before: str | None = None, **typed: str) -> httpx2.Response:
        """Sends a form of another site, with what was typed."""
        fields = {name: typed.get(name, value) for name, value in form.fields.items()}
        sent = await self.request(form.method, form.action, data=fields, headers={"sec-fetch-site": "cross-site"})
        return await self._led(sent, stop_before)

    async def post_form(self, path: str, *, stop_before: str | None = None, **fields: str) -> httpx2.Response:
        """Sends a form of the site."""
        token = (await self.get("/auth/csrf", headers={"accept": "application/json"})).json()["csrf_token"]
        return await self._led(await self.post(path, data={"csrf_token": token, **fields}), stop_before)

    async def who(self) -> str | None:
        """The address of who is signed in."""
        answer = (await self.get("/auth/session", headers={"accept": "application/json"})).json()
        return None if answer is None else str(answer["user"]["email"])

    async def _led(self, answer: httpx2.Response, stop_before: str | None) -> httpx2.Response:
        while answer.next_request is not None:
            self.trail.append(str(answer.next_request.url))
            if stop_before is not None and stop_before in self.trail[-1]:
                return answer
            answer = await self.send(answer.next_request)
        return answer


class Form(HTMLParser):
    """The first form of a page, with what a click on its first button would send."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.action, self.method = url, ""
        self.fields: dict[str, str] = {}

    @classmethod
    def of(cls, page: httpx2.Response) -> "Form | None":
        """`None` where the page has none."""
        form = cls(str(page.url))
        form.feed(page.text)
        return form if form.method else None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.method:
            self.action, self.method = urljoin(self.action, said.get("action", "")), said.get("method", "get").upper()
        elif tag in ("input", "button") and said.get("name") and said["name"] not in self.fields:
            self.fields[said["name"]] = said.get("value", "")
