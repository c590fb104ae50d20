"""Who acts: said to the database at the start of a write and taken back at its end, so that the change log knows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import TypeVar

from authstore.database import Unit, within
from authstore.models import check_text
from authstore.sql import queries

T = TypeVar("T")

_ACTOR: ContextVar[str | None] = ContextVar("authstore_actor", default=None)


@contextmanager
def acting(actor: str) -> Iterator[None]:
    """Within the block, whatever this task writes is noted as done by `actor` (such as "admin:7").

    Raises `ValueError` for an empty text, or one that no database can keep.
    """
    if not isinstance(actor, str):
        raise TypeError("an actor is text")
    if not check_text(actor):
        raise ValueError("an actor is not empty")
    token = _ACTOR.set(actor)
    try:
        yield
    finally:
        _ACTOR.reset(token)


def current_actor() -> str | None:
    """Who acts in this context, where somebody said so."""
    return _ACTOR.get()


def said(make: Callable[[], Unit[T]], at: datetime, actor: str | None, *, is_using: bool = False) -> Unit[T]:
    """A unit of work within which the log knows who acts and when. `is_using`: a token that goes is used up."""
    yield queries.say_who_acts(at=at, actor=actor, is_using=is_using)
    result = yield from within(make())
    yield queries.say_who_acts(at=None, actor=None, is_using=False)
    return result
