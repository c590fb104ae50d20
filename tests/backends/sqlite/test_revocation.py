"""A ledger of acknowledged revocations, kept by other processes: a store, and plain SQL, both killed at random."""

import random
import sqlite3
import time
from contextlib import AbstractAsyncContextManager, closing
from functools import partial
from pathlib import Path

import pytest

from authstore import Adapter, connect
from authstore.testing.contract import RevocationContract
from authstore.testing.contract.revocation import Open, Revoke, Revoking, note

WAYS = (
    "DELETE FROM sessions WHERE id = :id",
    "UPDATE sessions SET expires = created_at WHERE id = :id",
    "UPDATE OR REPLACE sessions SET token_hash = randomblob(32) WHERE id = :id",
    "INSERT OR REPLACE INTO sessions (id, token_hash, user_id, expires, created_at, last_used_at, authenticated_at)"
    " SELECT id, randomblob(32), user_id, created_at, created_at, created_at, created_at FROM sessions WHERE id = :id",
)


def opened(path: Path) -> AbstractAsyncContextManager[Adapter]:
    """The store with its cache."""
    return connect(path, cache=1000)


class PlainSql:
    """Ends sessions by plain SQL, in one way after another."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, ledger: Path, user_id: str) -> None:
        """Runs until it is killed."""
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=30)) as connection:
            while True:
                time.sleep(0.02)
                found = connection.execute(
                    "SELECT id FROM sessions WHERE user_id = ? AND expires > created_at ORDER BY id DESC LIMIT 20",
                    (user_id,),
                ).fetchall()
                for (session_id,) in random.sample(found, min(3, len(found))):
                    connection.execute(random.choice(WAYS), {"id": session_id})
                    note(ledger, session_id)


class TestACachedFile(RevocationContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Open:
        return partial(opened, tmp_path / "auth.db")

    @pytest.fixture
    def revokers(self, open_store: Open, tmp_path: Path) -> list[Revoke]:
        return [Revoking(open_store), PlainSql(tmp_path / "auth.db")]
