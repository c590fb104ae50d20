"""What to call a device, by what its browser calls itself: enough to tell one's own apart, no fingerprinting."""

import re
from typing import Final, Literal

# In this order: each also calls itself by the names below it.
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("HeadlessChrome", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
_PRODUCT: Final = re.compile(r"[A-Za-z][A-Za-z0-9 ._-]{0,40}")


def device_name(user_agent: str | None, browser_on_system: str) -> str:
    """Such as "Firefox on Windows" (`browser_on_system`: "{browser} on {system}"); "" where nothing is known."""
    browser, system = _first(_BROWSERS, user_agent), _first(_SYSTEMS, user_agent)
    if browser and system:
        return browser_on_system.format(browser=browser, system=system)
    product = _PRODUCT.match((user_agent or "").partition("/")[0])
    return browser or system or (product[0] if product else "")


def device_kind(user_agent: str | None) -> Literal["phone", "laptop"]:
    """For the picture beside it."""
    return "phone" if re.search("iPhone|iPad|Android|Mobile", user_agent or "") else "laptop"


def _first(names: tuple[tuple[str, str], ...], user_agent: str | None) -> str:
    return next((name for sign, name in names if sign in (user_agent or "")), "")
