"""The `Adapter`, written once, on the verbs of a `Database`."""

from authstore.store.authenticators import AuthenticatorStore
from authstore.store.maintenance import MaintenanceStore
from authstore.store.notes import NotesStore
from authstore.store.refresh import RefreshStore
from authstore.store.roles import RoleStore
from authstore.store.sessions.writing import SessionStore
from authstore.store.shared import StoreBase
from authstore.store.sign_in import SignInStore
from authstore.store.users import UserStore
from authstore.store.verification_tokens import VerificationTokenStore
from authstore.store.visits import VisitStore


class Store(
    UserStore,
    RefreshStore,
    SignInStore,
    SessionStore,
    VisitStore,
    VerificationTokenStore,
    AuthenticatorStore,
    RoleStore,
    MaintenanceStore,
    NotesStore,
):
    """A whole store on any backend. Made by `authstore.connect`."""


__all__ = ["Store", "StoreBase"]
