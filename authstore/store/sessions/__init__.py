"""Sessions: found, kept in a cache, changed, ended."""
