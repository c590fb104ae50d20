"""What `import authstore` costs: four dependencies at most, and no extra."""

import subprocess
import sys

import pytest

from authstore import extras

pytestmark = pytest.mark.processes

EXTRAS = [
    "starlette",
    "fastapi",
    "authlib",
    "httpx",
    "jinja2",
    "webauthn",
    "cryptography",
    "psycopg",
    "asyncpg",
    "sqlglot",
    "typer",
    "rich",
    "aiosmtplib",
    "pytest",
    "joserfc",
]

OPEN_A_STORE = """
import asyncio
from authstore import connect

async def main():
    async with connect("sqlite://") as store:
        session = await store.create_session((await store.create_user(email="ada@example.com")).id)
        assert await store.get_session_and_user(session.token)

asyncio.run(main())
"""


def packages_after(program: str, *flags: str) -> set[str]:
    """The top-level packages a fresh interpreter has loaded after this."""
    command = [sys.executable, *flags, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize("program", ["import authstore", OPEN_A_STORE], ids=["import", "use"])
def test_a_plain_store_loads_no_extra(program: str) -> None:
    loaded = packages_after(program, "-X", "importtime")
    assert "authstore" in loaded
    assert sorted(loaded & set(EXTRAS)) == []


def test_the_import_alone_loads_neither_pydantic_nor_a_driver() -> None:
    """So that it takes less time than `import pydantic`."""
    assert not packages_after("import authstore", "-X", "importtime") & {"pydantic", "aiosqlite", "sqlite3", "asyncio"}


def test_every_public_name_is_there_and_no_other() -> None:
    import authstore

    assert all(getattr(authstore, name) is not None for name in authstore.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = authstore.no_such_name


def test_no_room_for_the_web_the_mover_or_the_tests_is_entered() -> None:
    program = "import authstore, sys; print(*sorted(name for name in sys.modules if name.startswith('authstore.')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    rooms = {name.split(".")[1] for name in done.stdout.split()}
    assert not rooms & {"web", "mover", "ops", "cli", "testing"}


def test_with_keys_and_without_the_extra_it_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from authstore import connect\n"
        "from authstore.errors import ConfigurationError\n"
        "try:\n"
        "    connect('sqlite://', keys=['k' * 32])\n"
        "except ConfigurationError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "authstore[crypto]" in done.stdout


@pytest.mark.parametrize(
    ("room", "package", "extra"),
    [
        ("web", "starlette", "web"),
        ("web", "webauthn", "web"),
        ("web.fastapi", "fastapi", "fastapi"),
        ("mover", "psycopg", "move"),
        ("mover", "sqlglot", "move"),
        ("testing.contract", "pytest", "testing"),
        ("testing.web", "httpx2", "testing"),
    ],
)
def test_a_room_without_its_extra_says_in_one_line_what_to_install(room: str, package: str, extra: str) -> None:
    program = f"import sys; sys.modules[{package!r}] = None; import authstore.{room}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    said = f"ModuleNotFoundError: {package} is not installed: pip install 'authstore[{extra}]'"
    assert done.stderr.splitlines()[-1] == said
    assert "During handling" not in done.stderr


def test_a_module_of_ours_that_is_missing_is_not_taken_for_an_extra() -> None:
    error = ModuleNotFoundError("No module named 'authstore.web.gone'", name="authstore.web.gone")
    assert extras.missing(error, "web") is error
