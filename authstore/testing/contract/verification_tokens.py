"""Verification tokens: made, looked at, used once. Uses `VerificationTokens` alone."""

import re
from datetime import datetime, timedelta

import pytest

from authstore.adapter import VerificationTokens
from authstore.errors import ConflictError
from authstore.models import VerificationToken
from authstore.testing.clock import Clock
from authstore.testing.contract.shared import INSTANT, MANY, ContractBase, later, policy_of, settled, short, winners

ADA = "ada@example.com"
EVE = "eve@example.com"


def secret(token: VerificationToken) -> str:
    """The text of a token that must have one."""
    assert token.token is not None
    return token.token


async def _valid(adapter: VerificationTokens, made: list[VerificationToken]) -> list[str]:
    return [
        secret(token)
        for token in made
        if await adapter.peek_verification_token(token.identifier, secret(token), purpose=token.purpose)
    ]


class VerificationTokensContract(ContractBase):
    """The rules of proofs of control."""

    async def test_a_token_is_shown_once_and_lives_as_the_policy_says(
        self, adapter: VerificationTokens, clock: Clock
    ) -> None:
        made = await adapter.create_verification_token(ADA, data={"next": "/inbox"})
        assert re.fullmatch(r"[A-Za-z0-9._~-]{43,512}", secret(made))
        assert (made.identifier, made.purpose, made.data) == (ADA, "sign-in", {"next": "/inbox"})
        assert made.expires == later(clock(), policy_of(adapter).token_lifetime)

    async def test_a_token_is_used_once(self, adapter: VerificationTokens) -> None:
        made = await adapter.create_verification_token(ADA, data={"next": "/inbox"})
        assert await adapter.use_verification_token(ADA, secret(made)) == made
        assert await adapter.use_verification_token(ADA, secret(made)) is None
        assert await adapter.peek_verification_token(ADA, secret(made)) is None

    async def test_looking_does_not_use(self, adapter: VerificationTokens) -> None:
        made = await adapter.create_verification_token(ADA, data={"a": 1})
        for _ in range(3):
            assert await adapter.peek_verification_token(ADA, secret(made)) == made
        assert await adapter.use_verification_token(ADA, secret(made)) == made

    async def test_a_token_is_dead_at_its_expiry_instant(self, adapter: VerificationTokens, clock: Clock) -> None:
        first = await adapter.create_verification_token(ADA)
        second = await adapter.create_verification_token(EVE)
        clock.set(first.expires - INSTANT)
        assert await adapter.peek_verification_token(ADA, secret(first)) == first
        assert await adapter.use_verification_token(ADA, secret(first)) == first
        clock.set(second.expires)
        assert await adapter.peek_verification_token(EVE, secret(second)) is None
        assert await adapter.use_verification_token(EVE, secret(second)) is None

    async def test_a_shorter_life_may_be_asked_for(self, adapter: VerificationTokens, clock: Clock) -> None:
        made = await adapter.create_verification_token(ADA, expires=clock() + short(adapter))
        assert made.expires == clock() + short(adapter)
        clock.set(made.expires - INSTANT)
        assert await adapter.peek_verification_token(ADA, secret(made)) == made
        clock.set(made.expires)
        assert await adapter.use_verification_token(ADA, secret(made)) is None

    async def test_the_one_made_last_stands_whatever_the_clock_said(
        self, adapter: VerificationTokens, clock: Clock
    ) -> None:
        made = [await adapter.create_verification_token(ADA) for _ in range(5)]
        clock.advance(-timedelta(seconds=30))
        made.append(await adapter.create_verification_token(ADA))
        assert await _valid(adapter, made) == [secret(token) for token in made[1:]]

    async def test_the_dead_take_no_place_from_the_living(self, adapter: VerificationTokens, clock: Clock) -> None:
        living = [await adapter.create_verification_token(ADA) for _ in range(4)]
        brief = [await adapter.create_verification_token(ADA, expires=clock() + INSTANT)]
        clock.advance(INSTANT)
        brief += [await adapter.create_verification_token(ADA, expires=clock()) for _ in range(5)]
        last = await adapter.create_verification_token(ADA)
        assert await _valid(adapter, [*living, *brief, last]) == [secret(token) for token in [*living, last]]

    async def test_a_dead_tokens_text_may_be_given_again(self, adapter: VerificationTokens, clock: Clock) -> None:
        first = await adapter.create_verification_token(ADA, token="123456", expires=clock() + short(adapter))
        with pytest.raises(ConflictError):
            await adapter.create_verification_token(ADA, token="123456")
        clock.set(first.expires)
        again = await adapter.create_verification_token(ADA, token="123456", data={"n": 2})
        assert await adapter.peek_verification_token(ADA, "123456") == again
        assert await adapter.use_verification_token(ADA, "123456") == again
        assert await adapter.use_verification_token(ADA, "123456") is None

    async def test_an_expired_token_is_gone_once_it_was_tried(self, adapter: VerificationTokens, clock: Clock) -> None:
        made = await adapter.create_verification_token(ADA, expires=clock() + short(adapter))
        clock.set(made.expires)
        assert await adapter.use_verification_token(ADA, secret(made)) is None
        clock.set(made.expires - INSTANT)
        assert await adapter.peek_verification_token(ADA, secret(made)) is None

    async def test_identifier_purpose_and_token_must_all_match_and_a_wrong_guess_consumes_nothing(
        self, adapter: VerificationTokens
    ) -> None:
        made = await adapter.create_verification_token(ADA, purpose="sign-in")
        other = await adapter.create_verification_token(EVE, purpose="sign-in")
        token = secret(made)
        guesses = [(EVE, token, "sign-in"), (ADA, token, "reset"), (ADA, secret(other), "sign-in")]
        guesses += [(ADA, wrong, "sign-in") for wrong in (token[:-1], token + "A", token.swapcase(), "", "x" * 43)]
        guesses += [(ADA, wrong, "sign-in") for wrong in ("\0" * 43, "\ud800" * 43, "é" * 43, "x" * 100_000)]
        for identifier, guess, purpose in guesses:
            assert await adapter.peek_verification_token(identifier, guess, purpose=purpose) is None
            assert await adapter.use_verification_token(identifier, guess, purpose=purpose) is None
        assert await adapter.use_verification_token(ADA, token) == made
        assert await adapter.use_verification_token(EVE, secret(other)) == other

    async def test_success_ends_the_others_of_this_identifier_and_purpose(self, adapter: VerificationTokens) -> None:
        mine = [await adapter.create_verification_token(ADA) for _ in range(3)]
        other_purpose = await adapter.create_verification_token(ADA, purpose="reset")
        somebody = await adapter.create_verification_token(EVE)
        assert await adapter.use_verification_token(ADA, secret(mine[1])) == mine[1]
        assert await _valid(adapter, [*mine, other_purpose, somebody]) == [secret(other_purpose), secret(somebody)]

    async def test_five_may_stand_and_the_oldest_goes(self, adapter: VerificationTokens, clock: Clock) -> None:
        made = []
        for _ in range(7):
            made.append(await adapter.create_verification_token(ADA))
            clock.advance(INSTANT)
        other_purpose = await adapter.create_verification_token(ADA, purpose="reset")
        somebody = await adapter.create_verification_token(EVE)
        assert await _valid(adapter, [*made, other_purpose, somebody]) == [
            secret(token) for token in (*made[2:], other_purpose, somebody)
        ]

    async def test_five_may_stand_also_at_one_instant(self, adapter: VerificationTokens) -> None:
        made = await settled(*(adapter.create_verification_token(ADA) for _ in range(MANY)))
        assert len(await _valid(adapter, made)) == 5
        newest = await adapter.create_verification_token(ADA)
        assert secret(newest) in await _valid(adapter, [*made, newest])

    async def test_identifiers_and_purposes_that_differ_by_case_have_tokens_of_their_own(
        self, adapter: VerificationTokens
    ) -> None:
        kinds = [("User-42", "reset"), ("user-42", "reset"), ("User-42", "Reset")]
        made = [await adapter.create_verification_token(who, purpose=why) for who, why in kinds for _ in range(5)]
        assert len(await _valid(adapter, made)) == 15
        assert await adapter.use_verification_token("User-42", secret(made[0]), purpose="reset") == made[0]
        assert await _valid(adapter, made) == [secret(token) for token in made[5:]]
        assert await adapter.use_verification_token("User-42", secret(made[5]), purpose="reset") is None
        assert await adapter.use_verification_token("user-42", secret(made[5]), purpose="Reset") is None

    async def test_an_address_is_the_same_in_every_spelling(self, adapter: VerificationTokens) -> None:
        made = await adapter.create_verification_token(" ADA@Example.COM\n")
        assert made.identifier == ADA
        assert await adapter.peek_verification_token("Ada@example.com", secret(made)) == made
        assert await adapter.use_verification_token("aDA@EXAMPLE.com ", secret(made)) == made

    @pytest.mark.parametrize(
        ("identifier", "other"),
        [("User-42", "user-42"), ("+15550100", "15550100"), ("a@b@C", "a@b@c"), (" x", "x"), ("\u00e9", "e\u0301")],
        ids=ascii,
    )
    async def test_any_other_identifier_is_exact_text(
        self, adapter: VerificationTokens, identifier: str, other: str
    ) -> None:
        made = await adapter.create_verification_token(identifier)
        assert made.identifier == identifier
        assert await adapter.peek_verification_token(other, secret(made)) is None
        assert await adapter.use_verification_token(other, secret(made)) is None
        assert await adapter.use_verification_token(identifier, secret(made)) == made

    async def test_an_identifier_has_at_most_254_characters(self, adapter: VerificationTokens) -> None:
        made = await adapter.create_verification_token("é" * 254)
        assert await adapter.use_verification_token("é" * 254, secret(made)) == made
        for wrong in ("x" * 255, ""):
            with pytest.raises(ValueError):
                await adapter.create_verification_token(wrong)

    async def test_a_given_token_counts_for_its_identifier_alone(self, adapter: VerificationTokens) -> None:
        made = await adapter.create_verification_token(ADA, token="given-token-0123456789")
        other = await adapter.create_verification_token(EVE, token="given-token-0123456789")
        assert made.token == other.token == "given-token-0123456789"
        assert await adapter.use_verification_token(ADA, "given-token-0123456789") == made
        assert await adapter.use_verification_token(EVE, "given-token-0123456789") == other

    async def test_a_given_token_may_be_a_short_code(self, adapter: VerificationTokens) -> None:
        made = await adapter.create_verification_token(ADA, token="123456")
        assert await adapter.use_verification_token(ADA, "654321") is None
        assert await adapter.peek_verification_token(ADA, "123456") == made
        assert await adapter.use_verification_token(ADA, "123456") == made

    async def test_a_naive_expiry_of_a_token_is_refused(self, adapter: VerificationTokens) -> None:
        with pytest.raises(ValueError):
            await adapter.create_verification_token(ADA, expires=datetime(2031, 5, 7))

    async def test_of_many_who_use_one_token_one_gets_it(self, adapter: VerificationTokens) -> None:
        made = await adapter.create_verification_token(ADA)
        results = await settled(*(adapter.use_verification_token(ADA, secret(made)) for _ in range(MANY)))
        assert winners(results) == [made]
        assert results.count(None) == MANY - 1

    async def test_of_many_who_use_five_tokens_of_one_identifier_one_succeeds(
        self, adapter: VerificationTokens
    ) -> None:
        made = [await adapter.create_verification_token(ADA) for _ in range(5)]
        calls = (adapter.use_verification_token(ADA, secret(made[n % 5])) for n in range(MANY))
        results = await settled(*calls)
        assert len(winners(results)) == 1
        assert results.count(None) == MANY - 1

    async def test_looking_while_it_is_used_gives_the_token_or_nothing(self, adapter: VerificationTokens) -> None:
        made = await adapter.create_verification_token(ADA)
        looks = [adapter.peek_verification_token(ADA, secret(made)) for _ in range(20)]
        *seen, used = await settled(*looks, adapter.use_verification_token(ADA, secret(made)))
        assert used == made
        assert all(result in (made, None) for result in seen)

    async def test_a_long_life_does_not_outlast_the_end_of_time(
        self, adapter: VerificationTokens, clock: Clock
    ) -> None:
        clock.set(later(clock(), timedelta(days=365 * 100)))
        made = await adapter.create_verification_token(ADA)
        assert await adapter.use_verification_token(ADA, secret(made)) == made
