"""follow, as far as nothing is followed: what it is told, and what it says no to."""

import pytest

from authstore.cli import app as application
from authstore.cli.follow_commands import size_of
from authstore.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("10GB", 10 << 30), ("512MB", 512 << 20), ("64kB", 65536), ("1 TiB", 1 << 40), ("7", 7), ("", 0)],
)
def test_sizes(text: str, bytes_: int) -> None:
    assert size_of(text) == bytes_


@pytest.mark.parametrize("text", ["ten", "10XB", "-1GB", "0MB", "1.5GB", " "])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ConfigurationError, match="max-slot-wal"):
        size_of(text)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("postgresql://a@b/c", "sqlite:///x.db", "--cut-over", "--drop"), "give one of them"),
        (("sqlite:///x.db", "sqlite:///y.db"), "from PostgreSQL to a file"),
        (("postgresql://a@b/c", "postgresql://a@b/d"), "from PostgreSQL to a file"),
    ],
)
def test_wrong_usage_is_told(arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert application.run(["follow", *arguments]) == 2
    assert said in capsys.readouterr().err
