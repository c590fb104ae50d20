"""Whether version, changelog, tag and wheel agree; with `--tag` it makes the tag of a release that is ready.

    python .ci/release.py DIST [--tag]

The version is pyproject.toml's. Between releases the changelog begins with [Unreleased]; a commit that is tagged as
v1.2.3 begins it with [1.2.3] and its day, has that version, and is what the wheel in DIST was made of.
"""

import re
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEADING = re.compile(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", re.MULTILINE)


def main(dist: str, *flags: str) -> int:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    headings = HEADING.findall((ROOT / "CHANGELOG.md").read_text("utf-8"))
    is_release = f"v{version}" in _git("tag", "--points-at", "HEAD") or "--tag" in flags
    wrong = [
        *_wrong_headings(version, headings, is_release),
        *_wrong_tags(f"v{version}", is_release),
        *_wrong_wheels(version, Path(dist)),
    ]
    if "--tag" in flags and _git("status", "--porcelain"):
        wrong.append("there are changes that are not committed")
    for line in wrong:
        print(line)
    if wrong:
        return 1
    if "--tag" in flags:
        _git("tag", "--annotate", f"v{version}", "--message", f"authstore {version}")
    print(f"version, changelog{', tag' if is_release else ''} and wheel agree: {version}")
    return 0


def _wrong_headings(version: str, headings: list[tuple[str, str]], is_release: bool) -> list[str]:
    """headings: (name, day) of the changelog's sections, newest first."""
    if not headings:
        return ["the changelog has no section"]
    (newest, day), *older = headings
    wrong = [f"the changelog's section [{name}] has no day" for name, of in older if not of]
    if is_release and (newest != version or not day):
        wrong.append(f"the changelog begins with [{newest}], and not with [{version}] and its day")
    if not is_release and newest not in ("Unreleased", version):
        wrong.append(f"the changelog begins with [{newest}]: neither [Unreleased] nor [{version}]")
    return wrong


def _wrong_tags(tag: str, is_release: bool) -> list[str]:
    if is_release or tag not in _git("tag") or not _git("diff", "--name-only", tag, "--", "authstore", "migrations"):
        return []
    return [f"{tag} is released and the code has changed since: write the next version into pyproject.toml"]


def _wrong_wheels(version: str, dist: Path) -> list[str]:
    found = [path.name for path in sorted(dist.iterdir())] if dist.is_dir() else []
    wheel = f"authstore-{version}-py3-none-any.whl"
    if found != [wheel, f"authstore-{version}.tar.gz"]:
        return [f"{dist} holds {found}, and not the wheel and the sources of {version}: make wheel"]
    inside = zipfile.ZipFile(dist / wheel).read(f"authstore-{version}.dist-info/METADATA")
    said = message_from_bytes(inside)["Version"]
    return [] if said == version else [f"the wheel's metadata say {said}"]


def _git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
