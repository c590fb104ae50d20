"""Letters leave: written by `letters`, counted per address, handed to the application's mailer."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from typing import Final

from authstore.web.called import called
from authstore.web.email.mailers import Mailer
from authstore.web.site import Site

log = logging.getLogger("authstore.web")

_SECONDS: Final = 60.0  # that a mailer may take


@dataclass(frozen=True, slots=True)
class Post:
    """Whom letters are from, and who carries them."""

    site: Site
    mailer: Mailer
    sender: str

    async def is_within_a_day(self, address: str) -> bool:
        """Counts one more letter to this address; whether it had less than its share of the day."""
        limit = self.site.settings.limits.mails_per_address_a_day
        return await self.site.is_within_limit(f"mail-address-a-day:{address}", limit, timedelta(days=1))

    async def send(self, letter: EmailMessage) -> None:
        """Sends it. Raises whatever the mailer raises, and `TimeoutError` after a minute."""
        async with asyncio.timeout(_SECONDS):
            await called(self.mailer, letter)

    async def try_to_send(self, letter: EmailMessage) -> None:
        """Sends it; what goes wrong is logged and nobody's business who asked."""
        try:
            await self.send(letter)
        except Exception as error:  # noqa: BLE001 - whatever the mailer raises must not reach the person who asked
            log.error("the mailer failed: %s", type(error).__name__)
