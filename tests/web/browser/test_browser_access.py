"""The pages for everybody: axe-core finds nothing serious, the keyboard suffices, narrow and dark screens are fine."""

import re
from pathlib import Path
from typing import Any, Literal

import axe_playwright_python
import pytest
from playwright.sync_api import Page, ViewportSize, expect

from authstore.testing.web import link_in

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
ARTEFACTS = Path(__file__).parents[3] / "artefacts" / "web"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SCREENS: dict[str, ViewportSize] = {"desktop": {"width": 1100, "height": 820}, "phone": {"width": 390, "height": 800}}
NARROWEST: ViewportSize = {"width": 320, "height": 640}  # WCAG 2.2, 1.4.10 Reflow


def faults_of(page: Page) -> list[str]:
    """What axe-core, evaluated on this page before, calls serious or critical."""
    found = page.evaluate("() => axe.run()")
    return [
        f"{violation['id']}: {violation['nodes'][0]['html']}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
    ]


def open_sign_in(visitor: Any, page: Page) -> None:
    page.goto("/auth/sign-in")


def open_check_mail(visitor: Any, page: Page) -> None:
    page.goto("/auth/sign-in")
    page.get_by_label("E-mail address").fill("ada@example.com")
    page.get_by_role("button", name="E-mail me a link").click()
    page.get_by_role("heading", name="Check your e-mail").wait_for()


def open_confirm(visitor: Any, page: Page) -> None:
    open_check_mail(visitor, page)
    page.goto(visitor.site.outbox.link("ada@example.com"))


def open_devices(visitor: Any, page: Page) -> None:
    """With an account, a passkey and a second device on it."""
    page.goto("/auth/sign-in")
    page.get_by_role("link", name="Continue with Pretend").click()
    page.get_by_role("button", name="Ada Lovelace").click()
    page.wait_for_url("**/")
    visitor.remember_elsewhere("ada@example.com")
    page.goto("/auth/sessions")


def open_questions(visitor: Any, page: Page) -> None:
    """The account page, with every question asked."""
    open_devices(visitor, page)
    for question in page.locator("summary").all():
        question.click()


def open_wrong_code(visitor: Any, page: Page) -> None:
    open_check_mail(visitor, page)
    page.get_by_label("Or type the code from the letter").fill("000 000")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not the code")
    visitor.forgive("400")


def open_already_signed_in(visitor: Any, page: Page) -> None:
    open_devices(visitor, page)
    page.goto("/auth/sign-in?next=/me")
    expect(page.get_by_role("link", name="Continue as Ada Lovelace")).to_be_visible()


def open_error(visitor: Any, page: Page) -> None:
    page.goto("/auth/email/verify?email=ada%40example.com&token=spent-long-ago-spent-long-ago-spent-long")
    visitor.forgive("400", "410")


PAGES = {
    "sign-in": open_sign_in,
    "check-mail": open_check_mail,
    "confirm": open_confirm,
    "devices": open_devices,
    "questions": open_questions,
    "wrong-code": open_wrong_code,
    "already": open_already_signed_in,
    "error": open_error,
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_for_everybody_and_every_screen(visitor: Any, name: str) -> None:
    page = visitor.tab()
    PAGES[name](visitor, page)
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.evaluate(AXE)
    for screen, size in SCREENS.items():
        page.set_viewport_size(size)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=ARTEFACTS / f"{name}-{screen}-{scheme}.png", full_page=True)
            assert faults_of(page) == [], (screen, scheme)
    page.set_viewport_size(NARROWEST)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROWEST["width"]


@pytest.mark.parametrize("language", ["de", "fr", "es", "ja"])
def test_every_language_fits_on_a_narrow_screen(visitor_of: Any, language: str) -> None:
    visitor = visitor_of(viewport=NARROWEST, locale=language)
    page = visitor.tab()
    page.goto("/auth/sign-in?next=/auth/sessions")
    expect(page.locator("html")).to_have_attribute("lang", language)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROWEST["width"]
    address = "a-rather-long-name-without-a-single-place-to-break-it@" + "sub." * 10 + "example.com"
    page.locator("#email").fill(address)
    page.keyboard.press("Enter")
    page.wait_for_url("**/email/sent")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROWEST["width"]
    page.goto(visitor.site.outbox.link())
    page.locator("main form button").click()
    page.wait_for_url("**/auth/sessions")
    for question in page.locator("summary").all():
        question.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROWEST["width"]


def test_axe_does_find_what_is_wrong(visitor: Any) -> None:
    page = visitor.tab()
    page.goto("/")
    page.evaluate("document.body.innerHTML = '<input><p style=\"color: #eee; background: #fff\">faint</p>'")
    page.evaluate(AXE)
    assert {fault.partition(":")[0] for fault in faults_of(page)} >= {"label", "color-contrast"}


def test_the_keyboard_suffices_to_sign_in(visitor: Any) -> None:
    page = visitor.tab()
    page.goto("/auth/sign-in?next=/me")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("E-mail address")).to_be_focused()
    page.keyboard.type("ada@example.com")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Check your e-mail").wait_for()
    page.goto(visitor.site.outbox.link("ada@example.com"))
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Sign in")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#me")).to_have_text("ada@example.com")


def test_what_has_the_focus_can_be_seen(visitor: Any) -> None:
    page = visitor.tab()
    page.goto("/auth/sign-in")
    page.keyboard.press("Tab")
    for _ in range(4):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert outline == "3px"


def test_buttons_can_be_hit_with_a_thumb(visitor_of: Any) -> None:
    page = visitor_of(viewport=SCREENS["phone"], has_touch=True).tab()
    page.goto("/auth/sign-in")
    heights = [
        box["height"] for box in (button.bounding_box() for button in page.locator(".button:visible").all()) if box
    ]
    assert min(heights) >= 44  # CSS pixels: WCAG 2.2, 2.5.5


def test_a_page_says_its_language_and_has_one_heading(visitor: Any) -> None:
    page = visitor.tab()
    page.goto("/auth/sign-in")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page).to_have_title(re.compile("Sign in"))


def test_an_address_that_is_none_is_refused_on_the_page_itself(visitor: Any) -> None:
    page = visitor.tab()
    page.goto("/auth/sign-in")
    page.get_by_label("E-mail address").fill("not an address")
    page.get_by_role("button", name="E-mail me a link").click()
    assert page.evaluate("document.getElementById('email').validity.valid") is False
    assert visitor.site.outbox.messages == []


def test_an_address_the_server_refuses_is_marked_and_kept(visitor: Any) -> None:
    page = visitor.tab()
    page.goto("/auth/sign-in")
    field = page.get_by_label("E-mail address")
    field.fill("\u212aim@example.com")  # KELVIN SIGN: fine for a browser, no address for us
    page.locator("form").evaluate("form => form.noValidate = true")
    page.get_by_role("button", name="E-mail me a link").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description("That is not an e-mail address.")
    expect(field).to_have_value("\u212aim@example.com")
    visitor.forgive("400")


def test_the_letter_is_for_everybody_too(visitor: Any) -> None:
    page = visitor.tab()
    open_check_mail(visitor, page)
    letter = visitor.site.outbox.last()
    html = letter.get_body(("html",)).get_content()
    page.goto("about:blank")
    page.set_content(html)
    page.screenshot(path=ARTEFACTS / "letter.png")
    page.evaluate(AXE)
    assert faults_of(page) == []
    expect(page.get_by_role("link", name="Sign in to Harbour Notes")).to_have_attribute("href", link_in(letter))
