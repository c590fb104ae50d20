"""A certified OpenID provider (npm `oidc-provider`) in a process of its own, at a free loopback port."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.web.certified.node import HERE, install, node

PEOPLE = {
    "ada": {
        "email": "ada@example.com",
        "email_verified": True,
        "name": "Ada Lovelace",
        "picture": "https://a.example/ada.png",
    },
    "grace": {"email": "grace@example.com", "email_verified": True, "name": "Grace Hopper"},
}


class CertifiedProvider:
    """What the tests tell the process to be. It ends with its standard input, whatever becomes of the tests."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log
        self.port: int = self._order()["port"]

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def discovery_url(self) -> str:
        return f"{self.issuer}/.well-known/openid-configuration"

    def configure(self, *clients: Mapping[str, Any], keys: Sequence[Mapping[str, Any]] = (), **more: Any) -> None:
        """Becomes a provider for these clients; sessions, grants and tokens of before stay."""
        configuration = {
            "clients": clients,
            "jwks": {"keys": list(keys or signing_keys())},
            "people": PEOPLE,
            "accessTokenSeconds": {},
            "rotatesRefreshTokens": True,
            "claims": {"openid": ["sub"], "email": ["email", "email_verified"], "profile": ["name", "picture"]},
            **more,
            "features": {
                "backchannelLogout": {"enabled": True},
                "jwtUserinfo": {"enabled": True},
                "pushedAuthorizationRequests": {"enabled": False},
                **more.get("features", {}),
            },
        }
        self._order(configuration=configuration, failing=[])

    def stop_clock(self, at: datetime | None) -> None:
        """Its clock stands there until it is moved; `None`: runs with the real one again."""
        self._order(seconds=None if at is None else at.timestamp())

    def go_away(self) -> None:
        """Hangs up, and answers nobody."""
        self._order(away=True)

    def come_back(self) -> None:
        """Answers again, at the same port."""
        self._order(away=False)

    def fail_at(self, *paths: str) -> None:
        """Answers these with 503, and everything else as before."""
        self._order(failing=paths)

    def requests(self) -> list[str]:
        """Method and path of what it was asked since the last look, oldest first."""
        return list(self._order(requests=True)["requests"])

    def complaints(self) -> str:
        """What it wrote to its log."""
        return self._log.read_text()

    def _order(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the certified provider ended: {self.complaints()[-2000:]}")
        said: dict[str, Any] = json.loads(answer)
        if "error" in said:
            raise RuntimeError(said["error"])
        return said


@contextmanager
def certified_provider(folder: Path) -> Iterator[CertifiedProvider]:
    """One that runs, and is ended in any case. Raises `RuntimeError` that says what is missing."""
    command = [node(), HERE / "provider.mjs", install() / "package.json"]
    log = folder / "provider.log"
    with (
        log.open("w") as complaints,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, text=True, cwd=folder
        ) as process,
    ):
        try:
            yield CertifiedProvider(process, log)
        finally:
            process.kill()


@cache
def signing_keys() -> tuple[Mapping[str, Any], ...]:
    """A key for each algorithm."""
    return (new_key("rsa", "RS256"), new_key("ec", "ES256"), new_key("pss", "PS256"), new_key("okp", "EdDSA"))


def new_key(kid: str, algorithm: str) -> Mapping[str, Any]:
    """A key pair as a JWK."""
    parameters = {"kid": kid, "alg": algorithm, "use": "sig"}
    if algorithm == "EdDSA":
        return OKPKey.generate_key("Ed25519", parameters).as_dict(private=True)
    if algorithm.startswith("ES"):
        return ECKey.generate_key("P-256", parameters).as_dict(private=True)
    return RSAKey.generate_key(2048, parameters).as_dict(private=True)
