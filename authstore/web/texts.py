"""Every sentence a person reads on the pages and in the letters, in English.

`Auth(texts={"sign_in.title": "Anmelden", …})` replaces single ones. What stands in braces is filled in with
`str.format`. Plain text, never HTML.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

TEXTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "language": "en",
        "direction": "ltr",
        "skip": "Skip to content",
        "sign_out": "Sign out",
        # sign_in.html
        "sign_in.title": "Sign in",
        "sign_in.to": "to continue to {app_name}",
        "sign_in.with": "Continue with {provider}",
        "sign_in.passkey": "Sign in with a passkey",
        "sign_in.or": "or",
        "sign_in.nothing": "No way to sign in is set up yet.",
        "email.label": "E-mail address",
        "email.placeholder": "you@example.com",
        "email.send": "E-mail me a link",
        # check_mail.html
        "check_mail.title": "Check your e-mail",
        "check_mail.text": "If you can sign in with that address, a link is on its way to it.",
        "check_mail.minutes": "It works once, for {minutes} minutes.",
        "check_mail.spam": "Nothing there? Look among the spam, or try again in a few minutes.",
        "check_mail.back": "Back to sign-in",
        # confirm.html
        "confirm.title": "Almost there",
        "confirm.text": "You are about to sign in to {app_name} in this browser as",
        "confirm.button": "Sign in",
        "confirm.warning": "You did not ask for this? Close the page: nothing has happened.",
        # devices.html
        "devices.title": "Your account",
        "devices.sessions": "Devices",
        "devices.sessions.hint": "Where you are signed in right now.",
        "devices.this": "This device",
        "devices.unknown": "Unknown device",
        "devices.last_used": "Last used {time}",
        "devices.since": "signed in {time}",
        "devices.revoke": "Sign out",
        "devices.revoke.named": "Sign out {device}",
        "devices.revoke.others": "Sign out all other devices",
        "devices.accounts": "Linked accounts",
        "devices.accounts.hint": "Each of these signs you in.",
        "devices.accounts.none": "No account is linked yet.",
        "devices.link": "Link {provider}",
        "devices.unlink": "Unlink",
        "devices.unlink.named": "Unlink {provider}",
        "devices.passkeys": "Passkeys",
        "devices.passkeys.hint": "Sign in with your fingerprint, face or screen lock: nothing to remember.",
        "devices.passkeys.add": "Add a passkey",
        "devices.passkeys.unnamed": "Passkey",
        "devices.passkeys.added": "Added {time}",
        "devices.passkeys.used": "last used {time}",
        "devices.passkeys.unused": "not used yet",
        "devices.remove": "Remove",
        "devices.remove.named": "Remove {passkey}",
        "devices.last_way": "Your only way in",
        # passkey.js
        "passkey.failed": "That did not work. Try again, or sign in another way.",
        "passkey.cancelled": "Cancelled, or there is no passkey for this site on this device.",
        "passkey.exists": "This device already has a passkey for you.",
        # error.html
        "error.back": "Back to sign-in",
        "error.home": "Go to {app_name}",
        # the letter
        "mail.subject": "Sign in to {app_name}",
        "mail.text": "Follow this link to sign in to {app_name}:",
        "mail.button": "Sign in to {app_name}",
        "mail.minutes": "It works once, for {minutes} minutes.",
        "mail.ignore": "You did not ask for it? Then ignore this letter: nothing happens.",
    }
)
