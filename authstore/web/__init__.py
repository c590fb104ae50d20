"""Sign-in for Starlette and FastAPI, safe by default, on any `authstore.Adapter` (extra `authstore[web]`)."""

from authstore import extras

try:
    from authstore.web.auth import Auth
    from authstore.web.email.mailers import ConsoleMailer, Mailer, SmtpMailer
    from authstore.web.former import FormerCookie, better_auth_cookie, express_cookie, flask_cookie
    from authstore.web.guards import page_user
    from authstore.web.identity import Identity, invited_only
    from authstore.web.oauth.apple import apple_secret
    from authstore.web.oauth.client import ProviderError
    from authstore.web.oauth.presets import (
        apple,
        auth0,
        cognito,
        discord,
        facebook,
        github,
        gitlab,
        google,
        keycloak,
        linkedin,
        microsoft,
        okta,
        slack,
        spotify,
        twitch,
        twitter,
    )
    from authstore.web.oauth.provider import Provider, ProviderOptions, oauth2, oidc
    from authstore.web.options import Hooks, Http, Limits, Look, Storage
    from authstore.web.redirects import safe_next
    from authstore.web.texts import ENGLISH, FRENCH, GERMAN, JAPANESE, LANGUAGES, SPANISH, Texts
    from authstore.web.visitors.visits import BrowserSession, Flash
except ModuleNotFoundError as error:
    raise extras.missing(error, "web") from None

__all__ = [
    "ENGLISH",
    "FRENCH",
    "GERMAN",
    "JAPANESE",
    "LANGUAGES",
    "SPANISH",
    "Auth",
    "BrowserSession",
    "ConsoleMailer",
    "Flash",
    "FormerCookie",
    "Hooks",
    "Http",
    "Identity",
    "Limits",
    "Look",
    "Mailer",
    "Provider",
    "ProviderError",
    "ProviderOptions",
    "SmtpMailer",
    "Storage",
    "Texts",
    "apple",
    "apple_secret",
    "auth0",
    "better_auth_cookie",
    "cognito",
    "discord",
    "express_cookie",
    "facebook",
    "flask_cookie",
    "github",
    "gitlab",
    "google",
    "invited_only",
    "keycloak",
    "linkedin",
    "microsoft",
    "oauth2",
    "oidc",
    "okta",
    "page_user",
    "safe_next",
    "slack",
    "spotify",
    "twitch",
    "twitter",
]
