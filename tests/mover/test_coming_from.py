"""docs/coming-from.md: its profiles move the tables of which it speaks."""

import re
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
import pytest

from authstore import Adapter, connect
from tests.mover.moving import moved

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs/coming-from.md").read_text("utf-8")
ADA = "00000000-0000-7000-8000-000000000001"


def profile_of(heading: str) -> str:
    """The first profile below this heading."""
    _, _, section = PAGE.partition(f"\n## {heading}\n")
    found = re.search(r"^```toml\n(.*?)^```$", section.partition("\n## ")[0], re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    return found[1]


async def check_fastapi_users(store: Adapter) -> None:
    ada, bob = [await store.get_user_by_email(f"{name}@example.com") for name in ("ada", "bob")]
    assert ada is not None
    assert bob is not None
    assert (ada.id, ada.email_verified is not None, ada.data["hashed_password"]) == (ADA, True, "h")
    assert (bob.disabled, bob.email_verified) == (True, None)
    account = await store.get_account("google", "1076")
    assert account is not None
    assert (account.user_id, account.refresh_token) == (ADA, "r")


async def check_lucia(store: Adapter) -> None:
    found = await store.get_session_and_user("0123456789abcdefghijklmnopqrstuvwxyzABCD")
    assert found is not None
    assert (found[1].name, found[1].data["github_id"]) == ("ada", 42)


async def check_django(store: Adapter) -> None:
    ada = await store.get_user_by_email("ada@example.com")
    assert ada is not None
    assert (ada.name, ada.data["username"], ada.data["password"]) == ("Ada", "ada", "pbkdf2_sha256$1$a$b")
    assert [role.name for role in await store.get_roles(ada.id)] == ["editors"]
    visit = await store.get_visit("k2f7q0x9v4b8n1m6z3c5a7s2d9g4h8j1")
    assert visit is not None
    assert visit.data == {"cart": [1, 2]}


ACCOUNT = f"""
INSERT INTO oauth_account (id, oauth_name, access_token, refresh_token, account_id, account_email, user_id)
VALUES (gen_random_uuid(), 'google', 'a', 'r', '1076', 'ada@example.com', '{ADA}')"""
SESSION = "INSERT INTO user_session VALUES ('0123456789abcdefghijklmnopqrstuvwxyzABCD', '2099-01-01', 'u1')"


@pytest.mark.parametrize(
    ("heading", "schema", "more", "check"),
    [
        ("From fastapi-users", "fastapi_users", ACCOUNT, check_fastapi_users),
        (
            "From Lucia",
            "lucia",
            f"ALTER TABLE auth_user ADD COLUMN email text; DELETE FROM user_session; {SESSION}",
            check_lucia,
        ),
        ("From Django", "django", "", check_django),
    ],
    ids=["fastapi-users", "Lucia", "Django"],
)
async def test_a_profile_of_the_page_moves_what_it_is_for(
    source: psycopg.Connection[Any],
    source_url: str,
    tmp_path: Path,
    heading: str,
    schema: str,
    more: str,
    check: Any,
) -> None:
    tables = (HERE / "plans" / f"{schema}.sql").read_text("utf-8")
    source.execute(cast(LiteralString, f"{tables};{more}"))
    profile, target = tmp_path / "profile.toml", tmp_path / "auth.db"
    profile.write_text(profile_of(heading))
    await moved(source_url, target, profile=profile, secrets="keep")
    async with connect(target) as store:
        await check(store)
