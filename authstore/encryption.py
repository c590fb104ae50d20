"""Provider tokens encrypted at rest: AES-256-GCM (NIST SP 800-38D), bound to the row and column they stand in.

A sealed value is: version byte, 8 bytes of key id, 12 bytes of nonce, ciphertext with its tag. The nonce is
random, so one key is good for 2³² values.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from authstore.errors import ConfigurationError, KeyUnavailableError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MIN_KEY_LENGTH = 32

_VERSION = b"\x01"
_ID = slice(1, 9)
_NONCE = slice(9, 21)
_SEALED = slice(21, None)


class Cipher:
    """Seals with the newest key and opens with any: the list is the rotation."""

    def __init__(self, keys: Sequence[str | bytes]) -> None:
        """`keys`: secrets of at least 32 characters, newest first. Raises `ConfigurationError`."""
        if isinstance(keys, (str, bytes)) or not isinstance(keys, Sequence):
            raise ConfigurationError("keys is a list of secrets, newest first: neither one secret nor a set of them")
        derived = [_derive(_checked(key)) for key in keys]
        self._keys: dict[bytes, AESGCM] = dict(reversed(derived))
        self._newest = derived[0][0] if derived else b""

    def __repr__(self) -> str:
        return f"<Cipher with {len(self._keys)} keys>"

    @property
    def prefix(self) -> bytes:
        """What every value sealed now begins with; empty without keys."""
        return _VERSION + self._newest if self._keys else b""

    def is_known(self, prefix: bytes) -> bool:
        """Whether what begins so was sealed under one of the keys."""
        return prefix[:1] == _VERSION and prefix[_ID] in self._keys

    def seal(self, text: str, *, row: str, column: str) -> bytes:
        """The encrypted form of `text`, good for this row and column only."""
        nonce = os.urandom(12)
        sealed = self._keys[self._newest].encrypt(nonce, text.encode(), _place(row, column))
        return self.prefix + nonce + sealed

    def open(self, value: bytes, *, row: str, column: str) -> str:
        """The text of a sealed value.

        Raises `KeyUnavailableError` where its key was not given, or it does not stand where it was sealed.
        """
        key = self._keys.get(value[_ID])
        if value[:1] != _VERSION or key is None:
            raise KeyUnavailableError(f"{column} is encrypted under a key that was not given: pass it in keys=")
        from cryptography.exceptions import InvalidTag

        try:
            return key.decrypt(value[_NONCE], value[_SEALED], _place(row, column)).decode()
        except (InvalidTag, ValueError):
            raise KeyUnavailableError(f"{column} was not encrypted for this row, or was altered") from None


def _checked(key: str | bytes) -> bytes:
    if not isinstance(key, (str, bytes)) or len(key) < MIN_KEY_LENGTH:
        raise ConfigurationError(f"every key must be str or bytes of at least {MIN_KEY_LENGTH} characters")
    return key.encode() if isinstance(key, str) else key


def _derive(secret: bytes) -> "tuple[bytes, AESGCM]":
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    except ImportError:
        raise ConfigurationError("keys= needs the extra: pip install 'authstore[crypto]'") from None
    material = HKDF(algorithm=SHA256(), length=40, salt=None, info=b"authstore provider tokens").derive(secret)
    return material[:8], AESGCM(material[8:])


def _place(row: str, column: str) -> bytes:
    return f"accounts\0{row}\0{column}".encode()
