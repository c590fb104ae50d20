"""What a provider can get wrong, by accident or on purpose: a login must refuse every one of these.

Sources: OpenID Connect Core 1.0 §3.1.3.7 (ID tokens), RFC 9207 (mix-up), RFC 9700 (OAuth security), RFC 8725 (JWT).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal

Signature = Literal["honest", "none", "stranger", "public-key-as-secret"]

_AGO: Final = -int(timedelta(hours=2).total_seconds())


@dataclass(frozen=True, slots=True)
class Lies:
    """How a provider deviates from the truth; the default is an honest one.

    The mappings are laid over what it would have said, and `None` leaves a member out. `shifts` are seconds added
    to a time claim. `error` is sent back instead of a code. `delay` is waited, in seconds, before the token endpoint
    answers; `status` and `body` replace that answer.
    """

    claims: Mapping[str, Any] = field(default_factory=dict)
    shifts: Mapping[str, int] = field(default_factory=dict)
    signature: Signature = "honest"
    id_token: bool = True
    userinfo: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    response: Mapping[str, str | None] = field(default_factory=dict)
    ignore_pkce: bool = False
    error: str | None = None
    delay: float = 0.0
    status: int = 200
    body: bytes | None = None


def overlaid(truth: Mapping[str, Any], lie: Mapping[str, Any]) -> dict[str, Any]:
    """The truth with the lie laid over it; what the lie calls `None` is left out."""
    return {key: value for key, value in {**truth, **lie}.items() if value is not None}


# Each of them must end in "not signed in".
FORGERIES: Final[Mapping[str, Lies]] = {
    "an ID token for another client": Lies(claims={"aud": "another-client"}),
    "an ID token for several clients, authorized to another": Lies(
        claims={"aud": ["client", "another-client"], "azp": "another-client"}
    ),
    "an ID token for another client that names us as the authorized party": Lies(
        claims={"aud": "another-client", "azp": "client"}
    ),
    "an ID token without an audience": Lies(claims={"aud": None}),
    "an ID token of another issuer": Lies(claims={"iss": "https://evil.example"}),
    "an ID token without an issuer": Lies(claims={"iss": None}),
    "an ID token of another browser's flow": Lies(claims={"nonce": "of-another-browser"}),
    "an ID token without a nonce": Lies(claims={"nonce": None}),
    "an ID token without a subject": Lies(claims={"sub": None}),
    "an ID token with an empty subject": Lies(claims={"sub": ""}),
    "an ID token whose subject is a number": Lies(claims={"sub": 7}),
    "an ID token that expired": Lies(shifts={"exp": _AGO, "iat": _AGO}),
    "an ID token without an expiry": Lies(claims={"exp": None}),
    "an ID token from tomorrow": Lies(shifts={"iat": 86_400, "exp": 86_400}),
    "an ID token for another access token": Lies(claims={"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}),
    "an unsigned ID token": Lies(signature="none"),
    "an ID token signed by a stranger": Lies(signature="stranger"),
    "an ID token signed with the public key as a shared secret": Lies(signature="public-key-as-secret"),
    "no ID token at all": Lies(id_token=False),
    "an answer that names another issuer": Lies(response={"iss": "https://evil.example"}),
    "an answer that names no issuer, though promised": Lies(response={"iss": None}),
    "an answer with a state of its own": Lies(response={"state": "made-up"}),
    "an answer without a state": Lies(response={"state": None}),
    "an answer without a code": Lies(response={"code": None}),
    "a code nobody was given": Lies(response={"code": "made-up"}),
    "metadata of another issuer": Lies(metadata={"issuer": "https://evil.example"}),
    "metadata, answer and ID token of another issuer": Lies(
        metadata={"issuer": "https://evil.example"},
        response={"iss": "https://evil.example"},
        claims={"iss": "https://evil.example"},
    ),
    "a token endpoint that fails": Lies(status=500, body=b'{"error": "server_error"}'),
    "a token endpoint that answers nonsense": Lies(body=b"<html>down for maintenance</html>"),
    "a refusal": Lies(error="access_denied"),
}
