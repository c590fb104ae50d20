"""Whatever the driver raises, the caller gets one of ours: told by its code, never by its text."""

import inspect
import ssl

import asyncpg
import pytest

from authstore.backends.postgres.errors import DRIVER_ERRORS, is_gone, is_lost_race, ours, translated
from authstore.errors import (
    AuthStoreError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    StoreBusyError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreUnavailableError,
)

KINDS = [
    kind
    for _, kind in inspect.getmembers(asyncpg.exceptions, inspect.isclass)
    if issubclass(kind, Exception) and not issubclass(kind, Warning)
]
EXPECTED = {
    "23505": ConflictError,
    "23503": NotFoundError,
    "23514": StoreError,
    "25006": StoreUnavailableError,
    "28P01": ConfigurationError,
    "40001": StoreBusyError,
    "40P01": StoreBusyError,
    "42501": StoreReadOnlyError,
    "53100": StoreFullError,
    "55P03": StoreBusyError,
    "57014": StoreBusyError,
    "57P01": StoreUnavailableError,
    "57P03": StoreUnavailableError,
    "08006": StoreUnavailableError,
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_the_driver_has_becomes_one_of_ours(kind: type[Exception]) -> None:
    with pytest.raises(AuthStoreError) as translation, translated():
        raise kind("a secret of the driver")
    assert "secret" not in str(translation.value)
    state = getattr(kind, "sqlstate", None)
    if state in EXPECTED:
        assert type(translation.value) is EXPECTED[state]


def test_every_code_expected_is_among_them() -> None:
    assert set(EXPECTED) <= {getattr(kind, "sqlstate", None) for kind in KINDS}


@pytest.mark.parametrize(
    "error", [ConnectionResetError(), TimeoutError(), OSError(113, "x"), asyncpg.InternalClientError("x")], ids=repr
)
def test_an_error_without_a_code_is_a_server_that_is_gone(error: Exception) -> None:
    assert isinstance(error, DRIVER_ERRORS)
    assert is_gone(error)
    assert type(ours(error)) is StoreUnavailableError


def test_a_certificate_that_is_not_trusted_is_a_matter_of_settings() -> None:
    error = ssl.SSLCertVerificationError("self-signed")
    assert not is_gone(error)
    assert type(ours(error)) is ConfigurationError


def test_what_is_run_again_is_a_lost_race_and_no_other() -> None:
    lost = {kind.__name__ for kind in KINDS if is_lost_race(kind("x"))}
    assert lost == {
        "SerializationError",
        "DeadlockDetectedError",
        "UniqueViolationError",
        "ForeignKeyViolationError",
        "InvalidCachedStatementError",
    }
