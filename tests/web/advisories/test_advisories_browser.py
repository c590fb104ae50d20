"""Redirects, forms, cookies and frames: what browsers can be talked into elsewhere."""

import time
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from starlette.routing import BaseRoute, Mount, Route

from authstore.testing.web import Person

BASE = "https://app.example"
ELSEWHERE = [
    "https://evil.example/",
    "http://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "////evil.example/",
    "/\\evil.example/",
    "\\/evil.example/",
    "\\\\evil.example/",
    "/\t/evil.example/",
    "/\n/evil.example/",
    "/\r/evil.example/",
    "\t//evil.example/",
    " //evil.example/",
    "\u2028//evil.example/",
    "\x00//evil.example/",
    "https:evil.example/",
    "https:/evil.example/",
    "https:\\\\evil.example/",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "/%0d%0aset-cookie:%20a=b/../\r\nlocation: https://evil.example/",
    "/..//evil.example/",
    "/.//evil.example/",
    "@evil.example/",
    "https://app.example@evil.example/",
    "https://app.example.evil.example/",
    "/" + "a" * 5000,
]


def stays(location: str) -> bool:
    """Whether a browser at our site ends up at our site, reading the way browsers read (WHATWG URL)."""
    read = "".join(character for character in location if character not in "\t\n\r").strip(" \0").replace("\\", "/")
    return urlsplit(urljoin(BASE + "/auth/x", read)).netloc == "app.example" and not read.startswith(("//", "https:/"))


@pytest.mark.parametrize("wanted", ELSEWHERE, ids=lambda wanted: ascii(wanted)[:32])
async def test_open_redirects_signing_in_never_leads_to_another_site(site: Any, new_visitor: Any, wanted: str) -> None:
    by_provider, by_link = new_visitor(), new_visitor()
    answer = await by_provider.get(await site.pretend.approve(await by_provider.depart("pretend", wanted)))
    assert stays(answer.headers["location"])
    assert "set-cookie: a=b" not in str(answer.headers)
    answer = await by_link.follow(await by_link.letter_to("ada@example.com", wanted))
    assert stays(answer.headers["location"])
    assert await by_provider.who() is not None
    assert await by_link.who() is not None


@pytest.mark.parametrize("path", ["/auth/sign-in/", "/auth/sessions/", "/auth/login/pretend/", "/auth/static"])
async def test_host_poisoning_no_slash_too_many_leads_to_another_site(visitor: Any, path: str) -> None:
    """Starlette's redirects to the path with or without a slash at the end are made from the Host header."""
    answer = await visitor.get(path, headers={"host": "evil.example"})
    assert "evil.example" not in answer.headers.get("location", "")


async def test_a_path_of_this_site_is_where_one_ends_up(site: Any, visitor: Any) -> None:
    wanted = "/notes/7?tab=a%20b&x=1"
    answer = await visitor.get(await site.pretend.approve(await visitor.depart("pretend", wanted)))
    assert answer.headers["location"] == wanted


def posts_of(routes: list[BaseRoute]) -> list[str]:
    """Every path under /auth that takes a POST."""
    paths: list[str] = []
    for route in routes:
        if isinstance(route, Mount):
            paths += [route.path + path for path in posts_of(list(route.routes))]
        elif isinstance(route, Route) and "POST" in (route.methods or ()):
            paths.append(route.path)
    return [path for path in paths if "{" not in path]


async def test_csrf_every_change_needs_a_token_of_this_very_session(site: Any, new_visitor: Any) -> None:
    ada, eve = new_visitor(), new_visitor()
    await ada.sign_in_at(site.pretend, Person("ada-1", "ada@example.com"))
    await eve.sign_in_at(site.pretend, Person("eve-1", "eve@example.com"))
    foreign = await eve.csrf_token()
    paths = posts_of(site.app.routes)
    assert {"/auth/logout", "/auth/email", "/auth/sessions/revoke"} <= set(paths)
    for path in paths:
        for token in ("", "made-up", foreign):
            answer = await ada.post(path, data={"csrf_token": token, "all": "others"})
            assert answer.status_code == 403, (path, token)
    assert await ada.who() is not None


async def test_csrf_a_token_from_before_signing_in_is_no_good_afterwards(site: Any, visitor: Any) -> None:
    token = await visitor.csrf_token()
    await visitor.sign_in_at(site.pretend)
    answer = await visitor.post("/auth/logout", data={"csrf_token": token})
    assert "Nothing has happened yet" in answer.text
    assert await visitor.who() is not None


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://app.example"},
        {"origin": "https://app.example.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "https://blog.app.example"},
    ],
    ids=str,
)
async def test_csrf_even_a_right_token_does_not_help_another_site(
    site: Any, visitor: Any, headers: dict[str, str]
) -> None:
    await visitor.sign_in_at(site.pretend)
    token = await visitor.csrf_token()
    answer = await visitor.post("/auth/logout", data={"csrf_token": token}, headers=headers)
    assert answer.status_code == 403
    assert await visitor.who() is not None


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/json"])
async def test_csrf_a_body_of_another_kind_gets_around_nothing(site: Any, visitor: Any, kind: str) -> None:
    await visitor.sign_in_at(site.pretend)
    answer = await visitor.post("/auth/logout", content=b'{"csrf_token": "x"}', headers={"content-type": kind})
    assert answer.status_code in (400, 403, 415)
    assert await visitor.who() is not None


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_nothing_is_changed_by_any_other_method_than_post(site: Any, visitor: Any, method: str) -> None:
    await visitor.sign_in_at(site.pretend)
    for path in ("/auth/logout", "/auth/sessions/revoke?all=others", "/auth/accounts/unlink"):
        assert (await visitor.request(method, path)).status_code in (404, 405)
    assert await visitor.who() is not None


async def test_fixation_a_planted_session_is_not_signed_in(site: Any, new_visitor: Any) -> None:
    attacker, victim = new_visitor(), new_visitor()
    await attacker.sign_in_at(site.pretend, Person("mallory-1", "mallory@evil.example"))
    planted = attacker.session_cookie
    victim.cookies.set("__Host-authstore", planted, domain="app.example")
    await victim.sign_in_at(site.other, Person("ada-1", "ada@example.com"))
    assert victim.session_cookie != planted
    assert await attacker.who() is None, "the planted session must be dead, whoever it was"
    assert await victim.who() is not None


async def test_fixation_every_sign_in_has_a_new_cookie(site: Any, visitor: Any) -> None:
    seen = set()
    for _ in range(3):
        await visitor.sign_in_at(site.pretend)
        seen.add(visitor.session_cookie)
    assert len(seen) == 3
    assert len(await site.store.list_sessions(await visitor.who())) == 1


async def test_a_cookie_from_before_signing_out_is_worth_nothing(site: Any, new_visitor: Any) -> None:
    visitor, thief = new_visitor(), new_visitor()
    await visitor.sign_in_at(site.pretend)
    stolen = visitor.session_cookie
    await visitor.submit("/auth/logout")
    assert visitor.session_cookie is None
    thief.cookies.set("__Host-authstore", stolen, domain="app.example")
    assert await thief.who() is None


async def cookie_line_of(visitor: Any, site: Any, person: Person) -> str:
    await visitor.sign_in_at(site.pretend, person)
    return f"__Host-authstore={visitor.session_cookie}"


async def test_cookie_shadowing_two_session_cookies_count_as_none(site: Any, new_visitor: Any) -> None:
    """A cookie planted from a subdomain stands beside the real one; which is first is up to the attacker."""
    own = await cookie_line_of(new_visitor(), site, Person("ada-1", "ada@example.com"))
    planted = await cookie_line_of(new_visitor(), site, Person("mallory-1", "mallory@evil.example"))
    for line in (f"{own}; {planted}", f"{planted}; {own}"):
        assert (await new_visitor().get("/who", headers={"cookie": line})).json() is None


@pytest.mark.parametrize(
    "name", ["authstore", "__host-authstore", "__Secure-authstore", "__Host-authstore ", "$__Host-authstore"]
)
async def test_cookie_shadowing_only_the_prefixed_name_counts(site: Any, new_visitor: Any, name: str) -> None:
    line = await cookie_line_of(new_visitor(), site, Person("mallory-1", "mallory@evil.example"))
    shadow = line.replace("__Host-authstore", name)
    if name.strip() != "__Host-authstore":
        assert (await new_visitor().get("/who", headers={"cookie": shadow})).json() is None


@pytest.mark.parametrize("change", ["", ".", "x", "\u00e9", ".AAAA", "A" * 4000, '"quoted"'], ids=ascii)
async def test_a_cookie_that_was_tampered_with_is_nobodys(site: Any, new_visitor: Any, change: str) -> None:
    visitor, forger = new_visitor(), new_visitor()
    await visitor.sign_in_at(site.pretend)
    token, _, signature = visitor.session_cookie.rpartition(".")
    for value in (token, f"{token}.{change}", f"{change}{token}.{signature}x", f"{token}{change}", f".{signature}"):
        answer = await forger.get("/who", headers=[(b"cookie", f"__Host-authstore={value}".encode())])
        assert answer.status_code == 200
        assert answer.json() is None
    assert await visitor.who() is not None


async def test_long_cookies_are_refused_quickly(visitor: Any) -> None:
    cookie = '__Host-authstore="' + "\\" * 60_000 + '"'
    began = time.perf_counter()
    answer = await visitor.get("/who", headers={"cookie": cookie})
    assert time.perf_counter() - began < 0.5
    assert answer.status_code == 431


@pytest.mark.parametrize("path", ["/auth/sign-in", "/auth/sessions", "/auth/session", "/auth/csrf"])
async def test_pages_are_framed_cached_and_sniffed_by_nobody(site: Any, visitor: Any, path: str) -> None:
    await visitor.sign_in_at(site.pretend)
    answer = await visitor.get(path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "no-store" in answer.headers["cache-control"]
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    if answer.headers["content-type"].startswith("text/html"):
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


async def test_a_page_holds_nothing_inline(site: Any, visitor: Any) -> None:
    await visitor.sign_in_at(site.pretend)
    for path in ("/auth/sign-in", "/auth/sessions"):
        text = (await visitor.get(path)).text
        assert " style=" not in text
        assert "<style" not in text
        assert " onclick=" not in text
        assert all(" src=" in part.split(">")[0] for part in text.split("<script")[1:])


async def test_a_session_tells_no_secret(site: Any, visitor: Any) -> None:
    await visitor.sign_in_at(site.pretend)
    token = visitor.session_cookie.rpartition(".")[0]
    for path in ("/auth/session", "/auth/sessions"):
        for accepted in ("application/json", "text/html"):
            text = (await visitor.get(path, headers={"accept": accepted})).text
            assert token not in text
            assert token.rpartition(".")[2] not in text
            assert "access_token" not in text
