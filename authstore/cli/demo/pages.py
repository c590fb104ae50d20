"""The few pages of the demo application itself."""

from collections.abc import Iterable
from email.message import EmailMessage
from html import escape
from typing import Final

from authstore import User
from authstore.testing.web import link_in

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Harbour Notes</title>
<link rel="icon" href="/auth/static/mark.svg" type="image/svg+xml">
<link rel="stylesheet" href="/auth/static/pages.css">
</head>
<body><main class="sheet"><h1>{title}</h1>{body}</main></body>
</html>
"""


def home_page(user: User | None) -> str:
    """Who you are, and where to go from here."""
    if user is None:
        links = _button("/auth/sign-in", "Sign in", "primary") + _button("/letters", "Letters")
        return _PAGE.format(title="Hello, nobody", body=f'<div class="stack tight">{links}</div>')
    links = (
        _button("/auth/sessions", "Your account: devices, passkeys", "primary")
        + _button("/me", "/me: you, as JSON")
        + _button("/engine-room", "/engine-room: for engineers, as Grace is")
        + _button("/letters", "Letters")
    )
    name = escape(user.name or user.email or user.id)
    return _PAGE.format(title=f"Hello, {name}", body=f'<div class="stack tight">{links}</div>')


def letters_page(letters: Iterable[EmailMessage]) -> str:
    """The letters that would have been mailed, newest first."""
    shown = [
        _button(link_in(letter), f"{letter['Subject']} ({letter['To']})") for letter in reversed(list(letters))
    ] or ['<p class="quiet">None yet: ask for a link on the sign-in page.</p>']
    return _PAGE.format(title="Letters", body=f'<div class="stack tight">{"".join(shown)}{_button("/", "Back")}</div>')


def _button(url: str, text: str, kind: str = "") -> str:
    return f'<a class="button {kind}" href="{escape(url)}">{escape(text)}</a>'
