"""A profile is a small TOML file: what it says is what is done, what it cannot say is refused by name."""

from pathlib import Path

import pytest

from authstore.errors import ConfigurationError
from authstore.mover.catalog import SourceTable
from authstore.mover.recognition.aliases import role_aliases
from authstore.mover.recognition.profile import ProfileTable, is_named, parse_profile, read_profile, write_profile
from authstore.mover.recognition.recognised import Recognised


def test_tables_columns_and_what_is_carried_are_read(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text(
        'authstore_profile = 1\ncarry = ["a.b"]\nleave = ["c"]\n[users]\ntable = "x.y"\n[users.columns]\nid = "key"\n'
    )
    profile = read_profile(path)
    assert profile.tables == {"users": ProfileTable("x.y", {"id": "key"})}
    assert (profile.carry, profile.leave) == (("a.b",), ("c",))
    assert profile.origin == str(path)


@pytest.mark.parametrize("name", ['quo"te', "dot.ted", "new\nline", "del\x7f", "Ünï🙂", "back\\slash", "#x", "tab\t"])
def test_what_is_written_is_read_again_whatever_the_names(name: str) -> None:
    table = SourceTable(name, name, ())
    text = write_profile([Recognised("users", table, {"id": name, "email": "e"}, why=f"of {name}")], carry=[name])
    profile = parse_profile(text)
    assert profile.tables["users"].columns == {"id": name, "email": "e"}
    assert is_named(table, [profile.tables["users"].table])
    assert profile.carry == (name,)


def test_what_does_not_move_is_not_written() -> None:
    text = write_profile([Recognised("sessions", SourceTable("public", "old", ()), moved=False)])
    assert parse_profile(text).tables == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "begins with authstore_profile = 1"),
        ("authstore_profile = 2", "begins with authstore_profile = 1"),
        ("authstore_profile = true", "begins with authstore_profile = 1"),
        ("authstore_profile = ", "Invalid value"),
        ('authstore_profile = 1\n[guests]\ntable = "x"', "'guests' is no role; there are users, accounts"),
        ("authstore_profile = 1\n[users]\n", "needs table ="),
        ('authstore_profile = 1\n[users]\ntable = "x"\nschema = "y"', "needs table ="),
        ('authstore_profile = 1\nusers = "x"', "needs table ="),
        ('authstore_profile = 1\n[users]\ntable = "x"\ncolumns = { nick = "y" }', "users has no field 'nick'"),
        ('authstore_profile = 1\n[users]\ntable = "x"\ncolumns = { id = 1 }', 'field = "column" lines'),
        ("authstore_profile = 1\ncarry = [1]", "carry is a list of table names"),
        ('authstore_profile = 1\nleave = "x"', "leave is a list of table names"),
    ],
)
def test_what_no_profile_says_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=r"my\.toml") as caught:
        parse_profile(text, origin="my.toml")
    assert message in str(caught.value)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_profile(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read_profile(tmp_path / "bytes.toml")


def test_the_examples_of_the_documentation_are_profiles() -> None:
    page = (Path(__file__).parents[3] / "docs" / "profiles.md").read_text("utf-8")
    visits, profile, short = (parse_profile(part.split("```")[0]) for part in page.split("```toml\n")[1:])
    assert visits.tables["visits"].user_in == ("passport", "user")
    assert short.leave == ("PasswordResetToken", "TwoFactorToken")
    assert profile.tables["sessions"].columns == {"token": "secret", "user_id": "person", "expires": "valid_until"}
    assert profile.tables["users"].columns["image"] == ""


def test_the_documentation_names_every_field() -> None:
    page = (Path(__file__).parents[3] / "docs" / "profiles.md").read_text("utf-8")
    missing = [
        (role, name) for role, found in role_aliases().items() for name in found.fields if f"`{name}`" not in page
    ]
    assert missing == []
