"""The contract as a test suite: subclass `AdapterContract`, override the fixture `adapter`, run pytest.

Each part can be subclassed alone, by an adapter that implements a part: `UsersContract` and `EmailContract`
for `Users`, and so on. Any async runner will do: pytest-asyncio (strict or auto) or anyio's plugin on asyncio.
"""

from typing import TYPE_CHECKING, Any

from authstore import extras

try:
    from authstore.testing.contract.accounts import AccountsContract
    from authstore.testing.contract.addresses import EmailContract
    from authstore.testing.contract.authenticators import AuthenticatorsContract, CounterContract
    from authstore.testing.contract.cancellation import CancellationContract
    from authstore.testing.contract.events import EventsContract
    from authstore.testing.contract.integrity import IntegrityContract
    from authstore.testing.contract.maintenance import PruneContract, UpkeepContract
    from authstore.testing.contract.refreshing import RefreshContract, SlowRefreshContract
    from authstore.testing.contract.revocation import RevocationContract
    from authstore.testing.contract.roles import GrantsContract, RolesContract
    from authstore.testing.contract.sessions.endings import EndingsContract, RotationContract
    from authstore.testing.contract.sessions.life import SessionChangesContract, SessionExpiryContract
    from authstore.testing.contract.sessions.making import SessionsContract
    from authstore.testing.contract.sessions.visits import VisitsContract
    from authstore.testing.contract.shared import ContractBase
    from authstore.testing.contract.sign_in import KnownAccountContract, KnownAddressContract, NewAccountContract
    from authstore.testing.contract.transactions import (
        IsolationContract,
        NestedTransactionsContract,
        TransactionsContract,
    )
    from authstore.testing.contract.users import UserChangesContract, UsersContract
    from authstore.testing.contract.values import ValuesContract
    from authstore.testing.contract.verification_tokens import VerificationTokensContract
except ModuleNotFoundError as error:
    raise extras.missing(error, "testing") from None

if TYPE_CHECKING:
    from authstore.testing.model import StoreModel

__all__ = [
    "AccountsContract",
    "AdapterContract",
    "AuthenticatorsContract",
    "CancellationContract",
    "ContractBase",
    "CounterContract",
    "EmailContract",
    "EndingsContract",
    "EventsContract",
    "GrantsContract",
    "IntegrityContract",
    "IsolationContract",
    "KnownAccountContract",
    "KnownAddressContract",
    "NestedTransactionsContract",
    "NewAccountContract",
    "PruneContract",
    "RefreshContract",
    "RevocationContract",
    "RolesContract",
    "RotationContract",
    "SessionChangesContract",
    "SessionExpiryContract",
    "SessionsContract",
    "SlowRefreshContract",
    "StoreModel",
    "TransactionsContract",
    "UpkeepContract",
    "UserChangesContract",
    "UsersContract",
    "ValuesContract",
    "VerificationTokensContract",
    "VisitsContract",
]


class AdapterContract(
    UsersContract,
    UserChangesContract,
    EmailContract,
    AccountsContract,
    RefreshContract,
    KnownAccountContract,
    KnownAddressContract,
    NewAccountContract,
    SessionsContract,
    SessionExpiryContract,
    SessionChangesContract,
    EndingsContract,
    RotationContract,
    VisitsContract,
    VerificationTokensContract,
    AuthenticatorsContract,
    CounterContract,
    RolesContract,
    GrantsContract,
    ValuesContract,
    PruneContract,
    UpkeepContract,
    TransactionsContract,
    NestedTransactionsContract,
    IsolationContract,
    CancellationContract,
    IntegrityContract,
):
    """Every rule of the contract that one process can check.

        class TestMyAdapter(AdapterContract):
            @pytest.fixture
            async def adapter(self, clock):
                async with open_my_store(clock=clock) as store:
                    yield store

    `adapter` gives an open, empty store whose "now" is the given `clock`.
    """


def __getattr__(name: str) -> Any:
    # Whoever wants the rules alone needs no Hypothesis.
    if name != "StoreModel":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from authstore.testing.model import StoreModel

    return StoreModel
