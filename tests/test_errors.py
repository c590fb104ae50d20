"""The error tree: drawn, complete, exported, safe to send to another process."""

import copy
import inspect
import pickle

import pytest

import authstore
from authstore import errors
from authstore.errors import AccountLinkedError, AuthStoreError, ChangesLostError

OURS = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, BaseException) and kind.__module__ == errors.__name__
]  # fmt: skip

PARENTS = {
    "AuthStoreError": "Exception",
    "ConfigurationError": "AuthStoreError",
    "KeyUnavailableError": "ConfigurationError",
    "NotSupportedError": "ConfigurationError",
    "ConflictError": "AuthStoreError",
    "EmailTakenError": "ConflictError",
    "AccountLinkedError": "ConflictError",
    "NotFoundError": "AuthStoreError",
    "UserNotFoundError": "NotFoundError",
    "AccountNotFoundError": "NotFoundError",
    "RoleNotFoundError": "NotFoundError",
    "AuthenticatorNotFoundError": "NotFoundError",
    "InvalidEmailError": "AuthStoreError",
    "UserDisabledError": "AuthStoreError",
    "AccountNotLinkedError": "AuthStoreError",
    "CounterError": "AuthStoreError",
    "SchemaError": "AuthStoreError",
    "StoreError": "AuthStoreError",
    "StoreNotFoundError": "StoreError",
    "StoreClosedError": "StoreError",
    "StoreReadOnlyError": "StoreError",
    "StoreFullError": "StoreError",
    "StoreCorruptError": "StoreError",
    "StoreBusyError": "StoreError",
    "StoreMisuseError": "StoreError",
    "StoreUnavailableError": "StoreError",
    "ChangesLostError": "StoreError",
    "UnknownOutcomeError": "StoreError",
}


def _made(kind: type[AuthStoreError]) -> AuthStoreError:
    needed: dict[type[AuthStoreError], dict[str, object]] = {
        AccountLinkedError: {"user_id": "u1"},
        ChangesLostError: {"first": 7},
    }
    return kind("told so", **needed.get(kind, {}))


def test_the_tree_is_the_one_that_is_documented():
    assert {kind.__name__: kind.__bases__[0].__name__ for kind in OURS} == PARENTS


@pytest.mark.parametrize("name", PARENTS)
def test_every_error_is_drawn_at_the_top_of_the_module(name: str):
    assert errors.__doc__ is not None
    assert name in errors.__doc__.split()


@pytest.mark.parametrize("kind", OURS)
def test_every_error_is_exported_and_explained(kind: type[AuthStoreError]):
    assert getattr(authstore, kind.__name__) is kind
    assert kind.__doc__
    assert kind.__name__.endswith("Error")


@pytest.mark.parametrize("kind", OURS)
def test_every_error_says_in_a_sentence_of_its_own_what_to_do(kind: type[AuthStoreError]):
    assert "hint" in vars(kind)
    assert _made(kind).hint == kind.hint
    assert [other for other in OURS if other.hint == kind.hint] == [kind]


@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_every_error_survives_the_way_to_another_process(kind: type[AuthStoreError], copied):
    error = _made(kind)
    again = copied(error)
    assert type(again) is kind
    assert str(again) == "told so"
    assert again.__dict__ == error.__dict__


def test_a_nearer_hint_goes_with_its_error():
    error = AuthStoreError("told so")
    error.hint = "do this"
    assert pickle.loads(pickle.dumps(error)).hint == "do this"
    assert AuthStoreError("told so").hint != "do this"


def test_the_owner_of_a_linked_account_is_told():
    assert AccountLinkedError("taken", user_id="u1").user_id == "u1"
