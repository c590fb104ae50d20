"""The machine finds what goes wrong where no single rule looks, and says what it needs."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from authstore import Adapter, SessionPolicy, connect
from authstore.adapter import UNSET
from authstore.expiry import is_session_alive
from authstore.sql import queries
from authstore.store import pruning
from authstore.testing import Clock
from authstore.testing.model import FaultsModel, IdentitiesModel, ModelBase, SessionsModel, TokensModel, VisitsModel

OFTEN = settings(
    max_examples=200,
    stateful_step_count=40,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def _sql(name: str, old: str, new: str) -> Callable[[pytest.MonkeyPatch], None]:
    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        query = getattr(queries, name)
        assert old in query.sqlite
        monkeypatch.setattr(query, "sqlite", query.sqlite.replace(old, new))

    return patch


def _never_idle(policy: SessionPolicy, now: datetime, *, expires: datetime, **_: Any) -> bool:
    return now < expires


def _until_its_end(policy: SessionPolicy, now: datetime, **times: datetime) -> bool:
    return is_session_alive(policy, now - timedelta(microseconds=1), **times)


def _values(merge: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in merge.items() if value is not UNSET}


FAULTS: dict[str, tuple[type[ModelBase], Callable[[pytest.MonkeyPatch], None]]] = {
    "idleness forgotten": (
        SessionsModel,
        lambda patch: patch.setattr("authstore.store.sessions.reading.is_session_alive", _never_idle),
    ),
    "theft that ends nothing": (
        SessionsModel,
        lambda patch: patch.setattr("authstore.store.sessions.endings.is_row_alive", lambda *_: False),
    ),
    "a grace that is over at once": (
        SessionsModel,
        lambda patch: patch.setattr("authstore.store.sessions.writing.end_of", lambda start, _: start),
    ),
    "a grace that another rotation does not end": (SessionsModel, _sql("end_graces", "AND at > :now", "AND at < :now")),
    "an ending that is told as a death": (SessionsModel, _sql("note_ending", "expires > :now", "expires < :now")),
    "an event that is shown twice": (
        SessionsModel,
        _sql("list_events", "changes.seq > :after", "changes.seq >= :after"),
    ),
    "a visit whose use is not noted": (
        VisitsModel,
        _sql("update_visit", "last_used_at = :last_used_at", "last_used_at = max(last_used_at, created_at)"),
    ),
    "a visit that keeps its old token": (
        VisitsModel,
        _sql("update_visit", "token_hash = :token_hash, token_indexed = :token_indexed,", ""),
    ),
    "a visit that lives on at its last instant": (
        VisitsModel,
        lambda patch: patch.setattr("authstore.store.visits.is_session_alive", _until_its_end),
    ),
    "a change that replaces what a visit holds": (
        VisitsModel,
        lambda patch: patch.setattr("authstore.store.visits.laid_over", lambda _, merge: _values(merge)),
    ),
    "visits that nobody prunes": (
        VisitsModel,
        lambda patch: patch.setattr(pruning, "_ROUND", [leg for leg in pruning._ROUND if leg.table != "visits"]),
    ),
    "six tokens": (
        TokensModel,
        lambda patch: patch.setattr("authstore.store.verification_tokens.OUTSTANDING", 6),
    ),
    "tokens that go by the clock": (
        TokensModel,
        _sql("delete_excess_verification_tokens", "ORDER BY id DESC", "ORDER BY created_at DESC, id DESC"),
    ),
    "users listed backwards": (FaultsModel, _sql("list_users", "ORDER BY id", "ORDER BY id DESC")),
    "a savepoint undone and not released": (
        FaultsModel,
        lambda patch: patch.setattr(
            "authstore.backends.sqlite.transaction._undo", lambda connection: connection.execute("ROLLBACK TO nested")
        ),
    ),
    "permissions of the disabled": (IdentitiesModel, _sql("has_permission", "AND NOT users.disabled", "")),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str, monkeypatch: pytest.MonkeyPatch):
    part, break_it = FAULTS[fault]

    class Model(part):  # type: ignore[misc, valid-type]  # one of a few classes
        def open(self, clock: Clock, policy: SessionPolicy) -> AbstractAsyncContextManager[Adapter]:
            return connect("sqlite://", clock=clock, policy=policy)

    break_it(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        run_state_machine_as_test(Model, settings=OFTEN)


def test_without_hypothesis_the_rules_work_and_the_machine_says_what_to_install():
    program = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "from authstore.testing import AdapterContract, contract\n"
        "assert issubclass(AdapterContract, contract.UsersContract)\n"
        "try:\n"
        "    contract.StoreModel\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "hypothesis is not installed: pip install 'authstore[testing]'\n"


def test_what_is_no_part_of_the_suite_is_an_attribute_error():
    from authstore.testing import contract

    with pytest.raises(AttributeError, match="nonsense"):
        contract.nonsense  # noqa: B018 - looking is the test
