"""Passkeys, answered by one in software."""

import asyncio
import json
from datetime import timedelta
from html import unescape
from typing import Any

import pytest

from authstore import ConfigurationError
from authstore.testing.web import Person
from tests.web.softkey import BE, BS, UP, UV, SoftKey, encoded

BOB = Person("bob-1", "bob@example.com")


async def register(browser: Any, key: SoftKey, **more: Any) -> Any:
    options = (await browser.send_json("/auth/passkeys/register/options")).json()
    return await browser.send_json("/auth/passkeys/register", credential=key.create(options), **more)


async def sign_in(browser: Any, key: SoftKey, **more: Any) -> Any:
    options = (await browser.send_json("/auth/passkeys/sign-in/options")).json()
    return await browser.send_json("/auth/passkeys/sign-in", credential=key.get(options), **more)


@pytest.fixture
async def key(world: Any, browser: Any) -> SoftKey:
    """A passkey of Ada's, who is signed in."""
    made = SoftKey()
    await world.sign_in(browser)
    assert (await register(browser, made)).status_code == 201
    return made


async def test_a_passkey_signs_in_without_any_name(world: Any, browser: Any, key: SoftKey) -> None:
    elsewhere = world.new_browser()
    answer = await sign_in(elsewhere, key, next="/after")
    assert (answer.status_code, answer.json()) == (200, {"next": "/after"})
    assert await elsewhere.who() == await browser.who()


async def test_the_options_ask_for_a_discoverable_key_and_a_verified_user(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    creation = (await browser.send_json("/auth/passkeys/register/options")).json()
    assert creation["rp"] == {"name": "app.example", "id": "app.example"}
    assert creation["authenticatorSelection"]["residentKey"] == "required"
    assert creation["authenticatorSelection"]["userVerification"] == "required"
    assert creation["user"]["name"] == "ada@example.com"
    assert await browser.who() not in creation["user"]["id"]
    request = (await browser.send_json("/auth/passkeys/sign-in/options")).json()
    assert (request["rpId"], request["userVerification"], request["allowCredentials"]) == (
        "app.example",
        "required",
        [],
    )


async def test_what_is_known_of_a_passkey_is_kept(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    await register(browser, SoftKey(flags=UP | UV | BE | BS, counter=5), name="My laptop")
    (passkey,) = await world.store.list_authenticators(await browser.who())
    assert (passkey.name, passkey.counter, passkey.device_type) == ("My laptop", 5, "multi_device")
    assert passkey.backed_up
    assert set(passkey.transports) == {"internal", "hybrid"}


async def test_a_passkey_without_a_name_is_called_after_its_device(world: Any, browser: Any, key: SoftKey) -> None:
    (passkey,) = await world.store.list_authenticators(await browser.who())
    assert passkey.name == "Firefox on Linux"
    page = await browser.get("/auth/sessions", headers={"accept": "text/html"})
    assert "Firefox on Linux" in page.text


async def test_a_counter_that_does_not_grow_is_a_copy(world: Any, browser: Any) -> None:
    key = SoftKey(counter=5)
    await world.sign_in(browser)
    await register(browser, key)
    elsewhere = world.new_browser()
    key.counter = 6
    assert (await sign_in(elsewhere, key)).status_code == 200
    for counter in (6, 5, 0):
        key.counter = counter
        refused = await sign_in(world.new_browser(), key)
        assert (refused.status_code, refused.json()["error"]) == (400, "passkey")
    key.counter = 7
    assert (await sign_in(world.new_browser(), key)).status_code == 200


async def test_keys_that_do_not_count_work_again_and_again(world: Any, key: SoftKey) -> None:
    for _ in range(3):
        assert (await sign_in(world.new_browser(), key)).status_code == 200


async def test_an_answer_is_good_once(world: Any, key: SoftKey) -> None:
    browser = world.new_browser()
    options = (await browser.send_json("/auth/passkeys/sign-in/options")).json()
    credential, token = key.get(options), await browser.csrf()
    answers = await asyncio.gather(
        *(
            browser.post("/auth/passkeys/sign-in", json={"credential": credential}, headers={"x-csrf-token": token})
            for _ in range(5)
        )
    )
    assert [answer.status_code for answer in answers].count(200) == 1


async def test_an_answer_is_good_in_its_own_browser_alone(world: Any, key: SoftKey) -> None:
    browser, thief = world.new_browser(), world.new_browser()
    options = (await browser.send_json("/auth/passkeys/sign-in/options")).json()
    assert (await thief.send_json("/auth/passkeys/sign-in", credential=key.get(options))).status_code == 400
    assert await thief.who() is None


async def test_an_answer_that_took_more_than_ten_minutes_is_refused(world: Any, key: SoftKey) -> None:
    browser = world.new_browser()
    options = (await browser.send_json("/auth/passkeys/sign-in/options")).json()
    world.clock.advance(timedelta(minutes=10))
    assert (await browser.send_json("/auth/passkeys/sign-in", credential=key.get(options))).status_code == 400


@pytest.mark.parametrize(
    "lie",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://app.example"},
        {"rp_id": "evil.example"},
        {"flags": UP},
        {"flags": UV},
        {"cross_origin": True},
        {"flags": UP | UV | BE},
        {"flags": UP | UV | BS},
        {"handle": encoded(b"somebody else")},
        {"credential_id": b"another key"},
        {"key": SoftKey().key},
    ],
    ids=lambda lie: str(lie)[:40],
)
async def test_no_lie_of_a_passkey_signs_in(world: Any, key: SoftKey, lie: dict[str, Any]) -> None:
    browser = world.new_browser()
    for name, value in lie.items():
        setattr(key, name, value)
    assert (await sign_in(browser, key)).status_code == 400
    assert await browser.who() is None


@pytest.mark.parametrize(
    "lie",
    [{"origin": "https://evil.example"}, {"rp_id": "evil.example"}, {"flags": UP}, {"cross_origin": True}],
    ids=str,
)
async def test_no_lie_of_a_passkey_is_registered(world: Any, browser: Any, lie: dict[str, Any]) -> None:
    await world.sign_in(browser)
    assert (await register(browser, SoftKey(**lie))).status_code == 400
    assert await world.store.list_authenticators(await browser.who()) == []


async def test_a_signature_over_something_else_is_refused(world: Any, key: SoftKey) -> None:
    browser = world.new_browser()
    options = (await browser.send_json("/auth/passkeys/sign-in/options")).json()
    credential = key.get(options)
    other = key.get({"challenge": encoded(b"x" * 32)})
    credential["response"]["signature"] = other["response"]["signature"]
    assert (await browser.send_json("/auth/passkeys/sign-in", credential=credential)).status_code == 400


@pytest.mark.parametrize(
    "credential",
    [
        None,
        [],
        {},
        {"id": "x"},
        {"id": "x", "response": {}},
        {"id": "x", "response": {"clientDataJSON": 7}},
        {"id": "x", "response": {"clientDataJSON": "é"}},
        {"id": "x", "response": {"clientDataJSON": encoded(b"[]")}},
        {"id": "x", "response": {"clientDataJSON": encoded(b'{"type":1,"challenge":1,"origin":1}')}},
        {"id": 7, "response": {"clientDataJSON": "e30"}},
        {"id": "x", "response": {"clientDataJSON": encoded(b"[" * 20_000)}},
    ],
    ids=lambda credential: str(credential)[:60],
)
async def test_nonsense_is_refused(world: Any, browser: Any, credential: Any) -> None:
    assert (await browser.send_json("/auth/passkeys/sign-in", credential=credential)).status_code == 400
    await world.sign_in(browser)
    assert (await browser.send_json("/auth/passkeys/register", credential=credential)).status_code == 400


async def test_a_known_challenge_with_nonsense_around_it_is_refused(world: Any, browser: Any, key: SoftKey) -> None:
    for path, make in (("register", SoftKey().create), ("sign-in", key.get)):
        for part in ("attestationObject", "authenticatorData", "signature", "clientDataJSON"):
            options = (await browser.send_json(f"/auth/passkeys/{path}/options")).json()
            credential = make(options)
            if part in credential["response"]:
                credential["response"][part] = credential["response"][part][:-30] + "A" * 5
                answer = await browser.send_json(f"/auth/passkeys/{path}", credential=credential)
                assert answer.status_code == 400, (path, part)


async def test_the_same_passkey_is_not_registered_twice_nor_for_two(world: Any, browser: Any, key: SoftKey) -> None:
    options = (await browser.send_json("/auth/passkeys/register/options")).json()
    assert [known["id"] for known in options["excludeCredentials"]] == [encoded(key.credential_id)]
    assert (await register(browser, key)).status_code == 409
    other = world.new_browser()
    await world.sign_in(other, BOB)
    assert (await register(other, key)).status_code == 409


async def test_a_registration_begun_by_one_user_is_not_finished_by_another(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    options = (await browser.send_json("/auth/passkeys/register/options")).json()
    await world.sign_in(browser, BOB)
    assert (await browser.send_json("/auth/passkeys/register", credential=SoftKey().create(options))).status_code == 400


async def test_a_registration_challenge_does_not_sign_in(world: Any, browser: Any, key: SoftKey) -> None:
    options = (await browser.send_json("/auth/passkeys/register/options")).json()
    assert (await browser.send_json("/auth/passkeys/sign-in", credential=key.get(options))).status_code == 400


async def test_registering_needs_somebody_who_signed_in_lately(world: Any, browser: Any) -> None:
    assert (await browser.send_json("/auth/passkeys/register/options")).status_code == 401
    await world.sign_in(browser)
    world.clock.advance(timedelta(hours=1))
    refused = await browser.send_json("/auth/passkeys/register/options")
    assert (refused.status_code, refused.json()["error"]) == (403, "fresh")


async def test_a_disabled_user_does_not_get_in(world: Any, browser: Any, key: SoftKey) -> None:
    await world.store.update_user(await browser.who(), disabled=True)
    answer = await sign_in(world.new_browser(), key)
    assert (answer.status_code, answer.json()["error"]) == (403, "disabled")


async def test_signing_in_by_passkey_ends_this_browsers_session_whoever_it_was(world: Any, key: SoftKey) -> None:
    browser = world.new_browser()
    await world.sign_in(browser, BOB)
    bobs = await browser.who()
    await sign_in(browser, key)
    assert await browser.who() != bobs
    assert await world.store.list_sessions(bobs) == []


async def test_a_passkey_is_removed_but_never_the_last_way_in(make_world: Any) -> None:
    world = await make_world(mailer=None)
    browser, key = world.new_browser(), SoftKey()
    await world.sign_in(browser)
    await register(browser, key)
    await browser.submit("/auth/accounts/unlink", provider="pretend", provider_account_id="ada-1")
    number = encoded(key.credential_id)
    assert (await browser.submit("/auth/passkeys/delete", credential_id=number)).status_code == 409
    await register(browser, SoftKey())
    assert (await browser.submit("/auth/passkeys/delete", credential_id=number)).status_code == 303
    assert (await sign_in(world.new_browser(), key)).status_code == 400


async def test_somebody_elses_passkey_is_not_found(world: Any, key: SoftKey) -> None:
    other = world.new_browser()
    await world.sign_in(other, BOB)
    assert (await other.submit("/auth/passkeys/delete", credential_id=encoded(key.credential_id))).status_code == 404


async def test_passkeys_can_be_left_out(make_world: Any) -> None:
    world = await make_world(passkeys=False)
    browser = world.new_browser()
    assert (await browser.send_json("/auth/passkeys/sign-in/options")).status_code == 404
    assert "data-passkey" not in (await browser.get("/auth/sign-in")).text


async def test_a_key_that_asks_nothing_is_told_what_adding_needs(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    refused = await register(browser, SoftKey(flags=UP))
    assert (refused.status_code, refused.json()["error"]) == (400, "passkey_add")
    assert "not added" in refused.json()["message"]


async def test_a_passkey_that_took_too_long_to_add_is_told_so(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    options = (await browser.send_json("/auth/passkeys/register/options")).json()
    world.clock.advance(timedelta(minutes=10))
    refused = await browser.send_json("/auth/passkeys/register", credential=SoftKey().create(options))
    assert (refused.status_code, refused.json()["error"]) == (400, "passkey_add")
    assert "took too long" in refused.json()["message"]


async def test_what_goes_wrong_while_adding_speaks_of_adding(world: Any, browser: Any, key: SoftKey) -> None:
    options = (await browser.send_json("/auth/passkeys/register/options")).json()
    for credential in (
        {"id": "x"},
        {},
        None,
        {**key.create(options), "id": "x\0"},
        SoftKey(origin="https://evil.example").create(options),
    ):
        refused = await browser.send_json("/auth/passkeys/register", credential=credential)
        assert refused.json()["error"] == "passkey_add"
    again = await register(browser, key)
    assert (again.status_code, again.json()["error"]) == (409, "passkey_exists")


PARENTS = [
    ("example", "app.example"),
    ("example.org", "app.example"),
    ("pp.example", "app.example"),
    ("", "app.example"),
    ("0.2.7", "192.0.2.7"),
    ("192.0.2.7", "192.0.2.7"),
]


async def test_passkeys_of_a_parent_domain_go_on_where_they_were_made(make_world: Any) -> None:
    world = await make_world(base_url="https://app.corp.example", rp_id="corp.example")
    browser, key = world.new_browser(), SoftKey(origin="https://app.corp.example", rp_id="corp.example")
    browser.base_url = "https://app.corp.example"
    await world.sign_in(browser)
    assert (await register(browser, key)).status_code == 201
    elsewhere = world.new_browser()
    elsewhere.base_url = "https://app.corp.example"
    assert (await sign_in(elsewhere, key)).status_code == 200
    other = SoftKey(origin="https://app.corp.example", rp_id="app.corp.example")
    assert (await register(browser, other)).status_code == 400


@pytest.mark.parametrize(("rp_id", "host"), PARENTS)
async def test_a_domain_that_no_browser_takes_is_refused(make_world: Any, rp_id: str, host: str) -> None:
    with pytest.raises(ConfigurationError, match="rp_id"):
        await make_world(base_url=f"https://{host}", rp_id=rp_id)


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("私の\u3000鍵", "私の\u3000鍵"),
        ("کلید\u200cمن", "کلید\u200cمن"),
        ("Ada\u00a0🗝", "Ada\u00a0🗝"),
        (" ", "Firefox on Linux"),
        ("a\u202eb", "Firefox on Linux"),
        ("a\nb", "Firefox on Linux"),
        ("x" * 101, "x" * 100),
    ],
    ids=ascii,
)
async def test_a_passkey_is_called_in_any_script(world: Any, browser: Any, told: str, kept: str) -> None:
    await world.sign_in(browser)
    made = await register(browser, SoftKey(), name=told)
    assert made.json()["name"] == kept


async def test_a_passkey_can_be_renamed_by_its_owner(world: Any, browser: Any, key: SoftKey) -> None:
    [passkey] = await world.store.list_authenticators(await browser.who())
    answer = await browser.submit(
        "/auth/passkeys/rename", credential_id=passkey.credential_id, name=" Müller\u2019s key "
    )
    assert answer.headers["location"] == "/auth/sessions"
    renamed = await world.store.get_authenticator(passkey.credential_id)
    assert renamed == passkey.model_copy(update={"name": "Müller\u2019s key"})
    assert "The passkey is renamed." in (await browser.get("/auth/sessions", headers={"accept": "text/html"})).text
    for name in ("", "\u202eevil", "   "):
        assert (
            await browser.submit("/auth/passkeys/rename", credential_id=passkey.credential_id, name=name)
        ).status_code == 400
    bob = world.new_browser()
    await world.sign_in(bob, BOB)
    answer = await bob.submit("/auth/passkeys/rename", credential_id=passkey.credential_id, name="Bob's")
    assert answer.status_code == 404
    assert (await world.store.get_authenticator(passkey.credential_id)).name == "Müller\u2019s key"


async def test_a_passkey_that_is_unknown_may_be_forgotten_and_one_that_fails_may_not(
    world: Any, browser: Any, key: SoftKey
) -> None:
    answer = (await sign_in(world.new_browser(), SoftKey())).json()
    assert (answer["error"], answer["unknown"]) == ("passkey", True)
    stranger = SoftKey()
    stranger.credential_id, stranger.handle = key.credential_id, key.handle
    answer = (await sign_in(world.new_browser(), stranger)).json()
    assert (answer["error"], "unknown" in answer) == ("passkey", False)


async def test_the_browser_is_told_which_passkeys_are_left(world: Any, browser: Any, key: SoftKey) -> None:
    page = (await browser.get("/auth/sessions", headers={"accept": "text/html"})).text
    told = json.loads(unescape(page.partition('data-passkeys-accepted="')[2].partition('"')[0]))
    creation = (await browser.send_json("/auth/passkeys/register/options")).json()
    assert told["rpId"] == "app.example"
    assert told["userId"] == creation["user"]["id"]
    assert told["allAcceptedCredentialIds"] == [creation["excludeCredentials"][0]["id"]]


async def test_who_made_a_passkey_is_its_name(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    made = SoftKey(aaguid="ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4")
    assert (await register(browser, made)).json()["name"] == "Google Password Manager"
    unknown = SoftKey(aaguid="00000000-0000-0000-0000-000000000001")
    assert (await register(browser, unknown)).json()["name"] == "Firefox on Linux"
    listed = (await browser.get("/auth/sessions", headers={"accept": "application/json"})).json()["passkeys"]
    makers = {each["name"]: each["maker"] for each in listed}
    assert makers == {"Google Password Manager": "Google Password Manager", "Firefox on Linux": None}
