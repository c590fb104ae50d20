"""Whatever is done in whatever order while the clock moves, two stores on one PostgreSQL hold what plain dictionaries
say: sessions and how they end, and all of the contract together."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from authstore import Adapter, SessionPolicy, connect
from authstore.testing import Clock
from authstore.testing.contract import StoreModel
from authstore.testing.model import ModelBase, SessionsModel
from tests.backends.postgres.conftest import set_back

pytestmark = pytest.mark.slow


class OnPostgres(ModelBase):
    url: ClassVar[str]

    @asynccontextmanager
    async def open(self, clock: Clock, policy: SessionPolicy) -> AsyncIterator[Adapter]:
        set_back(self.url)
        async with connect(self.url, clock=clock, policy=policy, durability="relaxed") as store:
            yield store

    def open_beside(self, clock: Clock, policy: SessionPolicy) -> AbstractAsyncContextManager[Adapter]:
        return connect(self.url, clock=clock, policy=policy, durability="relaxed")


class Sessions(OnPostgres, SessionsModel):
    pass


class Whole(OnPostgres, StoreModel):
    pass


@pytest.mark.parametrize(("model", "examples"), [(Sessions, 4), (Whole, 3)])
def test_postgres_holds_what_dictionaries_say(emptied_url: str, model: type[OnPostgres], examples: int) -> None:
    class Model(model):  # type: ignore[misc, valid-type]  # one of two
        url = emptied_url

    few = settings(
        max_examples=examples,
        stateful_step_count=25,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Model, settings=few)
