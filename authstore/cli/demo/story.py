"""How the tour tells what happens."""

import sys
from typing import NoReturn


class Story:
    """Numbered steps with what came of each."""

    def __init__(self) -> None:
        self._step = 0

    def chapter(self, title: str) -> None:
        """Begins a part."""
        print(f"\n{title}\n{'─' * len(title)}")

    def step(self, text: str) -> None:
        """Says what is done next."""
        self._step += 1
        print(f"{self._step:3}. {text}")

    def shows(self, text: str) -> None:
        """Says what came of it."""
        print(f"       → {text}")

    def expect(self, is_so: bool, text: str) -> None:
        """Says what came of it, and ends the tour with exit code 1 where it did not."""
        if not is_so:
            self.fail(f"this should have been so: {text}")
        self.shows(text)

    def fail(self, text: str) -> NoReturn:
        """Ends the tour."""
        sys.stdout.flush()
        print(f"       ✗ {text}", file=sys.stderr)
        raise SystemExit(1)
