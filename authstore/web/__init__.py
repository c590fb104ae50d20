"""Sign-in for Starlette and FastAPI, safe by default, on any `authstore.Adapter` (extra `authstore[web]`)."""

from authstore.web.auth import Auth
from authstore.web.identity import Identity
from authstore.web.mailers import ConsoleMailer, Mailer, SmtpMailer
from authstore.web.oauth import ProviderError
from authstore.web.providers import (
    Provider,
    apple,
    discord,
    github,
    gitlab,
    google,
    microsoft,
    oauth2,
    oidc,
)
from authstore.web.redirects import safe_next
from authstore.web.texts import ENGLISH, Texts

__all__ = [
    "ENGLISH",
    "Auth",
    "ConsoleMailer",
    "Identity",
    "Mailer",
    "Provider",
    "ProviderError",
    "SmtpMailer",
    "Texts",
    "apple",
    "discord",
    "github",
    "gitlab",
    "google",
    "microsoft",
    "oauth2",
    "oidc",
    "safe_next",
]
