"""One colour of a site's own, made readable on light and on dark (WCAG 2.2, 1.4.3: 4.5 to 1)."""

import re
from typing import Final

from authstore.errors import ConfigurationError

OURS: Final = "#14563c"  # --strong in pages.css

_HEX: Final = re.compile(r"#[0-9a-fA-F]{6}")
_CONTRAST: Final = 4.6
_STEPS: Final = 50

_Rgb = tuple[float, float, float]  # 0 to 1

_WHITE: Final = (1.0, 1.0, 1.0)
_BLACK: Final = (0.0, 0.0, 0.0)
_GROUNDS: Final = {"light": _WHITE, "dark": (0.082, 0.114, 0.102)}  # --sheet in pages.css


def stylesheet_of(colour: str) -> str:
    """What replaces the colours of `pages.css`. Raises `ConfigurationError` for what is not `#rrggbb`."""
    given = _read(colour)
    light, dark = _rules(given, "light"), _rules(given, "dark")
    return f":root{{{light}}}@media (prefers-color-scheme: dark){{:root{{{dark}}}}}"


def button_of(colour: str | None) -> tuple[str, str]:
    """A button on white and what is written on it, for letters, which have no stylesheet; `None`: in our own colour."""
    strong = _readable(_read(OURS if colour is None else colour), _WHITE, _BLACK)
    return _written(strong), _written(_ink_on(strong))


def _read(colour: str) -> _Rgb:
    if not isinstance(colour, str) or not _HEX.fullmatch(colour):
        raise ConfigurationError(f'accent is a colour, written as "{OURS}", not {colour!r}')
    return int(colour[1:3], 16) / 255, int(colour[3:5], 16) / 255, int(colour[5:7], 16) / 255


def _ink_on(ground: _Rgb) -> _Rgb:
    return max(_WHITE, _BLACK, key=lambda ink: _contrast(ink, ground))


def _rules(given: _Rgb, scheme: str) -> str:
    ground, away = _GROUNDS[scheme], _BLACK if scheme == "light" else _WHITE
    tint = _mixed(ground, given, 0.1 if scheme == "light" else 0.2)
    strong = _readable(given, ground, away)
    on_strong = _ink_on(strong)
    values = {
        "strong": strong,
        "strong-hover": _mixed(strong, away, 0.15),
        "on-strong": on_strong,
        "tint": tint,
        "on-tint": _readable(given, tint, away),
        "glow": tint,
    }
    return ";".join(f"--{name}:{_written(value)}" for name, value in values.items())


def _readable(colour: _Rgb, ground: _Rgb, away: _Rgb) -> _Rgb:
    """The colour, taken as far away from the ground as it must be to be read there."""
    for step in range(_STEPS):
        tried = _mixed(colour, away, step / _STEPS)
        if _contrast(tried, ground) >= _CONTRAST:
            return tried
    return away


def _mixed(one: _Rgb, other: _Rgb, share: float) -> _Rgb:
    red, green, blue = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return red, green, blue


def _contrast(one: _Rgb, other: _Rgb) -> float:
    """WCAG 2.2, "contrast ratio"."""
    brighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(colour: _Rgb) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _written(colour: _Rgb) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in colour)
