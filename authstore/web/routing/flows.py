"""Things begun in a browser that only this browser can finish, once: a sign-in at a provider, a passkey ceremony.

Each is a verification token of its own, so any number run side by side (tabs), in any process, and die by themselves.
The secret travels through the outside world (`state`, a challenge); it is worth nothing without the browser's cookie.
"""

import logging
from datetime import datetime
from hashlib import sha256
from typing import Final

from authstore.adapter import Adapter, JsonObject, VerificationTokens
from authstore.errors import StoreError

log = logging.getLogger("authstore.web")

_WORD: Final = "word"


async def start_flow(
    store: VerificationTokens, browser: str, purpose: str, secret: str, data: JsonObject, expires: datetime | None
) -> None:
    """Remembers `data` for this browser, under a fresh `secret`."""
    identifier = _identifier(browser, secret)
    await store.create_verification_token(identifier, purpose=purpose, token=secret, data=data, expires=expires)


async def finish_flow(store: VerificationTokens, browser: str | None, purpose: str, secret: str) -> JsonObject | None:
    """What was remembered, to one caller once; `None` for anybody else."""
    if browser is None or not secret:
        return None
    found = await store.use_verification_token(_identifier(browser, secret), secret, purpose=purpose)
    return None if found is None else found.data


async def look_at_flow(store: VerificationTokens, browser: str | None, purpose: str, secret: str) -> JsonObject | None:
    """What was remembered, any number of times; `None` for anybody else."""
    if browser is None or not secret:
        return None
    found = await store.peek_verification_token(_identifier(browser, secret), secret, purpose=purpose)
    return None if found is None else found.data


def _identifier(browser: str, secret: str) -> str:
    return "flow:" + sha256(f"{browser}.{secret}".encode()).hexdigest()


async def leave_word(store: Adapter, browser: str | None, word: str, expires: datetime | None = None) -> None:
    """What is said on the next page that this browser sees: that something was done. Where the store cannot keep it, it
    is done all the same."""
    if browser is None:
        return
    identifier = _identifier(browser, _WORD)
    try:
        async with store.transaction() as inner:
            await inner.use_verification_token(identifier, _WORD, purpose=_WORD)
            await inner.create_verification_token(
                identifier, purpose=_WORD, token=_WORD, data={"word": word}, expires=expires
            )
    except StoreError as error:
        log.warning("nobody will be told on a page that something was done: %s", type(error).__name__)


async def take_word(store: VerificationTokens, browser: str | None) -> str | None:
    """What is to be said, once."""
    if await look_at_flow(store, browser, _WORD, _WORD) is None:
        return None
    said = await finish_flow(store, browser, _WORD, _WORD)
    return None if said is None else str(said["word"])
