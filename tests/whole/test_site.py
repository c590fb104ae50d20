"""The documents name everything public, and the site has every page. That its links lead somewhere `make docs` says."""

import re
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import authstore
from authstore.errors import AuthStoreError
from benchmarks import plots

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {path.relative_to(DOCS).as_posix(): path.read_text("utf-8") for path in DOCS.rglob("*.md")}
SHOWN = re.findall(r"^::: ([\w.]+)$", "\n".join(PAGES.values()), re.MULTILINE)
ROOMS = (
    "authstore",
    "authstore.web",
    "authstore.web.fastapi",
    "authstore.ops",
    "authstore.mover",
    "authstore.testing",
    "authstore.testing.web",
    "authstore.testing.contract",
    "authstore.rules",
)
PARTS = ("Users", "Accounts", "Sessions", "Visits", "VerificationTokens", "Authenticators", "Roles", "Maintenance")
ERRORS = dict(
    re.findall(r"^### (\w+Error)\n\n(.*?)(?=\n##|\Z)", PAGES["errors.md"], re.MULTILINE | re.DOTALL),
)


def found(path: str) -> Any:
    """What is meant by a dotted path."""
    room, _, name = path.rpartition(".")
    return getattr(import_module(room), name)


def kinds(root: type[AuthStoreError]) -> set[type[AuthStoreError]]:
    """All public errors, the mover's and the web's included."""
    return {root, *(kind for child in root.__subclasses__() for kind in kinds(child))}


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_stands_in_the_reference(room: str) -> None:
    shown = {id(found(path)) for path in SHOWN}
    reference = "\n".join(text for page, text in PAGES.items() if page.startswith("reference/"))
    in_words = {*re.findall(r"`(\w+)`", reference), *ERRORS}
    names = import_module(room).__all__
    assert [name for name in names if id(found(f"{room}.{name}")) not in shown and name not in in_words] == []


def test_what_the_reference_shows_is_there_once() -> None:
    assert [path for path, times in Counter(SHOWN).items() if times > 1] == []
    assert all(found(path) is not None for path in SHOWN)
    assert len(SHOWN) > 150


def test_every_method_of_an_adapter_stands_in_words_under_its_protocol() -> None:
    sections = dict(re.findall(r"^## ([\w ]+)\n(.*?)^::: ", PAGES["reference/adapter.md"], re.MULTILINE | re.DOTALL))
    told = {name.title().replace(" ", ""): set(re.findall(r"`(\w+)`", text)) for name, text in sections.items()}
    for part in PARTS:
        methods = {name for name in vars(getattr(authstore, part)) if not name.startswith("_")}
        assert methods - told[part] == set(), part
        assert f"authstore.{part}" in SHOWN
    assert set(told) == set(PARTS)
    assert {base.__name__ for base in authstore.Adapter.__bases__} - {"Protocol"} == set(PARTS)


def test_every_error_has_its_cause_and_its_remedy() -> None:
    public = {id(found(f"{room}.{name}")) for room in ROOMS for name in import_module(room).__all__}
    ours = {kind for kind in kinds(AuthStoreError) if id(kind) in public}
    assert {kind.__name__ for kind in ours} == set(ERRORS)
    for kind in ours:
        text = " ".join(ERRORS[kind.__name__].split())
        assert "**Cause.** " in text, kind.__name__
        _, _, remedy = text.partition("**Remedy.** ")
        assert remedy.lower().startswith(f"{kind.hint.lower()}."), f"{kind.__name__}: {kind.hint}"
        parent = kind.__bases__[0].__name__
        assert kind is AuthStoreError or re.match(rf"An? `{parent}`\.", text), f"{kind.__name__} is a {parent}"


def test_the_site_has_every_page_once() -> None:
    settings = (ROOT / "mkdocs.yml").read_text("utf-8")
    _, _, nav = settings.partition("\nnav:\n")
    assert sorted(re.findall(r"[\w/-]+\.md", nav)) == sorted(PAGES)


def test_the_recipe_shows_the_dockerfile_that_is_written() -> None:
    written = (ROOT / "authstore/cli/new/files/dockerfile.txt").read_text("utf-8")
    assert f"```text\n{written}```" in PAGES["recipes.md"]


def test_the_plots_are_of_what_was_measured_last() -> None:
    kept = {path.name: path.read_text("utf-8") for path in (DOCS / "pictures").glob("*.svg")}
    assert kept == plots.drawn(), "the results have changed: python -m benchmarks.plots"


def test_every_picture_is_small_and_shown_somewhere() -> None:
    texts = "\n".join([*PAGES.values(), (ROOT / "README.md").read_text("utf-8")])
    for path in (DOCS / "pictures").iterdir():
        assert path.name in texts
        assert path.stat().st_size < 64 * 1024, path.name
