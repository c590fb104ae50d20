"""What is written to the log `authstore.web`: who did what from where, and no secret."""

import logging
from typing import Any

import pytest

from authstore.testing.web import Lies


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "authstore.web")
    return caplog


async def test_signing_in_and_out_is_logged_with_user_and_session(world: Any, browser: Any, log: Any) -> None:
    await world.sign_in(browser)
    user = await browser.who()
    await browser.submit("/auth/logout")
    assert f"signed in: user {user!r}" in log.text
    assert "from 127.0.0.1" in log.text
    assert f"signed out: user {user!r}" in log.text


async def test_refusals_and_failures_are_logged(world: Any, browser: Any, log: Any) -> None:
    await browser.get("/auth/callback/pretend?state=made-up")
    await browser.post("/auth/email", data={"email": "ada@example.com"})
    world.pretend.lies = Lies(signature="stranger")
    await world.sign_in(browser)
    assert "refused: flow, GET '/auth/callback/pretend'" in log.text
    assert "refused: csrf, POST '/auth/email'" in log.text
    assert "pretend: BadSignatureError" in log.text


async def test_no_secret_and_no_address_is_logged(world: Any, browser: Any, log: Any) -> None:
    await world.sign_in(browser)
    link = await world.letter_to(browser, "bob@example.com")
    await browser.submit(link)
    account = await world.store.get_account("pretend", "ada-1")
    secrets = [browser.cookie().split(".")[1], link.rpartition("=")[2], account.access_token, account.id_token]
    assert not any(secret in log.text for secret in [*secrets, "bob@example.com", "client-secret"])


async def test_no_library_logs_a_secret_of_a_sign_in_either(
    world: Any, browser: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """With every logger at DEBUG, where Authlib's own client, which is not used here, writes the PKCE verifier."""
    caplog.set_level(logging.DEBUG)
    await world.sign_in(browser)
    (exchanged,) = [seen.params for seen in world.pretend.seen if seen.endpoint == "token"]
    account = await world.store.get_account("pretend", "ada-1")
    secrets = [exchanged["code_verifier"], account.access_token, account.id_token, "client-secret"]
    assert caplog.records
    assert [secret for secret in [*secrets, browser.cookie().split(".")[1]] if secret in caplog.text] == []


async def test_a_path_cannot_forge_a_line(browser: Any, log: Any) -> None:
    await browser.get("/auth/login/x%0asigned in: user 'root'")
    assert not any("\n" in record.getMessage() for record in log.records)


async def test_why_a_session_was_not_found_is_told_to_who_wants_to_know(world: Any, browser: Any, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG, "authstore.web")
    await world.sign_in(browser)
    await browser.get("/public")
    assert "no session" not in caplog.text
    await browser.post("/public", headers={"origin": "https://evil.example"})
    assert "another site made the browser send this" in caplog.text
    await world.store.revoke_sessions(await browser.who())
    await browser.get("/public")
    assert "unknown, or its session has ended or expired" in caplog.text
    await browser.get("/public", headers={"cookie": "__Host-authstore=x.y"})
    assert "not signed by any of the secrets" in caplog.text
