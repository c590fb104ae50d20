"""Secrets nobody has asked for: columns that hold them, and tables that look like sessions or tokens."""

import re
from collections.abc import Iterable
from typing import Literal

from authstore.mover.catalog import SourceColumn, SourceTable
from authstore.mover.names import label
from authstore.mover.recognition.aliases import normalised, words
from authstore.mover.recognition.matching import says
from authstore.mover.reports import Problem

_RAW = re.compile(
    r"(token|tokensecret|secret|secretkey|clientsecret|apikey|privatekey|signingkey|accesskey|sessionkey|sessionsecret"
    r"|totpsecret|otp|otpcode|pwd|passwd|password|passphrase|passcode|backupcodes?|recoverycodes?"
    r"|devicecode|authcode|authorizationcode|verificationcode|confirmationcode|resetcode|codeverifier|jwt)(plain|value|s)?"
)
_HASHED = re.compile(
    r".*(password|passwd|secret|token|key|code).*(hash|digest|hashed|bcrypt|argon2)|hashedpassword|salt"
)
_EXPIRY = re.compile(r"expires?(at|on|in|date|time)?|expiry(date)?|expiration(date|time)?|validuntil|maxage|ttl")
_SESSION_STORE = frozenset({"sid", "sess", "sessionkey", "sessiondata", "sessionid"})
_ABOUT_SECRETS = (
    "session", "token", "verification", "otp", "nonce", "passwordreset", "magiclink", "apikey", "credential", "secret",
)  # fmt: skip
_TEXTS = frozenset(
    {"text", "varchar", "bpchar", "citext", "uuid", "bytea", "json", "jsonb", "hstore", "_text", "_varchar"}
)


def is_secret(column: SourceColumn) -> bool:
    """Whether a column of an auth table seems to hold a secret, hashed passwords included."""
    name = normalised(column.name)
    return column.base in _TEXTS and bool(_is_raw(column) or _HASHED.fullmatch(name))


def suspicions(table: SourceTable, secrets: Literal["stop", "keep", "drop"]) -> tuple[Problem, ...]:
    """What speaks against carrying this table over as it is: raw secrets are never carried over unnoticed."""
    about = says(table, _ABOUT_SECRETS)
    raw = tuple(c.name for c in table.columns if _is_raw(c) or (about and _is_bare(c)))
    if _looks_like_sessions(table, raw, about):
        return (_unrecognised(table, raw),)
    return (_secret(table, raw, secrets),) if raw else ()


def _is_raw(column: SourceColumn) -> bool:
    name = normalised(column.name)
    if column.base not in _TEXTS or column.kind == "e":
        return False
    return any(_RAW.fullmatch(name[start:]) for start in _starts(column.name)) and not _HASHED.fullmatch(name)


def _starts(name: str) -> Iterable[int]:
    # Where words begin in the normalised name, so that "resetToken" ends in a token and "detoken" does not.
    position = 0
    for word in words(name):
        yield position
        position += len(word)


def _is_bare(column: SourceColumn) -> bool:
    return column.base in _TEXTS and normalised(column.name) in {"key", "code"}


def _looks_like_sessions(table: SourceTable, raw: tuple[str, ...], about: bool) -> bool:
    names = {normalised(column.name) for column in table.columns}
    expires = any(_EXPIRY.fullmatch(name) for name in names) or (about and any(map(_ends_in_expiry, table.columns)))
    keeps_sessions = about and len(names & _SESSION_STORE) > 1 and not table.references
    return keeps_sessions or (expires and (about or bool(raw))) or (about and bool(raw))


def _ends_in_expiry(column: SourceColumn) -> bool:
    name = normalised(column.name)
    return any(_EXPIRY.fullmatch(name[start:]) for start in _starts(column.name))


def _unrecognised(table: SourceTable, raw: tuple[str, ...]) -> Problem:
    name = label(table.schema, table.name)
    seen = f" ({', '.join(raw)})" if raw else ""
    message = (
        f"{name} looks like sessions or tokens{seen} and is not recognised: give it a role in a --profile, "
        f'carry it as it is with carry = ["{name}"] there, or leave it with --skip {table.name}'
    )
    return Problem("unrecognised", name, message, decision="profile", stops=True)


def _secret(table: SourceTable, raw: tuple[str, ...], secrets: str) -> Problem:
    name = label(table.schema, table.name)
    if secrets == "keep":
        return Problem("secret", name, f"{', '.join(raw)} of {name} carried over as it is", decision="secrets")
    message = (
        f"{name} has a column for secrets ({', '.join(raw)}): carry the table as it is with --secrets keep "
        f'or carry = ["{name}"] in a --profile, or leave it with --skip {table.name}'
    )
    return Problem("secret", name, message, decision="secrets", stops=True)
