"""What a login refuses, as one error that becomes a page or a JSON answer."""

from collections.abc import Mapping
from typing import Final

from authstore.errors import (
    AccountLinkedError,
    AccountNotLinkedError,
    AuthStoreError,
    CounterError,
    InvalidEmailError,
    NotFoundError,
    StoreError,
    UserDisabledError,
)

RETRY_AFTER: Final = "60"  # seconds, of a 429 or 503


class RefusedError(Exception):
    """This request is refused: `code` names the sentence in `Texts` (`error_<code>`), `status` the HTTP status.

    `provider` is the label of the provider concerned, where there is one. `is_unknown`: what was presented is not known
    here, so whoever keeps it may forget it.
    """

    def __init__(self, code: str, status: int = 400, *, provider: str = "", is_unknown: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.provider = provider
        self.is_unknown = is_unknown


_OURS: Final[Mapping[type[AuthStoreError], tuple[str, int]]] = {
    AccountNotLinkedError: ("not_linked", 409),
    AccountLinkedError: ("linked_elsewhere", 409),
    UserDisabledError: ("disabled", 403),
    InvalidEmailError: ("email", 400),
    CounterError: ("passkey", 400),
    NotFoundError: ("flow", 400),
    StoreError: ("unavailable", 503),
}


def refusal_of(error: AuthStoreError, *, provider: str = "") -> RefusedError | None:
    """What a person is told about an error of the store; `None` where it is a fault of the program."""
    for kind, (code, status) in _OURS.items():
        if isinstance(error, kind):
            return RefusedError(code, status, provider=provider)
    return None
