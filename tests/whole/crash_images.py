"""What a disk may hold after the power went: everything that was synced, and any part of the rest in any order.

As SQLite assumes (https://sqlite.org/atomiccommit.html §2) and no better: what is written and not synced is there or
not, sector by sector; a file may have grown before its content came; names of files are there or not until their folder
is synced.
"""

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.whole.recording import (
    Event,
    FolderMade,
    FolderSynced,
    Linked,
    Opened,
    Renamed,
    Said,
    Synced,
    Truncated,
    Unlinked,
    Written,
)

SECTOR = 512
WAYS = ("nothing", "everything", "sectors", "writes", "the last write", "all but one", "torn at the end")


@dataclass
class File:
    """What is surely on the disk, and what may be, each with the number of its event."""

    content: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, Written | Truncated]] = field(default_factory=list)

    def sync(self, begun: int) -> None:
        """Everything before this event is on the disk."""
        for number, event in self.pending:
            if number < begun:
                _apply(self.content, event)
        self.pending = [(number, event) for number, event in self.pending if number >= begun]

    def after(self, way: str, dice: random.Random) -> bytearray:
        """What may be found after the power went."""
        content = bytearray(self.content)
        for event in _survivors([event for _, event in self.pending], way, dice):
            _grow(content, event, dice)
            _apply(content, event)
        return content


Entry = tuple[str, "File | None", bool]  # a name, what it names (`None`: a folder), and whether it is put or taken


class Disk:
    """Everything below one folder, as the events make it."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.said: list[Said] = []
        self._names: dict[str, File | None] = {root: None}  # as the running system sees them
        self._safe: dict[str, File | None] = {root: None}  # as they surely are
        self._pending: list[tuple[int, str, list[Entry]]] = []  # by number, with the folder that is to be synced
        self._handles: dict[int, File] = {}

    def happens(self, number: int, event: Event) -> None:
        """Plays one event."""
        match event:
            case Opened(handle, path, is_new):
                if is_new:
                    self._change(number, path, [(path, File(), True)])
                opened = self._names[path]
                assert opened is not None
                self._handles[handle] = opened
            case Written(handle) | Truncated(handle):
                self._handles[handle].pending.append((number, event))
            case Synced(handle, begun):
                self._handles[handle].sync(begun)
            case FolderSynced(path, begun):
                self._sync_folder(path, begun)
            case FolderMade(path):
                self._change(number, path, [(path, None, True)])
            case Linked(source, path):
                self._change(number, path, [(path, self._names[source], True)])
            case Renamed(source, path):
                self._change(number, path, [(source, None, False), (path, self._names[source], True)])
            case Unlinked(path):
                self._change(number, path, [(path, None, False)])
            case Said():
                self.said.append(event)

    def lose_power(self, to: Path, way: str, dice: random.Random) -> None:
        """Writes what may be left into an empty folder."""
        names = dict(self._safe)
        changes = [entries for _, _, entries in self._pending]
        for entries in changes if way == "everything" else [each for each in changes if dice.random() < 0.5]:
            _rename(names, entries)
        for path in sorted(names):
            file, place = names[path], to / os.path.relpath(path, self.root)
            if file is None and place.parent.exists():
                place.mkdir(exist_ok=True)
            elif file is not None and place.parent.exists():
                place.write_bytes(file.after(way, dice))
                place.chmod(0o600)

    def _change(self, number: int, path: str, entries: list[Entry]) -> None:
        _rename(self._names, entries)
        self._pending.append((number, os.path.dirname(path), entries))

    def _sync_folder(self, path: str, begun: int) -> None:
        for number, folder, entries in self._pending:
            if folder == path and number < begun:
                _rename(self._safe, entries)
        self._pending = [each for each in self._pending if each[1] != path or each[0] >= begun]


def images(events: Sequence[Event], root: str, folder: Path, how_many: int, seed: int) -> Iterator[tuple[Path, Disk]]:
    """So many crash images, spread over the whole recording: each a folder, and the disk at that moment."""
    dice, disk = random.Random(seed), Disk(root)
    cuts = sorted(
        dice.choices(range(len(events) + 1), k=how_many - how_many // 3) + _turning_points(events, how_many // 3)
    )
    made = 0
    for number in range(len(events) + 1):
        while made < len(cuts) and cuts[made] == number:
            place = folder / f"{made}"
            place.mkdir()
            disk.lose_power(place, WAYS[made % len(WAYS)], dice)
            yield place, disk
            made += 1
        if number < len(events):
            disk.happens(number, events[number])


def _turning_points(events: Sequence[Event], how_many: int) -> list[int]:
    """Just before and after a sync, a name or a word is where most goes wrong."""
    turns = [
        number + beside
        for number, event in enumerate(events)
        for beside in (0, 1)
        if not isinstance(event, Written | Opened)
    ]
    return [turns[n * len(turns) // how_many] for n in range(how_many)]


def _survivors(events: list[Written | Truncated], way: str, dice: random.Random) -> Iterator[Written | Truncated]:
    lost = dice.randrange(len(events)) if events else 0
    for number, event in enumerate(events):
        is_last = number == len(events) - 1
        match way:
            case "nothing":
                return
            case "everything":
                yield event
            case "sectors":
                yield from _torn(event, dice)
            case "writes":
                if dice.random() < 0.5:
                    yield event
            case "the last write":
                if is_last:
                    yield event
            case "all but one":
                if number != lost:
                    yield event
            case _:
                yield from _torn(event, dice) if is_last else [event]


def _torn(event: Written | Truncated, dice: random.Random) -> Iterator[Written | Truncated]:
    """Some of the sectors that it touches."""
    if isinstance(event, Truncated):
        if dice.random() < 0.5:
            yield event
        return
    start = event.offset
    while start < event.offset + len(event.data):
        end = min((start // SECTOR + 1) * SECTOR, event.offset + len(event.data))
        if dice.random() < 0.5:
            yield Written(event.handle, start, event.data[start - event.offset : end - event.offset])
        start = end


def _grow(content: bytearray, event: Written | Truncated, dice: random.Random) -> None:
    """What lies between the end and where it is written: nothing was ever there, so anything may be."""
    if isinstance(event, Written) and event.offset > len(content):
        gap = event.offset - len(content)
        content.extend(dice.randbytes(gap) if dice.random() < 0.5 else bytes(gap))


def _apply(content: bytearray, event: Written | Truncated) -> None:
    if isinstance(event, Truncated):
        del content[event.size :]
        content.extend(bytes(event.size - len(content)))
    else:
        content.extend(bytes(max(0, event.offset - len(content))))
        content[event.offset : event.offset + len(event.data)] = event.data


def _rename(names: dict[str, File | None], entries: list[Entry]) -> None:
    for path, file, is_put in entries:
        if is_put:
            names[path] = file
        else:
            names.pop(path, None)
