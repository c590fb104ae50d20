"""The tables of a running Auth.js database, served in place."""

from authstore.backends.postgres.authjs.indexing import add_indexes
from authstore.backends.postgres.authjs.opening import open_tables
from authstore.backends.postgres.authjs.store import AuthJsStore

__all__ = ["AuthJsStore", "add_indexes", "open_tables"]
