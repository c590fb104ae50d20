"""Things begun in a browser that only this browser can finish, once: a sign-in at a provider, a passkey ceremony.

Each is a verification token of its own, so any number run side by side (tabs), in any process, and die by themselves.
The secret travels through the outside world (`state`, a challenge); it is worth nothing without the browser's cookie.
"""

from datetime import datetime
from hashlib import sha256

from authstore.adapter import JsonObject, VerificationTokens


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
