"""Where a login may send somebody afterwards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authstore.web import safe_next


@pytest.mark.parametrize("path", ["/", "/notes", "/notes?tab=1&x=%2F", "/a/b#c", "/a//b", "/~ada/", "/a:b@c"])
def test_paths_of_this_site_are_kept(path: str) -> None:
    assert safe_next(path) == path


@pytest.mark.parametrize(
    "wanted",
    [
        *("", None, 7, "notes", "//evil", "///evil", "/\\evil", "/\t/evil", "/a\\b"),
        *("https:evil", "https://evil", "/é", "/a b", "/\x7f", "/" + "a" * 2048),
    ],
)
def test_everything_else_is_the_default(wanted: object) -> None:
    assert safe_next(wanted, "/home") == "/home"


@given(st.text(alphabet="/\\:.@#?ehtps\t\n\r %x", max_size=12))
def test_no_text_leads_away(wanted: str) -> None:
    kept = safe_next(wanted)
    assert kept.startswith("/")
    assert not kept.startswith(("//", "/\\"))
    assert not set(kept) & set("\\\t\n\r ")
