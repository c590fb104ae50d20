"""An application's test: a real store in memory, and a clock that moves when it is told.

    pip install "authstore[testing]" pytest-asyncio
    pytest -o asyncio_mode=auto examples/test_with_authstore.py

`auth_store` and `auth_clock` are fixtures of the plugin that authstore registers.
"""

from datetime import timedelta

from authstore import Adapter
from authstore.testing import Clock, make_session, make_user


async def greeting(store: Adapter, cookie: str) -> str:
    found = await store.get_session_and_user(cookie)
    return f"Hello {found[1].name}" if found else "Please sign in"


async def test_visitors_are_greeted_until_their_session_ends(auth_store: Adapter, auth_clock: Clock) -> None:
    session = await make_session(auth_store, await make_user(auth_store, name="Ada"))
    assert await greeting(auth_store, str(session.token)) == "Hello Ada"
    auth_clock.advance(timedelta(days=31))
    assert await greeting(auth_store, str(session.token)) == "Please sign in"
