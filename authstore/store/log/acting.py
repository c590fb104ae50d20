"""Who acts is said to the database at the start of a write and taken back at its end, so that the change log knows."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from authstore.database import Unit, within
from authstore.sql import queries

T = TypeVar("T")


def said(make: Callable[[], Unit[T]], at: datetime, actor: str | None, *, is_using: bool = False) -> Unit[T]:
    """A unit of work within which the log knows who acts and when. `is_using`: a token that goes is used up."""
    yield queries.say_who_acts(at=at, actor=actor, is_using=is_using)
    result = yield from within(make())
    yield queries.say_no_more()
    return result
