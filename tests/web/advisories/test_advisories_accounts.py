"""Taking over somebody's user by way of an address, an account or a session must not work."""

from datetime import UTC, datetime
from typing import Any

import pytest

from authstore.testing.web import Lies, Person

VICTIM = "victim@example.com"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TRUSTING = pytest.mark.parametrize("build", [{"trust_email_of": ("pretend",)}], indirect=True)


async def test_noauth_an_address_alone_opens_nobodys_account(site: Any, visitor: Any) -> None:
    """Descope 2023, "nOAuth": the attacker writes the victim's address into his own account at a provider."""
    victim = await site.store.create_user(email=VICTIM, email_verified=NOW)
    answer = await visitor.sign_in_at(site.pretend, Person("mallory-1", VICTIM))
    assert answer.status_code == 409
    assert await visitor.who() is None
    assert await site.store.list_accounts(victim.id) == []


@TRUSTING
@pytest.mark.parametrize("verified", ["true", "True", 1, "1", False, None, [True]])
async def test_only_the_boolean_true_means_verified(site: Any, visitor: Any, verified: Any) -> None:
    victim = await site.store.create_user(email=VICTIM, email_verified=NOW)
    site.pretend.lies = Lies(claims={"email_verified": verified}, userinfo={"email_verified": verified})
    assert (await visitor.sign_in_at(site.pretend, Person("mallory-1", VICTIM))).status_code == 409
    assert await site.store.list_accounts(victim.id) == []


@TRUSTING
async def test_a_trusted_provider_that_vouches_links_to_a_proved_address(site: Any, visitor: Any) -> None:
    victim = await site.store.create_user(email=VICTIM, email_verified=NOW)
    await visitor.sign_in_at(site.pretend, Person("victim-1", VICTIM))
    assert await visitor.who() == victim.id


@TRUSTING
async def test_prehijacking_whoever_proves_an_unproved_address_shares_it_with_nobody(site: Any, visitor: Any) -> None:
    """Sudhodanan and Paverd 2022: the attacker registers the victim's address first and waits."""
    waiting = await site.store.create_user(email=VICTIM)
    await site.store.link_account(waiting.id, "other", "mallory-1")
    planted = await site.store.create_session(waiting.id)
    await visitor.sign_in_at(site.pretend, Person("victim-1", VICTIM))
    assert await visitor.who() == waiting.id
    assert await site.store.get_session(planted.token) is None
    assert [account.provider for account in await site.store.list_accounts(waiting.id)] == ["pretend"]


async def test_prehijacking_whoever_proves_an_address_shares_it_with_nobody(site: Any, new_visitor: Any) -> None:
    """The same, classic way round: what the attacker linked to an unproved address is gone once it is proved."""
    attacker, victim = new_visitor(), new_visitor()
    mallory = Person("mallory-1", VICTIM, email_verified=False)
    await attacker.sign_in_at(site.pretend, mallory)
    await victim.follow(await victim.letter_to(VICTIM))
    proved = await victim.who()
    assert proved is not None
    assert await attacker.who() != proved
    await attacker.sign_in_at(site.pretend, mallory)
    assert await attacker.who() != proved
    assert await site.store.list_accounts(proved) == []


async def test_an_account_keeps_its_user_when_the_provider_changes_its_address(site: Any, visitor: Any) -> None:
    await visitor.sign_in_at(site.pretend, Person("ada-1", "ada@example.com"))
    first = await visitor.who()
    await site.store.create_user(email=VICTIM, email_verified=NOW)
    await visitor.sign_in_at(site.pretend, Person("ada-1", VICTIM))
    assert await visitor.who() == first


async def test_the_same_subject_at_another_provider_is_another_person(site: Any, new_visitor: Any) -> None:
    first, second = new_visitor(), new_visitor()
    await first.sign_in_at(site.pretend, Person("1", "ada@example.com"))
    await second.sign_in_at(site.other, Person("1", "eve@example.com"))
    assert await first.who() != await second.who()


async def test_an_account_that_belongs_to_somebody_is_not_linked_to_somebody_else(site: Any, new_visitor: Any) -> None:
    ada, eve = new_visitor(), new_visitor()
    await ada.sign_in_at(site.pretend, Person("ada-1", "ada@example.com"))
    await eve.sign_in_at(site.other, Person("eve-1", "eve@example.com"))
    eves_id = await eve.who()
    assert (await eve.sign_in_at(site.pretend, Person("ada-1", "ada@example.com"))).status_code == 409
    assert await eve.who() == eves_id


async def test_an_ended_session_does_not_count_while_signing_in(site: Any, visitor: Any) -> None:
    """What Auth.js got wrong: an expired session's user got the next visitor's account linked."""
    await visitor.sign_in_at(site.pretend, Person("ada-1", "ada@example.com"))
    first = await visitor.who()
    departure = await visitor.depart("other")
    await site.store.revoke_sessions(first)
    await visitor.get(await site.other.approve(departure, Person("eve-1", "eve@example.com")))
    assert await visitor.who() != first
    assert [account.provider for account in await site.store.list_accounts(first)] == ["pretend"]


async def test_a_disabled_user_gets_in_by_no_door(site: Any, new_visitor: Any) -> None:
    visitor = new_visitor()
    await visitor.sign_in_at(site.pretend, Person("ada-1", "ada@example.com"))
    link = await new_visitor().letter_to("ada@example.com")
    await site.store.update_user(await visitor.who(), disabled=True)
    assert await visitor.who() is None
    for answer in (await visitor.sign_in_at(site.pretend), await new_visitor().follow(link)):
        assert answer.status_code == 403
    assert await visitor.who() is None


async def test_somebody_elses_session_cannot_be_ended(site: Any, new_visitor: Any) -> None:
    ada, eve = new_visitor(), new_visitor()
    await ada.sign_in_at(site.pretend, Person("ada-1", "ada@example.com"))
    await eve.sign_in_at(site.pretend, Person("eve-1", "eve@example.com"))
    (session,) = await site.store.list_sessions(await ada.who())
    await eve.submit("/auth/sessions/revoke", session_id=session.id)
    assert await ada.who() is not None


async def test_somebody_elses_account_and_passkey_cannot_be_removed(site: Any, new_visitor: Any) -> None:
    ada, eve = new_visitor(), new_visitor()
    await ada.sign_in_at(site.pretend, Person("ada-1", "ada@example.com"))
    await eve.sign_in_at(site.pretend, Person("eve-1", "eve@example.com"))
    adas_id = await ada.who()
    await site.store.create_authenticator(adas_id, "credential-1", b"key")
    await eve.submit("/auth/accounts/unlink", provider="pretend", provider_account_id="ada-1")
    await eve.submit("/auth/passkeys/delete", credential_id="credential-1")
    assert len(await site.store.list_accounts(adas_id)) == 1
    assert len(await site.store.list_authenticators(adas_id)) == 1


@pytest.mark.parametrize("build", [{"mailer": None}], indirect=True)
async def test_the_last_way_in_cannot_be_taken_away(site: Any, visitor: Any) -> None:
    await visitor.sign_in_at(site.pretend, Person("ada-1", "ada@example.com"))
    answer = await visitor.submit("/auth/accounts/unlink", provider="pretend", provider_account_id="ada-1")
    assert answer.status_code == 409
    assert len(await site.store.list_accounts(await visitor.who())) == 1
