"""Units of work that wait together share a transaction, and nothing else."""

import asyncio

from authstore import connect
from authstore.database import Unit
from authstore.sql import queries


def _failing() -> Unit[None]:
    yield queries.insert_role(name="half", description=None, data="{}")
    raise LookupError


def _whole() -> Unit[bool]:
    return bool((yield queries.insert_role(name="whole", description=None, data="{}")))


async def test_one_that_fails_after_it_wrote_leaves_nothing_and_takes_nobody_along() -> None:
    async with connect("sqlite://") as store:
        units = (store._db.unit(_failing), store._db.unit(_whole))
        failed, done = await asyncio.gather(*units, return_exceptions=True)
        assert isinstance(failed, LookupError)
        assert done is True
        assert [role.name for role in await store.list_roles()] == ["whole"]
