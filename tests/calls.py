"""How many functions are called on the way to something: what is done too much is counted, not timed."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any


class Calls:
    """Counts the calls of functions in this thread and in those that are started `within`: of those in this folder,
    and of others by them."""

    def __init__(self, folder: Path) -> None:
        self.names: list[str] = []
        self._folder = str(folder)
        self._is_counting = False

    @contextmanager
    def within(self) -> Iterator[None]:
        """Where threads are born that are watched too."""
        threading.setprofile(self._note)
        try:
            yield
        finally:
            threading.setprofile(None)

    @contextmanager
    def counted(self) -> Iterator[list[str]]:
        """The names of what is called in the block, in the end; C functions by their own."""
        self.names, self._is_counting = [], True
        before = sys.getprofile()
        sys.setprofile(self._note)
        try:
            yield self.names
        finally:
            sys.setprofile(before)
            self._is_counting = False

    def _note(self, frame: FrameType, event: str, argument: Any) -> None:
        if not self._is_counting or event not in ("call", "c_call"):
            return
        if self._is_ours(frame) or (event == "call" and self._is_ours(frame.f_back)):
            self.names.append(frame.f_code.co_qualname if event == "call" else argument.__qualname__)

    def _is_ours(self, frame: FrameType | None) -> bool:
        return frame is not None and frame.f_code.co_filename.startswith(self._folder)
