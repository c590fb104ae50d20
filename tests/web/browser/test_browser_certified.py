"""The journeys to a certified provider and back, through Chromium: its cookies, forms and redirects across sites."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect


@pytest.fixture
def context(chromium: Any, certified_site: Any) -> Iterator[BrowserContext]:
    """Somebody's browser, which reaches nothing but this machine: the provider's pages ask for fonts from elsewhere."""
    made = chromium.new_context(base_url=certified_site.url, locale="en-GB", reduced_motion="reduce")
    made.set_default_timeout(10_000)
    made.route(lambda url: urlsplit(url).hostname not in ("localhost", "127.0.0.1"), cut)
    yield made
    made.close()


def cut(route: Route) -> None:
    route.abort()


def go_to_provider(page: Page, name: str) -> None:
    page.goto("/auth/sign-in?next=/me")
    page.get_by_role("link", name=f"Continue with {name}").click()


def say_who(page: Page) -> None:
    """The provider's first question."""
    page.get_by_placeholder("Enter any login").fill("ada")
    page.get_by_placeholder("and password").fill("any will do")
    page.get_by_role("button", name="Sign-in").click()


def answer_provider(page: Page) -> None:
    """Who one is, and that the site may know; until one is back."""
    say_who(page)
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#me")).to_have_text("ada@example.com")


@pytest.mark.parametrize("name", ["Corp", "Poster"])
def test_somebody_signs_in_and_comes_back_to_where_they_wanted(context: BrowserContext, name: str) -> None:
    page = context.new_page()
    go_to_provider(page, name)
    answer_provider(page)


def test_somebody_who_cancels_there_is_taken_back(context: BrowserContext) -> None:
    page = context.new_page()
    go_to_provider(page, "Corp")
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_text("You did not continue at Corp.")).to_be_visible()


def test_two_tabs_sign_in_side_by_side(context: BrowserContext) -> None:
    first, second = context.new_page(), context.new_page()
    go_to_provider(first, "Corp")
    go_to_provider(second, "Corp")
    answer_provider(first)
    say_who(second)
    expect(second.locator("#me")).to_have_text("ada@example.com")


def test_somebody_signs_out_everywhere_and_is_asked_again_who_they_are(
    context: BrowserContext, certified_site: Any
) -> None:
    page = context.new_page()
    go_to_provider(page, "Corp")
    answer_provider(page)
    page.goto("/leave")
    expect(page).to_have_title("Leave now")
    page.get_by_role("button", name="Leave").click()
    page.get_by_role("button", name="Yes, sign me out").click()
    expect(page.locator("#who")).to_have_text("nobody")
    assert page.url == f"{certified_site.url}/"
    go_to_provider(page, "Corp")
    expect(page.get_by_placeholder("Enter any login")).to_be_visible()
