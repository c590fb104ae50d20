"""Your devices: sessions, accounts, ways in."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from authstore import StoreBusyError
from authstore.testing.web import Person, sign_in
from authstore.web import github
from authstore.web.account.user_agents import device_kind, device_name
from tests.web.oauth.plain_provider import PlainProvider, arrive

JSON = {"accept": "application/json"}


async def test_who_is_not_signed_in_is_sent_to_sign_in_first(browser: Any) -> None:
    page = await browser.get("/auth/sessions", headers={"accept": "text/html"})
    assert page.headers["location"] == "/auth/sign-in?next=%2Fauth%2Fsessions"
    assert (await browser.get("/auth/sessions", headers=JSON)).status_code == 401


async def test_page_and_json_show_every_device_and_mark_this_one(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    phone = world.new_browser(**{"user-agent": "Mozilla/5.0 (iPhone) FxiOS/1"})
    await sign_in(phone, await browser.who())
    await world.store.create_session(await browser.who(), user_agent="Mozilla/5.0 (iPhone) FxiOS/1")
    listed = (await browser.get("/auth/sessions", headers=JSON)).json()["sessions"]
    assert sorted(entry["current"] for entry in listed) == [False, False, True]
    assert {"Firefox on Linux", "Firefox on iPhone"} <= {entry["device"] for entry in listed}
    assert all("token" not in entry for entry in listed)
    page = await browser.get("/auth/sessions", headers={"accept": "text/html"})
    assert page.status_code == 200
    assert "Firefox on iPhone" in page.text


async def test_this_device_is_shown_whatever_number_there_is_of_others(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    for _ in range(110):
        world.clock.advance(timedelta(seconds=1))
        await world.store.create_session(await browser.who())
    listed = (await browser.get("/auth/sessions", headers=JSON)).json()["sessions"]
    assert [entry["current"] for entry in listed] == [False] * 100 + [True]


async def test_one_session_is_ended_by_its_id(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    other = world.new_browser()
    session = await sign_in(other, await browser.who())
    answer = await browser.submit("/auth/sessions/revoke", session_id=session.id)
    assert answer.headers["location"] == "/auth/sessions"
    assert await other.who() is None
    assert await browser.who() is not None


async def test_ending_ones_own_session_ends_the_cookie_too(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    (session,) = await world.store.list_sessions(await browser.who())
    await browser.submit("/auth/sessions/revoke", session_id=session.id)
    assert browser.cookie() is None
    assert await browser.who() is None


async def test_all_others_are_ended_at_once(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    others = [world.new_browser() for _ in range(3)]
    for other in others:
        await sign_in(other, await browser.who())
    answer = await browser.send_json("/auth/sessions/revoke", all="others")
    assert answer.json() == {"revoked": 3}
    assert [await other.who() for other in others] == [None] * 3
    assert await browser.who() is not None


async def test_somebody_elses_session_is_not_found(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    stranger = await world.store.create_user()
    session = await world.store.create_session(stranger.id)
    for wanted in (session.id, "made-up", ""):
        assert (await browser.submit("/auth/sessions/revoke", session_id=wanted)).status_code == 404
    assert len(await world.store.list_sessions(stranger.id)) == 1


async def test_changes_need_somebody_signed_in(browser: Any) -> None:
    for path in ("/auth/sessions/revoke", "/auth/accounts/unlink", "/auth/passkeys/delete"):
        assert (await browser.submit(path)).status_code == 401


async def test_an_account_is_unlinked_while_another_way_in_remains(make_world: Any) -> None:
    world = await make_world(mailer=None)
    browser = world.new_browser()
    await world.sign_in(browser)
    await world.sign_in(browser, Person("ada-2"), "other")
    first = await browser.submit("/auth/accounts/unlink", provider="pretend", provider_account_id="ada-1")
    assert first.status_code == 303
    last = await browser.submit("/auth/accounts/unlink", provider="other", provider_account_id="ada-2")
    assert last.status_code == 409
    assert len(await world.store.list_accounts(await browser.who())) == 1


async def test_of_two_unlinked_at_once_one_stays(make_world: Any) -> None:
    world = await make_world(mailer=None)
    browser = world.new_browser()
    await world.sign_in(browser)
    await world.sign_in(browser, Person("ada-2"), "other")
    token = await browser.csrf()
    answers = await asyncio.gather(
        *(
            browser.post(
                "/auth/accounts/unlink",
                data={"csrf_token": token, "provider": provider, "provider_account_id": number},
            )
            for provider, number in (("pretend", "ada-1"), ("other", "ada-2"))
        )
    )
    assert sorted(answer.status_code for answer in answers) == [303, 409]


@pytest.mark.parametrize(
    ("email_verified", "status"), [(True, 303), (False, 409)], ids=["a proved address", "an unproved address"]
)
async def test_letters_are_a_way_in_only_to_a_proved_address(
    world: Any, browser: Any, email_verified: bool, status: int
) -> None:
    await world.sign_in(browser, Person("ada-1", "ada@example.com", email_verified=email_verified))
    answer = await browser.submit("/auth/accounts/unlink", provider="pretend", provider_account_id="ada-1")
    assert answer.status_code == status


async def test_an_account_of_a_provider_no_longer_in_use_is_no_way_in(make_world: Any) -> None:
    world = await make_world(mailer=None)
    browser = world.new_browser()
    await world.sign_in(browser)
    await world.store.link_account(await browser.who(), "gone", "1")
    kept = await browser.submit("/auth/accounts/unlink", provider="pretend", provider_account_id="ada-1")
    assert kept.status_code == 409
    assert (await browser.submit("/auth/accounts/unlink", provider="gone", provider_account_id="1")).status_code == 303


async def test_a_passkey_that_cannot_be_used_is_no_way_in(make_world: Any) -> None:
    world = await make_world(mailer=None, passkeys=False)
    browser = world.new_browser()
    await world.sign_in(browser)
    await world.store.create_authenticator(await browser.who(), "credential", b"key")
    kept = await browser.submit("/auth/accounts/unlink", provider="pretend", provider_account_id="ada-1")
    assert kept.status_code == 409


async def test_the_ways_in_are_changed_only_soon_after_signing_in(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    world.clock.advance(timedelta(hours=1))
    answer = await browser.send_json("/auth/accounts/unlink", provider="pretend", provider_account_id="ada-1")
    assert (answer.status_code, answer.json()["error"]) == (403, "fresh")


@pytest.mark.parametrize(
    ("agent", "name", "kind"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537 Chrome/142 Safari/537 Edg/142", "Edge on Windows", "laptop"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) Version/18 Safari/605.1", "Safari on macOS", "laptop"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604", "Safari on iPhone", "phone"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/142 Mobile Safari/537", "Chrome on Android", "phone"),
        ("curl/8.5.0", "curl", "laptop"),
        ("<script>", "", "laptop"),
        (None, "", "laptop"),
    ],
)
def test_a_device_is_called_by_what_its_browser_says(agent: str | None, name: str, kind: str) -> None:
    assert device_name(agent, "{browser} on {system}") == name
    assert device_kind(agent) == kind


async def test_sessions_are_ended_only_soon_after_signing_in(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    world.clock.advance(timedelta(hours=1))
    await sign_in(world.new_browser(), await browser.who(), auth=world.auth)
    await browser.submit("/auth/sessions/revoke", all="others")
    assert len(await world.store.list_sessions(await browser.who())) == 2
    assert (await browser.submit("/auth/logout")).status_code == 303


async def test_the_page_says_once_what_was_done(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    await world.store.create_session(await browser.who())
    answer = await browser.submit("/auth/sessions/revoke", all="others")
    assert answer.headers["location"] == "/auth/sessions"
    html = {"accept": "text/html"}
    assert "Signed out on all other devices." in (await browser.get("/auth/sessions", headers=html)).text
    assert "Signed out on all" not in (await browser.get("/auth/sessions", headers=html)).text


@pytest.mark.parametrize("what", ["link", "unlink", "end another session"])
async def test_what_was_done_is_done_where_the_store_cannot_keep_that_it_is_said(
    world: Any, browser: Any, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Who links an account has a new session by then: without this answer's cookie they would be signed out."""
    await world.sign_in(browser)
    user, token = await browser.who(), await browser.csrf()
    other = await world.store.create_session(user)
    departure = await browser.get("/auth/login/other?intent=link")
    begin, begun = world.store.transaction, [0]

    def only_once() -> Any:
        begun[0] += 1
        if begun[0] > int(what != "end another session"):
            raise StoreBusyError("busy from now on")
        return begin()

    monkeypatch.setattr(world.store, "transaction", only_once)
    match what:
        case "link":
            answer = await browser.get(await world.other.approve(departure.headers["location"]))
        case "unlink":
            fields = {"provider": "pretend", "provider_account_id": "ada-1", "csrf_token": token}
            answer = await browser.post("/auth/accounts/unlink", data=fields)
        case _:
            fields = {"session_id": other.id, "csrf_token": token}
            answer = await browser.post("/auth/sessions/revoke", data=fields)
    assert answer.status_code == 303
    assert await browser.who() == user
    linked = {account.provider for account in await world.store.list_accounts(user)}
    assert linked == {"link": {"pretend", "other"}, "unlink": set()}.get(what, {"pretend"})
    assert (len(await world.store.list_sessions(user)) == 1) is (what == "end another session")


async def test_an_account_is_called_as_its_provider_calls_it(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    [account] = (await browser.get("/auth/sessions", headers={"accept": "application/json"})).json()["accounts"]
    assert account["called"] == "ada@example.com"
    user = await browser.who()
    await world.store.link_account(user, "other", "o-1", id_token="a.b.c")
    accounts = (await browser.get("/auth/sessions", headers={"accept": "application/json"})).json()["accounts"]
    assert [each["called"] for each in accounts if each["provider"] == "other"] == [None]


async def test_an_account_without_an_id_token_is_called_so_too(make_world: Any) -> None:
    provider = PlainProvider(user={"id": 583231, "login": "octocat"}, user_emails=[])
    world = await make_world(providers=[github("id", "secret", transport=provider.transport)])
    browser = world.new_browser()
    for login in ("octocat", "renamed"):
        provider.answers["user"] = {"id": 583231, "login": login}
        await arrive(world, browser, "github")
        page = await browser.get("/auth/sessions", headers={"accept": "text/html"})
        assert login in page.text
        assert ">583231<" not in page.text
    account = await world.store.get_account("github", "583231")
    await world.store.link_account(account.user_id, "github", "583231", data={**account.data, "plan": "gold"})
    await arrive(world, browser, "github")
    provider.answers["user"] = {"id": 583231, "login": "again"}
    await arrive(world, browser, "github")
    account = await world.store.get_account("github", "583231")
    assert (account.type, account.access_token, account.data["plan"]) == ("oauth", "the-access-token", "gold")
