"""The contract catches what goes wrong in auth stores: each fault is built into the real one, and its rule fails."""

import asyncio
import inspect
import itertools
import json
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partialmethod
from typing import Any

import pytest

from authstore import AccountLinkedError, Adapter, ConflictError, EmailTakenError, SessionPolicy, connect
from authstore.sql import queries
from authstore.store import Store
from authstore.store.tuning import Tuning
from authstore.testing import AdapterContract, Clock
from authstore.testing.contract import ContractBase, EventsContract, SlowRefreshContract, refreshing

Patch = Callable[[pytest.MonkeyPatch], None]


def _cases(rule: Any) -> Iterator[dict[str, Any]]:
    """The arguments of each case of a parametrized rule."""
    sets: list[list[dict[str, Any]]] = []
    for mark in getattr(rule, "pytestmark", []):
        names = mark.args[0].split(",") if isinstance(mark.args[0], str) else list(mark.args[0])
        rows = [
            value.values if hasattr(value, "values") and hasattr(value, "marks") else value for value in mark.args[1]
        ]
        sets.append([dict(zip(names, row if len(names) > 1 else [row], strict=True)) for row in rows])
    for chosen in itertools.product(*sets):
        yield {name: value for case in chosen for name, value in case.items()}


async def _verdict(name: str, policy: SessionPolicy, part: type[ContractBase] | None = None) -> BaseException | None:
    """What the rule says to the first case it refuses."""
    part = part or (EventsContract if hasattr(EventsContract, name) else AdapterContract)
    rule = getattr(part, name)
    wanted = inspect.signature(rule).parameters
    for case in _cases(rule):
        clock = Clock(datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=UTC))
        async with connect("sqlite://", clock=clock, policy=policy) as store:
            given = {"adapter": store, "clock": clock, **case}
            try:
                async with asyncio.timeout(10):
                    await rule(part(), **{key: given[key] for key in wanted if key in given})
            except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - whatever it is, it is the verdict
                return error
    return None


def _sql(name: str, old: str, new: str) -> Patch:
    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        query = getattr(queries, name)
        assert old in query.sqlite
        monkeypatch.setattr(query, "sqlite", query.sqlite.replace(old, new))

    return patch


def _attribute(target: str, value: Any) -> Patch:
    return lambda monkeypatch: monkeypatch.setattr(target, value)


def _method(replacement: Any) -> Patch:
    return lambda monkeypatch: monkeypatch.setattr(Store, replacement.__name__, replacement)


def _tuned(**sizes: Any) -> Patch:
    opened = partialmethod(Store.__init__, tuning=Tuning(**sizes))
    return lambda monkeypatch: monkeypatch.setattr(Store, "__init__", opened)


class Original:
    """The methods as they were before a test replaced them."""

    create_user = Store.create_user
    update_user = Store.update_user
    link_account = Store.link_account
    get_user = Store.get_user
    touch_session = Store.touch_session
    get_session_and_user = Store.get_session_and_user
    update_role = Store.update_role
    update_session = Store.update_session


async def create_user(self: Store, **fields: Any) -> Any:
    try:
        return await Original.create_user(self, **fields)
    except EmailTakenError:
        return await self.get_user_by_email(fields["email"])


async def update_user(self: Store, user_id: str, **fields: Any) -> Any:
    return await Original.update_user(
        self, user_id, **{key: value for key, value in fields.items() if value is not None}
    )


async def update_whole_user(self: Store, user_id: str, **fields: Any) -> Any:
    user = await self.get_user(user_id)
    assert user is not None
    whole = {name: getattr(user, name) for name in ("name", "image", "email_verified", "data")}
    return await Original.update_user(self, user_id, **{**whole, **fields})


async def update_whole_role(self: Store, name: str, **fields: Any) -> Any:
    role = await self.get_role(name)
    assert role is not None
    whole = {key: getattr(role, key) for key in ("description", "permissions", "data")}
    return await Original.update_role(self, name, **{**whole, **fields})


async def update_whole_session(self: Store, token: str, **fields: Any) -> Any:
    session = await self.get_session(token)
    assert session is not None
    return await Original.update_session(self, token, **{"expires": session.expires, "data": session.data, **fields})


async def update_role_but_for_nothing(self: Store, name: str, **fields: Any) -> Any:
    if fields.get("permissions"):
        return await Original.update_role(self, name, **fields)
    fields.pop("permissions", None)
    role = await Original.update_role(self, name, **fields)
    return role and role.model_copy(update={"permissions": frozenset()})


def _undo_without_release(connection: Any) -> None:
    connection.execute("ROLLBACK TO nested")


async def link_account(self: Store, user_id: str, provider: str, provider_account_id: Any, **fields: Any) -> Any:
    return await Original.link_account(self, user_id, provider, str(provider_account_id), **fields)


async def link_or_steal(self: Store, user_id: str, provider: str, provider_account_id: str, **fields: Any) -> Any:
    try:
        return await Original.link_account(self, user_id, provider, provider_account_id, **fields)
    except AccountLinkedError:
        await self.unlink_account(provider, provider_account_id)
        return await Original.link_account(self, user_id, provider, provider_account_id, **fields)


async def refresh_account(self: Store, provider: str, provider_account_id: str, refresh: Any) -> Any:
    account = await self.get_account(provider, provider_account_id)
    assert account is not None
    return await self.link_account(account.user_id, provider, provider_account_id, **await refresh(account))


async def sign_in_with_account(self: Store, **given: Any) -> Any:
    found = await self.get_user_by_account(given["provider"], given["provider_account_id"])
    user = found or await self.create_user(email=given.get("email"))
    account = await self.link_account(user.id, given["provider"], given["provider_account_id"])
    return type("SignIn", (), {"user": user, "account": account, "created_user": found is None})


async def use_verification_token(self: Store, identifier: str, token: str, *, purpose: str = "sign-in") -> Any:
    found = await self.peek_verification_token(identifier, token, purpose=purpose)
    await asyncio.sleep(0)
    if found is not None:
        await self._db.unit(lambda: _delete_tokens(identifier, purpose))
    return found


def _delete_tokens(identifier: str, purpose: str) -> Any:
    yield queries.delete_verification_tokens_for_purpose(identifier=identifier, purpose=purpose)


async def rotate_session(self: Store, token: str) -> Any:
    old = await self.get_session(token)
    return old and await self.create_session(old.user_id)


async def touch_session(self: Store, token: str) -> Any:
    return await Original.touch_session(self, token) or await self.create_session("nobody", token=token)


async def get_session_and_user(self: Store, token: str) -> Any:
    await Original.touch_session(self, token)
    return await Original.get_session_and_user(self, token)


def _said_and_left(make: Callable[[], Any], at: datetime, actor: str | None, *, is_using: bool = False) -> Any:
    yield queries.say_who_acts(at=at, actor=actor or "nobody", is_using=is_using)
    return (yield from make())


async def revoke_sessions(self: Store, user_id: str, *, except_token: str | None = None) -> int:
    return sum([await self.revoke_session(session.id) for session in await self.list_sessions(user_id)])


async def update_authenticator_counter(self: Store, credential_id: str, counter: int) -> Any:
    found = await self.get_authenticator(credential_id)
    assert found is not None
    await asyncio.sleep(0)
    await self.delete_authenticator(credential_id)
    return await self.create_authenticator(found.user_id, credential_id, found.public_key, counter=counter)


async def prune(self: Store, **limits: Any) -> Any:
    raise ConflictError("not now")


@asynccontextmanager
async def transaction(self: Store) -> AsyncIterator[Adapter]:
    yield self


def _folded(address: str) -> str:
    return unicodedata.normalize("NFKC", address.strip()).casefold()


def _one_second(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def _too_late(policy: SessionPolicy, now: datetime, *, expires: datetime, **_: datetime) -> bool:
    return now <= expires


def _never_idle(policy: SessionPolicy, now: datetime, *, expires: datetime, **_: datetime) -> bool:
    return now < expires


def _as_wanted(policy: SessionPolicy, *, wanted: datetime | None = None, **_: datetime) -> datetime:
    return wanted or datetime.max.replace(tzinfo=UTC)


def _always(*_: Any, **__: Any) -> bool:
    return True


def _begin_without_copy(connection: Any) -> bool:
    connection.execute("BEGIN")
    return True


def _booleans_as_numbers(text: str) -> Any:
    return json.loads(text.replace("true", "1").replace("false", "0"))


FOUND, SESSIONS = "authstore.store.sessions.reading", "authstore.store.sessions.writing"
TOKENS, USERS = "authstore.store.verification_tokens", "authstore.store.users"

FAULTS: Mapping[str, tuple[Patch, str]] = {
    "a sign-up that gives the owner of a taken address": (
        _method(create_user), "test_a_taken_address_is_refused_and_nothing_changes"),
    "an insert that replaces rows": (
        _sql("insert_user", "ON CONFLICT DO NOTHING", "ON CONFLICT (id) DO UPDATE SET name = excluded.name"),
        "test_a_taken_id_is_refused_and_nothing_changes"),
    "addresses folded by Unicode": (
        _attribute(f"{USERS}.canonical_email", _folded), "test_look_alikes_are_two_addresses"),
    "addresses merely lower-cased": (
        _attribute(f"{USERS}.canonical_email", str.lower), "test_what_is_no_address_is_refused_and_not_found"),
    "pages that begin anew each time": (
        _sql("list_users", "id > :after", "(:after IS NOT NULL)"), "test_pages_hold_every_user_once"),
    "pages of a role that begin anew each time": (
        _sql("list_users_with_role", "user_roles.user_id > :after", "(:after IS NOT NULL)"),
        "test_users_with_a_role_are_listed_in_pages_by_id"),
    "users listed by creation": (
        _sql("list_users", "ORDER BY id", "ORDER BY created_at, id"), "test_lists_follow_the_order_of_ids"),
    "users of a role listed by creation": (
        _sql("list_users_with_role", "ORDER BY user_roles.user_id", "ORDER BY users.created_at"),
        "test_users_with_a_role_are_listed_in_pages_by_id"),
    "a user read, then written": (
        _attribute("authstore.store.Store.update_user", update_whole_user),
        "test_updates_of_different_fields_at_once_all_count"),
    "a role read, then written": (
        _attribute("authstore.store.Store.update_role", update_whole_role),
        "test_two_updates_of_a_role_at_once_both_count"),
    "a session read, then written": (
        _attribute("authstore.store.Store.update_session", update_whole_session),
        "test_an_update_and_a_use_at_once_both_count"),
    "permissions taken away in the answer alone": (
        _attribute("authstore.store.Store.update_role", update_role_but_for_nothing),
        "test_a_role_may_lose_all_its_permissions"),
    "a savepoint undone and not released": (
        _attribute("authstore.backends.sqlite.transaction._undo", _undo_without_release),
        "test_at_two_levels_each_is_undone_with_what_is_in_it_and_nothing_else"),
    "a savepoint kept that was to be undone": (
        _attribute("authstore.backends.sqlite.transaction._undo", lambda connection: None),
        "test_one_that_follows_an_undone_one_is_undone_alone"),
    "the dead counted against the limit": (
        _sql("list_excess_sessions", "AND expires > :now", ""),
        "test_the_dead_count_not_against_the_limit_per_user"),
    "ids compared without case": (
        _sql("get_user", "= :id", "= :id COLLATE NOCASE"), "test_ids_differ_by_case_and_by_form"),
    "None taken for unnamed": (
        _method(update_user), "test_an_update_changes_what_is_named_and_nothing_else"),
    "disabling that leaves sessions": (
        _sql("list_session_ids", "= :user_id", "IS NULL"), "test_a_disabled_user_is_signed_out_for_good"),
    "a deletion that leaves tokens for the address": (
        _sql("delete_verification_tokens", "= :identifier", "IS NULL"),
        "test_a_deleted_user_leaves_nothing_and_takes_nothing_of_others"),
    "pages by offset of one": (
        _sql("list_users", "id > :after", "id >= :after"), "test_a_page_may_start_after_an_id_that_is_gone"),
    "numbers made text": (_method(link_account), "test_a_number_is_no_provider_account_id"),
    "an account taken from its owner": (
        _attribute("authstore.store.Store.link_account", link_or_steal),
        "test_linked_to_another_user_it_is_refused_and_unchanged"),
    "every caller refreshes": (_method(refresh_account), "test_of_many_at_once_one_asks_and_all_get_its_result"),
    "a lease too short": (
        _tuned(lease=timedelta(seconds=20)),
        "test_a_stuck_holder_is_replaced_after_thirty_seconds"),
    "sign-in in several steps": (
        _method(sign_in_with_account), "test_of_many_first_sign_ins_at_once_comes_one_user_with_one_account"),
    "dead an instant too late": (
        _attribute(f"{FOUND}.is_session_alive", _too_late),
        "test_a_session_dies_at_its_own_expiry"),
    "idleness forgotten": (
        _attribute(f"{FOUND}.is_session_alive", _never_idle),
        "test_an_unused_session_dies_at_the_instant_the_policy_says"),
    "a token dead an instant too late": (
        _attribute(f"{TOKENS}.is_alive", lambda expires, now: now <= expires),
        "test_a_token_is_dead_at_its_expiry_instant"),
    "an expiry not clamped": (
        _attribute(f"{SESSIONS}.session_expiry", _as_wanted),
        "test_a_longer_expiry_is_clamped"),
    "every use written": (
        _attribute(f"{SESSIONS}.is_touch_due", _always),
        "test_a_use_is_noted_at_most_once_per_touch_every"),
    "a look that counts as use": (_method(get_session_and_user), "test_looking_is_no_use"),
    "rotation that leaves the old token": (
        _method(rotate_session), "test_a_rotated_session_is_the_same_under_a_new_token"),
    "a replaced token that goes on": (
        _sql("end_graces", "= :session_id", "IS NULL"), "test_the_token_before_the_last_is_stolen_at_any_time"),
    "a theft that nobody notices": (
        _sql("get_replaced_session", "= :token_hash", "IS NULL"),
        "test_after_the_grace_whoever_presents_the_old_token_ends_the_session"),
    "death when it is swept": (
        _sql("note_deaths", "'$[2]'", "'$[3]'"), "test_a_session_dies_when_its_time_is_up_and_not_when_it_is_swept"),
    "why is forgotten": (
        _sql("get_ended_token", "= :token_hash", "IS NULL"), "test_signing_out_is_remembered_with_time_and_actor"),
    "why is never forgotten": (
        _sql("delete_old_ended_tokens", "at <= :before", "at < '0'"), "test_why_is_remembered_for_thirty_days"),
    "an actor that stays": (
        _attribute("authstore.store.shared.said", _said_and_left), "test_each_change_of_a_user_is_told"),
    "events told from the beginning, whoever asks": (
        _sql("list_events", "changes.seq > :after", "(:after IS NOT NULL)"),
        "test_pages_of_events_follow_each_other"),
    "events told twice": (
        _sql("list_events", "changes.seq > :after", "changes.seq >= :after"), "test_pages_of_events_follow_each_other"),
    "uses told": (
        _sql("list_events", "AND changes.type IS NOT NULL", ""), "test_signing_in_and_using_a_session_is_not_told"),
    "revocation without mercy": (_method(revoke_sessions), "test_the_session_at_hand_may_be_spared"),
    "the oldest session goes, not the longest unused": (
        _sql("list_excess_sessions", "last_used_at DESC, created_at DESC", "created_at DESC"),
        "test_beyond_the_limit_per_user_the_longest_unused_goes"),
    "a token looked up, then deleted": (_method(use_verification_token), "test_of_many_who_use_one_token_one_gets_it"),
    "the purpose forgotten": (
        _sql("take_verification_token", "AND purpose = :purpose", ""),
        "test_identifier_purpose_and_token_must_all_match_and_a_wrong_guess_consumes_nothing"),
    "other tokens left standing": (
        _sql("delete_verification_tokens_for_purpose", "= :identifier", "IS NULL"),
        "test_success_ends_the_others_of_this_identifier_and_purpose"),
    "six tokens": (_attribute(f"{TOKENS}.OUTSTANDING", 6), "test_five_may_stand_and_the_oldest_goes"),
    "a counter that may stand still": (
        _sql("advance_counter", "counter < :counter", "counter <= :counter"),
        "test_a_counter_that_did_not_grow_is_refused_and_unchanged"),
    "a counter read, then written": (
        _method(update_authenticator_counter), "test_of_many_with_one_counter_one_is_accepted"),
    "permissions of the disabled": (
        _sql("has_permission", "AND NOT users.disabled", ""), "test_a_disabled_user_may_nothing_and_keeps_the_roles"),
    "permissions compared without case": (
        _sql("has_permission", "= :resource", "= :resource COLLATE NOCASE"), "test_a_permission_is_compared_exactly"),
    "pruning of the living": (
        _sql("scan_sessions", "expires <= :now", "expires > :now"), "test_the_dead_go_and_the_living_stay"),
    "pruning that fails": (_method(prune), "test_small_batches_come_to_the_same"),
    "a transaction in name only": (_method(transaction), "test_whatever_is_raised_undoes_everything"),
    "uncommitted work shown to all": (
        _attribute("authstore.backends.sqlite.database._begin_memory", _begin_without_copy),
        "test_nobody_else_sees_it_or_waits_for_it_to_read"),
    "instants cut to seconds": (
        _attribute("authstore.backends.sqlite.units.iso", _one_second), "test_every_instant_keeps_its_microseconds"),
    "data that forgets what a boolean is": (
        _attribute("authstore.store.rows._json", _booleans_as_numbers),
        "test_data_comes_back_equal"),
}  # fmt: skip

POLICY = SessionPolicy(max_per_user=5)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_caught_by_its_rule(fault: str, monkeypatch: pytest.MonkeyPatch):
    break_it, rule = FAULTS[fault]
    assert await _verdict(rule, POLICY) is None
    break_it(monkeypatch)
    assert await _verdict(rule, POLICY) is not None


@pytest.mark.parametrize(("renewed_every", "is_right"), [(0.5, True), (1000.0, False)])
async def test_a_lease_that_is_not_renewed_is_caught(
    renewed_every: float, is_right: bool, monkeypatch: pytest.MonkeyPatch
):
    # The same rule with a tenth of the time.
    _tuned(lease=timedelta(seconds=3), renew_seconds=renewed_every)(monkeypatch)
    monkeypatch.setattr(refreshing, "REPLACED_AFTER", timedelta(seconds=3))
    verdict = await _verdict("test_a_slow_provider_is_no_dead_holder", POLICY, SlowRefreshContract)
    assert (verdict is None) == is_right, verdict
