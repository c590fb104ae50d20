"""Tokens under any name are known by what they look like; ids, digests and words are left in peace."""

import secrets
import uuid
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authstore.mover import MoveOptions, make_plan
from authstore.mover.recognition.secrets import looks_random
from tests.mover.seeds import seed

Connection = psycopg.Connection[Any]


@pytest.mark.parametrize(
    "table",
    [
        "sessions (id varchar(255) PRIMARY KEY, user_id int, ip_address varchar(45), user_agent text, payload text,"
        " last_activity int)",  # Laravel
        "ci_sessions (id varchar(128), ip_address varchar(45), timestamp bigint, data bytea)",  # CodeIgniter
        '"RefreshTokens" (id serial PRIMARY KEY, "userId" int, hash text, "revokedAt" timestamp)',
        "remember_me (user_id int, cookie text, expires timestamptz)",
        "accesstoken (token varchar(43) PRIMARY KEY, user_id int, created_at timestamptz)",  # fastapi-users
        "personal_access_tokens (id bigserial PRIMARY KEY, tokenable_type text, tokenable_id int, token varchar(64))",
        "user_sessions (sid text, user_id int, last_activity timestamptz)",
        "sessions (sess_id varchar(128) PRIMARY KEY, sess_data bytea, sess_lifetime int, sess_time int)",  # Symfony
        'rememberme_token (series varchar(88) PRIMARY KEY, value varchar(88), "lastUsed" timestamp, username text)',
        "spring_session (primary_id char(36), session_id char(36), expiry_time bigint, principal_name varchar(100))",
        "sessions (id serial PRIMARY KEY, session_id varchar, data text, updated_at timestamp)",  # Rails
    ],
)
@pytest.mark.parametrize("choice", ["stop", "keep", "drop"])
async def test_tables_of_sessions_and_tokens_stop_the_move_empty_or_not(
    source: Connection, source_url: str, tmp_path: Path, table: str, choice: Any
) -> None:
    seed(source, "prisma_v5", users=1)
    source.execute(f"CREATE TABLE {table}".encode())
    plan = await make_plan(source_url, tmp_path / "auth.db", MoveOptions(secrets=choice))
    assert [problem.kind for problem in plan.problems if problem.stops] == ["unrecognised"]


@pytest.mark.parametrize(
    ("columns", "value"),
    [
        ("who_knows text PRIMARY KEY, user_id int, at timestamptz", lambda: f"{secrets.token_urlsafe(32)}42"),
        ("k varchar(64) UNIQUE, member_id int", lambda: secrets.token_hex(32)),
        ("raw bytea, user_id int", lambda: secrets.token_bytes(32)),
        ("v text, ip_address inet, payload jsonb", lambda: f"{secrets.token_urlsafe(48)}42"),
        ('k text, who text REFERENCES "User"', lambda: secrets.token_hex(32)),
        ("k text PRIMARY KEY, v jsonb, expires timestamptz", lambda: f"sess:{secrets.token_hex(32)}"),
        ("k text, email text", lambda: secrets.token_hex(32)),
        ("token_hash text, user_id int", lambda: secrets.token_urlsafe(36)),  # plain, whatever its name says
        ('"keyHash" text, org int', lambda: f"sk_live_{secrets.token_hex(12)}"),
        ("hashed_code varchar(64), owner_id int", lambda: str(uuid.uuid4())),
    ],
)
async def test_secrets_under_names_that_say_nothing_stop_the_move(
    source: Connection, source_url: str, tmp_path: Path, columns: str, value: Any
) -> None:
    seed(source, "prisma_v5", users=1)
    source.execute(f"CREATE TABLE door ({columns})".encode())
    name = columns.split()[0]
    for _ in range(3):
        source.execute(f"INSERT INTO door ({name}) VALUES (%s)".encode(), [value()])
    plan = await make_plan(source_url, tmp_path / "auth.db")
    (problem,) = (problem for problem in plan.problems if problem.stops)
    assert (problem.table, problem.kind) == ("public.door", "unrecognised")
    assert name.strip('"') in problem.message
    assert (await make_plan(source_url, tmp_path / "auth.db", skip=("door",))).ok


@pytest.mark.parametrize(
    ("columns", "value"),
    [
        ("id text PRIMARY KEY, user_id int", lambda: str(uuid.uuid4())),
        ("id text PRIMARY KEY, user_id int", lambda: "c" + secrets.token_hex(12)),  # as long as a cuid
        ("sha256 text, user_id int", lambda: secrets.token_hex(32)),
        ("avatar text, user_id int", lambda: f"https://cdn.example/{secrets.token_hex(20)}"),
        ("file text, user_id int", lambda: f"{secrets.token_hex(20)}.png"),
        ("stripe text, user_id int", lambda: f"cs_{secrets.token_hex(20)}"),
        ("title text, user_id int", lambda: "a-title-with-words-and-no-secrets-at-all"),
        ("body text, user_id int", lambda: "Words with spaces between, and 12 numbers 345 among them."),
        ("hash text, height int", lambda: secrets.token_hex(32)),  # a chain of blocks, nobody's
        ('picture bytea, owner text REFERENCES "User"', lambda: secrets.token_bytes(64)),
        ("key_hash text, user_id int", lambda: sha256(secrets.token_bytes(8)).hexdigest()),
        ("token_digest text, user_id int", lambda: b64encode(secrets.token_bytes(32)).decode()),
        ("secret_hash text, user_id int", lambda: f"$2b$12${secrets.token_urlsafe(40)[:53]}"),
        ("password_hash text, user_id int", lambda: f"pbkdf2_sha256$600000${secrets.token_hex(8)}$abc+/="),
        ("password_hash text, user_id int", lambda: f"{secrets.token_hex(16)}:{secrets.token_hex(64)}"),
        ("key_hash text, org int", lambda: "none"),
        ("essay text, email text", lambda: secrets.token_hex(400)),  # longer than what anybody presents
    ],
)
async def test_ids_digests_and_words_are_left_in_peace(
    source: Connection, source_url: str, tmp_path: Path, columns: str, value: Any
) -> None:
    seed(source, "prisma_v5", users=1)
    source.execute(f"CREATE TABLE thing ({columns})".encode())
    for _ in range(5):
        name = columns.split()[0]
        source.execute(f"INSERT INTO thing ({name}) VALUES (%s) ON CONFLICT DO NOTHING".encode(), [value()])
    assert (await make_plan(source_url, tmp_path / "auth.db")).ok


@given(st.integers(), st.integers(1, 200), st.sampled_from([32, 40, 64, 128]))
def test_what_a_generator_makes_looks_random_in_hexadecimal(start: int, count: int, size: int) -> None:
    generator = Random(start)
    assert looks_random([generator.randbytes(size).hex() for _ in range(count)])


@given(st.lists(st.sampled_from(["red", "green", "12", "of", "a", "the", "user"]), min_size=12, max_size=40))
def test_words_with_spaces_never_do(words: list[str]) -> None:
    assert not looks_random([" ".join(words)])
    assert not looks_random([])
