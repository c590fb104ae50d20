"""The letter with the link: plain text and HTML."""

from email.headerregistry import Address as MailAddress
from email.message import EmailMessage
from email.utils import format_datetime

from authstore.errors import ConfigurationError
from authstore.tokens import new_secret
from authstore.web.site import Site
from authstore.web.texts import Texts


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
    site: Site, texts: Texts, *, sender: str, to: str, url: str, code: str, minutes: int
) -> EmailMessage:
    """The letter to `to` (a canonical address) that signs in by `url`, or by `code` in the browser that asked."""
    name = site.settings.name
    said = {
        "intro": texts.mail_intro.format(site=name),
        "button": texts.mail_button.format(site=name),
        "code_intro": texts.mail_code,
        "code": code,
        "expiry": texts.mail_expiry.format(minutes=minutes),
        "ignore": texts.mail_ignore,
    }
    return _letter(site, texts, sender, to, texts.mail_subject.format(site=name), url, said)


def invitation_letter(site: Site, texts: Texts, *, sender: str, to: str, url: str, days: int) -> EmailMessage:
    """The letter to `to` (a canonical address) that makes a user by `url`."""
    name = site.settings.name
    said = {
        "intro": texts.invitation_intro.format(site=name),
        "button": texts.invitation_button,
        "expiry": texts.invitation_expiry.format(days=days),
        "ignore": texts.invitation_ignore,
    }
    return _letter(site, texts, sender, to, texts.invitation_subject.format(site=name), url, said)


def _letter(
    site: Site, texts: Texts, sender: str, to: str, subject: str, url: str, said: dict[str, str]
) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = sender
    message["To"] = _exact(to)
    message["Date"] = format_datetime(site.now())
    message["Message-ID"] = f"<{new_secret()}@{sender.rpartition('@')[2].rstrip('> ')}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    parts = (said["intro"], url, said.get("code_intro"), said.get("code"), said["expiry"], said["ignore"])
    message.set_content("\n\n".join(part for part in parts if part) + "\n")
    values = {
        "texts": texts,
        "subject": subject,
        "url": url,
        "site": site.settings.name,
        "code": None,
        "code_intro": None,
        "button_colours": site.settings.button,
        **said,
    }
    message.add_alternative(site.pages.text("mail.html", values), subtype="html")
    return message


def _exact(address: str) -> MailAddress:
    # As text, Python would decode an address that looks like an encoded word into another one.
    local, _, domain = address.rpartition("@")
    return MailAddress(username=local, domain=domain)
