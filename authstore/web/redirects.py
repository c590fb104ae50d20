"""Where a login may send somebody afterwards: to a path of this site, and nowhere else."""

import re
from posixpath import normpath
from typing import Final
from urllib.parse import unquote, urlsplit

MAX_LENGTH: Final = 2048

# Browsers read "\" as "/" and drop tabs and newlines, so `/\evil`, `/<tab>/evil` and `//evil` all leave the site.
_LOCAL_PATH: Final = re.compile(r"/(?!/)[!-\[\]-~]*")


def safe_next(wanted: object, default: str = "/") -> str:
    """`wanted` where it is a path of this site (printable ASCII, one leading slash, no backslash), else `default`."""
    if isinstance(wanted, str) and len(wanted) <= MAX_LENGTH and _LOCAL_PATH.fullmatch(wanted):
        return wanted
    return default


def leads_into(path: str, folder: str) -> bool:
    """Whether a path of this site stands below `folder`, however it is spelled."""
    return normpath(unquote(urlsplit(path).path)).startswith(folder)
