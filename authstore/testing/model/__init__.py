"""The contract as a machine: whatever is done in whatever order while the clock moves, a store is what plain
dictionaries say it is. Needs Hypothesis (extra `authstore[testing]`)."""

from authstore import extras

try:
    from authstore.testing.model.faults import FaultsModel
    from authstore.testing.model.identities import IdentitiesModel
    from authstore.testing.model.machine import ModelBase
    from authstore.testing.model.sessions import SessionsModel
    from authstore.testing.model.tokens import TokensModel
    from authstore.testing.model.visits import VisitsModel
except ModuleNotFoundError as error:
    raise extras.missing(error, "testing") from None

__all__ = ["FaultsModel", "IdentitiesModel", "ModelBase", "SessionsModel", "StoreModel", "TokensModel", "VisitsModel"]


class StoreModel(SessionsModel, VisitsModel, TokensModel, IdentitiesModel, FaultsModel):
    """The whole contract, on one store or on two that share a database.

        class MyStoreModel(StoreModel):
            def open(self, clock, policy):
                return open_my_store(clock=clock, policy=policy)

        TestMyStoreModel = MyStoreModel.TestCase

    Each example opens an empty store by `open`. Where the adapter offers it, `open_beside` opens a second one on the
    same database, and calls go to both in turn; `failing` makes writes fail. Each of its parts, `SessionsModel`,
    `VisitsModel`, `TokensModel`, `IdentitiesModel` and `FaultsModel`, can be run alone, and looks deeper then.
    """
