"""Firefox as Debian ships it, driven by Marionette, which is in it: the commands of WebDriver, framed, over a socket.

Playwright drives a Firefox of its own build alone, and geckodriver is but a translator for this protocol.
"""

import base64
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # WebDriver §12.1
_STARTED = 60.0  # seconds
_SETTINGS = {
    "marionette.port": 0,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}


class Firefox:
    """A window. Every call waits for what it looks for; raises `RuntimeError` where that does not come."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._numbers = count()
        self._receive()  # whom we talk to
        self._order("NewSession", acceptInsecureCerts=True, timeouts={"implicit": 10_000})
        self._order("SetWindowRect", width=1280, height=1024, x=None, y=None)

    def open(self, url: str) -> None:
        """Goes there."""
        self._order("Navigate", url=url)

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self._order("GetCurrentURL")["value"])

    def text(self, selector: str) -> str:
        """What is to be read there."""
        return str(self._order("GetElementText", id=self._found(selector))["value"])

    def click(self, selector: str) -> None:
        """As somebody with a mouse."""
        self._order("ElementClick", id=self._found(selector))

    def type(self, selector: str, text: str) -> None:
        """As somebody with a keyboard."""
        self._order("ElementSendKeys", id=self._found(selector), text=text)

    def run(self, script: str) -> Any:
        """What a function with this body, or the promise that it returns, comes to."""
        done = "const done = arguments[arguments.length - 1];"
        wrapped = f"{done} (async () => {{ {script} }})().then(done, (error) => done(`failed: ${{error}}`));"
        return self._order("ExecuteAsyncScript", script=wrapped, args=[])["value"]

    def zoom(self, factor: float) -> None:
        """Shows pages this much larger, as people do by Ctrl and +."""
        self._in_chrome(f"""Services.wm.getMostRecentWindow("navigator:browser")
          .gBrowser.selectedBrowser.browsingContext.fullZoom = {factor}""")

    def look(self, path: Path) -> None:
        """Takes a picture of the whole page."""
        path.write_bytes(base64.b64decode(self._order("TakeScreenshot", full=True)["value"]))

    def complaints(self) -> list[str]:
        """What went wrong in pages, by the browser's console: scripts, styles, what the content policy forbids."""
        return list(
            self._in_chrome("""return Services.console.getMessageArray()
          .filter((each) => each instanceof Ci.nsIScriptError && each.sourceName.startsWith("https://localhost"))
          .map((each) => String(each))""")
        )

    def _in_chrome(self, script: str) -> Any:
        """Runs it in the browser itself, not in its page."""
        self._order("SetContext", prefix="Marionette", value="chrome")
        try:
            return self.run(script)
        finally:
            self._order("SetContext", prefix="Marionette", value="content")

    def _found(self, selector: str) -> str:
        return str(self._order("FindElement", using="css selector", value=selector)["value"][_ELEMENT])

    def _order(self, command: str, *, prefix: str = "WebDriver", **parameters: Any) -> Any:
        said = json.dumps([0, next(self._numbers), f"{prefix}:{command}", parameters]).encode()
        self._connection.sendall(b"%d:%s" % (len(said), said))
        _, _, error, result = self._receive()
        if error is not None:
            raise RuntimeError(f"{command} {parameters}: {error['error']}, {error['message']}")
        return result

    def _receive(self) -> Any:
        length, _, received = self._connection.recv(65_536).partition(b":")
        while len(received) < int(length):
            received += self._connection.recv(65_536)
        return json.loads(received)


@contextmanager
def firefox(folder: Path) -> Iterator[Firefox]:
    """One that runs, with a profile of its own in this folder."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.fail("no Firefox: install it (Debian: apt-get install firefox-esr)")
    settings = "".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in _SETTINGS.items())
    (folder / "user.js").write_text(settings)
    command = [
        program,
        "--headless",
        "--no-remote",
        "--marionette",
        "-remote-allow-system-access",
        "--profile",
        str(folder),
    ]
    with (folder / "firefox.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            with socket.create_connection(("127.0.0.1", _port_in(folder)), timeout=_STARTED) as connection:
                yield Firefox(connection)
        finally:
            process.kill()


def _port_in(folder: Path) -> int:
    """Where Marionette listens, once it does."""
    told, deadline = folder / "MarionetteActivePort", time.monotonic() + _STARTED
    while not (told.exists() and told.read_text()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"Firefox did not start: {(folder / 'firefox.log').read_text()[-1000:]}")
        time.sleep(0.05)
    return int(told.read_text())
