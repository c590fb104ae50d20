"""Canonical e-mail addresses: two addresses are the same if and only if their canonical forms are equal.

No NFKC and no Unicode case folding of the local part: both make different mailboxes equal, which is how
accounts were taken over with look-alike letters (CVE-2019-19844).
"""

import re
import unicodedata

from authstore.errors import InvalidEmailError

MAX_LENGTH = 254  # RFC 5321 §4.5.3.1.3, less the angle brackets

_MOST_COMPOSED = 4  # characters that NFC makes one of

_ASCII_SPACE = " \t\n\r\v\f"
_ASCII_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
# RFC 5322 atext plus the dot: what may stand outside quotes.
_ORDINARY = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+")
_REFUSED = set(',;:<>"()[]\\')
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def canonical_email(address: str) -> str:
    """The one form under which an address is stored and compared.

    Surrounding ASCII white space stripped, NFC, ASCII letters lower-cased, domain as IDNA A-labels.
    Raises `InvalidEmailError` for anything that is not one plain address of at most 254 characters,
    `TypeError` for anything that is not text.
    """
    if not isinstance(address, str):
        raise TypeError(f"an e-mail address is text, not {type(address).__name__}")
    stripped = address.strip(_ASCII_SPACE)
    if len(stripped) > _MOST_COMPOSED * MAX_LENGTH:  # nothing to spend time on
        raise InvalidEmailError(f"the address is longer than {MAX_LENGTH} characters")
    if not stripped.isascii():
        stripped = _composed(stripped)
    local, _, domain = stripped.rpartition("@")
    if not domain or not (_ORDINARY.fullmatch(local) or _is_plain(local)):
        raise InvalidEmailError("not one plain e-mail address")
    canonical = local.translate(_ASCII_LOWER) + "@" + ".".join(map(_a_label, domain.split(".")))
    if len(canonical) > MAX_LENGTH:
        raise InvalidEmailError(f"the address is longer than {MAX_LENGTH} characters")
    return canonical


def masked_email(address: str) -> str:
    """An address as it may be shown in reports and logs: `a…@example.com`."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}…{at}{domain}" if at else f"{address[:1]}…"


def _composed(address: str) -> str:
    for character in address:
        if not character.isascii() and unicodedata.normalize("NFC", character).isascii():
            raise InvalidEmailError("a character in the address is a look-alike of an ASCII one")
    return unicodedata.normalize("NFC", address)


def _is_plain(local: str) -> bool:
    return local != "" and "@" not in local and not any(map(_is_refused, local))


def _is_refused(character: str) -> bool:
    # Cc Cf Cs Zs Zl Zp: control, invisible, surrogate and white space.
    return character in _REFUSED or unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"}


def _a_label(label: str) -> str:
    lower = label.translate(_ASCII_LOWER) if label.isascii() else unicodedata.normalize("NFC", label.lower())
    is_plain = lower.isascii() and not lower.startswith("xn--")
    encoded = lower if is_plain else _by_idna(lower)
    if not _LABEL.fullmatch(encoded):
        raise InvalidEmailError("the domain of the address is not a host name")
    return encoded


def _by_idna(label: str) -> str:
    """The A-label by IDNA 2008 (RFC 5891), without the mapping of UTS 46.

    The standard library's "idna" codec is IDNA 2003: it turns ß into ss, another domain altogether.
    """
    import idna  # a tenth of what importing authstore takes, for the few domains that are not ASCII

    try:
        if not label.isascii():
            return idna.alabel(label).decode("ascii")
        if idna.alabel(idna.ulabel(label)).decode("ascii") == label:
            return label
    except UnicodeError:  # idna.IDNAError is one
        pass
    raise InvalidEmailError("the domain of the address is not a host name")
