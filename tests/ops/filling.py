"""A store with something in it."""

from authstore import Adapter

BULK = "x" * 3000


async def fill(store: Adapter, users: int) -> None:
    """So many users, with a session each: four kilobytes for one."""
    async with store.transaction() as transaction:
        for number in range(users):
            user = await transaction.create_user(id=f"u{number:05}", name=BULK)
            await transaction.create_session(user.id)
