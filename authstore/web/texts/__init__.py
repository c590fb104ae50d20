"""What people read, a language in one place each; a browser says which it wants (`Accept-Language`)."""

from collections.abc import Sequence
from typing import Final

from authstore.web.texts.english import ENGLISH, Texts
from authstore.web.texts.french import FRENCH
from authstore.web.texts.german import GERMAN
from authstore.web.texts.japanese import JAPANESE
from authstore.web.texts.spanish import SPANISH

LANGUAGES: Final = (ENGLISH, GERMAN, FRENCH, SPANISH, JAPANESE)

_MAX_ASKED: Final = 512  # characters of a header


def chosen(languages: Sequence[Texts], accepted: str) -> Texts:
    """The language that the reader likes best of these (RFC 9110 §12.5.4, RFC 4647 §3.4); the first where none fits."""
    wishes = sorted((_wish(part) for part in accepted[:_MAX_ASKED].split(",")), key=lambda wish: -wish[1])
    for tag, weight in wishes:
        for texts in languages if weight > 0 else ():
            if tag == "*" or tag == texts.language.lower() or tag.startswith(f"{texts.language.lower()}-"):
                return texts
    return languages[0]


def _wish(part: str) -> tuple[str, float]:
    tag, _, parameter = part.partition(";")
    name, _, value = parameter.strip().partition("=")
    try:
        weight = float(value) if name in ("q", "Q") else 1.0
    except ValueError:
        weight = 0.0
    return tag.strip().lower(), weight if 0 <= weight <= 1 else 0.0


__all__ = ["ENGLISH", "FRENCH", "GERMAN", "JAPANESE", "LANGUAGES", "SPANISH", "Texts", "chosen"]
