"""What other frameworks keep for a browser becomes JSON, or is refused with a reason; pickles are never loaded."""

import json
import pickle
import zlib
from base64 import b64encode, urlsafe_b64encode
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authstore.mover.session_data import UnreadableDataError, data_of_bytes, data_of_text, json_of

CART = {"cart": ["tea", "milk"], "note": "für Ada ☕", "nothing": None, "sum": 1.5}
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc_$", max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
_OBJECTS = st.dictionaries(st.text("abc_$", max_size=5), _VALUES, max_size=4)


def signed(payload: bytes, *, deflated: bool = False, end: str = ":1vP6X2:sig-_x") -> str:
    """As `django.core.signing` writes it."""
    text = urlsafe_b64encode(zlib.compress(payload) if deflated else payload).decode().rstrip("=")
    return ("." if deflated else "") + text + end


def text_of(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()


@settings(max_examples=40)
@given(_OBJECTS)
def test_whatever_json_can_say_comes_through_every_form(data: dict[str, Any]) -> None:
    for text in (json.dumps(data), signed(text_of(data)), signed(text_of(data), deflated=True)):
        assert data_of_text(text) == data
    for packed in (msgspec.msgpack.encode(data), text_of(data)):
        assert data_of_bytes(packed) == data
    assert json.loads(json_of(data)) == data


def test_djangos_texts_of_before_3_1_are_read_too() -> None:
    assert data_of_text(b64encode(b"0123456789abcdef:" + text_of(CART)).decode() + "\n") == CART
    assert data_of_text(signed(text_of(CART), end=":no-time")) == CART


def test_nothing_is_an_empty_session() -> None:
    assert data_of_bytes(b"") == data_of_bytes(b"\x80") == data_of_text("{}") == {}


def test_what_json_does_not_have_becomes_text() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    packed = msgspec.msgpack.encode({"at": at, "raw": b"\0\xff", "id": UUID(int=1), "cart": {7: 2}})
    assert data_of_bytes(packed) == {
        "at": at.isoformat(), "raw": "AP8=", "id": "00000000-0000-0000-0000-000000000001", "cart": {"7": 2},
    }  # fmt: skip


class Trap:
    """Whoever unpickles it has run something."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('unpickled')",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_never_loaded(protocol: int) -> None:
    for made in ({"cart": Trap()}, {}, {"a": 1}):
        pickled = pickle.dumps(made, protocol)
        for read, stored in (
            (data_of_bytes, pickled),
            (data_of_text, signed(pickled)),
            (data_of_text, signed(pickled, deflated=True)),
            (data_of_text, b64encode(b"0123:" + pickled).decode()),
        ):
            with pytest.raises(UnreadableDataError, match="pickled" if protocol > 1 else None):
                read(stored)  # type: ignore[operator]  # one takes bytes, the other text


BAD_TEXTS = {
    "": "neither JSON", "x": "no base64", "[1]": "neither JSON", '{"a": NaN}': "cannot be kept", "{": "no JSON",
    '{"a": "\\u0000"}': "cannot be kept", '{"a": "\\ud800"}': "cannot be kept", '{"a": 1e999}': "cannot be kept",
    '{"a":' + "[" * 5000 + "]" * 5000 + "}": "no JSON|cannot be kept", signed(b"[1]"): "no JSON object",
    signed(b"7"): "no JSON object",
    ".abc:1:x": "not deflated", signed(zlib.compress(b'{"a":1}')[:-4]).replace("e", ".e", 1): "cut off",
    signed(b'{"a":"' + b"x" * 17_000_000 + b'"}', deflated=True): "too large", "a:1:x": "no base64", "a=b": "neither",
    "\ud800": "neither",
}  # fmt: skip


@pytest.mark.parametrize("text", BAD_TEXTS, ids=lambda text: ascii(text[:20]))
def test_a_text_that_is_no_session_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(UnreadableDataError, match=BAD_TEXTS[text]):
        data_of_text(text)


@pytest.mark.parametrize(
    "data",
    [
        b"\x93\x01\x02\x03", b"\x07", b"\x81\xa1a", b"\x80\x00", b"\xff", b"{", b"[1]", b"\xc1", b"\xa2\0\x80",
        b"\x81\x01\xc7\x01\x05x",
        msgspec.msgpack.encode({"a": "\0"}), msgspec.msgpack.encode({1: 1, "1": 2}), msgspec.msgpack.encode({None: 1}),
        msgspec.msgpack.encode({True: 1}), msgspec.msgpack.encode({"x": msgspec.msgpack.Ext(5, b"x")}),
        msgspec.msgpack.encode({"x": float("nan")}), b"\x91" * 5000,
    ],
)  # fmt: skip
def test_bytes_that_are_no_session_are_refused(data: bytes) -> None:
    with pytest.raises(UnreadableDataError):
        data_of_bytes(data)


@settings(max_examples=60)
@given(st.binary(max_size=40))
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    with suppress(UnreadableDataError):
        assert isinstance(json.loads(json_of(data_of_bytes(data))), dict)
    with suppress(UnreadableDataError):
        assert isinstance(json.loads(json_of(data_of_text(data.decode("latin-1")))), dict)
