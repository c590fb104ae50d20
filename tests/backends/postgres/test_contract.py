"""The store on PostgreSQL keeps the contract, and under policies that switch limits on and off."""

from collections.abc import AsyncIterator
from datetime import timedelta

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
    "unlimited": SessionPolicy(lifetime=None, idle=None),
}


class TestPostgres(AdapterContract, SlowRefreshContract, EventsContract):
    @pytest.fixture
    async def adapter(self, clock: Clock, emptied_url: str) -> AsyncIterator[Adapter]:
        async with connect(emptied_url, clock=clock, keys=["k" * 32]) as store:
            yield store


class TestTheOldestPostgres(AdapterContract):
    @pytest.fixture
    async def adapter(self, clock: Clock, emptied_old_url: str) -> AsyncIterator[Adapter]:
        async with connect(emptied_old_url, clock=clock, durability="relaxed") as store:
            yield store


class TestPostgresThroughAPooler(AdapterContract):
    @pytest.fixture
    async def adapter(self, clock: Clock, emptied_pooled_url: str) -> AsyncIterator[Adapter]:
        async with connect(emptied_pooled_url, clock=clock) as store:
            yield store


class TestPostgresUnderOtherPolicies(
    SessionsContract,
    SessionExpiryContract,
    SessionChangesContract,
    EndingsContract,
    RotationContract,
    VisitsContract,
    PruneContract,
):
    @pytest.fixture(params=POLICIES)
    async def adapter(self, clock: Clock, emptied_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Adapter]:
        async with connect(emptied_url, clock=clock, policy=POLICIES[request.param]) as store:
            yield store


class TestPostgresWithOneConnection(VerificationTokensContract):
    @pytest.fixture
    async def adapter(self, clock: Clock, emptied_url: str) -> AsyncIterator[Adapter]:
        policy = SessionPolicy(token_lifetime=None)
        async with connect(emptied_url, clock=clock, policy=policy, pool_size=1) as store:
            yield store
