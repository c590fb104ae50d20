"""A clock that stands still until it is told to move."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from authstore.testing import Clock

NOON = datetime(2031, 5, 6, 12, tzinfo=UTC)


def test_it_starts_at_the_real_time_and_stands_still():
    before = datetime.now(UTC)
    clock = Clock()
    assert before <= clock() <= datetime.now(UTC)
    assert clock() == clock()
    assert clock().tzinfo is UTC


def test_it_moves_when_told_and_says_where_to():
    clock = Clock(NOON)
    assert clock.advance(timedelta(minutes=5)) == clock() == NOON + timedelta(minutes=5)
    assert clock.advance(-timedelta(minutes=5)) == clock() == NOON
    assert clock.set(NOON + timedelta(days=1)) == clock() == NOON + timedelta(days=1)
    assert "2031-05-07T12:00:00+00:00" in repr(clock)


def test_it_shows_utc_whatever_it_was_given():
    clock = Clock(NOON.astimezone(timezone(timedelta(hours=2))))
    assert clock() == NOON
    assert clock().tzinfo is UTC


def test_a_naive_time_is_refused():
    with pytest.raises(ValueError, match="aware"):
        Clock(datetime(2031, 5, 6))
    clock = Clock(NOON)
    with pytest.raises(ValueError, match="aware"):
        clock.set(datetime(2031, 5, 6))
    assert clock() == NOON
