"""Files of SQLite put over each other, and copied, while nobody has them open."""

import os
import stat
from pathlib import Path

import pytest

from authstore.backends.sqlite import file


def test_what_is_put_over_another_has_its_name_and_the_other_goes_on_under_its_new_one(tmp_path: Path) -> None:
    made, path, kept = tmp_path / "made", tmp_path / "auth.db", tmp_path / "auth.db.backup"
    made.write_bytes(b"new")
    path.write_bytes(b"old")
    before = path.stat().st_ino
    file.put_over(made, path, kept)
    assert (path.read_bytes(), kept.read_bytes(), kept.stat().st_ino) == (b"new", b"old", before)
    assert not made.exists()


def test_where_nothing_is_it_only_takes_the_name(tmp_path: Path) -> None:
    made, path = tmp_path / "made", tmp_path / "auth.db"
    made.write_bytes(b"new")
    file.put_over(made, path, None)
    assert [each.name for each in tmp_path.iterdir()] == ["auth.db"]


@pytest.mark.parametrize("has_copies", [True, False], ids=["Linux", "macOS"])
def test_a_copy_has_every_byte_and_is_its_owners(
    has_copies: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_copies:
        monkeypatch.delattr(os, "copy_file_range")
    path, made = tmp_path / "auth.db", tmp_path / "copy"
    path.write_bytes(bytes(range(256)) * 5000)
    path.chmod(0o644)
    file.copy(path, made)
    assert made.read_bytes() == path.read_bytes()
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
