"""Names are compared without case and punctuation; the file of aliases says what it should."""

import pytest

from authstore.mover.names import OWN_TABLES
from authstore.mover.recognition.aliases import normalised, role_aliases, words


@pytest.mark.parametrize("name", ["sessionToken", "session_token", "SESSION-TOKEN", "Session Token", '"session"token'])
def test_case_and_punctuation_do_not_matter(name: str) -> None:
    assert normalised(name) == "sessiontoken"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("userSessionToken_v2", ("user", "session", "token", "v2")),
        ("HTTPSession", ("http", "session")),
        ("magic_links", ("magic", "links")),
        ("tokens", ("tokens",)),
    ],
)
def test_words_of_a_name(name: str, expected: tuple[str, ...]) -> None:
    assert words(name) == expected


def test_every_role_has_aliases_for_what_it_requires() -> None:
    for role in OWN_TABLES:
        aliases = role_aliases()[role]
        assert set(aliases.required) <= set(aliases.fields)
        assert aliases.doubtful <= set(aliases.fields)


def test_no_column_could_be_two_fields() -> None:
    for aliases in role_aliases().values():
        names = [name for groups in aliases.fields.values() for group in groups for name in group]
        assert len(names) == len(set(names))
        assert all(name == normalised(name) for name in names)
