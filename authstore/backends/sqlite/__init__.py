"""SQLite through aiosqlite: one file, one writer, separate readers."""

from authstore.backends.sqlite.database import SqliteDatabase
from authstore.backends.sqlite.opening import open_file, open_memory

__all__ = ["SqliteDatabase", "open_file", "open_memory"]
