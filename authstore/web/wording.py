"""What people call themselves and their things: any script, no tricks."""

from typing import Final
from unicodedata import category

# Zero width non-joiner and joiner: Persian and Indic spelling, and emoji made of several.
_JOINERS: Final = "\u200c\u200d"
# They reorder what stands around them (Unicode Technical Report 36 §3.1).
_OVERRIDES: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_REFUSED: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})  # controls, lone surrogates, separators of lines and paragraphs
_SEEN: Final = frozenset("LNPS")  # kinds of characters of which something is to be seen: letters, digits, signs
_BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # and those of them that are blank all the same


def is_one_line(text: str) -> bool:
    """Whether it stays on its line and leaves the text around it alone."""
    return not any(category(each) in _REFUSED or each in _OVERRIDES for each in text)


def worded(value: object, limit: int) -> str | None:
    """The text without white space around it, cut to `limit` characters; `None` where nothing is to be seen of it.

    With control characters or bidirectional overrides in it, it is `None` too.
    """
    if not isinstance(value, str) or not is_one_line(value.strip()):
        return None
    text = value.strip()[:limit].strip().rstrip(_JOINERS)
    return text if any(category(each)[0] in _SEEN and each not in _BLANK for each in text) else None
