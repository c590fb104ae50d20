"""Stretches of rows: what the ledger keeps of them."""

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from authstore.mover.batches import Key


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive rows of a table up to `last_key`, and the digest of their digests (which stay in the file)."""

    number: int
    last_key: Key
    rows: int
    digest: bytes

    def holds(self, digests: Sequence[str]) -> bool:
        """Whether rows with these digests are the ones."""
        return len(digests) == self.rows and digest_of(joined_digests(digests)) == self.digest


def joined_digests(digests: Sequence[str]) -> bytes:
    """As bytes, one behind the other."""
    return bytes.fromhex("".join(digests))


def digest_of(digests: bytes) -> bytes:
    """Of a stretch: the digest of the digests of its rows."""
    return hashlib.md5(digests, usedforsecurity=False).digest()


def written_key(key: Key) -> str:
    """A key as the ledger has it."""
    return json.dumps([{"bytes": b64encode(part).decode()} if isinstance(part, bytes) else part for part in key])


def read_key(text: str) -> Key:
    """The key that was written so."""
    parts: list[Any] = json.loads(text)
    return tuple(b64decode(part["bytes"]) if isinstance(part, dict) else part for part in parts)
