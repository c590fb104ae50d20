"""Ways to send a letter."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage

import pytest

from authstore.web import ConsoleMailer, SmtpMailer


def letter() -> EmailMessage:
    message = EmailMessage()
    message["To"], message["From"], message["Subject"] = "ada@example.com", "no-reply@app.example", "Sign in"
    message.set_content("the link\n")
    message.add_alternative("<p>the link</p>", subtype="html")
    return message


class SmtpServer:
    """As much of RFC 5321 as one letter takes. `lines` are what came."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._conversations: list[asyncio.Task[None] | None] = []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Its port."""
        server = await asyncio.start_server(self._converse, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]
            await asyncio.gather(*filter(None, self._conversations))

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._conversations.append(asyncio.current_task())
        writer.write(b"220 here\r\n")
        is_in_letter = False
        while line := (await reader.readline()).decode():
            self.lines.append(line.rstrip())
            if line.upper() == "QUIT\r\n":  # some clients wait until the server hangs up (RFC 5321 §4.1.1.10)
                writer.write(b"221 bye\r\n")
                break
            is_in_letter = is_in_letter and line != ".\r\n"
            if not is_in_letter:
                is_in_letter = line.upper().startswith("DATA")
                writer.write(b"354 go on\r\n" if is_in_letter else b"250 fine\r\n")
        writer.close()
        await writer.wait_closed()


async def test_a_letter_is_written_to_the_console() -> None:
    stream = io.StringIO()
    await ConsoleMailer(stream)(letter())
    assert stream.getvalue() == "To: ada@example.com\nSubject: Sign in\n\nthe link\n\n"


async def test_a_server_that_offers_no_encryption_gets_no_letter() -> None:
    """Somebody on the way could have left the offer out."""
    server = SmtpServer()
    async with server.listening() as port:
        with pytest.raises(Exception, match="STARTTLS"):
            await SmtpMailer("127.0.0.1", port, username="u", password="p")(letter())
    assert not any("ada@example.com" in line or line.upper().startswith("AUTH") for line in server.lines)


async def test_a_server_on_this_machine_gets_the_letter_without() -> None:
    server = SmtpServer()
    async with server.listening() as port:
        await SmtpMailer("127.0.0.1", port, is_encrypted=False)(letter())
    assert "RCPT TO:<ada@example.com>" in server.lines
    assert "the link" in server.lines
