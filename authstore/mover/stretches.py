"""Stretches of rows: what the ledger keeps of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

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
