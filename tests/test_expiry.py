"""When things die: pure functions, the boundary at the instant, the presets."""

from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authstore.expiry import (
    BEGIN_OF_TIME,
    END_OF_TIME,
    SessionPolicy,
    end_of,
    is_alive,
    is_session_alive,
    is_touch_due,
    oldest_start,
    session_expiry,
    utc_now,
)

NOON = datetime(2031, 5, 6, 12, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

instants = st.datetimes(timezones=st.just(UTC))
limits = st.none() | st.timedeltas(min_value=INSTANT, max_value=timedelta(days=4000))
policies = st.builds(SessionPolicy, lifetime=limits, idle=limits, token_lifetime=limits)


def test_the_default_clock_is_aware_utc():
    before = datetime.now(UTC)
    assert before <= utc_now() <= datetime.now(UTC)
    assert utc_now().tzinfo is UTC


def test_alive_means_now_is_before_the_expiry():
    assert is_alive(NOON, NOON - INSTANT)
    assert not is_alive(NOON, NOON)
    assert not is_alive(NOON, NOON + INSTANT)


@pytest.mark.parametrize(
    "ends",
    [
        {"expires": NOON},
        {"created_at": NOON - timedelta(days=30)},
        {"last_used_at": NOON - timedelta(days=7)},
    ],
    ids=["expiry", "lifetime", "idleness"],
)
def test_each_limit_ends_a_session_at_the_instant(ends: dict[str, datetime]):
    times = {"expires": NOON + HOUR, "created_at": NOON - HOUR, "last_used_at": NOON - HOUR, **ends}
    assert is_session_alive(SessionPolicy(), NOON - INSTANT, **times)
    assert not is_session_alive(SessionPolicy(), NOON, **times)


def test_without_limits_only_the_expiry_counts():
    policy = SessionPolicy(lifetime=None, idle=None)
    times = {"expires": END_OF_TIME, "created_at": BEGIN_OF_TIME, "last_used_at": BEGIN_OF_TIME}
    assert is_session_alive(policy, END_OF_TIME - INSTANT, **times)
    assert not is_session_alive(policy, END_OF_TIME, **times)


def test_a_stricter_policy_judges_what_an_easier_one_made():
    times = {"expires": NOON + 20 * DAY, "created_at": NOON - 2 * DAY, "last_used_at": NOON - 2 * HOUR}
    assert is_session_alive(SessionPolicy(), NOON, **times)
    assert not is_session_alive(SessionPolicy(lifetime=DAY), NOON, **times)
    assert not is_session_alive(SessionPolicy(idle=HOUR), NOON, **times)
    assert not is_session_alive(SessionPolicy.aal2(), NOON, **times)


@given(policies, instants, instants, instants, instants)
def test_the_cut_offs_of_a_query_say_the_same_as_the_rule(policy, now, expires, created_at, last_used_at):
    by_query = (
        now < expires
        and (policy.lifetime is None or created_at > oldest_start(now, policy.lifetime))
        and (policy.idle is None or last_used_at > oldest_start(now, policy.idle))
    )
    by_rule = is_session_alive(policy, now, expires=expires, created_at=created_at, last_used_at=last_used_at)
    far = any(end_of(start, limit) == END_OF_TIME for start, limit in
              ((created_at, policy.lifetime), (last_used_at, policy.idle)))  # fmt: skip
    assert by_query == by_rule or far


@given(policies, instants, st.none() | instants, st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=500)))
def test_no_expiry_outlives_the_policy(policy, created_at, wanted, age):
    now = min(created_at, END_OF_TIME - age) + age
    expires = session_expiry(policy, created_at=created_at, now=now, wanted=wanted)
    assert expires <= end_of(created_at, policy.lifetime)
    assert wanted is None or expires <= wanted
    if policy.lifetime is None:
        assert expires <= end_of(now, policy.idle)


def test_an_expiry_is_the_end_of_the_lifetime_or_else_of_idleness():
    assert session_expiry(SessionPolicy(), created_at=NOON, now=NOON) == NOON + timedelta(days=30)
    assert session_expiry(SessionPolicy(), created_at=NOON, now=NOON + DAY) == NOON + timedelta(days=30)
    sliding = SessionPolicy(lifetime=None)
    assert session_expiry(sliding, created_at=NOON, now=NOON + DAY) == NOON + timedelta(days=8)
    assert session_expiry(replace(sliding, idle=None), created_at=NOON, now=NOON) == END_OF_TIME


def test_a_shorter_wish_is_granted_and_a_longer_one_clamped():
    assert session_expiry(SessionPolicy(), created_at=NOON, now=NOON, wanted=NOON + HOUR) == NOON + HOUR
    assert session_expiry(SessionPolicy(), created_at=NOON, now=NOON, wanted=NOON + 31 * DAY) == NOON + 30 * DAY


def test_a_touch_is_due_at_the_instant_touch_every_is_over():
    policy = SessionPolicy(touch_every=timedelta(minutes=5))
    assert not is_touch_due(policy, NOON - INSTANT, last_used_at=NOON - timedelta(minutes=5))
    assert is_touch_due(policy, NOON, last_used_at=NOON - timedelta(minutes=5))


def test_touches_are_frequent_enough_to_keep_a_session_in_use_alive():
    policy = SessionPolicy(idle=timedelta(minutes=4), touch_every=timedelta(minutes=5))
    assert not is_touch_due(policy, NOON - INSTANT, last_used_at=NOON - timedelta(minutes=2))
    assert is_touch_due(policy, NOON, last_used_at=NOON - timedelta(minutes=2))


def test_every_use_may_be_noted():
    assert is_touch_due(SessionPolicy(touch_every=timedelta(0)), NOON, last_used_at=NOON)
    assert is_touch_due(SessionPolicy(idle=None, touch_every=timedelta(0)), NOON, last_used_at=NOON)


def test_dates_beyond_the_calendar_are_its_ends():
    assert end_of(END_OF_TIME - HOUR, DAY) == END_OF_TIME
    assert end_of(NOON, None) == END_OF_TIME
    assert oldest_start(BEGIN_OF_TIME + HOUR, DAY) == BEGIN_OF_TIME
    assert oldest_start(NOON, None) == BEGIN_OF_TIME
    assert session_expiry(SessionPolicy(lifetime=timedelta.max), created_at=NOON, now=NOON) == END_OF_TIME


def test_the_defaults_are_those_of_the_documentation():
    policy = SessionPolicy()
    assert (policy.lifetime, policy.idle, policy.touch_every) == (30 * DAY, 7 * DAY, timedelta(minutes=5))
    assert (policy.max_per_user, policy.token_lifetime) == (None, timedelta(minutes=10))


@pytest.mark.parametrize(
    ("preset", "lifetime", "idle"),
    [
        (SessionPolicy.aal1(), 30 * DAY, None),
        (SessionPolicy.aal2(), DAY, HOUR),
        (SessionPolicy.aal3(), 12 * HOUR, timedelta(minutes=15)),
    ],
    ids=["aal1", "aal2", "aal3"],
)
def test_the_presets_are_those_of_nist_sp_800_63b_4(preset: SessionPolicy, lifetime: timedelta, idle: timedelta | None):
    assert (preset.lifetime, preset.idle) == (lifetime, idle)
    assert idle is None or preset.touch_every <= idle / 2


def test_a_policy_is_frozen_and_a_value():
    with pytest.raises(FrozenInstanceError):
        SessionPolicy().idle = None  # type: ignore[misc]  # it is what must fail
    assert SessionPolicy() == SessionPolicy()
    assert hash(SessionPolicy()) == hash(SessionPolicy())
    assert SessionPolicy() != SessionPolicy.aal1()


@pytest.mark.parametrize(
    "wrong",
    [
        {"lifetime": timedelta(0)}, {"lifetime": -DAY}, {"idle": timedelta(0)}, {"token_lifetime": -INSTANT},
        {"touch_every": -INSTANT}, {"max_per_user": 0}, {"max_per_user": -1},
        {"max_per_user": 2**31}, {"max_per_user": 2**63}, {"max_per_user": 10**100},
    ],
    ids=str,
)  # fmt: skip
def test_a_limit_that_cannot_be_is_refused(wrong: dict[str, timedelta]):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SessionPolicy(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"lifetime": 3600}, {"idle": 60.0}, {"token_lifetime": "10m"}, {"touch_every": None}, {"max_per_user": 2.5},
     {"max_per_user": True}, {"touch_every": 300}],
    ids=str,
)  # fmt: skip
def test_a_limit_of_the_wrong_type_is_refused(wrong: dict[str, object]):
    with pytest.raises(TypeError, match=next(iter(wrong))):
        SessionPolicy(**wrong)
