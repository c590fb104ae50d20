"""Functions of the application's: async ones run where we do, plain ones in a thread, where they hold nobody up."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable, iscoroutinefunction
from typing import Any, TypeVar

from authstore.errors import ConfigurationError

T = TypeVar("T")


def checked_function(name: str, given: Any) -> None:
    """Raises `ConfigurationError` for what cannot be called, or is a class of which no object was made yet."""
    if not callable(given) or isinstance(given, type):
        raise ConfigurationError(f"{name} is a function, async or not, or an object that can be called like one")


async def called(function: Callable[..., Awaitable[T] | T], *arguments: object) -> T:
    """What it returns. Raises whatever it raises; a plain one that is given up runs on in its thread."""
    is_async = iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__)
    told: Any = function(*arguments) if is_async else await asyncio.to_thread(function, *arguments)
    # A plain function may wrap an async one: what is to be awaited of it belongs to our loop.
    answer: T = await told if isawaitable(told) else told
    return answer
