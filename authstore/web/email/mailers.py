"""Ways to send a letter. A mailer is any `async (message: EmailMessage) -> None`, or a plain one, run in a thread."""

import sys
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from typing import TextIO

from authstore.errors import ConfigurationError

Mailer = Callable[[EmailMessage], Awaitable[None] | None]


class SmtpMailer:
    """Sends through an SMTP server, encrypted: `use_tls` (usually port 465), else STARTTLS (usually port 587).

    `is_encrypted=False` is for a server on this very machine. `timeout` in seconds. Needs the extra
    `authstore[smtp]`; raises `ConfigurationError` without it.
    """

    def __init__(
        self,
        host: str,
        port: int | None = None,
        *,
        username: str | None = None,
        password: str | None = None,
        use_tls: bool = False,
        is_encrypted: bool = True,
        timeout: float = 20.0,
    ) -> None:
        try:
            import aiosmtplib
        except ImportError:
            raise ConfigurationError('SmtpMailer needs an extra: pip install "authstore[smtp]"') from None
        self._library = aiosmtplib
        self._host = host
        self._port = port
        self._username = username
        self._password = password
        self._use_tls = use_tls
        # STARTTLS when offered, as the library does by default, would let anybody on the way switch it off.
        self._start_tls = is_encrypted and not use_tls
        self._timeout = timeout

    async def __call__(self, message: EmailMessage) -> None:
        """Sends it, or raises what `aiosmtplib` raises."""
        await self._library.send(
            message,
            hostname=self._host,
            port=self._port,
            username=self._username,
            password=self._password,
            use_tls=self._use_tls,
            start_tls=self._start_tls,
            timeout=self._timeout,
        )


class ConsoleMailer:
    """For development: writes each letter's text to a stream, the standard error by default."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    async def __call__(self, message: EmailMessage) -> None:
        """Writes it."""
        text = message.get_body(preferencelist=("plain",))
        stream = self._stream or sys.stderr
        stream.write(f"To: {message['To']}\nSubject: {message['Subject']}\n\n{text.get_content() if text else ''}\n")
        stream.flush()
