"""The mailbox of an application's tests."""

from email.message import EmailMessage

import pytest

from authstore.testing.web import Outbox


def letter(to: str, text: str = "https://app.example/1") -> EmailMessage:
    message = EmailMessage()
    message["To"] = to
    message.set_content(text)
    return message


async def test_letters_are_found_by_the_very_address() -> None:
    outbox = Outbox()
    await outbox(letter("ada@example.com"))
    await outbox(letter("Nada <nada@example.com>, Bob@Example.com", "https://app.example/2"))
    assert outbox.link("ada@example.com") == "https://app.example/1"
    assert outbox.link("nada@example.com") == outbox.link("bob@example.com") == "https://app.example/2"
    assert outbox.to("Ada@example.com") == outbox.messages[:1]
    assert outbox.to("example.com") == outbox.to("") == []
    with pytest.raises(LookupError):
        outbox.last("a@example.com")


async def test_a_letter_to_nobody_is_kept_all_the_same() -> None:
    outbox = Outbox()
    await outbox(EmailMessage())
    assert outbox.to("ada@example.com") == []
    assert len(outbox.messages) == 1
