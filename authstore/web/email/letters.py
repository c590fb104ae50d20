"""The letter with the link: plain text and HTML."""

from datetime import datetime
from email.headerregistry import Address as MailAddress
from email.message import EmailMessage
from email.utils import format_datetime

from authstore.errors import ConfigurationError
from authstore.tokens import new_secret
from authstore.web.pages import Pages


def checked_sender(sender: str) -> str:
    """The sender. Raises `ConfigurationError` for what is not one mailbox."""
    message = EmailMessage()
    try:
        message["From"] = sender
        (mailbox,) = message["From"].addresses
    except ValueError:
        mailbox = None
    if mailbox is None or not mailbox.username or not mailbox.domain:
        raise ConfigurationError('mail_from is one mailbox: "no-reply@app.example" or "Us <us@app.example>"')
    return sender


def sign_in_letter(
    pages: Pages, *, sender: str, to: str, url: str, site: str, minutes: int, now: datetime
) -> EmailMessage:
    """The letter to `to` (a canonical address) that signs in by `url`."""
    texts = pages.texts
    message = EmailMessage()
    message["Subject"] = texts.mail_subject.format(site=site)
    message["From"] = sender
    message["To"] = _exact(to)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{new_secret()}@{sender.rpartition('@')[2].rstrip('> ')}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    paragraphs = (
        texts.mail_intro.format(site=site),
        url,
        texts.mail_expiry.format(minutes=minutes),
        texts.mail_ignore,
    )
    message.set_content("\n\n".join(paragraphs) + "\n")
    html = pages.text("mail.html", {"url": url, "site": site, "minutes": minutes})
    message.add_alternative(html, subtype="html")
    return message


def _exact(address: str) -> MailAddress:
    # As text, Python would decode an address that looks like an encoded word into another one.
    local, _, domain = address.rpartition("@")
    return MailAddress(username=local, domain=domain)
