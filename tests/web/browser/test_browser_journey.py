"""The whole journey, as people make it: in a real browser, against a real server, with real TLS."""

from typing import Any

from playwright.sync_api import Page, expect

from authstore.testing.web import Lies


def be_sure(page: Page, what: str) -> None:
    """Asks for it, and says yes."""
    page.locator("summary", has_text=what).click()
    page.get_by_role("button", name=what).click()


def ask_for_link(page: Page, address: str, next_path: str = "/me") -> None:
    page.goto(f"/auth/sign-in?next={next_path}")
    page.get_by_label("E-mail address").fill(address)
    page.get_by_role("button", name="E-mail me a link").click()
    expect(page.get_by_role("heading", name="Check your e-mail")).to_be_visible()


def sign_in_by_link(visitor: Any, page: Page, address: str, next_path: str = "/me") -> str:
    """By which link it was."""
    ask_for_link(page, address, next_path)
    link: str = visitor.site.outbox.link(address)
    page.goto(link)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**{next_path}")
    return link


def sign_in_at_provider(page: Page, person: str, next_path: str = "/me") -> None:
    page.goto(f"/auth/sign-in?next={next_path}")
    page.get_by_role("link", name="Continue with Pretend").click()
    page.get_by_role("button", name=person).click()
    page.wait_for_url(f"**{next_path}")


def add_authenticator(page: Page, *, asks: bool = True) -> None:
    """Gives the browser a screen lock that says yes (WebAuthn §11); or a key that `asks` for no PIN or fingerprint."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": asks,
        "isUserVerified": asks,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def test_somebody_signs_in_at_a_provider_and_out_again(visitor: Any) -> None:
    page = visitor.tab()
    sign_in_at_provider(page, "Ada Lovelace")
    expect(page.locator("#me")).to_have_text("ada@example.com")
    cookie = visitor.session_cookie()
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, True, "Lax", "/")

    page.goto("/auth/sessions")
    page.get_by_role("button", name="Sign out", exact=True).first.click()
    assert visitor.name_on_page(page) == "nobody"
    assert visitor.session_cookie() is None

    visitor.context.add_cookies([cookie])
    assert visitor.name_on_page(page) == "nobody", "a cookie from before signing out must be worth nothing"


def test_somebody_who_changes_their_mind_at_the_provider_is_taken_back(visitor: Any) -> None:
    visitor.site.provider.lies = Lies(error="access_denied")
    page = visitor.tab()
    page.goto("/auth/sign-in")
    page.get_by_role("link", name="Continue with Pretend").click()
    page.get_by_role("button", name="Ada Lovelace").click()
    expect(page.get_by_text("You did not continue at Pretend.")).to_be_visible()
    page.get_by_role("link", name="Back to sign-in").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    visitor.forgive("400")


def test_a_provider_may_answer_with_a_form_from_its_own_site(visitor: Any) -> None:
    """As Sign in with Apple does: a POST across sites, which brings no SameSite=Lax cookie."""
    page = visitor.tab()
    page.goto("/auth/sign-in?next=/me")
    page.get_by_role("link", name="Continue with Poster").click()
    expect(page.locator("#me")).to_have_text("grace@example.com")


def test_somebody_signs_in_by_a_link_in_a_letter(visitor: Any) -> None:
    page = visitor.tab()
    ask_for_link(page, "grace@example.com")
    link = visitor.site.outbox.link("grace@example.com")
    page.goto(link)
    expect(page.get_by_text("grace@example.com")).to_be_visible()
    assert visitor.session_cookie() is None, "looking at the link must not sign in"
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#me")).to_have_text("grace@example.com")


def test_a_link_opened_in_another_browser_signs_that_one_in_after_a_click(visitor_of: Any) -> None:
    laptop, phone = visitor_of(), visitor_of(viewport={"width": 390, "height": 800})
    ask_for_link(laptop.tab(), "ada@example.com")
    page = phone.tab()
    page.goto(phone.site.outbox.link("ada@example.com"))
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#me")).to_have_text("ada@example.com")
    assert laptop.session_cookie() is None


def test_a_link_works_once(visitor: Any) -> None:
    page = visitor.tab()
    link = sign_in_by_link(visitor, page, "ada@example.com")
    page.goto("/auth/sessions")
    page.get_by_role("button", name="Sign out", exact=True).first.click()
    with page.expect_response("**/auth/email/verify*"):
        page.goto(link)
    expect(page.get_by_role("heading", name="Too late")).to_be_visible()
    visitor.forgive("400", "410")


def add_passkey(visitor: Any, page: Page) -> None:
    add_authenticator(page)
    sign_in_by_link(visitor, page, "ada@example.com")
    page.goto("/auth/sessions")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.locator("summary", has_text="Remove")).to_be_visible()


def test_a_passkey_is_added_and_then_signs_in_without_a_name(visitor: Any) -> None:
    page = visitor.tab()
    page.add_init_script("delete PublicKeyCredential.isConditionalMediationAvailable")
    add_passkey(visitor, page)
    page.get_by_role("button", name="Sign out", exact=True).first.click()
    page.goto("/auth/sign-in?next=/me")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.locator("#me")).to_have_text("ada@example.com")

    page.goto("/auth/sessions")
    be_sure(page, "Remove")
    expect(page.locator("summary", has_text="Remove")).to_have_count(0)
    page.get_by_role("button", name="Sign out", exact=True).first.click()
    page.goto("/auth/sign-in?next=/me")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert visitor.session_cookie() is None
    visitor.forgive("400")


def test_a_passkey_is_offered_in_the_field_for_the_address(visitor: Any) -> None:
    """The browser of the tests takes what it is offered; people choose it from what the field suggests."""
    page = visitor.tab()
    add_passkey(visitor, page)
    page.get_by_role("button", name="Sign out", exact=True).first.click()
    expect(page.locator("#who")).to_have_text("nobody")
    page.goto("/auth/sign-in?next=/me")
    expect(page.locator("#me")).to_have_text("ada@example.com")


def test_a_device_without_the_passkey_says_so(visitor: Any) -> None:
    page = visitor.tab()
    add_authenticator(page)
    page.goto("/auth/sign-in")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_have_text("Cancelled, or there is no passkey for this site on this device.")


def test_a_key_that_asks_nothing_of_people_is_not_added_and_the_page_says_so(visitor: Any) -> None:
    page = visitor.tab()
    add_authenticator(page, asks=False)
    sign_in_by_link(visitor, page, "ada@example.com")
    page.goto("/auth/sessions")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("cannot make a passkey that asks for a PIN")
    expect(page.locator("summary", has_text="Remove")).to_have_count(0)


def test_two_tabs_sign_in_side_by_side(visitor: Any) -> None:
    first, second = visitor.tab(), visitor.tab()
    for page, next_path in ((first, "/me?tab=1"), (second, "/me?tab=2")):
        page.goto(f"/auth/sign-in?next={next_path}")
        page.get_by_role("link", name="Continue with Pretend").click()
    first.get_by_role("button", name="Ada Lovelace").click()
    first.wait_for_url("**/me?tab=1")
    second.get_by_role("button", name="Ada Lovelace").click()
    second.wait_for_url("**/me?tab=2")
    expect(second.locator("#me")).to_have_text("ada@example.com")
    assert visitor.name_on_page(first) == "ada@example.com"


def test_lost_devices_are_signed_out_from_the_one_at_hand(visitor_of: Any) -> None:
    visitors = [visitor_of() for _ in range(3)]
    tabs = [visitor.tab() for visitor in visitors]
    for tab in tabs:
        sign_in_at_provider(tab, "Ada Lovelace")
    laptop, others = tabs[0], tabs[0].get_by_role("button", name="Sign out Chrom")
    laptop.goto("/auth/sessions")
    expect(laptop.get_by_text("This device")).to_have_count(1)
    expect(others).to_have_count(2)
    others.first.click()
    expect(others).to_have_count(1)
    be_sure(laptop, "Sign out all other devices")
    expect(others).to_have_count(0)
    names = [visitor.name_on_page(tab) for visitor, tab in zip(visitors, tabs, strict=True)]
    assert names == ["ada@example.com", "nobody", "nobody"]


def test_a_second_provider_is_linked_and_unlinked_but_never_the_last_way_in(visitor: Any) -> None:
    page = visitor.tab()
    sign_in_at_provider(page, "Ada Lovelace")
    page.goto("/auth/sessions")
    page.get_by_role("link", name="Link Other").click()
    page.get_by_label("Unlink Other").click()  # once it is there
    page.get_by_role("button", name="Unlink Other").click()
    expect(page.get_by_role("link", name="Link Other")).to_be_visible()
    expect(page.get_by_text("The account is no longer linked.")).to_be_visible()
    expect(page.get_by_label("Unlink Other")).to_have_count(0)


def test_everything_but_passkeys_works_without_scripts(visitor_of: Any) -> None:
    visitor = visitor_of(java_script_enabled=False)
    page = visitor.tab()
    sign_in_by_link(visitor, page, "ada@example.com")
    page.goto("/auth/sessions")
    expect(page.get_by_role("button", name="Add a passkey")).to_be_hidden()
    page.get_by_role("button", name="Sign out", exact=True).first.click()
    assert visitor.name_on_page(page) == "nobody"
    sign_in_at_provider(page, "Grace Hopper")
    expect(page.locator("#me")).to_have_text("grace@example.com")


def test_signing_in_as_somebody_else_ends_the_session_before(visitor: Any) -> None:
    page = visitor.tab()
    sign_in_at_provider(page, "Ada Lovelace")
    cookie = visitor.session_cookie()
    sign_in_by_link(visitor, page, "grace@example.com")
    assert visitor.name_on_page(page) == "grace@example.com"
    visitor.context.add_cookies([cookie])
    assert visitor.name_on_page(page) == "nobody"
