"""Forms that were left open while somebody signed in or out, and changes that want to know again who it is."""

import re
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from authstore import StoreBusyError, StoreFullError
from authstore.testing.web import Person, sign_in
from tests.web.softkey import SoftKey

BOB = Person("bob-1", "bob@example.com", name="Bob")


def form_in(page: str) -> tuple[str, dict[str, str]]:
    """Where a page's form goes, and what is in it."""
    action = re.search(r'<form[^>]* method="post" action="([^"]*)"', page)
    assert action is not None, page
    rest = page[action.end() : page.index("</form>", action.end())]
    fields = re.findall(r'name="([^"]*)" value="([^"]*)"', rest)
    return unescape(action[1]), {unescape(name): unescape(value) for name, value in fields}


# Two tabs


async def test_signing_out_in_a_tab_after_another_did_is_done_already(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    token = await browser.csrf()
    await browser.submit("/auth/logout")
    answer = await browser.post("/auth/logout", data={"csrf_token": token, "next": "/after"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/after")
    assert any("Max-Age=0" in header for header in answer.headers.get_list("set-cookie"))


@pytest.mark.parametrize("ending", ["expired", "idle", "revoked elsewhere", "never signed in"])
async def test_signing_out_without_a_living_session_is_done_already(world: Any, browser: Any, ending: str) -> None:
    if ending != "never signed in":
        await world.sign_in(browser)
    token = await browser.csrf()
    if ending == "revoked elsewhere":
        await world.store.revoke_sessions(await browser.who())
    world.clock.advance({"expired": timedelta(days=31), "idle": timedelta(days=8)}.get(ending, timedelta(0)))
    answer = await browser.post("/auth/logout", data={"csrf_token": token})
    assert answer.status_code == 303
    answer = await browser.post("/auth/logout", json={}, headers={"accept": "application/json"})
    assert answer.json() == {"signed_out": True}


async def test_another_site_cannot_sign_anybody_out_by_seeming_to_have_no_session(world: Any, browser: Any) -> None:
    """Its cookie does not count there: what is not seen must not be ended."""
    await world.sign_in(browser)
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        answer = await browser.post("/auth/logout", headers=headers)
        assert (answer.status_code, answer.headers.get("set-cookie")) == (403, None)
    assert await browser.who() is not None


FORMS = {
    "/auth/email": {"email": "ada@example.com", "next": "/after"},
    "/auth/sessions/revoke": {"all": "others"},
    "/auth/accounts/unlink": {"provider": "pretend", "provider_account_id": "ada-1"},
    "/auth/passkeys/delete": {"credential_id": "x&<y"},
    "/auth/logout": {},
}


@pytest.mark.parametrize(("path", "fields"), FORMS.items(), ids=FORMS.keys())
@pytest.mark.parametrize("meanwhile", ["signed in", "signed in as somebody else", "signed in again"])
async def test_a_form_left_open_leads_to_a_fresh_page_that_goes_on(
    world: Any, browser: Any, path: str, fields: dict[str, str], meanwhile: str
) -> None:
    if meanwhile != "signed in":
        await world.sign_in(browser)
    token = await browser.csrf()
    await world.sign_in(browser, BOB if meanwhile == "signed in as somebody else" else Person("ada-1", "a@b.example"))
    who, letters = await browser.who(), len(world.outbox.messages)
    answer = await browser.post(path, data={"csrf_token": token, **fields})
    assert answer.status_code == 200
    assert (await browser.who(), len(world.outbox.messages)) == (who, letters), "nothing has happened yet"
    action, kept = form_in(answer.text)
    assert action == path
    assert {name: value for name, value in kept.items() if name != "csrf_token"} == fields
    assert "data-goes-on" not in answer.text
    again = await browser.post(action, data=kept)
    assert again.status_code != 403
    assert "meanwhile" not in again.text


@pytest.mark.parametrize("path", [path for path in FORMS if path not in ("/auth/email", "/auth/logout")])
async def test_a_form_of_an_ended_session_leads_to_signing_in_and_back(world: Any, browser: Any, path: str) -> None:
    await world.sign_in(browser)
    token = await browser.csrf()
    await world.store.revoke_sessions(await browser.who())
    answer = await browser.post(path, data={"csrf_token": token, **FORMS[path]})
    assert (answer.status_code, answer.headers["location"]) == (303, "/auth/sign-in?next=%2Fauth%2Fsessions")


async def test_a_script_is_told_that_its_token_is_stale(world: Any, browser: Any) -> None:
    token = await browser.csrf()
    await world.sign_in(browser)
    answer = await browser.post("/auth/passkeys/sign-in/options", json={}, headers={"x-csrf-token": token})
    assert (answer.status_code, answer.json()["error"]) == (403, "stale")


async def test_a_token_of_another_browser_is_no_stale_one(world: Any, browser: Any) -> None:
    """Else an attacker's own form would be shown here, one click from signing in as him."""
    stranger = world.new_browser()
    token = await stranger.csrf()
    await browser.csrf()
    answer = await browser.post("/auth/email", data={"csrf_token": token, "email": "eve@example.com"})
    assert answer.status_code == 403
    assert "eve@example.com" not in answer.text


# Who is it?


async def stale_sign_in(world: Any, browser: Any) -> str:
    """Ada, who signed in an hour ago, and has a session elsewhere."""
    await world.sign_in(browser)
    world.clock.advance(timedelta(hours=1))
    await sign_in(world.new_browser(), await browser.who(), auth=world.auth)
    return str(await browser.who())


async def test_what_was_asked_happens_once_a_provider_has_confirmed_who_it_is(world: Any, browser: Any) -> None:
    ada = await stale_sign_in(world, browser)
    page = await browser.get("/auth/sessions")
    assert "confirm first that it is you" in page.text
    asked = await browser.submit("/auth/sessions/revoke", all="others")
    confirm = await browser.get(asked.headers["location"])
    assert "Confirm it is you" in confirm.text
    links = re.findall(r'href="(/auth/login/[^"]*)"', confirm.text)
    assert [urlsplit(unescape(link)).path for link in links] == ["/auth/login/pretend"], "only ways of this very user"
    departure = await browser.get(unescape(links[0]))
    back = await browser.get(await world.pretend.approve(departure.headers["location"], Person("ada-1", "a@b.example")))
    resumed = await browser.get(back.headers["location"])
    assert "data-goes-on" in resumed.text
    assert len(await world.store.list_sessions(ada)) == 2
    action, fields = form_in(resumed.text)
    done = await browser.post(action, data=fields)
    assert (done.status_code, done.headers["location"]) == (303, "/auth/sessions")
    assert len(await world.store.list_sessions(ada)) == 1
    assert "confirm first" not in (await browser.get("/auth/sessions")).text


async def test_what_was_asked_happens_once_a_passkey_has_confirmed_who_it_is(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    ada, key = await browser.who(), SoftKey()
    options = (await browser.send_json("/auth/passkeys/register/options")).json()
    await browser.send_json("/auth/passkeys/register", credential=key.create(options))
    world.clock.advance(timedelta(hours=1))
    fields = {"provider": "pretend", "provider_account_id": "ada-1"}
    asked = await browser.submit("/auth/accounts/unlink", **fields)
    confirm = (await browser.get(asked.headers["location"])).text
    onward = unescape(re.search(r'data-passkey="sign-in"[^>]*data-next="([^"]*)"', confirm)[1])  # type: ignore[index]
    options = (await browser.send_json("/auth/passkeys/sign-in/options")).json()
    signed_in = await browser.send_json("/auth/passkeys/sign-in", credential=key.get(options), next=onward)
    action, kept = form_in((await browser.get(signed_in.json()["next"])).text)
    assert (await browser.post(action, data=kept)).status_code == 303
    assert await world.store.list_accounts(ada) == []


async def test_linking_goes_on_by_a_click_of_its_own(world: Any, browser: Any) -> None:
    await stale_sign_in(world, browser)
    asked = await browser.get("/auth/login/other?intent=link")
    action = parse_qs(urlsplit(asked.headers["location"]).query)["action"][0]
    await world.sign_in(browser, Person("ada-1", "a@b.example"))
    resumed = await browser.get(f"/auth/resume?action={action}")
    assert 'href="/auth/login/other?intent=link"' in resumed.text
    assert "<form" not in resumed.text


async def test_somebody_else_who_signs_in_meanwhile_does_not_go_on_with_it(world: Any, browser: Any) -> None:
    ada = await stale_sign_in(world, browser)
    asked = await browser.submit("/auth/sessions/revoke", all="others")
    await world.sign_in(browser, BOB)
    resumed = await browser.get(asked.headers["location"].replace("/confirm", "/resume"))
    assert resumed.headers["location"] == "/auth/sessions"
    assert len(await world.store.list_sessions(ada)) == 1


async def test_what_was_asked_in_one_browser_does_not_go_on_in_another(world: Any, browser: Any) -> None:
    await stale_sign_in(world, browser)
    asked = await browser.submit("/auth/sessions/revoke", all="others")
    elsewhere = world.new_browser()
    await world.sign_in(elsewhere, Person("ada-1", "a@b.example"))
    resumed = await elsewhere.get(asked.headers["location"].replace("/confirm", "/resume"))
    assert resumed.headers["location"] == "/auth/sessions"


async def test_a_script_is_told_where_to_confirm(world: Any, browser: Any) -> None:
    await stale_sign_in(world, browser)
    answer = await browser.send_json("/auth/passkeys/register/options")
    assert (answer.status_code, answer.json()["confirm"]) == (403, "/auth/confirm?next=%2Fauth%2Fsessions")


async def test_the_page_is_for_who_signed_in_long_ago(world: Any, browser: Any) -> None:
    answer = await browser.get("/auth/confirm?next=/x")
    assert answer.headers["location"] == "/auth/sign-in?next=%2Fx"
    await world.sign_in(browser)
    assert (await browser.get("/auth/confirm?next=/x")).headers["location"] == "/x"


async def test_more_than_a_form_holds_is_not_kept(world: Any, browser: Any) -> None:
    await stale_sign_in(world, browser)
    answer = await browser.submit("/auth/sessions/revoke", session_id="x" * 5000)
    assert answer.status_code == 403


LINKING = "/auth/login/other?intent=link"


async def test_what_cannot_be_kept_for_too_many_is_refused_as_that(make_world: Any) -> None:
    world = await make_world(sign_ins_per_client=2)
    browser = world.new_browser(accept="text/html")
    await stale_sign_in(world, browser)
    answers = [(await browser.get(LINKING)).status_code for _ in range(3)]
    assert answers == [303, 303, 429]
    assert (await browser.submit("/auth/sessions/revoke", all="others")).status_code == 429


@pytest.mark.parametrize("error", [StoreBusyError, StoreFullError])
async def test_what_a_store_cannot_keep_is_said_to_be_impossible_now(
    world: Any, browser: Any, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    await stale_sign_in(world, browser)

    async def fail(*_: Any, **__: Any) -> Any:
        raise error("as it is")

    monkeypatch.setattr(world.store, "create_verification_token", fail)
    for answer in (await browser.get(LINKING), await browser.submit("/auth/sessions/revoke", all="others")):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
        assert "not possible right now" in answer.text
