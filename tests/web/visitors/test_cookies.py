"""The cookies, and the secrets that sign them."""

import hmac
import string
from base64 import b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import Signer

from authstore.errors import ConfigurationError
from authstore.web import Auth, better_auth_cookie, express_cookie, flask_cookie
from authstore.web.visitors.cookies import Cookies, cookie_line, read_cookie, signer

OLD, NEW = "o" * 32, "n" * 32
KIND: dict[str, Any] = {"salt": "authstore.session", "key_derivation": "hmac", "digest_method": sha256}


def presented(*lines: str) -> bytes:
    """The cookies of a request with these headers."""
    return cookie_line({"headers": [(b"host", b"x"), *((b"cookie", line.encode("latin-1")) for line in lines)]})


def test_a_signed_token_comes_back() -> None:
    cookies = Cookies([NEW], is_secure=True)
    assert cookies.presented_token(presented(f"a=b; __Host-authstore={cookies.signed('the-token')}")) == "the-token"


def test_the_newest_secret_signs_and_older_ones_still_verify() -> None:
    before, both, after = (Cookies(keys, is_secure=True) for keys in ([OLD], [NEW, OLD], [NEW]))
    old_cookie, new_cookie = (presented(f"__Host-authstore={each.signed('t' * 20)}") for each in (before, both))
    assert both.presented_token(old_cookie) == "t" * 20
    assert after.presented_token(new_cookie) == "t" * 20
    assert after.presented_token(old_cookie) is None


def test_a_signature_made_for_another_purpose_is_none() -> None:
    value = signer([NEW], "authstore.csrf").sign("the-token").decode()
    assert Cookies([NEW], is_secure=True).presented_token(presented(f"__Host-authstore={value}")) is None


@pytest.mark.parametrize("lines", [["n=1; n=2"], ["n=1", "n=2"], ["n=1; n=1"], [""], ["n"], ["nn=1; xn=1"], ["N=1"]])
def test_a_cookie_that_is_missing_or_there_twice_is_none(lines: list[str]) -> None:
    assert read_cookie(presented(*lines), "n") is None


@pytest.mark.parametrize("lines", [["a=b; n=1"], ["n=1", "a=b"], ["a=b", "\tn =\t1 "], ["nn=2;n=1;xn=3"], ["a=n; n=1"]])
def test_a_cookie_that_is_there_once_is_read_wherever_it_stands(lines: list[str]) -> None:
    assert read_cookie(presented(*lines), "n") == b"1"


@pytest.mark.parametrize("space", ["\x0b", "\x0c", "\r", "\n", "\x1c", "\x85", "\xa0", "\x00"])
def test_no_other_name_becomes_one_with_a_prefix(space: str) -> None:
    """PortSwigger 2025, "Cookie Chaos": browsers let a subdomain plant these, servers strip what is in front."""
    cookies = Cookies([NEW], is_secure=True)
    line = f"{space}__Host-authstore={cookies.signed('t' * 20)}"
    assert cookies.presented_token(presented(line)) is None
    assert cookies.presented_token(presented(f"a=b; {line}")) is None


@pytest.mark.parametrize("value", ["", ".", "a.b", "ÿ" * 40, "x" * 5000, "t.\x00", '"quoted"'])
def test_whatever_was_not_signed_is_nobodys(value: str) -> None:
    assert Cookies([NEW], is_secure=True).presented_token(presented(f"__Host-authstore={value}")) is None


async def test_the_session_cookie_is_as_strict_as_cookies_get(world: Any, browser: Any) -> None:
    answer = await world.sign_in(browser)
    (cookie,) = [value for value in answer.headers.get_list("set-cookie") if value.startswith("__Host-authstore=")]
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"secure", "httponly", "samesite=lax", "path=/", "max-age=2592000"} == attributes


async def test_the_cookie_holds_nothing_but_the_signed_token(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    token = browser.cookie().rpartition(".")[0]
    found = await world.store.get_session_and_user(token)
    assert found is not None


async def test_on_http_in_development_there_is_no_prefix_and_no_secure(make_world: Any) -> None:
    world = await make_world(base_url="http://localhost:8000", insecure_dev=True)
    browser = type(world.new_browser())(world.app, base_url="http://localhost:8000")
    answer = await browser.get("/auth/sign-in")
    assert answer.headers["set-cookie"].startswith("authstore-browser=")
    assert "secure" not in answer.headers["set-cookie"].lower()
    assert "strict-transport-security" not in answer.headers
    link = await world.letter_to(browser, "ada@example.com")
    assert link.startswith("http://localhost:8000/auth/email/verify?")
    assert (await browser.submit(link)).status_code == 303
    assert await browser.who() is not None
    await browser.aclose()


async def test_a_cookie_of_the_former_system_signs_in_until_its_user_signs_in_again(make_world: Any) -> None:
    world = await make_world(former_cookies=["__Secure-authjs.session-token"])
    browser = world.new_browser()
    user = await world.store.create_user(email="ada@example.com", email_verified=world.clock.now)
    token = "4f5c2d1e-8f0b-4a52-9f3e-moved-token"
    await world.store.create_session(user.id, token=token)
    browser.cookies.set("__Secure-authjs.session-token", token, domain="app.example")
    assert await browser.who() == user.id
    await browser.submit(await world.letter_to(browser, "ada@example.com"))
    assert browser.cookie("__Secure-authjs.session-token") is None
    assert await browser.who() == user.id
    assert await world.store.get_session(token) is None


async def test_without_leave_a_bare_token_signs_nobody_in(world: Any, browser: Any) -> None:
    session = await world.store.create_session((await world.store.create_user()).id)
    browser.cookies.set("__Host-authstore", session.token, domain="app.example")
    assert await browser.who() is None


@pytest.mark.parametrize("secrets", [[], "", [""], ["short"], ["x" * 31], [NEW, "short"], b"", None, [None], 7])
def test_secrets_that_can_be_guessed_are_refused(secrets: Any) -> None:
    with pytest.raises(ConfigurationError, match="secret"):
        Auth("sqlite://", base_url="https://app.example", secrets=secrets)


@pytest.mark.parametrize("value", [b"", b"the-token", b"t" * 600])
def test_signatures_are_those_of_itsdangerous_with_sha_256(value: bytes) -> None:
    plain = Signer([OLD, NEW], **KIND)
    ours = signer([NEW, OLD], "authstore.session")
    assert ours.get_signature(value) == plain.get_signature(value)
    assert ours.unsign(Signer([OLD], **KIND).sign(value)) == value
    assert plain.unsign(ours.sign(value)) == value


def test_a_signature_has_one_spelling() -> None:
    """Base64 leaves bits unused at the end: with others there it would name the same bytes."""
    ours = signer([NEW], "authstore.session")
    signature = ours.get_signature(b"the-token").decode()
    others = {signature[:-1] + last for last in string.ascii_letters + string.digits + "-_="} | {signature + "="}
    assert [each for each in others if ours.verify_signature(b"the-token", each)] == [signature]


def test_a_former_cookie_that_is_signed_needs_its_own_signature() -> None:
    """Signed by npm's cookie-signature 1.0.7 and by Flask-Session 0.8."""
    cookies = Cookies([NEW], is_secure=True, former=[express_cookie(["new", "keyboard cat"]), flask_cookie("a key")])
    sid, mark = "zGCqJZT0GbFr8HQ3Pt5h0nqzTkZ4M2aD", "s%3A"
    signature = b64encode(hmac.digest(b"keyboard cat", sid.encode(), "sha256")).decode().rstrip("=")
    flask = Signer("a key", salt="flask-session", key_derivation="hmac").sign("f" * 43).decode()
    assert cookies.former_tokens(presented(f"connect.sid={mark}{sid}.{quote(signature, safe='')}")) == [sid]
    assert cookies.former_tokens(presented(f"connect.sid=s:{sid}.{signature}")) == [sid]
    assert cookies.former_tokens(presented(f"session={flask}")) == ["f" * 43]
    assert cookies.former_tokens(presented(f"a=b; session={flask}; connect.sid=s:{sid}.{signature}")) == [sid, "f" * 43]


@pytest.mark.parametrize(
    "value",
    [
        *("", "s:", "s:.", "SID", "SID.SIG", "j:SID.SIG", "s:SID", "s:SID.", "s:SID.SIG=", "s:SID.SIGx", "s:xSID.SIG"),
        *("s:SID.ÿ", "s%3ASID.SIG%3D", "s%253ASID.SIG", "s:SID.SIG.SIG", "s:" + "x" * 2000 + ".SIG"),
    ],
)
def test_a_former_cookie_that_was_forged_is_nobodys(value: str) -> None:
    cookies = Cookies([NEW], is_secure=True, former=[express_cookie("keyboard cat"), flask_cookie("key", name="flask")])
    sid = "zGCqJZT0GbFr8HQ3Pt5h0nqzTkZ4M2aD"
    signature = b64encode(hmac.digest(b"keyboard cat", sid.encode(), "sha256")).decode().rstrip("=")
    forged = value.replace("SID", sid).replace("SIG", signature)
    assert cookies.former_tokens(presented(f"connect.sid={forged}")) == []
    assert cookies.former_tokens(presented(f"flask={forged}")) == []
    assert cookies.former_tokens(presented(f"connect.sid=s:{sid}.{signature}")) == [sid]


def test_better_auths_signature_is_taken_off_and_looked_at() -> None:
    """As better-call 2 signs: base64 with its padding, the whole of it escaped."""
    name, token = "__Secure-better-auth.session_token", "Jx8qPz0vWm3nYt5rKc2hLd7sBf4gNa9e"
    cookies = Cookies([NEW], is_secure=True, former=[better_auth_cookie(["other", "a secret"])])
    signature = b64encode(hmac.digest(b"a secret", token.encode(), "sha256")).decode()
    assert cookies.former_tokens(presented(f"{name}={quote(f'{token}.{signature}', safe='')}")) == [token]
    for forged in (
        token,
        f"{token}.",
        f"{token}.{signature[:-1]}",
        f"x{token}.{signature}",
        f"s:{token}.{signature}",
        ".",
    ):
        assert cookies.former_tokens(presented(f"{name}={quote(forged, safe='')}")) == []


@pytest.mark.parametrize("given", ["sessionid", [7], [b"sessionid"], [None]])
def test_former_cookies_are_a_list_of_cookies(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="former_cookies"):
        Auth("sqlite://", base_url="https://app.example", secrets=NEW, former_cookies=given)


@pytest.mark.parametrize("given", ["", [], [""], [None], None, 7, b"", [b""], {"a": 1}])
def test_a_former_cookie_that_is_signed_has_a_secret_and_does_not_show_it(given: Any) -> None:
    for make in (express_cookie, flask_cookie, better_auth_cookie):
        with pytest.raises(ConfigurationError, match="settings missing"):
            make(given)
        assert "keyboard" not in repr(make("keyboard cat"))


def test_the_secret_of_a_former_system_may_be_bytes() -> None:
    """As Flask's quick start makes them."""
    key, token = b'_5#y2L"F4Q8z\n\xec]/', "f" * 43
    cookies = Cookies(
        [NEW], is_secure=True, former=[flask_cookie(key), express_cookie(["new", key]), better_auth_cookie(key)]
    )
    flask = Signer(key, salt="flask-session", key_derivation="hmac").sign(token).decode()
    signature = b64encode(hmac.digest(key, token.encode(), "sha256")).decode()
    for line in (
        f"session={flask}",
        f"connect.sid=s:{token}.{signature.rstrip('=')}",
        f"__Secure-better-auth.session_token={quote(f'{token}.{signature}', safe='')}",
    ):
        assert cookies.former_tokens(presented(line)) == [token]


@pytest.mark.parametrize("name", ["", "a b", "a;b", "a=b", "sé", "a\r\nb", "a,b", None])
def test_what_can_be_no_cookies_name_is_refused(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="former_cookies"):
        Auth("sqlite://", base_url="https://app.example", secrets=NEW, former_cookies=[name])
    with pytest.raises(ConfigurationError, match="former_cookies"):
        express_cookie("keyboard cat", name=name)


async def test_of_several_former_cookies_the_one_counts_that_finds_a_session(make_world: Any) -> None:
    world = await make_world(former_cookies=[express_cookie("keyboard cat"), "__Secure-authjs.session-token"])
    browser, user = world.new_browser(), await world.store.create_user()
    token, cart = "4f5c2d1e-8f0b-4a52-9f3e-moved-token", "zGCqJZT0GbFr8HQ3Pt5h0nqzTkZ4M2aD"
    signature = b64encode(hmac.digest(b"keyboard cat", cart.encode(), "sha256")).decode().rstrip("=")
    await world.store.create_session(user.id, token=token)
    browser.cookies.set("connect.sid", quote(f"s:{cart}.{signature}", safe=""), domain="app.example")
    browser.cookies.set("__Secure-authjs.session-token", token, domain="app.example")
    assert await browser.who() == user.id


def test_a_key_is_made_ready_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cookies = Cookies([NEW, OLD], is_secure=True)
    monkeypatch.setattr(hmac, "new", None)
    monkeypatch.setattr(hmac, "digest", None)
    for token in ("t" * 20, "u" * 20, "t" * 20):
        assert cookies.presented_token(presented(f"__Host-authstore={cookies.signed(token)}")) == token


def read_plainly(line: bytes, name: bytes) -> bytes | None:
    """A cookie of a line that is taken apart pair by pair (RFC 6265bis §5.6)."""
    pairs = [pair.partition(b"=") for pair in line.split(b";")]
    found = [value.strip(b" \t") for key, is_pair, value in pairs if is_pair and key.strip(b" \t") == name]
    return found[0] if len(found) == 1 else None


@given(st.text(alphabet="n.=; \t\n\xa01").map(lambda text: text.encode("latin-1")), st.sampled_from(["n", "n.", "nn"]))
def test_a_cookie_is_found_as_if_the_line_were_taken_apart(line: bytes, name: str) -> None:
    assert read_cookie(line, name) == read_plainly(line, name.encode())
