"""What reports and the reject file say of rows: by every way that leads to a secret, none of it as it is."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest

from authstore.mover import make_plan
from authstore.mover.recognition.concealed import concealed
from tests.mover.moving import change, moved, verified
from tests.mover.seeds import seed

SECRET = "one-that-nobody-may-read"
HASHED = f"sha256:{sha256(SECRET.encode()).hexdigest()}"


@pytest.mark.parametrize(
    "value",
    [
        {"refresh_token": SECRET, "plan": "gold"},
        {"oauth": {"github": {"clientSecret": SECRET}}},
        [{"password": SECRET}, {"recoveryCodes": [SECRET]}],
        json.dumps({"a": [{"apiKey": SECRET}]}),
        f"https://app.example/verify?token={SECRET}&user=1",
        f"/reset#reset_token={SECRET}",
    ],
)
def test_secrets_within_values_are_hashed(value: Any) -> None:
    shown = json.dumps(concealed({"id": 7, "note": value}, ()), ensure_ascii=False)
    assert SECRET not in shown
    assert HASHED in shown


@pytest.mark.parametrize("value", [SECRET, [SECRET], {"any": SECRET}, SECRET.encode()])
def test_so_is_all_of_a_column_of_secrets(value: Any) -> None:
    shown = json.dumps(concealed({"id": 7, "codes": value}, {"codes"}))
    assert SECRET not in shown
    assert HASHED in shown


@pytest.mark.parametrize(
    "value", [{"theme": "dark", "n": 1.50}, '{"theme":  "dark"}', "[not JSON", "a?b=1", "", None, True, {"token": None}]
)
def test_all_else_stays_as_it_is(value: Any) -> None:
    assert concealed({"note": value}, ()) == {"note": value}


async def test_a_key_that_is_a_secret_is_shown_nowhere(
    source: psycopg.Connection[Any], source_url: str, tmp_path: Path
) -> None:
    seed(source, "pg_adapter", users=1)
    source.execute("CREATE TABLE links (token text PRIMARY KEY, user_id int, backup_codes text[])")
    source.execute("INSERT INTO links VALUES (%s, 1, NULL), (%s, 99, %s)", ["t" * 20, SECRET, [SECRET]])
    source.execute("ALTER TABLE links ADD FOREIGN KEY (user_id) REFERENCES users NOT VALID")
    profile, target = tmp_path / "profile.toml", tmp_path / "auth.db"
    profile.write_text('authstore_profile = 1\ncarry = ["links"]')
    plan = await make_plan(source_url, target, profile=profile)
    (problem,) = (one for one in plan.problems if one.stops)
    assert problem.samples == (HASHED,)
    await moved(source_url, target, profile=profile, on_orphan="reject")
    written = (tmp_path / "auth.db.rejects.jsonl").read_text()
    assert SECRET not in written
    assert json.loads(written)["key"] == HASHED
    source.execute("UPDATE links SET user_id = 1")
    change(target, "UPDATE links SET user_id = NULL")
    samples = (await verified(source_url, target)).tables["links"].samples
    assert len(samples) == 2
    assert not any(SECRET in sample or "tttt" in sample for sample in samples)
