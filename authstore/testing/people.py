"""Who has an account at the in-process OpenID provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from authstore.testing.lies import overlaid


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account at the provider; `extra` is laid over the user info."""

    sub: str
    email: str | None = None
    email_verified: Any = True
    name: str | None = None
    picture: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def claims(self, scope: str) -> dict[str, Any]:
        """What the scope lets the client know about this person."""
        claims: dict[str, Any] = {"sub": self.sub}
        if "email" in scope.split() and self.email is not None:
            claims |= {"email": self.email, "email_verified": self.email_verified}
        if "profile" in scope.split():
            claims |= overlaid({"name": self.name, "picture": self.picture}, {})
        return claims
