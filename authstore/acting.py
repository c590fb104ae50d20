"""Who acts: the actor that the change log names for whatever a task writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from authstore.models import check_text

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
