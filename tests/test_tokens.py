"""Secrets: made of 256 bits, URL-safe, stored as their SHA-256."""

import hashlib
import re
from uuid import uuid4

import pytest

from authstore.tokens import (
    MAX_TOKEN_LENGTH,
    MIN_TOKEN_LENGTH,
    hash_token,
    is_presentable,
    named_session,
    new_secret,
    new_session_token,
)


def test_a_secret_is_256_bits_in_url_safe_letters():
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", new_secret())  # 43 × 6 bits hold 256


def test_no_two_secrets_are_alike():
    assert len({new_secret() for _ in range(10_000)}) == 10_000


def test_a_session_token_names_its_session_and_adds_a_secret():
    session_id = str(uuid4())
    token = new_session_token(session_id)
    assert re.fullmatch(r"[A-Za-z0-9._~-]+", token)
    assert named_session(token) == session_id
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token.removeprefix(f"{session_id}."))
    assert new_session_token(session_id) != token


@pytest.mark.parametrize("session_id", ["with space", "ünïcode", "a/b", "a.b", "x" * 129, "a;b", "a\nb"])
def test_an_id_that_is_not_url_safe_is_not_named(session_id: str):
    token = new_session_token(session_id)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
    assert named_session(token) is None


@pytest.mark.parametrize(
    "token",
    ["", ".", "id.", "." + "x" * 43, "id." + "x" * 42, "id." + "x" * 44, "i.d." + "x" * 43, "id." + "x" * 43 + "\n",
     "x" * 43, f"{'h' * 20}.{'p' * 60}.{'s' * 43}"],
)  # fmt: skip
def test_a_token_of_another_making_names_no_session(token: str):
    assert named_session(token) is None


def test_what_is_stored_is_the_sha_256_of_the_utf_8_form():
    assert hash_token("tokén") == hashlib.sha256("tokén".encode()).digest()
    assert len(hash_token(new_secret())) == 32


@pytest.mark.parametrize("token", ["x" * MIN_TOKEN_LENGTH, "x" * MAX_TOKEN_LENGTH, "é" * 20, "a.b-c_d~e=f+g/h!"])
def test_what_could_be_a_token_is_looked_up(token: str):
    assert is_presentable(token)


@pytest.mark.parametrize(
    "token",
    ["", "x" * 15, "x" * 513, "surrogate-\ud800-inside", "nul-\0-inside-a-token", "\0." + "x" * 43, None, b"x" * 32, 5,
     ["x"] * 20],
)  # fmt: skip
def test_what_could_be_none_is_not(token: object):
    assert not is_presentable(token)


def test_whatever_is_looked_up_can_be_hashed():
    for point in (0x20, 0x7F, 0x80, 0xD7FF, 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0xE000, 0xFFFF, 0x10FFFF):
        token = chr(point) * 32
        if is_presentable(token):
            assert len(hash_token(token)) == 32


@pytest.mark.parametrize(
    "token", ["tab\tinside-the-token", "line\nbreak-in-a-token", "no-break\u00a0space-token", "\u200b" * 16]
)
def test_a_moved_token_may_hold_what_is_not_printable(token: str):
    assert is_presentable(token)
