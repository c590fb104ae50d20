"""Canonical addresses: one form per mailbox, no two mailboxes in one form."""

import unicodedata

import idna
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from authstore.email import MAX_LENGTH, canonical_email, masked_email
from authstore.errors import AuthStoreError, InvalidEmailError
from authstore.testing.contract.addresses import LOOK_ALIKES, NO_ADDRESS, SAME

WHITE_SPACE = " \t\n\r\v\f"


def _canonical_or_none(address: str) -> str | None:
    try:
        return canonical_email(address)
    except InvalidEmailError:
        return None


@pytest.mark.parametrize(("given", "canonical"), SAME, ids=ascii)
def test_every_spelling_has_one_form(given: str, canonical: str):
    assert canonical_email(given) == canonical
    assert canonical_email(canonical) == canonical


@pytest.mark.parametrize(("one", "other"), LOOK_ALIKES, ids=ascii)
def test_look_alikes_keep_forms_of_their_own(one: str, other: str):
    assert canonical_email(one) != canonical_email(other)


@pytest.mark.parametrize("text", NO_ADDRESS, ids=ascii)
def test_what_is_not_one_plain_address_is_refused(text: str):
    with pytest.raises(InvalidEmailError):
        canonical_email(text)


@pytest.mark.parametrize("wrong", [None, 5, b"ada@example.com", ["ada@example.com"]])
def test_what_is_no_text_is_a_type_error(wrong: object):
    with pytest.raises(TypeError):
        canonical_email(wrong)  # type: ignore[arg-type]  # it is what must fail


def test_the_error_is_ours_and_a_value_error():
    assert issubclass(InvalidEmailError, AuthStoreError)
    assert issubclass(InvalidEmailError, ValueError)


@pytest.mark.parametrize(
    "character", [",", ";", "<", ">", '"', "(", ")", "[", "]", ":", "\\", "@", *WHITE_SPACE, "\0", "\x7f"]
)
@pytest.mark.parametrize("template", ["a{}b@example.com", "ab@exam{}ple.com", "{}@example.com", "ab@example.com{}eve"])
def test_characters_that_end_or_quote_an_address_are_refused(template: str, character: str):
    with pytest.raises(InvalidEmailError):
        canonical_email(template.format(character))


def test_only_ascii_white_space_is_stripped():
    assert canonical_email(f"{WHITE_SPACE}ada@example.com{WHITE_SPACE}") == "ada@example.com"
    for space in ("\u00a0", "\u2003", "\u3000", "\ufeff", "\u200b", "\x1c", "\x85"):
        assert _canonical_or_none(f"{space}ada@example.com") is None
        assert _canonical_or_none(f"ada@example.com{space}") is None


def test_every_character_that_composes_to_ascii_is_refused():
    impostors = [chr(point) for point in range(0x80, 0x110000) if not 0xD800 <= point <= 0xDFFF]
    impostors = [character for character in impostors if unicodedata.normalize("NFC", character).isascii()]
    assert "\u212a" in impostors
    for character in impostors:
        assert _canonical_or_none(f"{character}@example.com") is None
        assert _canonical_or_none(f"ada@{character}.example") is None


def test_no_single_character_takes_the_form_of_an_ascii_address():
    plain = {canonical_email(f"a{chr(point)}b@example.com"): chr(point) for point in range(0x21, 0x7F)
             if _canonical_or_none(f"a{chr(point)}b@example.com")}  # fmt: skip
    for point in range(0x80, 0x2FFFF):
        assert _canonical_or_none(f"a{chr(point)}b@example.com") not in plain


@pytest.mark.parametrize(
    "label",
    ["i\u0307stanbul", "\u0131", "\u017f", "\u212a", "\ufb01", "\uff41", "\u2460", "a\u200cb", "a\u00adb", "\u3002",
     "a\uff0eb", "a\u2024b", "\u00bd", "\u2122", "\u1e9e", "xn--", "xn--a", "xn--example-.x", "xn--\u00fc",
     "xn--zzzzzz", "-a", "a-", "a_b", "x" * 64, "\u00fc" * 60, "", "a.", ".a", "a..b", "[127.0.0.1]"],
    ids=ascii,
)  # fmt: skip
def test_a_domain_never_takes_the_form_of_another(label: str):
    canonical = _canonical_or_none(f"ada@{label}.example")
    if canonical is not None:
        domain = canonical.partition("@")[2]
        assert domain.isascii()
        decoded = [
            part[4:].encode().decode("punycode") if part.startswith("xn--") else part for part in domain.split(".")
        ]
        composed = unicodedata.normalize("NFC", unicodedata.normalize("NFC", f"{label}.example").lower())
        assert ".".join(decoded) == composed


@pytest.mark.parametrize(
    ("domain", "canonical"),
    [
        ("EXAMPLE.com", "example.com"),
        ("München.example", "xn--mnchen-3ya.example"),
        ("XN--MNCHEN-3YA.example", "xn--mnchen-3ya.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("пример.испытание", "xn--e1afmkfd.xn--80akhbyknj4f"),
        ("localhost", "localhost"),
        ("a-b.example", "a-b.example"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_a_domain_is_stored_as_a_labels(domain: str, canonical: str):
    assert canonical_email(f"ada@{domain}") == f"ada@{canonical}"


@given(st.text(alphabet="abcxyz019-äöüßéñøжщяαβγδ例え漢字ひらがな한국", min_size=1, max_size=20))
def test_a_label_that_idna_2008_takes_is_encoded_as_it_says(label: str):
    try:
        expected = idna.encode(label).decode()
    except idna.IDNAError:
        return
    assert canonical_email(f"ada@{label}.example") == f"ada@{expected}.example"


@given(st.characters(min_codepoint=0x80, exclude_categories=["Cs"]), st.sampled_from(["", "a", "1", "\u0644", "ガ"]))
def test_a_label_is_a_host_name_where_idna_2008_says_so(character: str, neighbour: str):
    label = unicodedata.normalize("NFC", f"{neighbour}{character}{neighbour}".lower())
    assume(not label.isascii())
    try:
        expected = f"ada@{idna.alabel(label).decode()}.example"
    except idna.IDNAError:
        expected = None
    assert _canonical_or_none(f"ada@{label}.example") == expected


def test_254_characters_are_the_limit_before_and_after():
    assert MAX_LENGTH == 254
    longest = "x" * 242 + "@example.com"
    assert canonical_email(f"  {longest}  ") == longest
    assert _canonical_or_none(f"x{longest}") is None
    short_as_given = "x" * 190 + "@" + ".".join(["ü" * 10] * 5) + ".example"
    assert len(short_as_given) <= MAX_LENGTH < len(short_as_given.encode("punycode"))
    assert _canonical_or_none(short_as_given) is None or len(canonical_email(short_as_given)) <= MAX_LENGTH


@pytest.mark.parametrize(("written", "is_one"), [("e\u0301", "é"), ("u\u0308\u0301", "ǘ"), ("ᄀ" + "ᅡ" + "ᆨ", "각")])
def test_what_counts_is_the_one_form(written: str, is_one: str):
    assert canonical_email(written * 242 + "@example.com") == is_one * 242 + "@example.com"
    assert _canonical_or_none(written * 243 + "@example.com") is None


def test_long_input_is_refused_at_once():
    for huge in ("x" * 10_000_000, "@" * 1_000_000, "é" * 1_000_000 + "@example.com"):
        assert _canonical_or_none(huge) is None


@given(st.text(max_size=40))
def test_no_text_at_all_is_an_unexpected_error(text: str):
    _canonical_or_none(text)
    _canonical_or_none(f"{text}@example.com")
    _canonical_or_none(f"ada@{text}.example")


@given(st.text(max_size=30), st.text(max_size=30))
def test_the_canonical_form_is_canonical(local: str, domain: str):
    canonical = _canonical_or_none(f"{local}@{domain}")
    if canonical is not None:
        assert canonical_email(canonical) == canonical
        assert canonical_email(f" {canonical}\n") == canonical
        assert unicodedata.is_normalized("NFC", canonical)
        assert canonical.count("@") == 1
        assert canonical.rpartition("@")[2].isascii()
        assert len(canonical) <= MAX_LENGTH


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30))
def test_composed_and_decomposed_are_the_same_address(local: str):
    composed = _canonical_or_none(unicodedata.normalize("NFC", local) + "@example.com")
    decomposed = _canonical_or_none(unicodedata.normalize("NFD", local) + "@example.com")
    assert composed == decomposed or None in (composed, decomposed)


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("ada.lovelace@example.com", "a…@example.com"),
        ("a@example.com", "a…@example.com"),
        ("user-42", "u…"),
        ("", "…"),
        ("@example.com", "…@example.com"),
    ],
)
def test_a_masked_address_shows_where_but_not_who(address: str, masked: str):
    assert masked_email(address) == masked
