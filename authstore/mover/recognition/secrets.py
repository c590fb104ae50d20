"""Secrets nobody has asked for: columns that hold them, and tables that look like sessions or tokens.

By names, by columns that stand beside each other, and, for what neither shows, by what values look like.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from math import log2
from typing import Literal

from authstore.mover.catalog import QualifiedName, SourceColumn, SourceTable
from authstore.mover.names import label
from authstore.mover.recognition.aliases import normalised, words
from authstore.mover.recognition.matching import says
from authstore.mover.reports import Problem
from authstore.mover.type_names import JSONS, TEXTS

_RAW = re.compile(
    r"(token|tokensecret|secret|secretkey|clientsecret|apikey|privatekey|signingkey|accesskey|sessionkey|sessionsecret"
    r"|totpsecret|otp|otpcode|pwd|passwd|password|passphrase|passcode|backupcodes?|recoverycodes?"
    r"|devicecode|authcode|authorizationcode|verificationcode|confirmationcode|resetcode|codeverifier|jwt|cookie)(plain|value|s)?"
)
_HASHED = re.compile(
    r".*(password|passwd|secret|token|key|code).*(hash|digest|hashed|bcrypt|argon2)|hashedpassword|salt"
)
_SAYS_HASH = re.compile(
    r".*(password|passwd|secret|token|key|code).*(hash|digest|hashed|bcrypt|argon2)"
    r"|(hash|hashed|digest)(of)?(password|passwd|secret|token|key|code)"
)
# What hashes look like: hexadecimal digits or base64 of a digest's length, salt and digest, "$2b$…", "pbkdf2:…".
_HEX = r"(0x)?([0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{56}|[0-9a-fA-F]{64}|[0-9a-fA-F]{96}|[0-9a-fA-F]{128})"
_BASE64 = (
    r"[A-Za-z0-9+/_-]{22}(==)?|[A-Za-z0-9+/_-]{27}=?|[A-Za-z0-9+/_-]{43}=?|[A-Za-z0-9+/_-]{64}|[A-Za-z0-9+/_-]{86}(==)?"
)
_HASH = re.compile(
    rf"{_HEX}|{_BASE64}|[0-9a-fA-F]{{8,}}[:.$][0-9a-fA-F]{{32,}}"
    r"|[$!*].*|\{[\w.-]+\}.+|(?i:pbkdf2|scrypt|argon2|bcrypt|hmac|sha|md5|salted|crypt)[\w-]*[:$].+|md5[0-9a-f]{32}"
)
_LEAST_RAW = 16  # characters: shorter ones say that there is none
_EXPIRY = re.compile(
    r"(expires?|expired|expiry|expiration)(at|on|in|date|time)?|(valid|good)(until|till)|maxage|ttl|lifetime"
    r"|maxinactiveinterval|lastaccess(ed)?(time|at)?"
)
_SESSION_STORE = frozenset({
    "sid", "sess", "sessionkey", "sessiondata", "sessionid",
    "sessid", "sessdata", "sesslifetime", "sesstime", "sesskey",
})  # fmt: skip
_PRESENTED = frozenset({"sid", "sessionid", "sessid", "sessionkey", "sesskey"})
_KEPT_FOR_IT = frozenset({"data", "payload", "value", "content", "contents", "body", "json", "blob", "attributes"})
# By which a table may speak of a person: of tokens it is enough to be theirs.
_OF_AN_ID = frozenset({"userid", "useruuid", "accountid", "memberid", "customerid"})
_OF_A_PERSON = _OF_AN_ID | frozenset({
    "uid", "username", "useremail", "email", "login",
    "principal", "principalname", "subject", "identifier", "owner", "ownerid",
})  # fmt: skip
# What servers note of a browser (Laravel, CodeIgniter, Rails): two of these in a table about sessions, one of them
# nothing but a server's note.
_SERVERS_NOTE = frozenset({"ipaddress", "useragent", "payload", "lastactivity", "remoteaddr"})
_BESIDE = frozenset({"data", "timestamp", "ip", "userid"}) | _SERVERS_NOTE
_ABOUT_SECRETS = (
    "session", "token", "verification", "otp", "nonce", "passwordreset", "magiclink", "apikey", "credential", "secret",
)  # fmt: skip
_RANDOM = re.compile(r"[A-Za-z0-9_+/=.~%:-]{32,600}")
_ID = re.compile(r"(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|.*://.*|/.*|.*\.[a-z]{2,4}|[0-9]+")
_DIGEST = re.compile(
    r"hash|sha\d*|md5|checksum|digest|etag|fingerprint|filename|filepath|path|url|uri|commit|signature"
)
_BITS = 3.3  # a character: hexadecimal digits have almost 4, words of one language about as many, but no digits
SECRET_FIELDS = frozenset({"token", "access_token", "refresh_token", "id_token"})  # of the auth tables
_MAY_HOLD_SECRETS = TEXTS | JSONS | {"uuid", "bytea", "hstore", "_text", "_varchar"}


def is_secret(column: SourceColumn) -> bool:
    """Whether a column of an auth table seems to hold a secret, hashed passwords included."""
    return column.base in _MAY_HOLD_SECRETS and (_is_raw(column) or bool(_HASHED.fullmatch(normalised(column.name))))


def says_secret(name: str) -> bool:
    """Whether what is called so seems to be a secret, a hashed one included."""
    return bool(_HASHED.fullmatch(normalised(name))) or any(
        _RAW.fullmatch(normalised(name)[at:]) for at in _starts(name)
    )


def looks_random(values: Sequence[str]) -> bool:
    """Whether texts look like secrets somebody presents: long, different, letters and digits without an order.

    UUIDs, shorter ids, ids with the prefix of their maker and addresses of files or pages do not.
    """
    if not values or len(set(values)) < 0.9 * len(values):
        return False
    makers = {value.partition("_")[0] for value in values}
    if len(values) > 1 and len(makers) == 1 and min(makers).isalpha():
        return False
    return all(_RANDOM.fullmatch(value) and not _ID.fullmatch(value) for value in values) and _is_mixed(values)


def seems_raw(column: SourceColumn, values: Sequence[str]) -> bool:
    """Whether a column's values are secrets somebody presents, whatever its name says of them."""
    if _SAYS_HASH.fullmatch(normalised(column.name)):
        return any(len(value) >= _LEAST_RAW and not _HASH.fullmatch(value) for value in values)
    return looks_random(values)


def _is_mixed(values: Sequence[str]) -> bool:
    text = "".join(values)
    counts = Counter(text)
    bits = -sum(count / len(text) * log2(count / len(text)) for count in counts.values())
    digits = [sum(character.isdigit() for character in value) for value in values]
    return bits >= _BITS and min(digits) >= 2 and sum(digits) >= 0.08 * len(text)


def may_hold_tokens(table: SourceTable, people: Collection[QualifiedName]) -> tuple[SourceColumn, ...]:
    """The columns whose values are worth a look: texts in a table that speaks of a user (it refers to one of `people`)
    or of a browser, or whose rows end; and, wherever they are, hashes of secrets by their name."""
    names = {normalised(column.name) for column in table.columns}
    is_sure = bool(names & (_SERVERS_NOTE | _OF_AN_ID))
    is_theirs = any(one.table in people for one in table.references) or bool(names & _OF_A_PERSON)
    is_near = is_sure or is_theirs or any(map(_ends_in_expiry, table.columns))
    of_others = {name for one in table.references for name in one.columns}
    found_by = {name for key in table.keys for name in key.columns}

    def may(column: SourceColumn) -> bool:
        name = normalised(column.name)
        is_text = column.base in {"text", "varchar", "bpchar"}
        is_bytes = column.base == "bytea" and (is_sure or column.name in found_by)
        return (is_text or is_bytes) and bool(_SAYS_HASH.fullmatch(name) or (is_near and not _DIGEST.search(name)))

    return tuple(column for column in table.columns if column.name not in of_others and may(column))


def suspicions(table: SourceTable, secrets: Literal["stop", "keep", "drop"]) -> tuple[Problem, ...]:
    """What speaks against carrying this table over as it is: raw secrets are never carried over unnoticed."""
    about = says(table, _ABOUT_SECRETS) or _is_called_token(table)
    raw = tuple(c.name for c in table.columns if _is_raw(c) or (about and _is_bare(c)))
    if _looks_like_sessions(table, raw, about) or _hangs_on_users(table):
        return (unrecognised(table, raw),)
    return (_secret(table, raw, secrets),) if raw else ()


def _is_called_token(table: SourceTable) -> bool:
    """`accesstoken`, `RefreshTokens`: the last word says it, however it is written."""
    return re.fullmatch(r".*(token|secret|otp)s?", normalised(table.name)) is not None


def _hangs_on_users(table: SourceTable) -> bool:
    """Tokens of users, hashed or under a name that says nothing: whoever knew them may have lost them since."""
    names = {normalised(column.name) for column in table.columns}
    texts = [
        column
        for column in table.columns
        if column.base in _MAY_HOLD_SECRETS and normalised(column.name) not in _OF_A_PERSON
    ]
    return _is_called_token(table) and bool(names & _OF_A_PERSON) and bool(texts)


def _is_raw(column: SourceColumn) -> bool:
    name = normalised(column.name)
    if column.base not in _MAY_HOLD_SECRETS or column.kind == "e":
        return False
    return any(_RAW.fullmatch(name[start:]) for start in _starts(column.name)) and not _HASHED.fullmatch(name)


def _starts(name: str) -> Iterable[int]:
    # Where words begin in the normalised name, so that "resetToken" ends in a token and "detoken" does not.
    position = 0
    for word in words(name):
        yield position
        position += len(word)


def _is_bare(column: SourceColumn) -> bool:
    return column.base in _MAY_HOLD_SECRETS and normalised(column.name) in {"key", "code"}


def _looks_like_sessions(table: SourceTable, raw: tuple[str, ...], about: bool) -> bool:
    names = {normalised(column.name) for column in table.columns}
    expires = any(_EXPIRY.fullmatch(name) for name in names) or (about and any(map(_ends_in_expiry, table.columns)))
    keeps_sessions = about and len(names & _SESSION_STORE) > 1 and not table.references
    keeps_sessions |= about and bool(names & _PRESENTED) and bool(names & _KEPT_FOR_IT) and not table.references
    keeps_sessions |= about and bool(names & _SERVERS_NOTE) and len(names & _BESIDE) > 1
    return keeps_sessions or (expires and (about or bool(raw))) or (about and bool(raw))


def _ends_in_expiry(column: SourceColumn) -> bool:
    name = normalised(column.name)
    return any(_EXPIRY.fullmatch(name[start:]) for start in _starts(column.name))


def unrecognised(table: SourceTable, raw: tuple[str, ...]) -> Problem:
    """The problem that a table is which looks like sessions or tokens."""
    name = label(table.schema, table.name)
    seen = f" ({', '.join(raw)})" if raw else ""
    message = (
        f"{name} looks like sessions or tokens{seen} and is not recognised: give it a role in a `profile`, "
        f'carry it as it is with carry = ["{name}"] there, or leave it with `skip` {table.name}'
    )
    return Problem("unrecognised", name, message, decision="profile", stops=True)


def _secret(table: SourceTable, raw: tuple[str, ...], secrets: str) -> Problem:
    name = label(table.schema, table.name)
    if secrets == "keep":
        return Problem("secret", name, f"{', '.join(raw)} of {name} carried over as it is", decision="secrets")
    message = (
        f"{name} has a column for secrets ({', '.join(raw)}): carry the table as it is with `secrets` keep "
        f'or carry = ["{name}"] in a `profile`, or leave it with `skip` {table.name}'
    )
    return Problem("secret", name, message, decision="secrets", stops=True)
