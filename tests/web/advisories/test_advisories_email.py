"""What has gone wrong with links in letters elsewhere must not go wrong here."""

import re
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

ADA = "ada@example.com"


class MailServerDownError(Exception):
    """What a mailer raises."""


def without_tokens(page: str) -> str:
    """A page without what differs from one look to the next."""
    return re.sub(r'value="[^"]{20,}"', "", page)


async def test_scanners_that_follow_a_link_do_not_use_it_up(site: Any, new_visitor: Any) -> None:
    visitor, scanner = new_visitor(), new_visitor()
    link = await visitor.letter_to(ADA)
    for _ in range(3):
        await scanner.head(link)
        assert (await scanner.get(link)).status_code == 200
    assert await scanner.who() is None
    await visitor.follow(link)
    assert await visitor.who() is not None


async def test_scanners_that_send_forms_sign_nobody_in(site: Any, new_visitor: Any) -> None:
    visitor, scanner = new_visitor(), new_visitor()
    link = await visitor.letter_to(ADA)
    given = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    assert (await scanner.post("/auth/email/verify", data=given)).status_code == 403
    await visitor.follow(link)
    assert await visitor.who() is not None


async def test_login_csrf_another_site_cannot_sign_a_browser_in_with_its_own_link(site: Any, new_visitor: Any) -> None:
    attacker, victim = new_visitor(), new_visitor()
    link = await attacker.letter_to("mallory@evil.example")
    given = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    stolen = {"csrf_token": await attacker.csrf_token(), **given}
    await victim.get("/auth/sign-in")
    headers = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    for data in (given, stolen):
        assert (await victim.post("/auth/email/verify", data=data, headers=headers)).status_code == 403
        assert (await victim.post("/auth/email/verify", data=data)).status_code == 403
    assert await victim.who() is None


async def test_enumeration_everybody_gets_the_same_answer(site: Any, new_visitor: Any) -> None:
    await site.store.create_user(email=ADA)
    disabled = await site.store.create_user(email="disabled@example.com")
    await site.store.update_user(disabled.id, disabled=True)
    answers = [
        await new_visitor().submit("/auth/email", email=address)
        for address in (ADA, "unknown@example.com", "disabled@example.com")
    ]
    assert len({answer.status_code for answer in answers}) == 1
    assert len({without_tokens(answer.text) for answer in answers}) == 1
    assert len({frozenset(answer.headers.keys()) for answer in answers}) == 1


async def test_enumeration_a_failing_mailer_changes_no_answer(site: Any, new_visitor: Any) -> None:
    well = await new_visitor().submit("/auth/email", email=ADA)
    site.outbox.failure = MailServerDownError()
    failing = await new_visitor().submit("/auth/email", email=ADA)
    assert (failing.status_code, without_tokens(failing.text)) == (well.status_code, without_tokens(well.text))


async def test_a_mailbox_is_not_flooded(site: Any, new_visitor: Any) -> None:
    answers = [await new_visitor().submit("/auth/email", email=ADA) for _ in range(12)]
    assert len({(answer.status_code, without_tokens(answer.text)) for answer in answers}) == 1
    assert 1 <= len(site.outbox.messages) < 10


@pytest.mark.parametrize("build", [{"mails_per_address": 2}], indirect=True)
async def test_asking_often_does_not_disable_the_links_that_arrived(site: Any, new_visitor: Any) -> None:
    visitor = new_visitor()
    link = await visitor.letter_to(ADA)
    for _ in range(6):
        await new_visitor().submit("/auth/email", email=ADA)
    await visitor.follow(link)
    assert await visitor.who() is not None


@pytest.mark.parametrize(
    "asked_for",
    [
        "victim@example.com,mallory@evil.example",
        "victim@example.com;mallory@evil.example",
        "victim@example.com mallory@evil.example",
        "victim@example.com\r\nBcc: mallory@evil.example",
        "victim@example.com\nBcc: mallory@evil.example",
        "victim@example.com\0@evil.example",
        '"victim@example.com"@evil.example',
        '"mallory@evil.example,"@example.com',
        "<victim@example.com>",
        "victim@example.com@evil.example",
        "mallory@evil.example>,<victim@example.com",
        "victim@example.com\u2028",
        "vic\u200btim@example.com",
        "\u212aate@example.com",  # KELVIN SIGN, which NFC makes an ASCII K
        "a" * 250 + "@example.com",
        "",
        "no-address",
    ],
)
async def test_a_letter_goes_to_one_plain_address_or_nowhere(site: Any, visitor: Any, asked_for: str) -> None:
    """Auth.js GHSA-5jpx-9hw9-2fx4 and its like: mail libraries read more into an address than one mailbox."""
    await visitor.submit("/auth/email", email=asked_for)
    assert site.outbox.messages == []


@pytest.mark.parametrize(
    ("own", "look_alike"),
    [
        ("ada@example.com", "\u0430da@example.com"),  # CYRILLIC SMALL LETTER A
        ("kim@example.com", "k\u0131m@example.com"),  # LATIN SMALL LETTER DOTLESS I, which str.upper makes I
        ("sam@example.com", "\u017fam@example.com"),  # LATIN SMALL LETTER LONG S, which str.upper makes S
        ("ada@example.com", "ada@ex\u0430mple.com"),  # in the domain
        ("fil@example.com", "\ufb01l@example.com"),  # LATIN SMALL LIGATURE FI, which NFKC takes apart
        ("ada@fast.example", "ada@fa\u00dft.example"),  # SHARP S, which IDNA 2003 made ss
    ],
)
async def test_a_look_alike_address_is_somebody_else(site: Any, visitor: Any, own: str, look_alike: str) -> None:
    """CVE-2019-19844 and its like: two mailboxes taken for one."""
    victim = await site.store.create_user(email=own)
    await visitor.submit("/auth/email", email=look_alike)
    for message in site.outbox.messages:
        assert str(message["To"]) != own
    if site.outbox.messages:
        await visitor.follow(site.outbox.link())
    assert await visitor.who() != victim.id


async def test_other_spellings_of_an_address_are_the_same_person(site: Any, new_visitor: Any) -> None:
    people = set()
    for spelling in ("Ada@Example.COM", " ada@example.com ", "ada@EXAMPLE.com"):
        visitor = new_visitor()
        await visitor.follow(await visitor.letter_to(spelling))
        people.add(await visitor.who())
    assert len(people) == 1


@pytest.mark.parametrize("header", ["host", "x-forwarded-host", "x-original-host", "forwarded"])
async def test_host_poisoning_does_not_reach_letters_or_providers(site: Any, visitor: Any, header: str) -> None:
    poison = {header: "host=evil.example" if header == "forwarded" else "evil.example"}
    token = await visitor.csrf_token()
    headers = {"origin": "https://app.example", **poison}
    await visitor.post("/auth/email", data={"email": ADA, "csrf_token": token}, headers=headers)
    departure = await visitor.get("/auth/login/pretend", headers=poison)
    assert "evil.example" not in "".join(str(message) for message in site.outbox.messages)
    assert "evil.example" not in departure.headers.get("location", "")
    if site.outbox.messages:
        assert site.outbox.link().startswith("https://app.example/auth/email/verify?")


@pytest.mark.parametrize("change", [{"email": "grace@example.com"}, {"token": "A" * 43}, {"token": ""}, {"email": ""}])
async def test_a_link_is_good_for_its_own_address_alone(site: Any, visitor: Any, change: dict[str, str]) -> None:
    link = await visitor.letter_to(ADA)
    given = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    answer = await visitor.submit("/auth/email/verify", **{**given, **change})
    assert answer.status_code >= 400
    assert await visitor.who() is None
    await visitor.follow(link)
    assert await visitor.who() is not None


async def test_a_link_works_once_and_ends_the_others(site: Any, new_visitor: Any) -> None:
    visitor = new_visitor()
    older, newer = await visitor.letter_to(ADA), await visitor.letter_to(ADA)
    await visitor.follow(newer)
    for link in (older, newer):
        late = new_visitor()
        assert (await late.get(link)).status_code >= 400
        assert await late.who() is None


async def test_what_stands_in_a_link_is_shown_and_not_obeyed(visitor: Any) -> None:
    script = '"><script>alert(1)</script>'
    for path in ("/auth/email/verify", "/auth/sign-in"):
        answer = await visitor.get(f"{path}?{urlencode({'email': script, 'token': script, 'next': script})}")
        assert "<script>alert" not in answer.text


async def test_a_link_is_not_told_to_other_sites(visitor: Any) -> None:
    answer = await visitor.get(await visitor.letter_to(ADA))
    assert answer.headers["referrer-policy"] in ("no-referrer", "origin", "strict-origin", "same-origin")
    assert "no-store" in answer.headers["cache-control"]
