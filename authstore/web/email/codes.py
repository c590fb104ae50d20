"""The six digits beside the link: for whoever asked, in the browser where they asked, and for nobody else's guesses.

A letter is a verification token (its link) and a note of the browser that asked: which letter is its newest for this
address, what its code is, how often somebody typed another one. Both ways in use the letter up.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from secrets import randbelow
from typing import Final

from authstore.adapter import Adapter, JsonObject, VerificationTokens
from authstore.errors import ConflictError
from authstore.tokens import new_secret

MAX_WRONG: Final = 5  # guesses at one letter, of a million codes (NIST SP 800-63B-4 §3.1.3.2 wants limits)

_LETTER: Final = "letter"  # purposes of tokens
_SPENT: Final = "letter-spent"
_ASKED: Final = "letter-asked-for"
_NEWEST: Final = "newest"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asked for a letter: a browser, for this address; or a flow, which is for one address anyway."""

    secret: str

    @classmethod
    def of_browser(cls, browser: str, address: str) -> "Asker":
        """One of each address, so that a letter to one's own leaves those to others alone."""
        return cls(f"{browser}\0{address}")

    @property
    def identifier(self) -> str:
        """Of the note in the store."""
        return "asker:" + sha256(self.secret.encode()).hexdigest()

    def digest(self, code: str) -> str:
        """What is kept of a code: whoever reads the store cannot try all of them without the browser's secret."""
        return sha256(f"{self.secret}\0{code}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class NewLetter:
    """What is written into a letter, and what its link remembers (`id`)."""

    id: str
    code: str


async def note_letter(
    store: Adapter, asker: Asker, address: str, next: str, expires: datetime | None, *, browser: str | None
) -> NewLetter:
    """Notes a letter as the newest of who asked; the code of the one before is no good any more. For a `browser`, as
    `remember_address` too."""
    letter = NewLetter(new_secret(), f"{randbelow(10**6):06}")
    note: JsonObject = {
        "letter": letter.id,
        "address": address,
        "next": next,
        "code": asker.digest(letter.code),
        "wrong": 0,
    }
    async with store.transaction() as inner:
        if browser is not None:
            await _remember(inner, browser, address, next, expires)
        await inner.use_verification_token(asker.identifier, _NEWEST, purpose=_LETTER)
        await inner.create_verification_token(
            asker.identifier, purpose=_LETTER, token=_NEWEST, data=note, expires=expires
        )
    return letter


async def remember_address(store: Adapter, browser: str, address: str, next: str, expires: datetime | None) -> None:
    """What a browser asked for last, whether or not there was a letter, so that its pages can say so."""
    async with store.transaction() as inner:
        await _remember(inner, browser, address, next, expires)


async def _remember(store: VerificationTokens, browser: str, address: str, next: str, expires: datetime | None) -> None:
    asker, told = Asker(browser), {"address": address, "next": next}
    await store.use_verification_token(asker.identifier, _NEWEST, purpose=_ASKED)
    await store.create_verification_token(asker.identifier, purpose=_ASKED, token=_NEWEST, data=told, expires=expires)


async def remembered_address(store: VerificationTokens, browser: str) -> JsonObject | None:
    """What `remember_address` kept: `address`, `next`."""
    found = await store.peek_verification_token(Asker(browser).identifier, _NEWEST, purpose=_ASKED)
    return None if found is None else found.data


async def look_at_note(store: VerificationTokens, asker: Asker) -> JsonObject | None:
    """What was noted of the newest letter: `address`, `next`."""
    found = await store.peek_verification_token(asker.identifier, _NEWEST, purpose=_LETTER)
    return None if found is None else found.data


async def typed(store: VerificationTokens, asker: Asker, code: str) -> JsonObject | None:
    """What was noted of the letter whose code this is, which is spent by it; `None` for any other.

    Within a transaction, which has to end well in either case: wrong ones are counted, and the fifth spends the letter.
    """
    found = await store.use_verification_token(asker.identifier, _NEWEST, purpose=_LETTER)
    if found is None:
        return None
    letter, wrong = str(found.data["letter"]), int(str(found.data["wrong"])) + 1
    if compare_digest(asker.digest(code), str(found.data["code"])):
        return found.data if await spend(store, letter, found.expires) else None
    if wrong == MAX_WRONG:
        await spend(store, letter, found.expires)
    else:
        await store.create_verification_token(
            asker.identifier,
            purpose=_LETTER,
            token=_NEWEST,
            data={**found.data, "wrong": wrong},
            expires=found.expires,
        )
    return None


async def spend(store: VerificationTokens, letter: str, expires: datetime) -> bool:
    """Whether the letter was good until now; from here on it is not, whichever way one comes."""
    try:
        await store.create_verification_token(_spent(letter), purpose=_SPENT, token=letter, expires=expires)
    except ConflictError:
        return False
    return True


async def is_spent(store: VerificationTokens, letter: str) -> bool:
    """Whether its link or its code was used, or guessed at too often."""
    return await store.peek_verification_token(_spent(letter), letter, purpose=_SPENT) is not None


def _spent(letter: str) -> str:
    return "letter:" + sha256(letter.encode()).hexdigest()
