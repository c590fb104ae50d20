"""The parts of the contract that the tables of Auth.js can hold, and by name what they cannot."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from authstore import Adapter, SessionPolicy, connect
from authstore.testing import Clock
from authstore.testing.contract import (
    AccountsContract,
    EmailContract,
    KnownAccountContract,
    KnownAddressContract,
    NewAccountContract,
    SessionsContract,
    UserChangesContract,
    UsersContract,
    VerificationTokensContract,
)
from tests.postgres import fresh_database

SCHEMA = Path(__file__).parents[2] / "mover" / "schemas" / "prisma_v4.sql"

# By what the tables have no place for.
NOT_HELD = {
    "data of users and accounts": """
        test_a_session_is_found_by_its_token_with_its_user test_a_user_comes_back_as_created
        test_an_account_comes_back_as_linked test_an_instant_given_in_another_zone_is_kept_as_that_instant
        test_an_update_changes_what_is_named_and_nothing_else test_an_update_that_names_nothing_keeps_everything
        test_linked_again_by_the_same_user_it_is_updated test_linked_to_another_user_it_is_refused_and_unchanged
        test_unlinking_forgets_the_account_and_keeps_the_user test_updates_of_different_fields_at_once_all_count
        test_who_proves_an_address_that_nobody_had_proved_has_the_user_alone""",
    "disabled users": """
        test_a_disabled_current_user_links_nothing test_a_disabled_user_is_not_linked
        test_a_known_account_of_a_disabled_user_is_refused_and_unchanged test_nobody_and_the_disabled_get_no_session""",
    "data of sessions": "test_a_new_session_shows_its_secret_once test_what_was_never_a_token_finds_nothing",
    "purposes and data of verification tokens": """
        test_a_dead_tokens_text_may_be_given_again test_a_token_is_shown_once_and_lives_as_the_policy_says
        test_a_token_is_used_once test_five_may_stand_and_the_oldest_goes test_looking_does_not_use
        test_identifier_purpose_and_token_must_all_match_and_a_wrong_guess_consumes_nothing
        test_identifiers_and_purposes_that_differ_by_case_have_tokens_of_their_own
        test_success_ends_the_others_of_this_identifier_and_purpose""",
    "which token was made first": """
        test_five_may_stand_also_at_one_instant test_the_one_made_last_stands_whatever_the_clock_said""",
    "one token of two identifiers, where it is unique by itself": "test_a_given_token_counts_for_its_identifier_alone",
    "when users and accounts were made": """
        test_a_user_needs_nothing_but_to_be_created test_a_user_may_have_many_accounts_listed_oldest_first
        test_linked_again_with_everything_everything_is_new test_user_and_account_are_created
        test_a_known_account_gives_its_user_and_keeps_the_new_tokens""",
    "microseconds": """
        test_a_shorter_life_may_be_asked_for test_an_address_the_provider_vouches_for_is_verified_now
        test_every_instant_keeps_its_microseconds""",
}


@pytest.fixture(scope="module")
def tables_url(postgres_url: str) -> Iterator[str]:
    with fresh_database(postgres_url) as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCHEMA.read_text().encode())
        yield url


class TestAuthJsTables(
    UsersContract,
    UserChangesContract,
    EmailContract,
    AccountsContract,
    NewAccountContract,
    KnownAccountContract,
    KnownAddressContract,
    SessionsContract,
    VerificationTokensContract,
):
    @pytest.fixture
    async def adapter(self, clock: Clock, tables_url: str) -> AsyncIterator[Adapter]:
        with psycopg.connect(tables_url, autocommit=True) as connection:
            connection.execute('TRUNCATE "User", "Account", "Session", "VerificationToken"')
        policy = SessionPolicy(lifetime=timedelta(days=30), idle=None)
        async with connect(tables_url, tables="authjs", clock=clock, policy=policy) as store:
            yield store


for _names in NOT_HELD.values():
    for _name in _names.split():
        assert callable(getattr(TestAuthJsTables, _name))
        setattr(TestAuthJsTables, _name, None)
