"""Two tabs, and a page that was left open for long: nothing that somebody asked for is lost."""

import sqlite3
from typing import Any

from playwright.sync_api import Page, expect

from tests.web.browser.test_browser_journey import add_authenticator, add_passkey, ask_for_link, sign_in_at_provider

LONG_AGO = "2020-01-01T00:00:00.000000Z"


def be_sure(page: Page, what: str) -> None:
    """Asks for it, and says yes."""
    page.locator("summary", has_text=what).click()
    page.get_by_role("button", name=what).click()


def make_stale(visitor: Any) -> None:
    """As if everybody had said long ago who they are."""
    file = sqlite3.connect(visitor.site.database.removeprefix("sqlite:///"))
    with file:
        file.execute("UPDATE sessions SET authenticated_at = ?", (LONG_AGO,))
    file.close()


def phone_is_listed(page: Page) -> Any:
    return page.get_by_text("Safari on iPhone").first


def test_signing_out_in_one_tab_and_then_in_the_other(visitor: Any) -> None:
    first = visitor.tab()
    sign_in_at_provider(first, "Ada Lovelace")
    second = visitor.tab()
    for page in (first, second):
        page.goto("/auth/sessions")
    for page in (first, second):
        page.get_by_role("button", name="Sign out", exact=True).first.click()
        page.wait_for_url("**/")
    assert visitor.name_on_page(second) == "nobody"


def test_a_form_from_before_signing_in_in_another_tab_goes_on(visitor: Any) -> None:
    waiting, other = visitor.tab(), visitor.tab()
    waiting.goto("/auth/sign-in?next=/me")
    sign_in_at_provider(other, "Ada Lovelace")
    waiting.get_by_label("E-mail address").fill("grace@example.com")
    waiting.get_by_role("button", name="E-mail me a link").click()
    expect(waiting.get_by_role("heading", name="One more click")).to_be_visible()
    waiting.get_by_role("button", name="Go on").click()
    expect(waiting.get_by_role("heading", name="Check your e-mail")).to_be_visible()
    assert visitor.site.outbox.link("grace@example.com")


def test_a_passkey_button_from_before_signing_in_in_another_tab_works(visitor: Any) -> None:
    page = visitor.tab()
    add_authenticator(page)
    sign_in_at_provider(page, "Ada Lovelace")
    page.goto("/auth/sessions")
    sign_in_at_provider(visitor.tab(), "Ada Lovelace")
    page.bring_to_front()
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.locator("summary", has_text="Remove")).to_be_visible()
    visitor.forgive("403")


def test_a_provider_confirms_who_it_is_and_what_was_asked_happens(visitor: Any) -> None:
    page = visitor.tab()
    sign_in_at_provider(page, "Ada Lovelace")
    visitor.remember_elsewhere("ada@example.com")
    make_stale(visitor)
    page.goto("/auth/sessions")
    expect(page.get_by_text("confirm first that it is you")).to_be_visible()
    expect(phone_is_listed(page)).to_be_visible()
    be_sure(page, "Sign out all other devices")
    expect(page.get_by_role("heading", name="Confirm it is you")).to_be_visible()
    page.get_by_role("link", name="Continue with Pretend").click()
    page.get_by_role("button", name="Ada Lovelace").click()
    page.wait_for_url("**/auth/sessions")
    expect(page.locator("summary", has_text="Sign out all other devices")).to_have_count(0)
    expect(page.get_by_text("confirm first that it is you")).to_have_count(0)


def test_a_passkey_confirms_who_it_is_and_what_was_asked_happens(visitor: Any) -> None:
    page = visitor.tab()
    add_passkey(visitor, page)
    visitor.remember_elsewhere("ada@example.com")
    make_stale(visitor)
    page.goto("/auth/sessions")
    be_sure(page, "Sign out all other devices")
    page.get_by_role("button", name="Confirm with a passkey").click()
    page.wait_for_url("**/auth/sessions")
    expect(page.locator("summary", has_text="Sign out all other devices")).to_have_count(0)


def test_a_letter_confirms_who_it_is(visitor: Any) -> None:
    page = visitor.tab()
    ask_for_link(page, "ada@example.com")
    page.goto(visitor.site.outbox.link("ada@example.com"))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/me")
    visitor.remember_elsewhere("ada@example.com")
    make_stale(visitor)
    page.goto("/auth/sessions")
    be_sure(page, "Sign out all other devices")
    page.get_by_role("button", name="E-mail me a link").click()
    expect(page.get_by_role("heading", name="Check your e-mail")).to_be_visible()
    page.goto(visitor.site.outbox.link("ada@example.com"))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/auth/sessions")
    expect(page.locator("summary", has_text="Sign out all other devices")).to_have_count(0)


def test_adding_a_passkey_goes_on_after_confirming(visitor: Any) -> None:
    page = visitor.tab()
    add_passkey(visitor, page)
    be_sure(page, "Remove")
    expect(page.locator("summary", has_text="Remove")).to_have_count(0)
    make_stale(visitor)
    page.goto("/auth/sessions")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading", name="Confirm it is you")).to_be_visible()
    page.get_by_role("button", name="E-mail me a link").click()
    expect(page.get_by_role("heading", name="Check your e-mail")).to_be_visible()
    page.goto(visitor.site.outbox.link("ada@example.com"))
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("summary", has_text="Remove")).to_be_visible()
    visitor.forgive("403")
