"""A mailer that keeps what it was given: read the letters instead of sending them."""

import re
from email.message import EmailMessage

_URL = re.compile(r"https?://[^\s<>\"]+")


class Outbox:
    """Pass it as `mailer`. `messages` are the letters, oldest first; set `failure` to make it fail."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.failure: Exception | None = None

    async def __call__(self, message: EmailMessage) -> None:
        """Keeps the letter, or raises `failure`."""
        if self.failure is not None:
            raise self.failure
        self.messages.append(message)

    def to(self, address: str) -> list[EmailMessage]:
        """The letters to this address, however its letters are cased, oldest first."""
        return [message for message in self.messages if address.lower() in _recipients(message)]

    def last(self, address: str | None = None) -> EmailMessage:
        """The newest letter, or the newest to `address`; `LookupError` where there is none."""
        letters = self.messages if address is None else self.to(address)
        if not letters:
            raise LookupError("no such letter was sent")
        return letters[-1]

    def link(self, address: str | None = None) -> str:
        """The first link in the newest letter."""
        return link_in(self.last(address))

    def clear(self) -> None:
        """Forgets all letters."""
        self.messages.clear()


def _recipients(message: EmailMessage) -> list[str]:
    """Whom a letter is to; one whose "To" was set without addresses in it is to nobody."""
    return [each.addr_spec.lower() for each in getattr(message["To"], "addresses", ())]


def text_of(message: EmailMessage) -> str:
    """The plain-text part of a letter."""
    part = message.get_body(preferencelist=("plain",))
    return "" if part is None else str(part.get_content())


def link_in(message: EmailMessage) -> str:
    """The first link in the plain-text part of a letter; `LookupError` where there is none."""
    found = _URL.search(text_of(message))
    if found is None:
        raise LookupError("the letter holds no link")
    return found[0]
