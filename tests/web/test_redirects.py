"""Where a login may send somebody afterwards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authstore.web import safe_next
from authstore.web.redirects import leads_into, safe_target


@pytest.mark.parametrize("path", ["/", "/notes", "/notes?tab=1&x=%2F", "/a/b#c", "/a//b", "/~ada/", "/a:b@c"])
def test_paths_of_this_site_are_kept(path: str) -> None:
    assert safe_next(path) == path


@pytest.mark.parametrize(
    "wanted",
    [
        *("", None, 7, "notes", "//evil", "///evil", "/\\evil", "/\t/evil", "/a\\b"),
        *("https:evil", "https://evil", " //evil", "/\n/evil", "/\x7f", "/" + "a" * 2048, "/\ud800", "/" + "ü" * 1024),
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


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/кабинет", "/%D0%BA%D0%B0%D0%B1%D0%B8%D0%BD%D0%B5%D1%82"),
        ("/ü?q=é#ß", "/%C3%BC?q=%C3%A9#%C3%9F"),
        ("/%D0%BA", "/%D0%BA"),
        ("/日本\u3000", "/%E6%97%A5%E6%9C%AC%E3%80%80"),
        ("/a b", "/a%20b"),
        (" /a ", "/a"),
        ("/find?q=two words&x=1#the end", "/find?q=two%20words&x=1#the%20end"),
        ("/ /evil", "/%20/evil"),
    ],
)
def test_paths_with_spaces_or_not_in_ascii_are_kept_encoded(path: str, kept: str) -> None:
    assert safe_next(path) == kept


TARGETS = {
    "https://app.example/x?y#z": "/x?y#z",
    "HTTPS://APP.example:443/x": "/x",
    "https://app.example": "/",
    "https://app.example?x=1": "/?x=1",
    "https://spa.example#y": "https://spa.example/#y",
    "https://app.example/a b": "/a%20b",
    "https://spa.example/y?z=1": "https://spa.example/y?z=1",
    "https://SPA.example:443/y": "https://spa.example/y",
    "https://spa.example": "https://spa.example/",
    "http://dev.example:8080/y": "http://dev.example:8080/y",
    "https://spa.example/ü": "https://spa.example/%C3%BC",
    "/ü": "/%C3%BC",
}


@pytest.mark.parametrize(("wanted", "kept"), TARGETS.items(), ids=TARGETS.keys())
def test_whole_urls_lead_to_this_site_or_to_an_allowed_one(wanted: str, kept: str) -> None:
    assert target(wanted) == kept


@pytest.mark.parametrize(
    "wanted",
    [
        *("https://evil.example/", "https://spa.example:444/", "http://spa.example/", "https://dev.example:8080/"),
        *("https://spa.example@evil.example/", "https://evil.example@spa.example/", "https://spa.example.evil.example"),
        *(
            "https://evil.example?https://spa.example/",
            "https://spa.example .evil.example/",
            "https://evil.example#@spa.example",
        ),
        *("https://spa.example\\@evil.example/", "https://spa.example\t/", "https:/spa.example/", "https:spa.example"),
        *("//spa.example/", "https://spa.example//evil.example", "https://app.example//evil.example", "https://"),
        *("https://[spa.example/", "https://spa.example:x/", "javascript:https://spa.example/", "ftp://spa.example/"),
    ],
)
def test_no_other_url_leads_anywhere(wanted: str) -> None:
    assert target(wanted) == "/home"


@given(st.text(alphabet="/\\:.@#?htps[]\t\n\r %aspexml\u2028ü", max_size=40))
def test_no_text_leads_beyond_this_site_and_the_allowed_ones(wanted: str) -> None:
    for text in (wanted, f"https://{wanted}", f"https://spa.example{wanted}"):
        kept = target(text)
        assert kept.isascii()
        assert kept.startswith(("https://spa.example/", "/"))
        assert not kept.startswith(("//", "/\\"))


def target(wanted: str) -> str:
    return safe_target(wanted, "https://app.example", ["https://spa.example", "http://dev.example:8080"], "/home")


@pytest.mark.parametrize("path", ["/auth/sign-in", "/%61uth/sign-in", "/x/../auth/logout", "/auth/login/x?next=/y"])
def test_a_path_is_known_however_it_is_spelled(path: str) -> None:
    assert leads_into(path, "/auth/")


@pytest.mark.parametrize("path", ["/", "/authors", "/x?next=/auth/sign-in", "/auth/../x"])
def test_other_paths_are_not_taken_for_it(path: str) -> None:
    assert not leads_into(path, "/auth/")
