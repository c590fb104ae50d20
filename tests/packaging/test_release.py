"""What keeps a release from being made: version, changelog, tag and wheel that do not agree."""

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / ".ci" / "release.py"
GIT = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
Check = Callable[..., tuple[int, str]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Runs the program in a project of its own: (exit code, what it said)."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(PROGRAM, tmp_path / ".ci")
    (tmp_path / "dist").mkdir()
    (tmp_path / ".gitignore").write_text("dist/\n")

    def run(version: str, headings: list[str], *flags: str, wheel: str = "", tag: str = "") -> tuple[int, str]:
        (tmp_path / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n')
        (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n" + "".join(f"## {line}\n\n" for line in headings))
        _wheel(tmp_path / "dist", wheel or version)
        for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"], *([["tag", tag]] if tag else [])):
            subprocess.run([*GIT, *command], cwd=tmp_path, check=True, capture_output=True)
        command = [sys.executable, ".ci/release.py", "dist", *flags]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def _wheel(dist: Path, version: str) -> None:
    with zipfile.ZipFile(dist / f"authstore-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"authstore-{version}.dist-info/METADATA", f"Metadata-Version: 2.4\nVersion: {version}\n")
    (dist / f"authstore-{version}.tar.gz").touch()


@pytest.mark.parametrize(
    ("headings", "tag"),
    [
        (["[Unreleased]"], ""),
        (["[Unreleased]", "[1.1.0] - 2026-01-31"], ""),
        (["[1.2.0] - 2026-11-30", "[1.1.0] - 2026-01-31"], ""),
        (["[1.2.0] - 2026-11-30"], "v1.2.0"),
    ],
)
def test_what_agrees_passes(headings: list[str], tag: str, check: Check) -> None:
    code, said = check("1.2.0", headings, tag=tag)
    assert (code, "agree: 1.2.0" in said) == (0, True), said


@pytest.mark.parametrize(
    ("headings", "more", "complaint"),
    [
        ([], {}, "no section"),
        (["[1.1.0] - 2026-01-31"], {}, r"begins with \[1.1.0\]"),
        (["[Unreleased]"], {"tag": "v1.2.0"}, r"begins with \[Unreleased\]"),
        (["[1.2.0]"], {"tag": "v1.2.0"}, "and its day"),
        (["[Unreleased]", "[1.1.0]"], {}, "has no day"),
        (["[Unreleased]"], {"wheel": "1.1.0"}, "make wheel"),
    ],
)
def test_what_does_not_agree_is_named(headings: list[str], more: dict[str, str], complaint: str, check: Check) -> None:
    code, said = check("1.2.0", headings, **more)
    assert code == 1
    assert re.search(complaint, said), said
