"""The store on SQLite keeps the contract: in a file, in memory, and under policies that switch limits on and off."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from authstore.adapter import Adapter
from authstore.connect import connect
from authstore.expiry import SessionPolicy
from authstore.testing import AdapterContract, Clock
from authstore.testing.contract import (
    EndingsContract,
    EventsContract,
    PruneContract,
    RotationContract,
    SessionChangesContract,
    SessionExpiryContract,
    SessionsContract,
    SlowRefreshContract,
    VerificationTokensContract,
    VisitsContract,
)

POLICIES = {
    "sliding": SessionPolicy(lifetime=None, idle=timedelta(hours=1), touch_every=timedelta(minutes=1), max_per_user=6),
    "absolute": SessionPolicy(lifetime=timedelta(hours=8), idle=None, max_per_user=5),
    "unlimited": SessionPolicy(lifetime=None, idle=None),
    "restless": SessionPolicy(idle=timedelta(minutes=6), touch_every=timedelta(minutes=5)),
}


class TestSQLiteInAFile(AdapterContract, SlowRefreshContract, EventsContract):
    @pytest.fixture
    async def adapter(self, clock: Clock, tmp_path: Path) -> AsyncIterator[Adapter]:
        async with connect(tmp_path / "auth.db", clock=clock, keys=["k" * 32]) as store:
            yield store


class TestSQLiteInMemory(AdapterContract, EventsContract):
    @pytest.fixture
    async def adapter(self, clock: Clock) -> AsyncIterator[Adapter]:
        async with connect("sqlite://", clock=clock) as store:
            yield store


class TestSQLiteUnderOtherPolicies(
    SessionsContract,
    SessionExpiryContract,
    SessionChangesContract,
    EndingsContract,
    RotationContract,
    VisitsContract,
    PruneContract,
):
    @pytest.fixture(params=POLICIES)
    async def adapter(self, clock: Clock, request: pytest.FixtureRequest) -> AsyncIterator[Adapter]:
        async with connect("sqlite://", clock=clock, policy=POLICIES[request.param]) as store:
            yield store


class TestSQLiteWithEndlessTokens(VerificationTokensContract):
    @pytest.fixture
    async def adapter(self, clock: Clock) -> AsyncIterator[Adapter]:
        async with connect("sqlite://", clock=clock, policy=SessionPolicy(token_lifetime=None)) as store:
            yield store
