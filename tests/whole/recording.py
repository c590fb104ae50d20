"""Everything that SQLite and the store do to the disk, written down in order: what a crash image is made from.

SQLite's own way to the disk (its VFS) is changed in place, through ctypes: what opens, writes, cuts, syncs and deletes
files goes through here first. The rest is Python's: links, names, folders. Meant for a process that does nothing else.
"""

import _sqlite3
import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

CREATE = 0x4  # SQLITE_OPEN_CREATE
IOERR = 10


class Opened(NamedTuple):
    """A file was opened, and made if it was not there. `handle` tells this opening from all others."""

    handle: int
    path: str
    is_new: bool


class Written(NamedTuple):
    handle: int
    offset: int
    data: bytes


class Truncated(NamedTuple):
    handle: int
    size: int


class Synced(NamedTuple):
    """What was written before the event of number `begun` is on the disk."""

    handle: int
    begun: int


class FolderSynced(NamedTuple):
    path: str
    begun: int


class FolderMade(NamedTuple):
    path: str


class Linked(NamedTuple):
    source: str
    path: str


class Renamed(NamedTuple):
    source: str
    path: str


class Unlinked(NamedTuple):
    path: str


class Said(NamedTuple):
    """What somebody was told, or is about to do."""

    what: str
    about: Any


Event = Opened | Written | Truncated | Synced | FolderSynced | FolderMade | Linked | Renamed | Unlinked | Said


# Each takes the address of what it belongs to first.
_POINTER, _TEXT, _INT = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_open_type = ctypes.CFUNCTYPE(_INT, _POINTER, _POINTER, _POINTER, _INT, _POINTER)
_delete_type = ctypes.CFUNCTYPE(_INT, _POINTER, _TEXT, _INT)
_set_system_call_type = ctypes.CFUNCTYPE(_INT, _POINTER, _TEXT, _POINTER)
_get_system_call_type = ctypes.CFUNCTYPE(_POINTER, _POINTER, _TEXT)
_open_folder_type = ctypes.CFUNCTYPE(_INT, _TEXT, _POINTER)
_write_type = ctypes.CFUNCTYPE(_INT, _POINTER, _POINTER, _INT, ctypes.c_int64)
_truncate_type = ctypes.CFUNCTYPE(_INT, _POINTER, ctypes.c_int64)
_sync_type = ctypes.CFUNCTYPE(_INT, _POINTER, _INT)


class _Vfs(ctypes.Structure):
    """https://sqlite.org/c3ref/vfs.html, version 3."""

    _fields_ = (
        *((name, _INT) for name in ("iVersion", "szOsFile", "mxPathname")),
        *((name, _POINTER) for name in ("pNext", "zName", "pAppData", "xOpen", "xDelete", "xAccess", "xFullPathname")),
        *((name, _POINTER) for name in ("xDlOpen", "xDlError", "xDlSym", "xDlClose", "xRandomness", "xSleep")),
        *((name, _POINTER) for name in ("xCurrentTime", "xGetLastError", "xCurrentTimeInt64")),
        *((name, _POINTER) for name in ("xSetSystemCall", "xGetSystemCall", "xNextSystemCall")),
    )


class _Methods(ctypes.Structure):
    """https://sqlite.org/c3ref/io_methods.html, version 3."""

    _fields_ = (
        ("iVersion", _INT),
        *((name, _POINTER) for name in ("xClose", "xRead", "xWrite", "xTruncate", "xSync", "xFileSize", "xLock")),
        *((name, _POINTER) for name in ("xUnlock", "xCheckReservedLock", "xFileControl", "xSectorSize")),
        *((name, _POINTER) for name in ("xDeviceCharacteristics", "xShmMap", "xShmLock", "xShmBarrier", "xShmUnmap")),
        *((name, _POINTER) for name in ("xFetch", "xUnfetch")),
    )


class _File(ctypes.Structure):
    """What every open file of SQLite begins with."""

    _fields_ = (("pMethods", ctypes.POINTER(_Methods)),)


class Recording:
    """The events below one folder, in order."""

    def __init__(self, below: Path) -> None:
        self.events: list[Event] = []
        self.failures: list[BaseException] = []
        self._below = os.path.realpath(below)
        self._handles: dict[int, int] = {}  # by the address of SQLite's file
        self._copies: dict[int, Any] = {}  # SQLite's tables of methods, changed, by the address of the original
        self._descriptors: dict[int, str] = {}
        self._kept: list[Any] = []  # what C holds pointers to
        self._opened = 0

    def say(self, what: str, about: Any = None) -> None:
        """Notes what somebody was told, after everything that was done for it."""
        self.events.append(Said(what, about))

    def start(self) -> None:
        """From here on, for the rest of the process."""
        library = ctypes.CDLL(_sqlite3.__file__)  # finds the library's symbols through the module that uses it
        library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        library.sqlite3_vfs_find.argtypes = [ctypes.c_char_p]
        vfs = library.sqlite3_vfs_find(None).contents
        assert vfs.iVersion >= 3
        self._change_vfs(vfs)
        self._change_os()

    def _is_ours(self, path: str) -> bool:
        return path.startswith(self._below + os.sep) and not path.endswith("-shm")

    def _change_vfs(self, vfs: _Vfs) -> None:
        sqlite_open, sqlite_delete = _open_type(vfs.xOpen), _delete_type(vfs.xDelete)
        address = ctypes.addressof(vfs)
        open_folder_there = _open_folder_type(_get_system_call_type(vfs.xGetSystemCall)(address, b"openDirectory"))

        def open_file(this: Any, name: int | None, file: int, flags: int, given_flags: int) -> int:
            path = ctypes.string_at(name).decode() if name else ""
            is_new = self._is_ours(path) and bool(flags & CREATE) and not os.path.exists(path)
            code: int = sqlite_open(this, name, file, flags, given_flags)
            if code == 0 and self._is_ours(path):
                self._watch(file, path, is_new)
            return code

        def delete(this: Any, name: bytes, with_folder: int) -> int:
            if self._is_ours(name.decode()) and os.path.exists(name):
                self.events.append(Unlinked(name.decode()))
            return int(sqlite_delete(this, name, with_folder))

        def open_folder(name: bytes, descriptor: int) -> int:
            # SQLite opens the folder of a file for one purpose, to sync it next.
            folder = os.path.dirname(name.decode())
            if self._is_ours(name.decode()):
                self.events.append(FolderSynced(folder, len(self.events)))
            return int(open_folder_there(name, descriptor))

        vfs.xOpen = self._address(_open_type, open_file)
        vfs.xDelete = self._address(_delete_type, delete)
        replaced = self._address(_open_folder_type, open_folder)
        _set_system_call_type(vfs.xSetSystemCall)(address, b"openDirectory", replaced)

    def _watch(self, file: int, path: str, is_new: bool) -> None:
        self._opened += 1
        self._handles[file] = self._opened
        self.events.append(Opened(self._opened, path, is_new))
        there = _File.from_address(file)
        address = ctypes.addressof(there.pMethods.contents)
        if address not in self._copies:
            self._copies[address] = self._changed(there.pMethods.contents)
        there.pMethods = ctypes.pointer(self._copies[address])

    def _changed(self, methods: _Methods) -> _Methods:
        copy = _Methods()
        ctypes.memmove(ctypes.byref(copy), ctypes.byref(methods), ctypes.sizeof(_Methods))
        sqlite_write, sqlite_truncate = _write_type(methods.xWrite), _truncate_type(methods.xTruncate)
        sqlite_sync = _sync_type(methods.xSync)

        def write(file: int, data: int, size: int, offset: int) -> int:
            self.events.append(Written(self._handles[file], offset, ctypes.string_at(data, size)))
            return int(sqlite_write(file, data, size, offset))

        def truncate(file: int, size: int) -> int:
            self.events.append(Truncated(self._handles[file], size))
            return int(sqlite_truncate(file, size))

        def sync(file: int, flags: int) -> int:
            begun = len(self.events)
            code = int(sqlite_sync(file, flags))
            self.events.append(Synced(self._handles[file], begun))
            return code

        copy.xWrite = self._address(_write_type, write)
        copy.xTruncate = self._address(_truncate_type, truncate)
        copy.xSync = self._address(_sync_type, sync)
        return copy

    def _address(self, kind: Any, function: Callable[..., int]) -> int | None:
        """Where C finds the function."""

        def guarded(*arguments: Any) -> int:
            try:
                return function(*arguments)
            except BaseException as error:  # noqa: BLE001 - C cannot raise it; the test does
                self.failures.append(error)
                return IOERR

        self._kept.append(kind(guarded))
        return ctypes.cast(self._kept[-1], _POINTER).value

    def _change_os(self) -> None:
        self._note("mkdir", lambda path, *_: [FolderMade(path)])
        self._note("unlink", lambda path, *_: [Unlinked(path)])
        self._note("remove", lambda path, *_: [Unlinked(path)])
        self._note("link", lambda source, path, *_: [Linked(source, path)])
        self._note("rename", lambda source, path, *_: [Renamed(source, path)])
        self._note("replace", lambda source, path, *_: [Renamed(source, path)])
        there_open, there_fsync = os.open, os.fsync

        def open_descriptor(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            is_new = bool(flags & os.O_CREAT) and not os.path.exists(path)
            descriptor = there_open(path, flags, *rest, **named)
            self._descriptors[descriptor] = os.path.realpath(path)
            if is_new and self._is_ours(self._descriptors[descriptor]):
                self._opened += 1
                self.events.append(Opened(self._opened, self._descriptors[descriptor], is_new=True))
            return descriptor

        def fsync(descriptor: int) -> None:
            begun = len(self.events)
            there_fsync(descriptor)
            path = self._descriptors[descriptor]
            assert os.path.isdir(path), "a file that Python syncs is not followed yet"
            self.events.append(FolderSynced(path, begun))

        os.open, os.fsync = open_descriptor, fsync

    def _note(self, name: str, events: Callable[..., list[Event]]) -> None:
        there = getattr(os, name)

        def noted(*arguments: Any, **named: Any) -> Any:
            result = there(*arguments, **named)
            places = [os.path.abspath(each) for each in arguments if isinstance(each, str | os.PathLike)]
            if places and self._is_ours(places[-1]):
                self.events += events(*places)
            return result

        setattr(os, name, noted)
