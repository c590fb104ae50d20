"""A small application to keep: sign-in, a page, settings, tests, a Dockerfile."""

import re
import secrets
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from authstore.cli.output import Output
from authstore.errors import ConfigurationError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9 _-]{0,63}")

# Where each file goes.
_FILES = {
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "readme.md.txt",
    "Dockerfile": "dockerfile.txt",
    ".dockerignore": "dockerignore.txt",
    ".gitignore": "gitignore.txt",
    ".env.example": "env.txt",
    "app/__init__.py": "app_init.py.txt",
    "app/main.py": "app_main.py.txt",
    "app/pages.py": "app_pages.py.txt",
    "app/settings.py": "app_settings.py.txt",
    "tests/conftest.py": "tests_conftest.py.txt",
    "tests/test_app.py": "tests_app.py.txt",
}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("new")(new)


def new(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is not there yet, or is empty.")],
    name: Annotated[str, typer.Option(help="What the site is called; the folder's name by default.")] = "",
) -> int:
    """Writes a small FastAPI application with sign-in, tests, settings and a Dockerfile, for you to keep."""
    try:
        called = name or directory.resolve().name
        if not _NAME.fullmatch(called):
            raise ConfigurationError(f"{called!r} is no name for a site: letters, digits, spaces, - and _; say --name")
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise ConfigurationError(f"{directory} is there already, and not empty: nothing is written over")
        _write_all(directory, called)
    except OSError as error:
        raise ConfigurationError(f"{directory} cannot be made: {error.strerror}") from error
    say = Output(is_json=False).say
    say(f"{directory} is made. Go on there:")
    say('  python -m venv .venv && . .venv/bin/activate && pip install -e ".[test]"')
    say("  pytest")
    say("  uvicorn app.main:app --reload")
    return 0


def _write_all(directory: Path, called: str) -> None:
    """All files or, where one cannot be written, none."""
    told = {
        "@NAME@": called,
        "@PACKAGE@": re.sub(r"[^a-z0-9]+", "-", called.lower()).strip("-"),
        "@SECRET@": secrets.token_hex(),
    }
    was_there = directory.exists()
    try:
        for path, source in _FILES.items():
            text = (files("authstore.cli.new") / "files" / source).read_text("utf-8")
            for place, value in told.items():
                text = text.replace(place, value)
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_text(text, "utf-8")
    except OSError:
        for made in directory.iterdir() if was_there else [directory]:
            shutil.rmtree(made, ignore_errors=True) if made.is_dir() else made.unlink(missing_ok=True)
        raise
