"""Whatever is done in whatever order while the clock moves, SQLite holds what plain dictionaries say: in memory,
and in a file that two stores have open, whose disk gets full and whose lock others hold."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import FlakyStrategyDefinition

from authstore import Adapter, SessionPolicy, connect
from authstore.backends.tuning import Tuning as Waits
from authstore.testing import Clock
from authstore.testing.contract import StoreModel
from authstore.testing.model import FaultsModel, IdentitiesModel, ModelBase, SessionsModel, TokensModel, VisitsModel
from authstore.testing.model.machine import Fault
from tests.stores import tuned_store

pytestmark = pytest.mark.slow
_TRIES = 4


class InMemory(ModelBase):
    def open(self, clock: Clock, policy: SessionPolicy) -> AbstractAsyncContextManager[Adapter]:
        return connect("sqlite://", clock=clock, policy=policy)

    @contextmanager
    def _without_room(self) -> Iterator[None]:
        for store in self.stores:
            self._on_the_writer(store, "PRAGMA max_page_count = 1")  # what is there stays
        yield
        for store in self.stores:
            self._on_the_writer(store, "PRAGMA max_page_count = 1073741823")

    def failing(self, fault: Fault):
        return self._without_room() if fault == "full" else None

    def _on_the_writer(self, store: Adapter, sql: str) -> None:
        self.do(store._db._writer.run(lambda connection: connection.execute(sql).fetchall()))


class InAFile(InMemory):
    @asynccontextmanager
    async def open(self, clock: Clock, policy: SessionPolicy) -> AsyncIterator[Adapter]:
        with TemporaryDirectory() as folder:
            self.path = Path(folder) / "auth.db"
            async with self._opened(clock, policy) as store:
                yield store

    def open_beside(self, clock: Clock, policy: SessionPolicy) -> AbstractAsyncContextManager[Adapter]:
        return self._opened(clock, policy)

    def _opened(self, clock: Clock, policy: SessionPolicy) -> AbstractAsyncContextManager[Adapter]:
        return tuned_store(self.path, waits=Waits(busy_seconds=0.2), clock=clock, policy=policy)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield

    def failing(self, fault: Fault):
        return self._without_room() if fault == "full" else self._locked()


class FileModel(InAFile, StoreModel):
    pass


class MemoryModel(InMemory, StoreModel):
    pass


class MemorySessions(InMemory, SessionsModel):
    pass


class FileVisits(InAFile, VisitsModel):
    pass


class MemoryTokens(InMemory, TokensModel):
    pass


class MemoryIdentities(InMemory, IdentitiesModel):
    pass


class FileFaults(InAFile, FaultsModel):
    pass


def _tried(model: type[ModelBase], examples: int) -> type:
    class Case(model.TestCase):  # type: ignore[name-defined, misc]  # made by Hypothesis for each model
        def runTest(self) -> None:
            """Whether a cancelled call had begun is the machine's affair: what cannot be followed is begun anew."""
            for _ in range(_TRIES):
                try:
                    return super().runTest()
                except FlakyStrategyDefinition:
                    continue
            return super().runTest()

    case = Case
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=40,  # a failure is shown as found
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    return case


TestTheWholeInAFile = _tried(FileModel, 15)
TestTheWholeInMemory = _tried(MemoryModel, 15)
TestSessions = _tried(MemorySessions, 20)
TestVisitsInAFile = _tried(FileVisits, 15)
TestTokens = _tried(MemoryTokens, 20)
TestIdentities = _tried(MemoryIdentities, 20)
TestFaultsInAFile = _tried(FileFaults, 10)
