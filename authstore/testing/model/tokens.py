"""Proofs of control over a few addresses."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, invariant, multiple, rule

from authstore.errors import ConflictError
from authstore.testing.model.expected import FOREVER, end
from authstore.testing.model.machine import STEPS, ModelBase

# Every spelling with its one form, worked out by hand.
IDENTIFIERS = {
    "ada@example.com": "ada@example.com",
    "  ADA@Example.COM\t": "ada@example.com",
    "\u0430da@example.com": "\u0430da@example.com",  # CYRILLIC SMALL LETTER A
    "+1 555 0100": "+1 555 0100",
}
PURPOSES = st.sampled_from(["sign-in", "change-email"])


class TokensModel(ModelBase):
    """Verification tokens: made, looked at, used once."""

    tokens: Bundle[tuple[str, str, str]] = Bundle("tokens")

    @rule(
        target=tokens,
        identifier=st.sampled_from(list(IDENTIFIERS)),
        purpose=PURPOSES,
        ahead=st.none() | STEPS,
        text=st.none() | st.just("123456"),
    )
    def create_token(self, identifier: str, purpose: str, ahead: timedelta | None, text: str | None) -> Any:
        """Also a code that was given before."""
        now = self.now
        expires = end(now, self.expected.policy.token_lifetime) if ahead is None else now + ahead
        key = (IDENTIFIERS[identifier], purpose, text or "")
        call = self.store.create_verification_token(
            identifier, purpose=purpose, token=text, expires=None if ahead is None else expires
        )
        if now < self.expected.tokens.get(key, now):
            self.refused(call, ConflictError)
            return multiple()
        made = self.do(call)
        assert made.token is not None
        assert (made.identifier, made.expires) == (key[0], expires)
        self.expected.put_token((key[0], purpose, made.token), expires, now)
        return identifier, purpose, made.token

    @rule(target=tokens, identifier=st.sampled_from(list(IDENTIFIERS)), times=st.integers(3, 6))
    def create_many_tokens(self, identifier: str, times: int) -> Any:
        """Beyond what may stand."""
        return multiple(*(self.create_token(identifier, "sign-in", None, None) for _ in range(times)))

    @rule(token=tokens, purpose=st.none() | PURPOSES)
    def use_token(self, token: tuple[str, str, str], purpose: str | None) -> None:
        """For its purpose, or for another."""
        identifier, own_purpose, text = token
        asked = purpose or own_purpose
        used = self.do(self.store.use_verification_token(identifier, text, purpose=asked))
        assert (used is not None) == self.expected.use_token((IDENTIFIERS[identifier], asked, text), self.now)

    @rule(token=tokens, off=st.sampled_from([-1, 0]))
    def use_token_at_its_end(self, token: tuple[str, str, str], off: int) -> None:
        """An instant before, or too late."""
        identifier, purpose, text = token
        expires = self.expected.tokens.get((IDENTIFIERS[identifier], purpose, text), FOREVER)
        if expires < FOREVER:
            self.clock.set(expires + timedelta(microseconds=off))
            self.use_token(token, purpose)

    @rule(user_id=ModelBase.users, identifier=st.sampled_from(list(IDENTIFIERS)))
    def have_an_address(self, user_id: str, identifier: str) -> None:
        """Deleting the user then ends the tokens for it."""
        email = IDENTIFIERS[identifier]
        if user_id in self.expected.users and "@" in email and self.expected.owner(email) is None:
            self.do(self.store.update_user(user_id, email=identifier))
            self.expected.users[user_id].email = email

    @invariant()
    def tokens_are_the_same(self) -> None:
        """Looking uses nothing."""
        for (identifier, purpose, text), expires in self.expected.tokens.items():
            seen = self.do(self.store.peek_verification_token(identifier, text, purpose=purpose))
            assert (seen is not None) == (self.now < expires)
            assert seen is None or (seen.identifier, seen.purpose, seen.expires) == (identifier, purpose, expires)
